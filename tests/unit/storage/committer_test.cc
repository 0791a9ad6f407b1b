#include "storage/committer.h"

#include <catch2/catch.hpp>
#include <deque>

#include "storage/faulty/faulty_store.h"
#include "storage/memory/memory_store.h"

namespace rockdove::storage {
namespace {

// Collects what the committer reports, and waits for it.
class Reports {
public:
    Committer::Done receiver() {
        return [this](Lsn lsn, CommitResult result) {
            const std::lock_guard lock(mutex_);
            reports_.emplace_back(lsn, std::move(result));
            changed_.notify_all();
        };
    }
    std::pair<Lsn, CommitResult> next() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return !reports_.empty(); });
        auto report = std::move(reports_.front());
        reports_.pop_front();
        return report;
    }
    std::size_t waiting() {
        const std::lock_guard lock(mutex_);
        return reports_.size();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::pair<Lsn, CommitResult>> reports_;
};

struct CommitterFixture {
    explicit CommitterFixture(std::chrono::milliseconds tick_every = std::chrono::hours(1))
        : store(std::make_unique<MemoryStore>()), committer(store, reports.receiver(), tick_every) {}

    void submit(const std::string& key) {
        WriteSet writes = committer.take_spare();
        CHECK(writes.empty());
        writes.put(key, "value");
        writes.require_sync();
        committer.submit(std::move(writes), {Lsn(++lsn), 0});
    }

    FaultyStore store;
    Reports reports;
    std::uint64_t lsn = 0;
    Committer committer;
};

TEST_CASE("each submitted write set is committed and reported with its lsn", "[storage][committer]") {
    CommitterFixture fixture;
    for (std::uint64_t i = 1; i <= 100; ++i) {
        fixture.submit("key" + std::to_string(i));
        const auto [lsn, result] = fixture.reports.next();
        CHECK(lsn == Lsn(i));
        CHECK(result.outcome == CommitOutcome::kDurable);
    }
    CHECK(fixture.store.stats().commits == 100);
    const CommitTimes times = fixture.committer.times();
    CHECK(times.count == 100);
    CHECK(times.p50.count() > 0);
    CHECK(times.p99 >= times.p50);
}

TEST_CASE("nothing is reported or readable before the store is done", "[storage][committer]") {
    CommitterFixture fixture;
    fixture.store.hold();
    fixture.submit("key");
    fixture.store.wait_until_held();
    CHECK(fixture.reports.waiting() == 0);
    CHECK(*fixture.store.get("key") == std::nullopt);
    fixture.store.release();
    CHECK(fixture.reports.next().first == Lsn(1));
    CHECK(*fixture.store.get("key") == "value");
}

TEST_CASE("stop finishes the outstanding commit first", "[storage][committer]") {
    CommitterFixture fixture;
    fixture.submit("key");
    fixture.committer.stop();
    REQUIRE(fixture.reports.waiting() == 1);
    CHECK(fixture.reports.next().second.outcome == CommitOutcome::kDurable);
    fixture.committer.stop();  // again does nothing
}

TEST_CASE("an outcome that is not durable is reported as it is", "[storage][committer]") {
    const auto [fault, outcome] = GENERATE(table<Fault, CommitOutcome>({
        {Fault::kFailed, CommitOutcome::kFailed},
        {Fault::kUnknownApplied, CommitOutcome::kUnknown},
        {Fault::kUnknownLost, CommitOutcome::kUnknown},
        {Fault::kFenced, CommitOutcome::kFenced},
    }));
    CommitterFixture fixture;
    fixture.store.fail_commit(2, fault);
    fixture.submit("first");
    CHECK(fixture.reports.next().second.outcome == CommitOutcome::kDurable);
    fixture.submit("second");
    const CommitResult failed = fixture.reports.next().second;
    CHECK(failed.outcome == outcome);
    CHECK_FALSE(failed.error.empty());
    fixture.submit("third");
    CHECK(fixture.reports.next().second.outcome == CommitOutcome::kFailed);
}

TEST_CASE("a tick that fails while idle is reported once, with the last lsn", "[storage][committer]") {
    CommitterFixture fixture(std::chrono::milliseconds(1));
    fixture.submit("key");
    CHECK(fixture.reports.next().second.outcome == CommitOutcome::kDurable);
    fixture.store.fail_tick();
    const auto [lsn, result] = fixture.reports.next();
    CHECK(lsn == Lsn(1));
    CHECK(result.outcome == CommitOutcome::kFailed);
    fixture.committer.stop();
    CHECK(fixture.reports.waiting() == 0);
}

}  // namespace
}  // namespace rockdove::storage

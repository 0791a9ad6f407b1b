// A shard's commits, failures, reads and timers, with its real threads.
#include "server/runtime/shard.h"

#include <catch2/catch.hpp>

#include "protocol/base/bytes.h"
#include "shard_fixture.h"
#include "storage/keys.h"
#include "storage/record.h"

namespace rockdove::runtime {
namespace {

using storage::Fault;
using Backing = std::shared_ptr<storage::MemoryBacking>;

Backing backing() { return std::make_shared<storage::MemoryBacking>(); }

bool confirmed(const Told& told, std::uint64_t request) { return told.confirms.contains(request); }

std::vector<ErrorCode> errors(const Told& told, std::uint64_t request) {
    const auto it = told.errors.find(request);
    return it == told.errors.end() ? std::vector<ErrorCode>() : it->second;
}

TEST_CASE("a commit under way shows nothing: no confirm, no delivery", "[runtime][shard]") {
    ShardFixture fixture;
    fixture.consume();
    fixture.faulty.hold();
    fixture.publish(1);
    fixture.faulty.wait_until_held();
    fixture.publish(2);
    CHECK_FALSE(confirmed(fixture.session->told(), 1));
    CHECK(fixture.session->told().delivered.empty());
    fixture.faulty.release_one();
    fixture.session->wait([](const Told& told) { return confirmed(told, 1); });
    fixture.faulty.wait_until_held();  // the second publish, and the start of the first message
    CHECK_FALSE(confirmed(fixture.session->told(), 2));
    CHECK(fixture.session->told().delivered.empty());
    fixture.faulty.release();
    fixture.session->wait([](const Told& told) { return told.delivered.size() == 2; });
    CHECK(confirmed(fixture.session->told(), 2));
}

TEST_CASE("an unknown commit: who waits for it hears OUTCOME_UNKNOWN, who is staged behind it UNAVAILABLE",
          "[runtime][shard]") {
    const Fault fault = GENERATE(Fault::kUnknownApplied, Fault::kUnknownLost, Fault::kFailed, Fault::kFenced);
    const bool unknown = fault == Fault::kUnknownApplied || fault == Fault::kUnknownLost;
    const Backing disk = backing();
    {
        ShardFixture fixture(disk);
        fixture.faulty.hold();
        fixture.faulty.fail_commit(1, fault);
        fixture.publish(1);
        fixture.faulty.wait_until_held();
        fixture.publish(2);
        fixture.faulty.release();
        CHECK(fixture.wait_for_failure().size() == 1);
        fixture.publish(3);  // a request that was read just then
        const Told told = fixture.session->told();
        CHECK(errors(told, 1) == std::vector{unknown ? ErrorCode::kOutcomeUnknown : ErrorCode::kUnavailable});
        CHECK(errors(told, 2) == std::vector{ErrorCode::kUnavailable});
        CHECK(told.confirms.empty());
        CHECK(told.closed.size() == 1);
        fixture.run([&] { CHECK(fixture.shard.failed()); });
        fixture.shard.stop();
        CHECK(fixture.failures().size() == 1);
        CHECK(fixture.session->told().confirms.empty());
    }
    ShardFixture again(disk);
    CHECK(again.info().ready == (fault == Fault::kUnknownApplied ? 1 : 0));
}

TEST_CASE("a failed tick ends the shard like a failed commit", "[runtime][shard]") {
    ShardFixture fixture;
    fixture.faulty.fail_tick();
    CHECK(fixture.wait_for_failure() == std::vector{ErrorCode::kInternal});
    fixture.publish(1);
    CHECK(fixture.session->told().confirms.empty());
}

TEST_CASE("a store that cannot be read: nobody is told that a commit under way did not happen", "[runtime][shard]") {
    ShardFixture fixture;
    for (std::uint64_t i = 1; i <= 8; ++i) fixture.publish(i, 200'000);  // more than an idle queue keeps in memory
    fixture.session->wait([](const Told& told) { return told.confirms.size() == 8; });
    fixture.store.fail_scans = true;
    fixture.faulty.hold();
    fixture.publish(100);
    fixture.faulty.wait_until_held();
    fixture.publish(101);
    fixture.consume();
    fixture.faulty.release_one();  // deliveries of what is in memory go into the next commit, and a read is asked for
    fixture.wait_for_failure();
    const Told told = fixture.session->told();
    const auto outcome = [&](std::uint64_t request) {
        if (confirmed(told, request)) return std::string("confirmed");
        const std::vector<ErrorCode> codes = errors(told, request);
        REQUIRE(codes.size() == 1);
        return std::string(error_name(codes[0]));
    };
    // The first may have ended in time; the second was under way or staged when the read failed.
    const std::string first = outcome(100);
    const std::string second = outcome(101);
    CHECK((first == "confirmed" || first == "outcome_unknown"));
    CHECK((second == "outcome_unknown" || (first == "outcome_unknown" && second == "unavailable")));
    CHECK(fixture.failures().size() == 1);
    fixture.faulty.release();
}

TEST_CASE("a backlog is read and delivered without anybody asking again", "[runtime][shard]") {
    const Backing disk = backing();
    {
        ShardFixture fixture(disk);
        for (std::uint64_t i = 1; i <= 30; ++i) fixture.publish(i, 100'000, 4);
        fixture.session->wait([](const Told& told) { return told.confirms.size() == 30; });
        fixture.shard.stop();
    }
    ShardFixture fixture(disk);
    CHECK(fixture.info().ready == 120);
    fixture.consume();
    fixture.session->wait([](const Told& told) { return told.delivered.size() == 120; });
    const std::vector<std::uint64_t> delivered = fixture.session->told().delivered;
    CHECK(std::is_sorted(delivered.begin(), delivered.end()));
}

TEST_CASE("stop commits what is staged", "[runtime][shard]") {
    const Backing disk = backing();
    {
        ShardFixture fixture(disk);
        fixture.faulty.hold();
        fixture.publish(1);
        fixture.faulty.wait_until_held();
        fixture.publish(2);
        auto stopping = std::async(std::launch::async, [&] { fixture.shard.stop(); });
        fixture.faulty.release();
        REQUIRE(stopping.wait_for(kDeadline) == std::future_status::ready);
        CHECK(fixture.session->told().confirms.size() == 2);
    }
    ShardFixture again(disk);
    CHECK(again.info().ready == 2);
}

TEST_CASE("leases and waits run on the shard's timer", "[runtime][shard]") {
    QueueSettings settings;
    settings.backoff_first = Millis(20);
    settings.backoff_longest = Millis(20);
    settings.max_attempts = 3;
    ShardFixture fixture(backing(), settings);
    fixture.consume(10, Millis(100));
    fixture.publish(1);
    fixture.session->wait([](const Told& told) { return told.delivered.size() == 3; });
    CHECK(fixture.session->told().attempts == std::vector<std::uint32_t>{1, 2, 3});
}

TEST_CASE("sessions that wait for the disk sleep until a commit has ended", "[runtime][shard]") {
    ShardFixture fixture;
    fixture.faulty.hold();
    fixture.publish(1);
    fixture.faulty.wait_until_held();
    for (std::uint64_t i = 2; i <= 7; ++i) fixture.publish(i, 8 << 20);
    fixture.run([&] { CHECK(fixture.shard.stage_full()); });
    std::atomic<int> rounds{0};
    std::atomic<int> ended{0};
    struct Wait {
        static asio::awaitable<void> loop(Shard& shard, std::atomic<int>& rounds, std::atomic<int>& ended) {
            while (shard.stage_full()) {
                ++rounds;
                co_await shard.wait_for_room();
            }
            ++ended;
        }
    };
    fixture.run([&] {
        for (int i = 0; i < 3; ++i) {
            fixture.shard.tasks().spawn("wait", fixture.shard.context().get_executor(),
                                        Wait::loop(fixture.shard, rounds, ended));
        }
    });
    for (int i = 0; i < 50; ++i) fixture.run([] {});  // if they woke each other, they would have had the time
    CHECK(rounds == 3);
    CHECK(ended == 0);
    fixture.faulty.release();
    fixture.session->wait([](const Told& told) { return told.confirms.size() == 7; });
    fixture.run([] {});
    CHECK(ended == 3);
}

TEST_CASE("Q-3 a disk that is low refuses publishes until there is room again", "[runtime][shard]") {
    ShardOptions options;
    options.min_free_bytes = 1'000;
    ShardFixture fixture(backing(), {}, options);
    fixture.publish(1);
    fixture.session->wait([](const Told& told) { return confirmed(told, 1); });
    fixture.store.disk_free = 999;
    std::uint64_t request = 1;
    const auto publish_until = [&](const std::function<bool(const Told&)>& reached) {
        const auto end = std::chrono::steady_clock::now() + kDeadline;
        do {
            fixture.publish(++request);
            fixture.session->wait(
                [&](const Told& told) { return confirmed(told, request) || !errors(told, request).empty(); });
            REQUIRE(std::chrono::steady_clock::now() < end);
        } while (!reached(fixture.session->told()));
    };
    publish_until([&](const Told& told) { return errors(told, request) == std::vector{ErrorCode::kStoreBusy}; });
    fixture.run([&] { CHECK_FALSE(fixture.shard.snapshot(0).publish_refusal.empty()); });
    fixture.store.disk_free = 1'000;
    publish_until([&](const Told& told) { return confirmed(told, request); });
}

TEST_CASE("Q-3 what was written since the disk was looked at counts three times", "[runtime][shard]") {
    ShardOptions options;
    options.min_free_bytes = 1'000'000 - 100;  // room for a message, not for three of it
    ShardFixture fixture(backing(), {}, options);
    const auto publish = [&](std::uint64_t request) {
        fixture.publish(request);
        fixture.session->wait(
            [&](const Told& told) { return confirmed(told, request) || !errors(told, request).empty(); });
        return confirmed(fixture.session->told(), request);
    };
    std::uint64_t request = 0;
    {
        const std::lock_guard nobody_looks(fixture.store.looking);
        publish(++request);  // refused already if what the fixture wrote still counts
        CHECK_FALSE(publish(++request));
        CHECK(errors(fixture.session->told(), request) == std::vector{ErrorCode::kStoreBusy});
    }
    while (!publish(++request)) REQUIRE(request < 1'000'000);  // the disk has been looked at, it has room
}

TEST_CASE("closing sessions says goodbye first, and hangs up after the grace", "[runtime][shard]") {
    ShardFixture fixture;
    std::promise<void> done;
    fixture.run([&] { fixture.shard.close_sessions("draining", Millis(50), [&] { done.set_value(); }); });
    REQUIRE(done.get_future().wait_for(kDeadline) == std::future_status::ready);
    const Told told = fixture.session->told();
    CHECK(told.goodbyes == std::vector<std::string>{"draining"});
    CHECK(told.hung_up == 1);
}

TEST_CASE("closing sessions hangs up on who holds nothing before the grace is over", "[runtime][shard]") {
    ShardFixture fixture;
    std::promise<void> done;
    fixture.run([&] { fixture.shard.close_sessions("draining", Millis(3'600'000), [&] { done.set_value(); }); });
    fixture.session->wait([](const Told& told) { return told.goodbyes.size() == 1; });
    CHECK(fixture.session->told().hung_up == 0);
    fixture.session->set_idle();
    fixture.session->wait([](const Told& told) { return told.hung_up > 0; });
    fixture.run([&] { fixture.shard.remove_session(SessionId(1)); });
    REQUIRE(done.get_future().wait_for(kDeadline) == std::future_status::ready);
}

TEST_CASE("closing sessions is done as soon as none is left", "[runtime][shard]") {
    ShardFixture fixture;
    std::promise<void> done;
    fixture.run([&] { fixture.shard.close_sessions("draining", Millis(3'600'000), [&] { done.set_value(); }); });
    fixture.run([&] { fixture.shard.remove_session(SessionId(1)); });
    REQUIRE(done.get_future().wait_for(kDeadline) == std::future_status::ready);
    CHECK(fixture.session->told().hung_up == 0);
}

TEST_CASE("a store with a damaged record is not started, and the namespace is named", "[runtime][shard]") {
    const Backing disk = backing();
    {
        ShardFixture fixture(disk);
        fixture.publish(1);
        fixture.session->wait([](const Told& told) { return confirmed(told, 1); });
    }
    REQUIRE(disk->damage(storage::block_index_key(NamespaceId(1), QueueId(1), Sequence(1))));
    storage::MemoryStore store(disk);
    Shard shard(ShardId(0), store, {});
    const Result<void> ok = shard.start();
    REQUIRE_FALSE(ok);
    CHECK(ok.error().code == ErrorCode::kInternal);
    CHECK(ok.error().text.find("default") != std::string::npos);
}

TEST_CASE("namespaces are opened by name, and found again after a restart", "[runtime][shard]") {
    const Backing disk = backing();
    {
        ShardFixture fixture(disk);
        fixture.run([&] {
            CHECK(&fixture.shard.open_namespace("") == &fixture.shard.open_namespace("default"));
            fixture.shard.open_namespace("other");
        });
        fixture.shard.stop();
    }
    ShardFixture fixture(disk);
    fixture.run([&] {
        CHECK(fixture.shard.snapshot(0).namespaces == 2);
        CHECK(fixture.shard.open_namespace("other").id() != fixture.shard.open_namespace("default").id());
        CHECK(fixture.shard.snapshot(0).namespaces == 2);
    });
}

}  // namespace
}  // namespace rockdove::runtime

// A shard with its real threads over a store under the test's control, and a session that writes down what it is told.
#pragma once

#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "protocol/base/bytes.h"
#include "server/runtime/shard.h"
#include "storage/faulty/faulty_store.h"
#include "storage/memory/memory_store.h"
#include "storage/record.h"

namespace rockdove::runtime {

inline constexpr std::chrono::seconds kDeadline{20};

// Passes everything on, but for what the test wants to fail.
class TestStore final : public storage::MessageStore {
public:
    explicit TestStore(storage::MessageStore& inner) : inner_(inner) {}

    std::atomic<bool> fail_scans{false};
    std::atomic<std::uint64_t> disk_free{0};
    mutable std::mutex looking;  // who holds it keeps stats() waiting

    [[nodiscard]] const storage::StoreState& opened() const override { return inner_.opened(); }
    storage::CommitResult commit(const storage::WriteSet& writes, const storage::CommitStamp& stamp) override {
        return inner_.commit(writes, stamp);
    }
    storage::CommitResult tick() override { return inner_.tick(); }
    Result<void> scan(std::string_view begin, std::string_view end,
                      const std::function<bool(const storage::RecordView&)>& visit) override {
        if (fail_scans) return Error(ErrorCode::kInternal, "injected: read failed");
        return inner_.scan(begin, end, visit);
    }
    Result<std::optional<std::string>> get(std::string_view key) override { return inner_.get(key); }
    [[nodiscard]] storage::StoreStats stats() const override {
        const std::lock_guard wait(looking);
        storage::StoreStats stats = inner_.stats();
        stats.disk_total_bytes = 1'000'000;
        stats.disk_free_bytes = disk_free;
        return stats;
    }
    Result<void> close() override { return inner_.close(); }

private:
    storage::MessageStore& inner_;
};

// What a session was told so far.
struct Told {
    std::map<std::uint64_t, core::Confirmation> confirms;
    std::map<std::uint64_t, std::vector<ErrorCode>> errors;  // by request id
    std::vector<std::uint64_t> delivered;                    // sequences
    std::vector<std::uint32_t> attempts;                     // of the same
    std::vector<ErrorCode> closed;
    int hung_up = 0;
    std::vector<std::string> goodbyes;
};

class FakeSession final : public SessionPort {
public:
    // Waits until `ready` says so; fails the test when that takes too long. Any thread.
    void wait(const std::function<bool(const Told&)>& ready) {
        std::unique_lock lock(mutex_);
        REQUIRE(changed_.wait_for(lock, kDeadline, [&] { return ready(told_); }));
    }
    [[nodiscard]] Told told() const {
        const std::lock_guard lock(mutex_);
        return told_;
    }

    void confirm(const core::Confirmation& confirmation) override {
        tell([&](Told& told) { told.confirms.emplace(confirmation.request_id, confirmation); });
    }
    void deliver(const core::Delivery& delivery) override {
        tell([&](Told& told) {
            for (std::uint32_t i = 0; i < delivery.count; ++i) {
                told.delivered.push_back(delivery.first_seq.value + i);
                told.attempts.push_back(delivery.attempt);
            }
        });
    }
    void settled(const core::SettleReply&) override {}
    void started(const core::StartReply&) override {}
    void recall(const core::Recall&) override {}
    void fail(SessionId, std::uint64_t request_id, const Error& error) override {
        tell([&](Told& told) { told.errors[request_id].push_back(error.code); });
    }
    void consumer_closed(SessionId, std::uint64_t, const Error&) override {}
    [[nodiscard]] bool has_room(SessionId) const override { return true; }
    void flush() override {}
    void close(const Error& why) override {
        tell([&](Told& told) { told.closed.push_back(why.code); });
    }
    [[nodiscard]] bool idle(std::chrono::steady_clock::time_point) const override { return idle_; }
    void set_idle() { idle_ = true; }
    void hang_up() override {
        tell([&](Told& told) { ++told.hung_up; });
    }
    void say_goodbye(const std::string& reason, Millis) override {
        tell([&](Told& told) { told.goodbyes.push_back(reason); });
    }
    void check_deadlines(std::chrono::steady_clock::time_point) override {}

private:
    template <class Tell>
    void tell(Tell&& how) {
        const std::lock_guard lock(mutex_);
        how(told_);
        changed_.notify_all();
    }

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    Told told_;
    std::atomic<bool> idle_{false};
};

// Shard, session 1 in namespace "default", queue "q".
class ShardFixture {
public:
    explicit ShardFixture(std::shared_ptr<storage::MemoryBacking> backing = std::make_shared<storage::MemoryBacking>(),
                          const QueueSettings& settings = {}, ShardOptions options = {})
        : faulty(std::make_unique<storage::MemoryStore>(std::move(backing))),
          store(faulty),
          shard(ShardId(0), (store.disk_free = 1'000'000, store), std::move(options)) {
        shard.on_failure([this](const Error& error) {
            const std::lock_guard lock(mutex_);
            failures_.push_back(error.code);
            changed_.notify_all();
        });
        REQUIRE(shard.start());
        std::promise<bool> ready;
        post([&] {
            shard.add_session(SessionId(1), session);
            core::Namespace& ns = shard.open_namespace("default");
            ns.open_session(SessionId(1), "", 0, shard.now(), [](const Result<std::uint64_t>&) {});
            ns.create_queue("q", settings, true, shard.now(),
                            [&](const Result<core::QueueInfo>& info) { ready.set_value(info.has_value()); });
        });
        REQUIRE(ready.get_future().get());
    }
    ~ShardFixture() { faulty.release(); }

    // Runs on the shard's thread, then a turn; does not wait.
    void post(std::function<void()> what) {
        asio::post(shard.context(), [this, what = std::move(what)] {
            what();
            shard.request_turn();
        });
    }
    // Runs on the shard's thread and waits for it, and for the turn after it.
    void run(const std::function<void()>& what) {
        std::promise<void> done;
        asio::post(shard.context(), [&] {
            what();
            shard.request_turn();
            asio::post(shard.context(), [&] { done.set_value(); });
        });
        done.get_future().get();
    }
    core::Namespace& ns() { return shard.open_namespace("default"); }

    void publish(std::uint64_t request_id, std::size_t body_bytes = 10, std::size_t count = 1) {
        run([&] {
            std::string message;
            ByteWriter inner(message);
            inner.u8(0x0A);
            inner.string(std::string(body_bytes, 'x'));
            std::string records;
            std::vector<std::uint32_t> ends;
            for (std::size_t i = 0; i < count; ++i) {
                ByteWriter out(records);
                out.u8(static_cast<std::uint8_t>(storage::kMessageTag));
                out.string(message);
                ends.push_back(static_cast<std::uint32_t>(records.size()));
            }
            core::PublishRequest request;
            request.session = SessionId(1);
            request.request_id = request_id;
            request.queue = "q";
            request.records = records;
            request.ends = ends;
            ns().publish(request, shard.now());
        });
    }
    void consume(std::uint32_t credit = 1'000, Millis lease = Millis(0)) {
        run([&] {
            core::ConsumeRequest request;
            request.session = SessionId(1);
            request.queue = "q";
            request.number = 1;
            request.name = "worker";
            request.credit_messages = credit;
            request.lease = lease;
            if (!ns().consume(request, shard.now())) std::abort();
        });
    }
    core::QueueInfo info() {
        core::QueueInfo info;
        run([&] { info = *ns().show_queue("q"); });
        return info;
    }
    std::vector<ErrorCode> wait_for_failure() {
        std::unique_lock lock(mutex_);
        REQUIRE(changed_.wait_for(lock, kDeadline, [&] { return !failures_.empty(); }));
        return failures_;
    }
    [[nodiscard]] std::vector<ErrorCode> failures() const {
        const std::lock_guard lock(mutex_);
        return failures_;
    }

    storage::FaultyStore faulty;
    TestStore store;
    std::shared_ptr<FakeSession> session = std::make_shared<FakeSession>();

private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<ErrorCode> failures_;

public:
    Shard shard;  // last: its threads use all the others
};

}  // namespace rockdove::runtime

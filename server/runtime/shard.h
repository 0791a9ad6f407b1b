// A shard: one thread with its sessions, its core and its timers, one commit thread, one store (ARCHITECTURE section
// 1).
//
// Runs on: start(), stop() and on_failure() from the thread that owns the shard; the rest on the shard's own thread
//          (running_here()), except context(), which any thread may post to.
// Owns:    the threads and the namespaces. Borrows the store, which must outlive it.
// Errors:  after a commit that did not hold, or a store that cannot be read, every session is told and closed, and the
//          failure callback is called once, on the shard's thread. Nothing is resumed: the process ends.
// A turn:  requests of one round of reads, then dispatch, then, if no commit is under way, everything staged is
// submitted.
#pragma once

#include <boost/asio.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "server/core/namespace.h"
#include "server/core/opaque_format.h"
#include "server/runtime/clock.h"
#include "server/runtime/read_thread.h"
#include "server/runtime/snapshot.h"
#include "server/runtime/task_group.h"
#include "storage/committer.h"
#include "storage/message_store.h"

namespace rockdove::runtime {

struct ShardOptions {
    core::NamespaceOptions namespaces;  // for every namespace of the shard
    std::uint64_t min_free_bytes = 0;   // publishes are refused while the disk has less; 0: never
    std::shared_ptr<const core::MessageFormat> format = std::make_shared<core::OpaqueFormat>();
    std::optional<TimePoint> frozen_at;  // a test clock that stands there; the same on all shards
};

// What a session of server/net is to its shard.
class SessionPort : public core::Outlet {
public:
    virtual void flush() = 0;                  // send what has been put into the outbox
    virtual void close(const Error& why) = 0;  // say it, then hang up
    virtual void hang_up() = 0;                // without a word, once the outbox is empty
    // Nothing heard since then, nothing to send, and the client holds no message.
    [[nodiscard]] virtual bool idle(std::chrono::steady_clock::time_point since) const = 0;
    virtual void say_goodbye(const std::string& reason, Millis reconnect_after) = 0;  // GoAway
    virtual void check_deadlines(std::chrono::steady_clock::time_point now) = 0;      // called about once a second
};

class Shard final : private core::Outlet {
public:
    Shard(ShardId id, storage::MessageStore& store, ShardOptions options);
    Shard(const Shard&) = delete;
    Shard& operator=(const Shard&) = delete;
    ~Shard() override;  // stop()

    // Rebuilds the namespaces (on the calling thread), then starts the threads. Error: kInternal, the store is damaged.
    Result<void> start();
    // To be set before start(). Called once, on the shard's thread: kConflict if the store's files are damaged, else
    // what made a write fail.
    void on_failure(std::function<void(const Error&)> callback) { failed_callback_ = std::move(callback); }
    // Commits what is staged, then ends the threads. Sessions must be closed before (close_sessions()), or are dropped.
    void stop();

    asio::io_context& context() { return context_; }
    [[nodiscard]] bool running_here() const { return std::this_thread::get_id() == thread_id_; }

    // --- on the shard's thread ---
    [[nodiscard]] ShardId id() const { return id_; }
    [[nodiscard]] TimePoint now() const { return clock_.now(); }
    [[nodiscard]] bool test_clock() const { return clock_.frozen(); }
    // Where the test clock will stand when all moves asked for so far are done.
    [[nodiscard]] TimePoint clock_target() const { return moves_.empty() ? now() : moves_.back().to; }
    // Moves the test clock to `to`, not before clock_target(), once everything said before is committed. What falls due on
    // the way happens at its own time; deliveries are chosen at the end. `done` when all of it, and the time, is durable.
    void move_clock(TimePoint to, core::Reply done);
    [[nodiscard]] const storage::StoreState& store_state() const { return store_.opened(); }
    TaskGroup& tasks() { return tasks_; }
    // Made if it is not there: whether it may be, and on which shard, the placement table has said (placement.h).
    core::Namespace& open_namespace(std::string_view name);
    // Puts a record of the broker's own; `done` when it is durable, or cannot be.
    void stage_record(std::string key, std::string payload, core::Reply done);
    // Sessions are told by id; a session is registered from its first byte to its end.
    void add_session(SessionId id, std::weak_ptr<SessionPort> session);
    void remove_session(SessionId id);
    // Asks for a turn after the handlers that are ready now have run.
    void request_turn();
    // The session has something in its outbox: it is flushed at the end of the turn.
    void request_flush(SessionId id);
    // While true, sessions should not read on: what is staged has outgrown what the disk takes, or the test clock waits for
    // its turn.
    [[nodiscard]] bool stage_full() const;
    // Completes when stage_full() may have become false.
    asio::awaitable<void> wait_for_room();
    [[nodiscard]] ShardSnapshot snapshot(std::size_t max_queues) const;
    // GoAway to every session, then, after `grace`, hangs up; `done` when no session is left.
    void close_sessions(const std::string& reason, Millis grace, std::function<void()> done);
    [[nodiscard]] bool failed() const { return failed_; }

private:
    // core::Outlet: to the session concerned, if it is still there.
    void confirm(const core::Confirmation& confirmation) override;
    void deliver(const core::Delivery& delivery) override;
    void settled(const core::SettleReply& reply) override;
    void started(const core::StartReply& reply) override;
    void recall(const core::Recall& recall) override;
    void fail(SessionId session, std::uint64_t request_id, const Error& error) override;
    void consumer_closed(SessionId session, std::uint64_t consumer, const Error& error) override;
    void reserve(SessionId session, std::size_t bytes) override;
    [[nodiscard]] bool has_room(SessionId session) const override;

    [[nodiscard]] std::shared_ptr<SessionPort> find_session(SessionId id) const;
    Result<void> recover();
    core::Namespace& add_namespace(NamespaceId id, const std::string& name);
    void end_turn();
    void submit();
    void commit_done(Lsn lsn, const storage::CommitResult& result);
    void run_effects(const std::vector<core::Effect>& effects, const Error* failure);
    void flush_sessions();
    void arm_timer();
    void on_timer();
    void on_second();
    void ask_store();
    void check_store(const storage::StoreStats& stats);
    void refuse_publishes(std::string why);  // empty: they are accepted
    [[nodiscard]] bool disk_low() const;
    [[nodiscard]] std::string low_disk_text() const;
    // `why_submitted`: what those hear whose change is at the commit thread; everybody else's is certainly not stored.
    void stop_failed(const Error& why, const Error& why_submitted);
    struct ClockMove {
        TimePoint to;
        core::Reply done;
    };
    void make_clock_move();
    asio::awaitable<void> second_loop();
    asio::awaitable<void> close_loop(std::string reason, Millis grace, std::function<void()> done);

    const ShardId id_;
    storage::MessageStore& store_;
    const ShardOptions options_;
    std::function<void(const Error&)> failed_callback_;

    asio::io_context context_{1};
    BrokerClock clock_;
    TimePoint started_;
    TaskGroup tasks_;
    std::mt19937_64 random_;
    core::Stage stage_;
    core::WindowBudget window_;
    std::map<std::string, std::unique_ptr<core::Namespace>, std::less<>> namespaces_;
    std::uint32_t next_namespace_ = 1;
    std::unordered_map<SessionId, std::weak_ptr<SessionPort>> sessions_;
    std::vector<SessionId> to_flush_;
    std::vector<core::Effect> in_flight_;  // of the commit that is under way
    std::deque<ClockMove> moves_;          // of the test clock, to be made when nothing is under way
    bool keep_time_ = false;               // the next commit is made even if nothing but the time has changed
    bool committing_ = false;
    std::uint64_t commits_ = 0;
    std::uint64_t syncs_ = 0;
    bool turn_requested_ = false;
    bool failed_ = false;
    bool stopping_ = false;
    bool late_timer_ = false;
    asio::steady_timer timer_{context_};
    TimePoint timer_at_ = TimePoint::max();
    asio::steady_timer second_{context_};
    // Never expires; cancelled whenever a commit has ended.
    asio::steady_timer room_{context_, asio::steady_timer::time_point::max()};
    storage::StoreStats stats_;
    std::uint64_t written_ = 0;      // bytes handed to the commit thread
    std::uint64_t asked_at_ = 0;     // written_ when the store was asked
    std::uint64_t measured_at_ = 0;  // written_ that stats_ has in it at least
    bool asking_store_ = false;
    std::string refusal_;

    std::unique_ptr<ReadThread> reader_;
    std::unique_ptr<storage::Committer> committer_;
    std::thread thread_;
    std::thread::id thread_id_;
};

}  // namespace rockdove::runtime

// The core with everything around it under the test's control: a clock that stands still, a store whose backing
// survives a restart, a commit that can be held open, reads that wait until they are served, and an outlet that writes
// down what was said.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "server/core/namespace.h"
#include "storage/memory/memory_store.h"

namespace rockdove::test {

using namespace base;
using core::LeaseRange;
using core::Outcome;
using core::QueueInfo;

// One message as its consumer got it.
struct Received {
    SessionId session;
    std::uint64_t consumer = 0;
    Sequence seq;
    std::uint32_t lease = 0;
    std::uint32_t attempt = 0;
    std::uint64_t epoch = 0;
    std::int64_t commit_time_ms = 0;
    QueueId id_queue;  // with commit time and id_seq: its id
    Sequence id_seq;
    Millis lease_time{0};
    std::string body;
    std::uint64_t missed = 0;
    bool recalled = false;  // what the consumer got before with this lease (a delivery's number) is no longer its own

    [[nodiscard]] LeaseRange range() const { return through(*this); }
    // This one up to `last`, all under the same lease.
    [[nodiscard]] LeaseRange through(const Received& last) const { return {seq, last.seq, epoch, lease}; }
};

// What became of a request: one of the four, or nothing yet.
struct Answered {
    std::optional<core::Confirmation> confirm;
    std::optional<core::SettleReply> settled;
    std::optional<core::StartReply> started;
    std::optional<Error> error;

    [[nodiscard]] bool pending() const { return !confirm && !settled && !started && !error; }
};

struct Closed {
    SessionId session;
    std::uint64_t consumer = 0;
    ErrorCode code;
};

// Messages as a Publish carries them.
struct Batch {
    Batch() = default;
    std::string records;
    std::vector<std::uint32_t> ends;

    std::vector<base::MessageTraits> traits;  // of all, once one is not plain

    void add(std::string_view body, base::MessageTraits traits = {}, std::string_view key = {},
             std::string_view subject = {});
    // Bytes of the encoded message with such a body: what limits and credit count.
    static std::size_t message_bytes(std::size_t body_bytes, std::size_t key_bytes = 0);
};

struct PublishOptions {
    std::string queue = "q";
    SessionId session{1};
    std::uint64_t producer_seq = 0;
    std::uint64_t oldest_unconfirmed = 0;
    bool to_topic = false;
    bool mandatory = false;
};

struct ConsumeOptions {
    std::string queue = "q";
    SessionId session{1};
    std::uint64_t number = 1;
    std::string name = "worker";
    std::uint32_t credit = 1'000;
    std::uint64_t credit_bytes = 0;
    Millis lease{0};
    std::vector<LeaseRange> held;
    bool explicit_start = false;
    bool ack_on_delivery = false;
    std::string filter;  // see NamespaceFixture::filter()
};

struct SettleOptions {
    SessionId session{1};
    std::uint64_t consumer = 1;
    std::string reason;
    std::optional<Millis> after;
};

// Runs a namespace as server/runtime/shard.cc does, on the calling thread. Every call ends with a turn: dispatch,
// commit (unless held), reads (unless deferred), until nothing is left to do.
class NamespaceFixture : private core::Outlet, private core::BlockReader, private core::MessageFormat {
public:
    explicit NamespaceFixture(core::NamespaceOptions options = {});
    ~NamespaceFixture() override;

    core::Namespace& ns() { return *ns_; }
    [[nodiscard]] TimePoint now() const { return now_; }

    // --- requests ---
    // The producer's epoch, or why not.
    Result<std::uint64_t> connect(SessionId session, std::string_view producer = {}, std::uint64_t epoch = 0);
    void disconnect(SessionId session, bool clean = false);
    Result<QueueInfo> create(std::string_view queue, const QueueSettings& settings = {}, bool if_not_exists = false);
    Result<QueueInfo> update(std::string_view queue, const QueueSettings& settings);
    Result<std::uint64_t> purge(std::string_view queue = "q");
    Result<std::uint64_t> remove(std::string_view queue = "q", bool if_exists = false, bool if_empty = false);
    Result<std::uint64_t> cancel_message(std::uint64_t seq, std::string_view queue = "q");
    Result<std::uint64_t> reschedule(std::uint64_t seq, std::int64_t due_ms, std::string_view queue = "q");
    core::Explanation explain(std::uint64_t seq, std::string_view queue = "q") const;
    // All keys if it is empty.
    Result<std::uint64_t> resume_key(std::string_view key = {}, std::string_view queue = "q");
    Result<QueueInfo> pause(bool paused, std::string_view queue = "q");
    Result<core::PeekResult> peek(std::uint64_t from = 1, std::uint32_t limit = 1'000, std::size_t max_bytes = 1 << 20,
                                  std::string_view queue = "q", core::MessagePredicate filter = {});
    Result<core::DeadPage> list_dead(std::uint64_t from = 1, std::uint32_t limit = 1'000,
                                     std::size_t max_bytes = 1 << 20, bool bodies = true, std::string_view queue = "q");
    Result<std::uint64_t> delete_dead(const std::vector<Sequence>& sequences, std::string_view queue = "q");
    Result<std::uint64_t> purge_dead(std::string_view queue = "q");
    Result<core::TaskInfo> redrive(const core::RedriveRequest& request);
    Result<core::TaskInfo> cancel_task(std::uint64_t number);
    Result<core::TopicInfo> create_topic(const TopicSettings& settings = {}, std::string_view topic = "t");
    Result<std::uint64_t> remove_topic(std::string_view topic = "t");
    // Of topic "t", unless it says so.
    Result<core::SubscriptionInfo> subscribe(std::string_view name, core::SubscribeRequest request = {});
    // The settings of its queue.
    Result<core::SubscriptionInfo> update_subscription(std::string_view name, const QueueSettings& settings,
                                                       std::string_view topic = "t");
    Result<std::uint64_t> unsubscribe(std::string_view name, std::string_view topic = "t");
    Result<core::SubscriptionInfo> seek(std::string_view name, const core::Place& to, std::string_view topic = "t");
    Result<core::SubscriptionInfo> replay(std::string_view name, const core::Place& from, const core::Place& to,
                                          std::string_view topic = "t");
    Answered publish(const std::vector<std::string>& bodies, const PublishOptions& options = {});
    Answered publish(const Batch& batch, const PublishOptions& options = {});
    Result<core::ConsumeGrant> consume(const ConsumeOptions& options = {});
    Result<void> credit(std::uint32_t messages, std::uint64_t bytes = 0, SessionId session = SessionId(1),
                        std::uint64_t consumer = 1);
    Result<std::uint64_t> cancel(SessionId session = SessionId(1), std::uint64_t consumer = 1);
    Answered settle(Outcome outcome, const std::vector<LeaseRange>& ranges, const SettleOptions& options = {});
    Answered ack(const Received& message) {
        return settle(Outcome::kAck, {message.range()}, {message.session, message.consumer, {}, {}});
    }
    Answered retry(const Received& message, std::optional<Millis> after = {}) {
        return settle(Outcome::kRetry, {message.range()}, {message.session, message.consumer, "failed", after});
    }
    Answered release(const Received& message, std::optional<Millis> after = {}) {
        return settle(Outcome::kRelease, {message.range()}, {message.session, message.consumer, {}, after});
    }
    Answered reject(const Received& message) {
        return settle(Outcome::kReject, {message.range()}, {message.session, message.consumer, "bad", {}});
    }
    Answered extend(const std::vector<LeaseRange>& ranges, Millis lease = Millis(0), SessionId session = SessionId(1),
                    std::uint64_t consumer = 1);
    Answered start(const std::vector<LeaseRange>& ranges, SessionId session = SessionId(1), std::uint64_t consumer = 1);
    // Starts it, and returns it with its lease; fails the test if it was recalled.
    Received start(const Received& buffered);
    [[nodiscard]] QueueInfo info(std::string_view queue = "q") const;

    // --- what was said ---
    // Deliveries and recalls since the last call, in order.
    std::vector<Received> take();
    // The next delivery; fails the test if there is none.
    Received next();
    [[nodiscard]] std::size_t untaken() const { return received_.size(); }
    std::vector<std::string> take_bodies();
    [[nodiscard]] const Answered& answer(std::uint64_t request_id) const { return answers_.at(request_id); }
    [[nodiscard]] bool answered(std::uint64_t request_id) const { return answers_.contains(request_id); }
    [[nodiscard]] std::uint64_t last_request() const { return last_request_; }
    std::vector<Closed> take_closed() { return std::exchange(closed_, {}); }
    [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }

    // --- time, disk, process ---
    // Lets time pass, stopping wherever the namespace wants to be woken.
    void advance(Millis time);
    // Moves the test clock, as server/runtime/shard.cc does it.
    void jump(Millis time);
    // Lets it pass without waking it: its timer is late.
    void advance_silently(Millis time) { now_ += time; }
    void turn();

    // From now on a commit does not end before finish_commit().
    void hold_commits() { hold_ = true; }
    [[nodiscard]] bool committing() const { return in_flight_.has_value(); }
    void finish_commit();
    void release_commits();

    // From now on reads are not served before serve_read().
    void defer_reads() { defer_ = true; }
    [[nodiscard]] std::size_t pending_reads() const { return reads_.size(); }
    void serve_read();
    void serve_reads();
    [[nodiscard]] std::size_t reads() const { return reads_done_; }

    // The process dies and starts again. A commit under way (see hold_commits) holds only if `in_flight_holds`; what
    // was staged behind it is lost, and so are all sessions.
    void restart(bool in_flight_holds = false);
    [[nodiscard]] std::uint64_t epoch() const { return stage_->epoch(); }
    [[nodiscard]] core::WindowBudget& window() { return window_; }
    storage::MemoryBacking& backing() { return *backing_; }
    storage::MessageStore& store() { return *store_; }
    // Puts or removes a record behind the namespace's back; to be followed by restart().
    void write(const storage::WriteSet& writes);
    // The message of a dead letter and its last death.
    struct DeadLetter {
        std::string body;
        storage::DeadRecord record;
    };
    std::optional<DeadLetter> dead_letter(Sequence seq, std::string_view queue = "q");

    double random_value = 0.5;               // 0.5: no jitter
    std::set<SessionId> choked;              // sessions whose outbox is full
    mutable std::size_t room_questions = 0;  // how often the core asked whether a session has room

private:
    struct InFlight {
        storage::WriteSet writes;
        storage::CommitStamp stamp;
        std::vector<core::Effect> effects;
    };
    struct Read {
        core::ReadRequest request;
        core::ReadDone done;
        std::optional<core::DeadReadRequest> dead;  // instead
        core::DeadDone dead_done;
    };

    void start();
    bool step();  // one round of a turn; true if there may be more to do
    void submit();
    void run(const std::vector<core::Effect>& effects);

    void confirm(const core::Confirmation& confirmation) override;
    void deliver(const core::Delivery& delivery) override;
    void settled(const core::SettleReply& reply) override;
    void started(const core::StartReply& reply) override;
    void recall(const core::Recall& recall) override;
    void fail(SessionId session, std::uint64_t request_id, const Error& error) override;
    void consumer_closed(SessionId session, std::uint64_t consumer, const Error& error) override;
    [[nodiscard]] bool has_room(SessionId session) const override {
        ++room_questions;
        return !choked.contains(session);
    }

    // Messages here say nothing of themselves: what they asked for is remembered.
    [[nodiscard]] base::MessageTraits traits(std::string_view encoded) const override;
    [[nodiscard]] std::string_view subject(std::string_view encoded) const override;
    // "body=TEXT" and "body<TEXT" are all that it knows.
    [[nodiscard]] Result<core::MessagePredicate> filter(std::string_view text, TimePoint now) const override;

    void read(const core::ReadRequest& request, core::ReadDone done) override;
    void read_dead(const core::DeadReadRequest& request, core::DeadDone done) override;

    const core::NamespaceOptions options_;
    std::shared_ptr<storage::MemoryBacking> backing_ = std::make_shared<storage::MemoryBacking>();
    TimePoint now_ = from_unix_ms(1'700'000'000'000);

    // Of one life of the process.
    std::unique_ptr<storage::MemoryStore> store_;
    std::unique_ptr<core::Stage> stage_;
    core::WindowBudget window_;
    std::unique_ptr<core::Namespace> ns_;
    std::optional<InFlight> in_flight_;
    std::deque<Read> reads_;

    bool hold_ = false;
    bool defer_ = false;
    std::size_t reads_done_ = 0;
    std::uint64_t last_request_ = 0;
    std::map<std::uint64_t, Answered> answers_;
    std::deque<Received> received_;
    std::vector<Closed> closed_;
    std::vector<std::string> warnings_;
    std::map<std::string, base::MessageTraits, std::less<>>
        asked_;  // by encoded message; the last publish of it counts
};

// A namespace with one queue "q" and one session 1.
class QueueFixture : public NamespaceFixture {
public:
    explicit QueueFixture(const QueueSettings& settings = {});
    // Comes back after restart(): session 1, and consumer "worker" if `held` is given.
    void reconnect() { (void)connect(SessionId(1)); }
};

// Takes and acks one message after the other; for a consumer with credit 1.
std::vector<std::string> drain(NamespaceFixture& queue);
ConsumeOptions one_at_a_time();

// "m1", "m2", ... "m<count>", from `first`.
std::vector<std::string> numbered(std::size_t count, std::size_t first = 1);

}  // namespace rockdove::test

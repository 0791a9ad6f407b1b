// What a namespace must do, written for obviousness: every message is one entry with its state, every question a loop
// over all of them. The random test compares it with the core after each step.
//
// Where several consumers may get a message, the model is told who did and checks that it was allowed.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/core_fixture.h"

namespace rockdove::test {

// Thrown when core and model disagree.
struct Mismatch : std::runtime_error {
    using std::runtime_error::runtime_error;
};

void expect(bool ok, const std::string& what);

enum class State { kScheduled, kReady, kBuffered, kStarted, kWaiting, kDead, kGone };

struct ModelMessage {
    std::uint64_t seq = 0;
    std::string body;
    std::uint64_t bytes = 0;
    int priority = 4;
    TimePoint place;  // committed or due, whichever is later: the first half of its position
    State state = State::kReady;
    std::uint32_t attempts = 0;
    std::uint32_t lease = 0;
    std::uint32_t releases = 0;
    std::uint32_t losses = 0;
    std::uint64_t epoch = 0;
    TimePoint due;  // waiting: ready then; started: the lease ends then
    TimePoint expires = TimePoint::max();
    std::uint32_t max_attempts = 0;  // 0: the queue's
    std::string key;
    std::string consumer;
    std::uint32_t buffered = 0;  // number of the delivery

    [[nodiscard]] bool waits_for(const std::string& name) const { return state == State::kStarted && consumer == name; }
    [[nodiscard]] bool held_by(const std::string& name) const {
        return waits_for(name) || (state == State::kBuffered && consumer == name);
    }
    [[nodiscard]] std::string text(TimePoint now) const;  // for people; times from now
    [[nodiscard]] bool counts() const { return state != State::kDead && state != State::kGone; }
};

struct ModelConsumer {
    SessionId session;  // 0: detached
    std::uint64_t number = 0;
    std::uint32_t credit = 0;
    std::uint64_t credit_bytes = 0;
    Millis lease{0};
    bool explicit_start = false;
    bool ack_on_delivery = false;
    std::string wants_below;                   // only bodies before this one; empty: all
    std::uint64_t taken = 0, taken_bytes = 0;  // done on delivery, and not acked
    TimePoint grace_end = TimePoint::max();
};

struct ModelDedup {
    std::uint64_t seq = 0;
    std::uint64_t body = 0;
    TimePoint committed;
};

struct ModelQueue {
    QueueId id;
    QueueSettings settings;
    bool paused = false;
    std::vector<ModelMessage> messages;  // seq - 1
    std::map<std::string, ModelConsumer> consumers;
    std::set<std::string> paused_keys;
    std::map<std::uint64_t, ModelDedup> dedup;  // by id
    // While they are not visible yet, a publish that pushes out others may set their keys free: the first of those it brings.
    std::uint64_t not_visible_from = UINT64_MAX;
    std::set<std::uint64_t> recalls;                                                           // to be told
    std::uint64_t choices = 0;                                                                 // since the start
    std::uint64_t accepted = 0, delivered = 0, acked = 0, retried = 0, died = 0, evicted = 0;  // since the start
    std::uint64_t expired = 0;
    std::uint64_t dropped = 0;
    std::string subject;  // of a subscription: it gets this one only; empty: all

    [[nodiscard]] bool durable() const { return settings.durability != Durability::kMemory; }
    [[nodiscard]] std::uint64_t count(State state) const;
    [[nodiscard]] std::uint64_t all() const;  // what max_messages counts
    [[nodiscard]] std::uint64_t bytes() const;
    [[nodiscard]] std::uint64_t held(const std::string& consumer) const;
    [[nodiscard]] std::uint64_t held_bytes(const std::string& consumer) const;
    [[nodiscard]] bool key_allows(const ModelMessage& message, TimePoint now) const;
    [[nodiscard]] ModelMessage* first_ready(TimePoint now);
    [[nodiscard]] bool is_new(const ModelMessage& message) const { return message.seq >= not_visible_from; }
    void forget_ids(TimePoint now);
    [[nodiscard]] const ModelDedup* find_duplicate(const base::DedupId& id, TimePoint now) const;
    [[nodiscard]] ModelMessage* victim(int priority);
    // Whether a consumer that has room wants it.
    [[nodiscard]] bool is_wanted(const ModelMessage& message) const;
    void unbuffer(ModelMessage& message);
    void unbuffer_all(const std::string& consumer);
    [[nodiscard]] bool has_credit(const std::string& consumer, const ModelMessage& message) const;
};

struct ModelAnswer {
    QueueId queue;
    std::uint64_t seq = 0;
    bool durable = true;
};

struct ModelProducer {
    std::uint64_t life = 0;
    SessionId session;
    bool stored = false;
    std::map<std::uint64_t, ModelAnswer> answers;
};

struct ModelSession {
    std::string producer;
    std::map<std::uint64_t, std::pair<std::string, std::string>> consumers;  // number: queue, name
};

struct Fate {
    enum Kind { kAccepted, kDuplicate, kFull, kConflict, kDedupConflict } kind = kAccepted;
    std::uint64_t seq = 0;
};

class Model {
public:
    TimePoint now;
    std::uint64_t epoch = 0;
    std::map<std::string, ModelQueue> queues;
    std::map<std::string, ModelProducer> producers;
    std::map<SessionId, ModelSession> sessions;
    // Of a topic, whose queue of that name has none of its messages itself: all that were published, and their subjects.
    std::vector<std::pair<ModelMessage, std::string>> log;

    // What has been published to the topic since the last time goes to its subscriptions.
    void route(const std::string& topic, const std::vector<std::string>& subjects);
    // A new subscription; `from_start`: it gets what was published before.
    void subscribe(const std::string& name, ModelQueue queue, bool from_start);

    // --- requests; what they return is the answer expected ---
    Result<std::vector<Fate>> publish(const std::string& queue, SessionId session, std::uint64_t producer_seq,
                                      const std::vector<std::string>& bodies,
                                      const std::vector<base::MessageTraits>& traits,
                                      const std::vector<std::string>& keys);
    // Sequences still held.
    Result<std::vector<std::uint64_t>> consume(const ConsumeOptions& request, std::vector<Closed>& closed);
    Result<void> credit(SessionId session, std::uint64_t number, std::uint32_t messages, std::uint64_t bytes);
    Result<std::uint64_t> cancel(SessionId session, std::uint64_t number);
    Result<core::SettleReply> settle(SessionId session, std::uint64_t number, Outcome outcome,
                                     const std::vector<LeaseRange>& ranges, std::optional<Millis> after);
    Result<core::SettleReply> extend(SessionId session, std::uint64_t number, const std::vector<LeaseRange>& ranges,
                                     Millis lease);
    Result<core::StartReply> start(SessionId session, std::uint64_t number, const std::vector<LeaseRange>& ranges);
    void pause(const std::string& queue, bool paused);
    Result<std::uint64_t> cancel_message(const std::string& queue, std::uint64_t seq);
    Result<std::uint64_t> reschedule(const std::string& queue, std::uint64_t seq, TimePoint due);
    std::uint64_t resume_keys(const std::string& queue, const std::string& key);
    std::uint64_t purge(const std::string& queue);
    std::uint64_t remove(const std::string& queue, std::vector<Closed>& closed);
    void disconnect(SessionId session, bool clean);
    void update(const std::string& queue, const QueueSettings& settings);

    // --- time and restart ---
    [[nodiscard]] TimePoint next_event() const;
    void on_time();
    void expire();  // those whose time is over and that nobody has started
    void restart(std::uint64_t new_epoch);

    // --- checks against the core ---
    void delivered(const std::string& queue, const Received& message);
    void recalled(const std::string& queue, const Received& message);
    void check_nothing_left_to_deliver();
    void check_info(const std::string& name, const QueueInfo& info, bool exact_bytes) const;
    void check_peek(const std::string& name, const core::PeekResult& result) const;
    // After a crash whose last commit held: what was started in it and never told to a client.
    void adopt_started(const std::string& name, const core::PeekResult& result);
    // Which queue a delivery is of.
    [[nodiscard]] std::string queue_of(const Received& message) const;

private:
    template <class IsMeant, class Handle>
    core::SettleReply for_some(ModelQueue& queue, const std::string& consumer, const std::vector<LeaseRange>& ranges,
                               IsMeant&& is_meant, Handle&& handle);
    template <class Handle>
    core::SettleReply for_held(ModelQueue& queue, const std::string& consumer, const std::vector<LeaseRange>& ranges,
                               Handle&& handle, bool buffered_too = false);
    std::optional<std::pair<std::string, std::string>> find(SessionId session, std::uint64_t number) const;
    void retry(ModelQueue& queue, ModelMessage& message, std::optional<Millis> after);
    void release(ModelQueue& queue, ModelMessage& message, std::optional<Millis> after);
    void lose(ModelQueue& queue, ModelMessage& message);
    void give_back(ModelQueue& queue, ModelMessage& message);
    bool dies_waiting(ModelQueue& queue, ModelMessage& message, Millis time);
    void wait(ModelMessage& message, Millis time);
    void die(ModelQueue& queue, ModelMessage& message);
    void die_expired(ModelQueue& queue, ModelMessage& message);
    void evict(ModelQueue& queue);
};

}  // namespace rockdove::test

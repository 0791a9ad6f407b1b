// The facade of the core: all queues, consumers and producers of one namespace, and every request on them.
//
// Runs on: the shard's thread. Requests stage their changes; answers leave through the Outlet when the commit that
// holds
//          them is done, refusals at once.
// Owns:    queues and producers. Borrows stage, outlet and reader, which outlive it.
// Errors:  a refused request changes nothing (SEMANTICS section 3).
// Next on a message's way: queue.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "server/core/producers.h"
#include "server/core/queue.h"
#include "server/core/shared.h"
#include "server/core/task.h"
#include "server/core/topic.h"
#include "storage/message_store.h"

namespace rockdove::core {

struct NamespaceOptions {
    QueueSettings queue_defaults;
    bool create_on_use = false;  // a queue is created with the defaults by the first publish or consume
    std::uint8_t shard = 0;      // upper bits of queue ids
};

struct PublishRequest {
    SessionId session;
    std::uint64_t request_id = 0;
    std::string_view queue;  // or topic
    bool to_topic = false;
    bool mandatory = false;          // of a topic: what no subscription wants is refused
    std::uint64_t producer_seq = 0;  // of the first message; 0: not numbered
    std::uint64_t oldest_unconfirmed = 0;
    std::string_view records;  // encoded messages, as in storage/record.h
    std::span<const std::uint32_t> ends;
    std::span<const base::MessageTraits> traits;  // see PublishView
};

struct ConsumeRequest {
    SessionId session;
    std::string_view queue;
    std::uint64_t number = 0;
    std::string_view name;
    std::uint32_t credit_messages = 0;
    std::uint64_t credit_bytes = 0;
    Millis lease{0};  // 0: the queue's
    bool explicit_start = false;
    bool ack_on_delivery = false;  // not with explicit_start or `held`
    MessagePredicate filter;       // only what matches; empty: everything
    std::vector<LeaseRange> held;
};
struct ConsumeGrant {
    Millis lease{0};
    std::vector<LeaseRange> held;
};

struct SettleRequest {
    SessionId session;
    std::uint64_t request_id = 0;
    std::uint64_t consumer = 0;
    Outcome outcome = Outcome::kAck;
    std::vector<LeaseRange> ranges;
    std::string_view reason;
    std::optional<Millis> after;
};

struct ExtendRequest {
    SessionId session;
    std::uint64_t request_id = 0;
    std::uint64_t consumer = 0;
    std::vector<LeaseRange> ranges;
    Millis lease{0};  // 0: the consumer's
};

struct StartRequest {
    SessionId session;
    std::uint64_t request_id = 0;
    std::uint64_t consumer = 0;
    std::vector<LeaseRange> ranges;
};

struct SubscribeRequest {
    SessionId session;
    std::string_view topic;
    std::string_view name;
    std::vector<std::string> subjects;  // patterns; none: everything
    std::string filter;                 // empty: everything
    QueueSettings settings;             // of its queue; the durability is the topic's
    std::string_view to_queue;          // gets the messages instead; empty: its own
    bool if_not_exists = false;
    bool ephemeral = false;
    Place from;
};

struct RedriveRequest {
    std::string_view queue;
    std::string_view to;      // empty: back to the same queue
    std::string_view reason;  // empty: any
    std::uint64_t limit = 0;  // 0: all
    double rate = 0;          // messages a second; 0: as fast as it goes
    bool dry_run = false;
    std::string filter;  // only those that match; empty: all
    storage::RedrivePlace place = storage::RedrivePlace::kByKey;
};

template <class T>
using Answer = std::function<void(Result<T>)>;

class Namespace {
public:
    Namespace(NamespaceId id, std::string name, NamespaceOptions options, Stage& stage, Outlet& outlet,
              BlockReader& reader, WindowBudget& window, std::function<double()> random, const MessageFormat& format,
              std::function<void(const std::string&)> warn);
    Namespace(const Namespace&) = delete;
    Namespace& operator=(const Namespace&) = delete;
    ~Namespace();

    // Rebuilds everything from the store (recovery.cc). Error: kInternal, naming the record.
    Result<void> recover(storage::MessageStore& store, const storage::NamespaceRecord& record);

    // --- sessions ---
    // `done` gets the producer's epoch (0 without a producer id), once it may be used.
    void open_session(SessionId session, std::string_view producer_id, std::uint64_t producer_epoch, TimePoint now,
                      Answer<std::uint64_t> done);
    // `clean`: the client said goodbye.
    void close_session(SessionId session, bool clean, TimePoint now);
    void on_session_room(SessionId session);  // has_room() has become true again
    // Calls `done` when everything staged so far has been answered.
    void when_settled(Reply done) { shared_.stage.after_commit(std::move(done)); }

    // --- data; answers through the Outlet ---
    void publish(const PublishRequest& request, TimePoint now);
    Result<ConsumeGrant> consume(const ConsumeRequest& request, TimePoint now);
    Result<void> set_credit(SessionId session, std::uint64_t consumer, std::uint32_t messages, std::uint64_t bytes);
    // Answers how many deliveries went back.
    void cancel_consumer(SessionId session, std::uint64_t consumer, TimePoint now, Answer<std::uint64_t> done);
    void settle(const SettleRequest& request, TimePoint now);
    void extend(const ExtendRequest& request, TimePoint now);
    void start(const StartRequest& request, TimePoint now);

    // --- administration (namespace_admin.cc) ---
    void create_queue(std::string_view name, const QueueSettings& settings, bool if_not_exists, TimePoint now,
                      Answer<QueueInfo> done);
    void update_queue(std::string_view name, const QueueSettings& settings, TimePoint now, Answer<QueueInfo> done);
    void delete_queue(std::string_view name, bool if_exists, bool if_empty, Answer<std::uint64_t> done);
    void purge_queue(std::string_view name, Answer<std::uint64_t> done);
    void pause_queue(std::string_view name, bool paused, Answer<QueueInfo> done);
    // Ordering keys that stopped with a death (L-3): those of a queue, at most `limit`; all go on if `key` is empty.
    [[nodiscard]] Result<std::vector<PausedKey>> list_keys(std::string_view queue, std::uint32_t limit) const;
    void resume_key(std::string_view queue, std::string_view key, Answer<std::uint64_t> done);
    // --- single messages (namespace_admin.cc) ---
    // Why the message, or the next one of the queue, or of one of its keys, is where it is. Error: kNotFound, the queue.
    [[nodiscard]] Result<Explanation> explain(std::string_view queue, std::string_view key) const;
    // `queue`: as it is there; empty: where it was sent to. Errors: also kInvalid, a topic's message without a queue.
    [[nodiscard]] Result<Explanation> explain(const base::MessageId& id, std::string_view queue = {}) const;
    // The name of the queue that a message was sent to; empty if it is gone.
    [[nodiscard]] std::string queue_of(const base::MessageId& id) const;
    // Errors: kNotFound; kConflict, it is started or dead.
    void cancel_message(const base::MessageId& id, Answer<std::uint64_t> done);
    // Errors: kNotFound; kConflict, it is due; kInvalid, it would expire before.
    void reschedule_message(const base::MessageId& id, std::int64_t due_ms, TimePoint now, Answer<std::uint64_t> done);
    // With a filter a page may be shorter, or empty, and still not the last (PeekResult::next).
    void peek_queue(std::string_view name, Sequence from, std::uint32_t limit, std::size_t max_bytes,
                    Answer<PeekResult> done, MessagePredicate filter = {});
    // --- topics (namespace_topics.cc); a subscription's queue is TOPIC/NAME in all requests that name a queue ---
    void create_topic(std::string_view name, const TopicSettings& settings, bool if_not_exists, TimePoint now,
                      Answer<TopicInfo> done);
    void update_topic(std::string_view name, const TopicSettings& settings, TimePoint now, Answer<TopicInfo> done);
    // With its subscriptions. Answers how many messages were kept.
    void delete_topic(std::string_view name, bool if_exists, Answer<std::uint64_t> done);
    [[nodiscard]] Result<TopicInfo> show_topic(std::string_view name) const;
    [[nodiscard]] std::vector<TopicInfo> list_topics(std::string_view prefix, std::string_view after,
                                                     std::uint32_t limit) const;
    void subscribe(const SubscribeRequest& request, TimePoint now, Answer<SubscriptionInfo> done);
    // Subjects, filter and the settings of its queue, as given.
    void update_subscription(const SubscribeRequest& request, TimePoint now, Answer<SubscriptionInfo> done);
    void delete_subscription(std::string_view topic, std::string_view name, bool if_exists, Answer<std::uint64_t> done);
    [[nodiscard]] Result<SubscriptionInfo> show_subscription(std::string_view topic, std::string_view name) const;
    // By TOPIC/NAME, those after `after`; of all topics if `topic` is empty.
    [[nodiscard]] Result<std::vector<SubscriptionInfo>> list_subscriptions(std::string_view topic,
                                                                           std::string_view after,
                                                                           std::uint32_t limit) const;
    void seek(std::string_view topic, std::string_view name, const Place& to, Answer<SubscriptionInfo> done);
    void replay(std::string_view topic, std::string_view name, const Place& from, const Place& to,
                Answer<SubscriptionInfo> done);
    // --- dead letters and tasks (namespace_tasks.cc) ---
    void list_dead(std::string_view queue, const DeadReadRequest& request, Answer<DeadPage> done);
    void delete_dead(std::string_view queue, const std::vector<Sequence>& sequences, Answer<std::uint64_t> done);
    void purge_dead(std::string_view queue, Answer<std::uint64_t> done);
    void redrive(const RedriveRequest& request, TimePoint now, Answer<TaskInfo> done);
    void cancel_task(std::uint64_t number, TimePoint now, Answer<TaskInfo> done);
    [[nodiscard]] Result<TaskInfo> show_task(std::uint64_t number) const;
    [[nodiscard]] std::vector<TaskInfo> list_tasks() const { return tasks_.list(); }  // the newest first

    [[nodiscard]] Result<QueueInfo> show_queue(std::string_view name) const;
    // Queues by name, those that start with `prefix` and come after `after`.
    [[nodiscard]] std::vector<QueueInfo> list_queues(std::string_view prefix, std::string_view after,
                                                     std::uint32_t limit) const;

    // --- the shard's turn ---
    void end_turn(TimePoint now);  // dispatches what was touched
    void seal();                   // right before the staged writes are submitted
    void on_committed();           // Stage::committed() has moved
    void on_nothing_to_commit();   // what was sealed wrote nothing
    [[nodiscard]] TimePoint next_time() const;
    void on_time(TimePoint now);
    // The test clock has been moved to `now`: everything that fell due on the way happens in its order and at its own
    // time, so that a retry waits from when its lease ended. Nobody gets a message before the turn that follows. Nothing
    // may be staged or under way.
    void pass_time(TimePoint now);
    void drop_payload(const WindowBudget::Trailing& block);
    // Publishes are refused with this text (a watermark, a stalled store); empty: they are not.
    void refuse_publishes(std::string why) { refusal_ = std::move(why); }

    [[nodiscard]] NamespaceId id() const { return shared_.ns; }
    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] const NamespaceOptions& options() const { return options_; }
    [[nodiscard]] const MessageFormat& format() const { return shared_.format; }
    [[nodiscard]] const Counters& counters() const { return shared_.counters; }
    [[nodiscard]] std::size_t queue_count() const;
    [[nodiscard]] std::size_t consumer_count() const;
    // Whether the session's consumers have started messages.
    [[nodiscard]] bool holds_deliveries(SessionId session) const;
    // For metrics: every queue, in no order.
    void for_each_queue(const std::function<void(const Queue&)>& visit) const;

private:
    struct Session {
        std::map<std::uint64_t, Consumer*> consumers;
        std::shared_ptr<Producer> producer;
        std::vector<QueueId> ephemeral;  // its subscriptions
    };

    [[nodiscard]] Error not_found(std::string_view queue) const;
    [[nodiscard]] Error no_such_message(const base::MessageId& id) const;
    // Where the message of this id is now, or was: it may have been moved since. Null if its queue was deleted.
    [[nodiscard]] std::pair<Queue*, Sequence> place_of(const base::MessageId& id) const;
    // Of a queue that is to have these settings; `must_exist`: the queue they name.
    [[nodiscard]] Result<void> check_dead_letter_to(std::string_view queue, const QueueSettings& settings,
                                                    bool must_exist) const;
    Queue* find_queue(std::string_view name) const;
    Result<Queue*> find_or_create(std::string_view name, TimePoint now);
    Queue& add_queue(QueueId id, storage::QueueRecord record);
    Result<Queue*> make_queue(std::string_view name, const QueueSettings& settings, TimePoint now);
    Result<QueueId> next_queue_id() const;
    [[nodiscard]] Topic* find_topic(std::string_view name) const;
    [[nodiscard]] Error no_such_topic(std::string_view name) const;
    Result<Topic*> find_or_create_topic(std::string_view name, TimePoint now);
    Result<Topic*> make_topic(std::string_view name, const TopicSettings& settings, TimePoint now);
    Topic& add_topic(Queue& log, const TopicSettings& settings);
    [[nodiscard]] Result<Subscription*> find_subscription(std::string_view topic, std::string_view name) const;
    [[nodiscard]] Result<void> check_subscription(const SubscribeRequest& request) const;
    Result<Subscription*> make_subscription(Topic& topic, const SubscribeRequest& request, TimePoint now);
    void take_over(Subscription& subscription, SessionId session);
    void forget_ephemeral(const Subscription& subscription);  // of its session
    std::uint64_t drop_subscription(Subscription& subscription);
    [[nodiscard]] Result<void> check_not_bound(const Queue& queue) const;
    Result<void> load_topics(storage::MessageStore& store);
    Result<void> load_subscription(QueueId queue, storage::SubscriptionRecord record);
    void load_holders();
    void put_namespace_record();
    void remove_queue(Queue& queue);
    Result<Consumer*> find_consumer(SessionId session, std::uint64_t number) const;
    Result<void> admit(const PublishRequest& request, const Producer* producer) const;
    void update_timer(Queue& queue);
    // Calls `done` with `value` when all that is staged now holds, or with why it does not.
    template <class T>
    void answer_after_commit(T value, Answer<T> done);

    const std::string name_;
    const NamespaceOptions options_;
    Shared shared_;
    Producers producers_;
    Tasks tasks_;
    std::map<std::string, Queue*, std::less<>> by_name_;  // queues, and those of subscriptions
    std::size_t subscriptions_ = 0;
    std::vector<QueueId> free_ids_;  // of ephemeral subscriptions that have gone
    std::unordered_map<QueueId, std::unique_ptr<Queue>> queues_;
    std::map<std::string, std::unique_ptr<Topic>, std::less<>> topics_;
    std::unordered_map<SessionId, Session> sessions_;
    std::vector<QueueId> in_commit_;  // sealed into the commit that is under way
    std::set<std::pair<TimePoint, QueueId>> timers_;
    std::uint32_t next_queue_ = 1;
    std::string refusal_;
    TimePoint next_producer_check_;
};

}  // namespace rockdove::core

// A topic: a log of messages that nobody consumes from, and subscriptions, each a queue that gets those it wants
// (SEMANTICS section 12).
//
// A message is stored once, in the log, which is a Queue without consumers. What a subscription wants of a block of the log it
// adopts (queue_source.cc): its own block says where the messages lie, so that all that a queue can do works there as well.
// Blocks are routed in the commit that stores them; so routing is decided then, and holds or falls with it.
//
//     publish -> admit() -> log.append() -> accepted() -> [block is closed] take() -> route() -> Queue::adopt()
//
// A subscription that begins further back, or replays, is fed from the log bit by bit (topic_feed.cc). What nobody needs any
// more leaves the log at its front (topic_retention.cc).
//
// Runs on: the shard's thread. Borrows the log and the subscriptions' queues, which the namespace owns.
// Memory:  by subscriptions, their patterns, and the last values; not by messages.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "server/core/queue.h"
#include "server/core/topic_index.h"

namespace rockdove::core {

struct Subscription {
    std::string name;  // within the topic
    storage::SubscriptionRecord record;
    Queue* queue = nullptr;         // its own
    Queue* to = nullptr;            // the one that gets the messages
    bool ephemeral = false;         // in memory, as long as the session
    SessionId session;              // of an ephemeral one
    MessagePredicate filter;        // empty: everything
    bool selective = false;         // in the topic's index: it does not get everything, or not always
    bool dirty = false;             // its record is to be written
    bool reading = false;           // its feed waits for the disk
    std::uint64_t feed_number = 0;  // tells feeds apart
    std::uint64_t admitted_messages = 0, admitted_bytes = 0;  // of limited ones: since the last routing
    std::unique_ptr<Bits> wanted;                             // while a block is routed

    void seal(Shared& shared);  // writes its record
    [[nodiscard]] bool feeding() const { return record.feed.next.value != 0; }
};

struct TopicInfo {
    QueueId id;
    std::string name;
    TopicSettings settings;
    std::int64_t created_ms = 0;
    std::uint64_t messages = 0, bytes = 0;
    std::uint64_t first_seq = 0, next_seq = 0;
    std::int64_t oldest_commit_time_ms = 0;
    std::uint64_t subscriptions = 0, last_values = 0;
    std::uint64_t accepted = 0, refused = 0, unrouted = 0;
};

struct SubscriptionInfo {
    std::string topic;
    std::string name;
    storage::SubscriptionRecord record;
    std::string to_queue;
    QueueInfo queue;
    bool ephemeral = false;
    std::uint64_t lag_messages = 0;
    std::int64_t lag_oldest_ms = 0;
    std::uint64_t behind = 0;
};

// Where a subscription begins, or goes on (P-5).
struct Place {
    enum Kind : std::uint8_t { kEnd = 0, kStart = 1, kSequence = 2, kTime = 3 } kind = kEnd;
    Sequence sequence;
    std::int64_t time_ms = 0;
};

class Topic {
public:
    Topic(Shared& shared, Queue& log, const TopicSettings& settings);
    Topic(const Topic&) = delete;
    Topic& operator=(const Topic&) = delete;
    ~Topic();

    [[nodiscard]] Queue& log() { return log_; }
    [[nodiscard]] const std::string& name() const { return log_.name(); }
    [[nodiscard]] const TopicSettings& settings() const { return settings_; }
    [[nodiscard]] TopicInfo info() const;

    // Publishing (topic.cc). How many of the messages, from the front, may be appended to the log now. If it is none, `error`
    // tells what becomes of the first `refused`; `stops`: and of all behind them.
    struct Admission {
        std::uint32_t count = 0;
        std::uint32_t refused = 0;
        bool stops = false;
        std::optional<Error> error;
    };
    Admission admit(const Records& records, bool mandatory);
    // Of those admitted last, so many were appended.
    void accepted(const Records& records, const Appended& appended, std::vector<Routed>& routed);
    void take(Block& block);  // of the log: it is closed
    void route();             // all blocks that were taken
    // Where its confirmations wait while a subscription that holds the publisher back is behind (`block`).
    void confirm(Confirmation confirmation);
    [[nodiscard]] bool holds_confirmations() const { return !held_.empty(); }
    void release_confirmations();
    void on_room();  // a subscription in memory has become shorter

    // The log's turn, and its time.
    void turn(TimePoint now);
    void on_time(TimePoint now);
    [[nodiscard]] TimePoint next_time() const;
    void seal();

    // Subscriptions (topic_admin.cc).
    [[nodiscard]] const std::map<std::string, std::unique_ptr<Subscription>, std::less<>>& subscriptions() const {
        return subscriptions_;
    }
    [[nodiscard]] Subscription* find(std::string_view name) const;
    // `filter`: that of record.filter.
    Subscription& add(std::string name, storage::SubscriptionRecord record, Queue& own, Queue& to,
                      MessagePredicate filter, bool ephemeral);
    void begin_at(Subscription& subscription, const Place& place, TimePoint now);  // a new one
    void change(Subscription& subscription, std::vector<std::string> subjects, std::string filter,
                MessagePredicate predicate);
    void settings_changed(Subscription& subscription);  // of its queue
    void remove(Subscription& subscription);
    void seek(Subscription& subscription, const Place& place);
    // Error: kConflict, it is still at an earlier one.
    Result<void> replay(Subscription& subscription, const Place& from, const Place& to);
    [[nodiscard]] SubscriptionInfo info(const Subscription& subscription) const;
    void update(const TopicSettings& settings);
    void erase_records();

    // Retention (topic_retention.cc). What a queue has of a lane has changed.
    void hold(const Queue& queue, storage::LaneId lane);
    void forget_holder(QueueId queue);

    // Recovery, when all queues are loaded.
    void load_last_value(std::uint64_t hash, storage::LastValueRecord record);
    void loaded();

private:
    // Subscriptions in `routes_pool_` [first, end) get the messages before `until`.
    struct Route {
        Sequence until;
        std::uint32_t first = 0;
        std::uint32_t end = 0;
    };
    struct Planned {
        std::uint32_t until = 0;  // index in the publish
        std::uint32_t first = 0, end = 0;
        std::vector<std::string> full;
    };
    // Of a lane: who has something, by the oldest of it.
    struct Holders {
        std::set<std::pair<Sequence, QueueId>> order;
        std::unordered_map<QueueId, Sequence> oldest;
        void put(QueueId queue, std::optional<Sequence> first);
    };

    [[nodiscard]] bool has_limits(const Subscription& subscription) const;
    void index(Subscription& subscription);
    void unindex(Subscription& subscription);
    std::optional<Error> plan(std::string_view message, std::uint32_t bytes, bool mandatory, Planned& planned,
                              bool* stops);
    std::optional<Error> check_memory(std::uint64_t bytes) const;
    void route_block(const Block& block);
    void deliver_to(Subscription& subscription, const Block& block, const Bits* wanted);
    void flush();  // closes and routes what is open
    void miss(Subscription& subscription, std::uint64_t count);
    void unseal(Queue& queue);

    // Feeds (topic_feed.cc).
    void begin_feed(Subscription& subscription, Sequence from, Sequence end);
    void end_feed(Subscription& subscription);
    void feed_all();
    bool feed(Subscription& subscription);
    void feed_blocks(Subscription& subscription, const std::vector<Block>& blocks);
    void read_feed(Subscription& subscription, std::vector<Block> blocks);
    void on_feed(QueueId subscription, std::uint64_t number, const std::vector<Block>& blocks);
    [[nodiscard]] bool wants(const Subscription& subscription, std::string_view message) const;
    [[nodiscard]] static bool selects(const Subscription& subscription);
    [[nodiscard]] static bool needs_bodies(const Subscription& subscription);
    [[nodiscard]] bool has_room(const Subscription& subscription) const;
    [[nodiscard]] std::vector<Block> blocks_from(Sequence first, Sequence end, std::size_t limit) const;
    [[nodiscard]] std::uint64_t count_between(Sequence first, Sequence end) const;
    [[nodiscard]] Sequence place(const Place& at) const;
    void give_last_values(Subscription& subscription, TimePoint now);

    // Retention.
    void trim();
    void trim_to_bounds();
    void trim_done();
    bool move_cut();
    void take_from_feeds(const Block& block);
    void clear_holders(storage::LaneId lane);
    void remove_front(Lane& lane);
    [[nodiscard]] Lane* oldest_lane() const;
    [[nodiscard]] bool is_routed(const Block& block) const { return block.first < routed_; }

    Shared& shared_;
    Queue& log_;
    TopicSettings settings_;
    std::map<std::string, std::unique_ptr<Subscription>, std::less<>> subscriptions_;
    std::vector<Subscription*> everything_;  // those that are not selective
    std::vector<Subscription*> blocking_;    // ephemeral ones that hold the publisher back
    TopicIndex index_;
    std::size_t selective_ = 0;

    std::vector<Planned> plan_;
    std::vector<Subscription*> pool_;     // of plan_ and routes_
    std::vector<Route> routes_;           // of what was accepted since the last routing, ascending
    std::vector<Subscription*> limited_;  // with admitted messages
    std::vector<Block> closed_;           // to be routed
    std::vector<Subscription*> wanting_;  // while a block is routed
    Sequence routed_{1};                  // everything before it was routed
    std::uint64_t group_ = 1;
    std::uint64_t unrouted_ = 0;
    std::vector<Confirmation> held_;

    std::vector<Subscription*> feeding_;
    bool feed_again_ = false;

    std::array<Holders, storage::kMaxLane + 1> holders_;
    Sequence cut_{1};                                 // blocks that begin before it are more than the topic is to keep
    std::uint64_t cut_messages_ = 0, cut_bytes_ = 0;  // of those that are still there
    TimePoint now_;
    TimePoint check_at_ = TimePoint::max();  // when the oldest reaches retain_age
    bool trimming_ = false;

    std::map<std::uint64_t, storage::LastValueRecord> last_values_;  // by the key's hash
    std::set<std::uint64_t> changed_values_;
    std::size_t last_value_bytes_ = 0;
};

}  // namespace rockdove::core

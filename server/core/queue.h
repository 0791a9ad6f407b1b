// A durable queue: lanes of blocks of waiting messages, one for each priority in use, runs of started ones, messages that
// came back, dead letters.
//
// Runs on: the shard's thread. Never blocks; time comes in as `now`; what must be read from the disk is asked of the
//          BlockReader and goes on when it is there.
// Owns:    its blocks' entries and its consumers. Borrows `shared`, which outlives it.
// Memory:  one entry per block, the window ahead of the consumers, what is in flight or came back. Not the backlog.
// Order:   by priority, then by sequence (position, as long as nothing is delayed); a message that comes back returns to
//          its place (E-3, E-6).
// Visible: a message is shown to consumers only once the commit that stored it holds.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/base/key_hash.h"
#include "protocol/base/message_traits.h"
#include "server/core/consumer.h"
#include "server/core/dedup.h"
#include "server/core/explain.h"
#include "server/core/key_table.h"
#include "server/core/lane.h"
#include "server/core/shared.h"
#include "storage/record.h"

namespace rockdove::core {

class Topic;
struct Subscription;

enum class Outcome : std::uint8_t { kAck = 1, kRetry = 2, kRelease = 3, kReject = 4 };

struct QueueInfo {
    QueueId id;
    std::string name;
    QueueSettings settings;
    bool paused = false;
    std::int64_t created_ms = 0;
    std::uint64_t ready = 0, scheduled = 0, buffered = 0, started = 0, waiting = 0, dead = 0, bytes = 0, consumers = 0,
                  dedup_ids = 0;
    std::int64_t oldest_commit_time_ms = 0;
    std::uint64_t next_seq = 0;
    std::uint64_t accepted = 0, delivered = 0, acked = 0, retried = 0, died = 0, refused = 0;
    std::uint64_t dead_evicted = 0, damaged = 0, expired = 0, redriven = 0, not_moved = 0, dropped = 0;
};

// An ordering key that stopped with a death.
struct PausedKey {
    std::string key;
    Sequence sequence;  // of the message that died
    std::int64_t since_ms = 0;
    std::uint64_t behind = 0;  // due messages that wait, as far as the queue has looked at them
};

enum class PeekState : std::uint8_t {
    kScheduled = 1,
    kReady = 2,
    kBuffered = 3,
    kStarted = 4,
    kWaiting = 5,
    kDead = 6
};  // as on the wire

struct PeekItem {
    Sequence sequence;
    PeekState state = PeekState::kReady;
    std::uint32_t attempts = 0;
    std::int64_t commit_time_ms = 0;
    std::int64_t visible_at_ms = 0;
    std::string last_error;
    std::string consumer;
    std::string message;  // encoded
    QueueId id_queue;     // with commit_time_ms: its id
    Sequence id_sequence;
};
// What is known of it, for a filter. Views into `item`.
[[nodiscard]] MessageFacts facts_of(const PeekItem& item);

struct PeekResult {
    std::vector<PeekItem> items;
    Sequence next;  // 0: no more
};
using PeekDone = std::function<void(PeekResult)>;

// Messages [first, first + count) of a publish, encoded as records (tag, length, message) one behind the other.
struct Records {
    std::string_view bytes;               // of the whole publish
    std::span<const std::uint32_t> ends;  // end of each message within `bytes`
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    // What they ask for, one for each message of the publish; empty if none asks for anything.
    std::span<const base::MessageTraits> traits;
    // They stand at traits[i].not_before_ms, although that is past.
    bool in_place = false;

    [[nodiscard]] base::MessageTraits traits_of(std::uint32_t i) const {
        return traits.empty() ? base::MessageTraits() : traits[i];
    }
    // Of a message that is committed at this time.
    [[nodiscard]] storage::LaneId lane(std::uint32_t i, std::int64_t commit_time_ms) const {
        if (traits.empty()) return storage::kDefaultLane;
        const bool later = in_place || traits[i].due_ms(commit_time_ms) > commit_time_ms;
        return static_cast<storage::LaneId>(traits[i].priority + (later ? storage::kScheduled : 0));
    }
    [[nodiscard]] std::size_t start_of(std::uint32_t i) const { return i == 0 ? 0 : ends[i - 1]; }
};

struct Appended {
    Sequence first;
    std::uint32_t count = 0;  // accepted, from the front; fewer than given: the queue is full
    std::int64_t commit_time_ms = 0;
    std::vector<IndexRange> ttl_lowered;  // ascending; see Confirmation
};

class HeldParts;

// What a queue has of a topic's messages (queue_source.cc).
struct Holding {
    struct OfLane {
        std::uint64_t blocks = 0;  // not gone
        Sequence oldest;           // of the topic: the first block that may be among them
        Sequence last;             // the block that came last
        Sequence ascending{1};     // in this queue: from here on they ascend as in the topic
        bool stale = false;        // the oldest is gone
    };
    QueueId log;
    std::uint64_t group = 0;  // the adoption that `shift` belongs to
    std::uint64_t shift = 0;  // a sequence here less that in the topic
    std::array<OfLane, storage::kMaxLane + 1> lanes;
};

class Queue {
public:
    Queue(Shared& shared, QueueId id, storage::QueueRecord record);
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;
    ~Queue();

    [[nodiscard]] QueueId id() const { return id_; }
    [[nodiscard]] const std::string& name() const { return record_.name; }
    [[nodiscard]] const QueueSettings& settings() const { return record_.settings; }
    [[nodiscard]] bool durable() const { return record_.settings.durability != Durability::kMemory; }
    [[nodiscard]] QueueInfo info() const;
    [[nodiscard]] std::uint64_t room_messages() const;
    [[nodiscard]] std::uint64_t room_bytes() const;
    [[nodiscard]] bool empty() const { return messages_ == 0; }
    // Null if there is none of that name.
    [[nodiscard]] Consumer* find_consumer(std::string_view name) const;
    // Why a publish of messages is refused: the limit, its value, what to do.
    [[nodiscard]] Error full_error() const;

    // Publishing (queue.cc).
    Appended append(const Records& records, TimePoint now);
    // The message that has the id of one that is about to be published, if that still counts (D-1).
    [[nodiscard]] std::optional<DedupTable::First> find_duplicate(const base::DedupId& id, TimePoint now);
    // Notes the id of a message that is about to get this sequence. Error: kRateLimited, it cannot remember more.
    Result<void> note_dedup(const base::DedupId& id, Sequence sequence, TimePoint now);
    // Of those noted, what was not stored: it would have had next_sequence() or a later one.
    void forget_not_stored() { dedup_.take_back(next_); }
    void count_refused(std::uint64_t count) { refused_ += count; }

    // Consumers (queue_consumers.cc). `held`: what the client still works on; the rest under this name goes back.
    Consumer& attach(std::string_view name, SessionId session, std::uint64_t number,
                     const std::vector<LeaseRange>& held, TimePoint now, std::vector<LeaseRange>* still_held);
    // `clean`: the client said goodbye, so what it holds goes back at once and uncounted; else it has a grace.
    void detach(Consumer& consumer, bool clean, TimePoint now);
    void close_consumers(const Error& why);
    // How it receives, from now on.
    void set_ways(Consumer& consumer, bool explicit_start, bool ack_on_delivery, MessagePredicate filter);
    void set_credit(Consumer& consumer, std::uint32_t messages, std::uint64_t bytes);
    void on_room(Consumer& consumer);  // its session takes deliveries again
    void touch();                      // to be dispatched and sealed at the end of the turn

    // Settling (queue_settle.cc).
    SettleReply settle(Consumer& consumer, Outcome outcome, const std::vector<LeaseRange>& ranges,
                       std::string_view reason, std::optional<Millis> after, TimePoint now);
    SettleReply extend(Consumer& consumer, const std::vector<LeaseRange>& ranges, Millis lease, TimePoint now);

    // Buffers (queue_buffer.cc). Begins what the consumer has in its buffer: lease and attempt (C-2, C-4).
    StartReply begin(Consumer& consumer, const std::vector<LeaseRange>& ranges, TimePoint now);

    // Called by the namespace (queue_dispatch.cc).
    void dispatch(TimePoint now);
    void on_time(TimePoint now);
    [[nodiscard]] TimePoint next_time() const;
    void drop_payload(Sequence block);
    void bury_without_pause() { bury_not_before_ = TimePoint(); }  // time has passed at once

    // Writes what changed since the last seal into the stage (queue.cc). Called right before a commit is submitted.
    void seal();

    // Administration (queue_admin.cc).
    void update(const QueueSettings& settings, TimePoint now);
    void set_paused(bool paused);
    void forget_ids(TimePoint now);
    std::uint64_t resume_keys(std::string_view name);  // all if it is empty; returns how many were paused
    [[nodiscard]] std::vector<PausedKey> paused_keys(std::uint32_t limit) const;
    std::uint64_t purge();          // all but started messages and dead letters; returns how many
    std::uint64_t erase_records();  // of a deleted queue; returns how many messages went
    // A single message (queue_messages.cc).
    [[nodiscard]] Explanation explain(Sequence sequence);
    [[nodiscard]] Explanation explain_next();  // of the one that comes next
    [[nodiscard]] Explanation explain_key(std::string_view key);
    // Whether it is in the queue or one of its dead letters.
    [[nodiscard]] bool has(Sequence sequence);
    // Whether it is in the queue: not done, cancelled, expired or dead.
    [[nodiscard]] bool is_alive(Sequence sequence) const;
    // The place of a message that was moved here and had this one in that queue at first. Looks at all that were moved.
    [[nodiscard]] std::optional<Sequence> find_moved(QueueId queue, Sequence sequence) const;
    // The same, also of messages of a topic. Looks at all blocks.
    [[nodiscard]] std::optional<Sequence> find_published(QueueId queue, Sequence sequence) const;
    Result<void> cancel(Sequence sequence);
    Result<void> reschedule(Sequence sequence, std::int64_t due_ms, TimePoint now);
    void peek(Sequence from, std::uint32_t limit, std::size_t max_bytes, PeekDone done, MessagePredicate filter = {});

    // Dead letters (queue_dead.cc).
    [[nodiscard]] bool has_dead(Sequence sequence) const { return dead_.contains(sequence); }
    [[nodiscard]] std::uint64_t dead_count() const { return dead_.size(); }
    [[nodiscard]] Sequence next_sequence() const { return next_; }
    // Of what is published now.
    [[nodiscard]] std::int64_t commit_time_ms(TimePoint now) const {
        return durable() ? shared_.stage.commit_time_ms(now) : to_unix_ms(now);
    }
    // Of those whose death is committed, from first on and before `end`.
    void read_dead(DeadReadRequest request, DeadDone done);
    std::uint64_t delete_dead(const std::vector<Sequence>& sequences);  // returns how many there were
    std::uint64_t purge_dead();
    // Moves a dead letter to `to`, a new message under its old id. False: `to` takes no more.
    bool redrive(const DeadLetter& letter, Queue& to, storage::RedrivePlace place, TimePoint now);

    // The id that a message was given when it was published.
    [[nodiscard]] base::MessageId id_of(const Block& block, std::uint32_t index) const;

    // Recovery (queue_recovery.cc), in this order.
    void load_head(Sequence next);
    void load_block(storage::LaneId lane, Sequence first, const storage::BlockIndexRecord& index);
    Result<void> load_state(storage::LaneId lane, Sequence first, const storage::BlockStateRecord& state);
    Result<void> load_returned(Sequence sequence, storage::ReturnedRecord record);
    void load_dead(Sequence sequence);
    void load_paused_key(std::uint64_t hash, storage::PausedKeyRecord record);
    // Blocks with started messages that may have keys, to be told by load_keys().
    struct KeyedBlock {
        storage::LaneId lane = storage::kDefaultLane;
        Sequence first;
        std::string record;  // key of the record with its messages
    };
    [[nodiscard]] std::vector<KeyedBlock> keyed_in_flight() const;
    void load_keys(storage::LaneId lane, Sequence first, std::vector<std::uint64_t> keys);
    void load_origin(Sequence sequence, storage::OriginRecord record);
    void load_dedup(Sequence first, const storage::DedupRecord& record) { dedup_.load(first, record); }

    // --- topics ---
    // Not null: nobody consumes from it, since it is the log of that topic.
    [[nodiscard]] Topic* topic() const { return topic_; }
    // Not null: it is that subscription's.
    [[nodiscard]] Subscription* subscription() const { return subscription_; }
    // Of a subscription (queue_source.cc). `from`: of the log; `wanted`: which of its messages, all if it is null. Blocks of
    // one `group`, the earliest message of which is `group_first`, keep their distances.
    void adopt(const Block& from, QueueId log, std::uint64_t group, Sequence group_first, const Bits* wanted);
    // What it has of a log lies in no earlier block of the lane; nothing if it has nothing.
    [[nodiscard]] std::optional<Sequence> oldest_of(QueueId log, storage::LaneId lane) const;
    // Its messages in blocks of the log that begin before `end` go, but for those that are started. Returns how many.
    std::uint64_t forget_source(QueueId log, storage::LaneId lane, Sequence end);
    // Drops until it is within its limits (overflow = drop_oldest); returns how many messages went.
    std::uint64_t drop_overflow();
    // To be told to the next consumer that gets something.
    void tell_missed(std::uint64_t count) { untold_missed_ += count; }
    [[nodiscard]] const std::vector<Holding>& holdings() const { return holdings_; }
    void let_go_of_topics();  // it is about to be deleted

private:
    friend class QueueTestAccess;

    struct Fresh {
        Block* block = nullptr;
        std::uint32_t first = 0;
        std::uint32_t end = 0;
        // Of what the cursor comes to next: nothing of the lane that lies behind it may go before.
        Position until{INT64_MAX, Sequence(UINT64_MAX)};
    };

    // Lanes (queue.cc).
    Lane& lane(storage::LaneId id);  // made at its first use
    Lane& lane_of(const Block& block) { return *lanes_[block.lane]; }
    [[nodiscard]] const Lane& lane_of(const Block& block) const { return *lanes_[block.lane]; }
    // Those of the block's priority that are due; the block's own lane may be one of scheduled messages.
    std::set<Position>& ready_beside(const Block& block) { return lane(block.lane % storage::kPriorities).ready; }
    [[nodiscard]] static Position position(const Block& block, std::uint32_t index);

    // Keys, and what is due (queue_keys.cc).
    void apply(const KeyTable::Change& change);
    [[nodiscard]] static bool is_started(const Block& block, std::uint32_t index);
    void join(Block& block, std::uint32_t index, std::uint64_t key);
    bool take_out(Block& block, std::uint32_t index);
    static void remember_keys(Block& block);
    void sort_block(Block& block);
    [[nodiscard]] bool unsorted_beside(const Lane& lane) const;
    bool sort_beside(const Lane& lane, const Position& before);
    void stop_key(const Block& block, std::uint32_t index);
    void hold_key(bool hold);
    void pause_key(const Block& block, std::uint32_t index, std::uint64_t key, TimePoint now);
    void name_paused_key(std::string_view message);

    // A single message (queue_messages.cc).
    Block* reach_block(Sequence sequence);
    Gate ready_gate(Block& block, std::uint32_t index, Explanation& out);
    void find_key_started(std::uint64_t key, Explanation& out);

    // Overflow (queue_overflow.cc).
    struct Victim {
        Block* block = nullptr;  // null: there is none
        std::uint32_t index = 0;
    };
    [[nodiscard]] bool has_room(std::uint32_t bytes) const;
    bool make_room(std::uint32_t bytes, storage::LaneId priority);
    bool push_out(storage::LaneId priority);
    Victim find_victim(storage::LaneId priority);
    Victim first_of(Lane& lane);
    Victim earliest_of(Lane& lane);
    Victim list_earliest(Lane& lane);
    [[nodiscard]] bool may_go(const Block& block, std::uint32_t index) const;
    Appended append_by_dropping(const Records& records, TimePoint now);
    Appended append_what_fits(const Records& records, TimePoint now);

    // Blocks (queue.cc).
    void put_index(const Block& block);
    Block* find_block(Sequence sequence);  // null if it is gone, or was never near
    // Messages [at, end) of `records`, the first of which gets `first`; returns the first that did not fit into `room`
    // bytes, from which it takes what it used.
    std::uint32_t append_to(Lane& lane, const Records& records, std::uint32_t at, std::uint32_t end, Sequence first,
                            Appended& result, std::uint64_t& room);
    // `bytes`: about to be appended.
    static void append_keys(Block& block, const Records& records, std::uint32_t at, std::uint32_t end);
    Block& open_block(Lane& lane, Sequence first, std::int64_t commit_time_ms, std::size_t bytes);
    void close_open_block(Lane& lane);
    void close_open_blocks();
    void store_state(Block& block);
    void mark_dirty(Block& block);
    void remove_block(Block& block);
    void account_done(Block& block, std::uint32_t count);
    void after_commit(Effect effect);
    [[nodiscard]] bool visible(const Block& block) const;

    std::uint32_t purge_block(Block& block);
    std::uint64_t purge_far(Lane& lane);
    [[nodiscard]] PeekItem describe(const Block& block, std::uint32_t index) const;

    // Window (queue_dispatch.cc).
    [[nodiscard]] std::size_t window_limit() const;
    void keep_ahead(Block& block);
    void leave(Block& block);
    void keep_behind(Block& block);
    void read_ahead(Lane& lane);
    void read_block(const Block& block);
    void start_read(const Block& first, Sequence last, std::size_t max_bytes);
    void on_read(Sequence wanted, std::vector<ReadBlock> blocks);
    void mark_damaged(Block& block);

    // Dispatch (queue_dispatch.cc).
    void choose(TimePoint now);
    // With filters (queue_filters.cc).
    enum class Offered : std::uint8_t { kTaken, kPassed, kChanged, kMustWait };
    using LookedPast = std::array<Position, storage::kPriorities>;
    void choose_filtered(TimePoint now);
    [[nodiscard]] std::optional<Position> next_behind(Lane& lane, const Position& after);
    Lane* next_lane(const LookedPast& looked, Position* at);
    bool set_aside(Lane& lane, const Fresh& fresh);
    Offered offer_to_all(Lane& lane, const Position& at, const Position& after, TimePoint now);
    [[nodiscard]] bool wants(Consumer& consumer, const Block& block, std::uint32_t index) const;
    void may_want_again(Sequence first, Sequence last);
    void start_ready(Lane& lane, Consumer& consumer, Block& block, std::uint32_t index, std::uint32_t end,
                     TimePoint now);
    void dispatch_by_priority(TimePoint now);
    bool dispatch_lane(Lane& lane, TimePoint now);
    Lane* oldest_lane();
    // Expiry (queue_expiry.cc).
    // True if the queue allows the message less time than it asked for.
    bool set_limits(Block& block, std::uint32_t index, const base::MessageTraits& traits);
    void watch_expiry(const Block& block);
    bool expire(TimePoint now);
    std::uint32_t expire_block(Block& block, TimePoint now);
    void send_off(Block& block, const std::vector<std::uint32_t>& indexes);
    void expire_messages(Block& block, const std::vector<std::uint32_t>& indexes);
    void bury_expired(TimePoint now);
    void settle_leaving(Block& block, std::uint32_t index);
    [[nodiscard]] static std::optional<storage::DeathReason> hopeless(const Block& block, std::uint32_t index,
                                                                      TimePoint next_try, TimePoint now);
    [[nodiscard]] std::uint32_t max_attempts(const Block& block, std::uint32_t index) const;

    void schedule(const Block& block, std::uint32_t first);
    void promote_scheduled(TimePoint now);
    bool promote(Sequence sequence, TimePoint now);
    // What the cursor comes to next. `after`: what is ready up to there is of no interest.
    Fresh next_fresh(Lane& lane, const Position& after = {INT64_MIN, Sequence(0)});
    void start(Consumer& consumer, Block& block, std::uint32_t first, std::uint32_t end, Run run, TimePoint now);
    void hand_over(const Consumer& consumer, const Block& block, std::uint32_t first, const Run& run);
    bool dispatch_ready(Lane& lane, const Position& until, TimePoint now);
    bool dispatch_fresh(Lane& lane, const Fresh& fresh, TimePoint now);
    [[nodiscard]] std::uint32_t fitting(const Consumer& consumer, const Block& block, std::uint32_t first,
                                        std::uint32_t count) const;
    void bury_dying(TimePoint now);
    void promote_due(TimePoint now);

    // Buffers (queue_buffer.cc).
    struct Buffered {
        Consumer* consumer = nullptr;
        std::uint32_t number = 0;  // of the delivery; has kBufferedBit
        std::uint32_t bytes = 0;
    };
    using Buffer = std::map<Sequence, Buffered>;
    struct BufferedPlace {  // the least urgent first, of those the one that came last
        storage::LaneId priority = storage::kDefaultLane;
        Position position;
        friend bool operator<(const BufferedPlace& a, const BufferedPlace& b) {
            return a.priority != b.priority ? a.priority < b.priority : b.position < a.position;
        }
    };
    [[nodiscard]] BufferedPlace buffered_place(const Block& block, std::uint32_t index) const;
    void buffer(Consumer& consumer, Block& block, std::uint32_t first, std::uint32_t end, Run& run);
    Buffer::iterator leave_buffer(Block& block, std::uint32_t index, Buffer::iterator it, bool held);
    Buffer::iterator unbuffer(Buffer::iterator it);
    void unbuffer_all_of(const Consumer& consumer);
    bool recall(Block& block, std::uint32_t index);
    void recall_all();
    void tell_recall(Sequence sequence, const Buffered& buffered);
    const Block* next_of(Lane& lane);
    bool recall_for_urgent();
    [[nodiscard]] bool is_named(const LeaseRange& range, const Buffer::value_type& one, const Consumer& consumer) const;
    Run begin_one(Block& block, std::uint32_t index, const Buffered& buffered, TimePoint now);
    std::uint64_t unbuffer_held(Consumer& consumer, const LeaseRange& range, HeldParts& held);

    // Settling (queue_settle.cc).
    void finish_delivered(Block& block, std::uint32_t first, std::uint32_t end);
    static SettleReply take_note(Consumer& consumer, Outcome outcome, const std::vector<LeaseRange>& ranges);
    void insert_run(Block& block, Run run);
    void index_lease(Block& block);
    void unhold(Run& run, std::uint32_t count);
    void ack(Block& block, std::size_t run_index, std::uint32_t first, std::uint32_t end);
    void give_back(Block& block, const Run& part, TimePoint now);
    void retry(Block& block, const Run& part, std::string_view reason, std::optional<Millis> after, TimePoint now);
    void lose(Block& block, const Run& part, TimePoint now);
    void release(Block& block, const Run& part, std::optional<Millis> after, TimePoint now);
    void put_back(Block& block, std::uint32_t index, storage::ReturnedRecord record, TimePoint now);
    void die(Block& block, std::uint32_t index, storage::ReturnedRecord record, storage::DeathReason reason,
             TimePoint now);
    void give_up(Block& block, std::uint32_t index, storage::ReturnedRecord record, storage::DeathReason reason,
                 TimePoint now);
    void drop(Block& block, std::uint32_t index);
    void forget_returned(Sequence sequence);
    [[nodiscard]] static std::uint64_t ran_ms(const Run& run, TimePoint now);
    [[nodiscard]] Millis backoff(std::uint32_t attempts) const;
    template <class Handle>
    std::uint64_t for_held_in(Block& block, const Consumer& consumer, const LeaseRange& range, HeldParts& held,
                              Handle&& handle);
    template <class Handle>
    SettleReply for_held(Consumer& consumer, const std::vector<LeaseRange>& ranges, Handle&& handle,
                         bool buffered_too = false);
    template <class Handle>
    void for_runs_of(const Consumer& consumer, Handle&& handle);
    void expire_leases(TimePoint now);

    // Dead letters (queue_dead.cc).
    void bury(Block& block, std::uint32_t index, const storage::ReturnedRecord& record, TimePoint now);
    void store_dead(const Block& block, std::uint32_t index, const storage::ReturnedRecord& record, TimePoint now);
    bool pass_on(std::string_view message, const storage::OriginRecord& origin, TimePoint now);
    void remove_dead(Sequence sequence);
    void evict_oldest_dead();
    void evict_dead();

    // Messages that were moved here (queue_origin.cc).
    using Origins = std::map<Sequence, storage::OriginRecord>;
    // Appends a message that was somewhere else before. False: it is full.
    bool take_in(std::string_view message, const base::MessageTraits& traits, bool in_place,
                 storage::OriginRecord origin, TimePoint now);
    Origins::iterator forget_origin(Origins::iterator origin);
    void forget_origins(const Block& block, std::uint32_t first, std::uint32_t end);
    void forget_origins(Sequence first, Sequence end);  // of messages that no near block has
    // The end of what can be delivered together from `first` on: a message with an origin goes alone.
    [[nodiscard]] std::uint32_t with_same_origin(const Block& block, std::uint32_t first, std::uint32_t end) const;

    // Messages that lie in a topic (queue_source.cc).
    Holding& holding_of(QueueId log);
    void note_source(const Block& block);
    void release_source(const Block& block);
    void settle_holdings();
    void ask_for_more();
    void find_oldest(QueueId log, storage::LaneId lane);
    void recount_sources(const Lane& lane);
    void limit_source(Block& block, const Block& from) const;
    [[nodiscard]] ReadRequest read_request(const Block& first) const;
    // Whether the block lies right behind the other where both were published.
    [[nodiscard]] static bool read_together(const Block& before, const Block& block);

    // Consumers (queue_consumers.cc).
    void let_go_of_unstarted(Consumer& consumer);
    void offer(Consumer& consumer);
    void withdraw_full(Consumer& consumer);
    Consumer* next_consumer();
    void end_graces(TimePoint now);
    void remove_unused_consumers();

    // Set at construction.
    Shared& shared_;
    const QueueId id_;
    storage::QueueRecord record_;

    std::array<std::unique_ptr<Lane>, storage::kMaxLane + 1> lanes_;
    std::vector<std::pair<storage::LaneId, Sequence>> dirty_;  // blocks to be written by seal(), by first sequence
    Sequence next_{1};
    std::set<std::pair<TimePoint, Sequence>> leases_;  // (earliest lease end, block)

    // Scheduled messages, the earliest in front: when due, and which. Some are gone by then. A heap, since a queue may have
    // millions of them.
    struct Scheduled {
        std::int64_t due_ms = 0;
        Sequence sequence;
        friend auto operator<=>(const Scheduled&, const Scheduled&) = default;
    };
    std::vector<Scheduled> schedule_;
    std::vector<Sequence> unborn_;  // due before their commit holds
    std::uint64_t scheduled_ = 0;   // not due yet

    // Blocks with messages that expire, the earliest in front. Some are gone by then.
    struct Expiring {
        std::int64_t expires_ms = 0;  // the earliest of its messages
        storage::LaneId lane = storage::kDefaultLane;
        Sequence block;
        friend auto operator<=>(const Expiring&, const Expiring&) = default;
    };
    std::vector<Expiring> expiring_;         // a heap
    std::vector<Expiring> unborn_expiring_;  // due before their commit holds
    // Blocks with expired messages whose bodies are still to be moved to the dead letters.
    std::set<std::pair<Sequence, storage::LaneId>> leaving_;
    std::uint64_t leaving_messages_ = 0;
    TimePoint bury_not_before_;
    TimePoint bury_at_ = TimePoint::max();  // when there is more to move than fits into a turn

    // Messages that came back: waiting until due, or ready (Lane::ready).
    std::map<Sequence, storage::ReturnedRecord> returned_;
    std::set<std::pair<TimePoint, Sequence>> waiting_;
    std::set<Sequence> dying_;  // decided; their bodies are being read
    Buffer buffered_;           // in the hands of consumers that have not begun
    std::set<BufferedPlace> buffered_places_;
    std::uint32_t last_buffered_ = 0;
    std::set<Sequence> dead_;
    std::map<Sequence, std::string> memory_dead_;  // dead letters of a memory queue
    std::size_t memory_dead_bytes_ = 0;
    Origins origins_;  // of messages that were moved here and are not done
    std::size_t origin_bytes_ = 0;
    bool warned_not_moved_ = false;  // since its settings were changed

    DedupTable dedup_;

    KeyTable keys_;
    std::map<std::uint64_t, storage::PausedKeyRecord> paused_keys_;  // by hash

    std::vector<std::unique_ptr<Consumer>> consumers_;
    std::size_t attached_ = 0;
    std::size_t filtering_ = 0;   // of those, consumers with a filter
    std::deque<Consumer*> able_;  // attached, with credit when they were put in; those behind waited less
    std::set<std::pair<TimePoint, Consumer*>> graces_;  // detached by a lost connection
    bool touched_ = false;                              // in shared_.touched
    bool unsealed_ = false;                             // in the namespace's list of what to seal
    TimePoint timer_ = TimePoint::max();                // key in the namespace's timer index
    bool reading_ = false;
    std::size_t ahead_bytes_ = 0;

    storage::LaneId choosing_ = storage::kPriorities;  // the lane that is being delivered from, if one is
    bool more_ready_ = false;                          // meanwhile a key has brought another message
    bool urgent_again_ = false;                        // meanwhile something more urgent has become ready
    std::uint64_t choices_ = 0;                        // messages started, for oldest_every
    std::uint64_t allowance_ = 0;                      // how many more may be chosen before the rule changes
    std::uint64_t messages_ = 0;                       // all but done and dead
    std::uint64_t bytes_ = 0;
    std::uint64_t started_ = 0;
    std::uint64_t damaged_ = 0;
    std::uint64_t accepted_ = 0, delivered_ = 0, acked_ = 0, retried_ = 0, died_ = 0, refused_ = 0, dead_evicted_ = 0;
    std::uint64_t expired_ = 0;
    std::uint64_t dropped_ = 0;
    std::uint64_t redriven_ = 0, not_moved_ = 0;

    Topic* topic_ = nullptr;
    Subscription* subscription_ = nullptr;
    std::vector<Holding> holdings_;  // by topic, in no order; most queues have none
    bool holdings_stale_ = false;
    std::uint64_t untold_missed_ = 0;

    friend class Namespace;
    friend class Topic;
};

}  // namespace rockdove::core

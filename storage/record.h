// The payloads of all records but "meta": plain structs, to bytes and back. Pure functions; storage/FORMAT.md shows
// the layouts. decode() takes bytes from a disk: any input is answered by a value or an Error (kInternal), never more.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/clock.h"
#include "protocol/base/ids.h"
#include "protocol/base/message_traits.h"
#include "protocol/base/queue_settings.h"
#include "protocol/base/topic_settings.h"
#include "storage/keys.h"

namespace rockdove::storage {

struct NamespaceRecord {
    NamespaceId id;
    std::uint32_t next_queue = 1;  // number of the next queue; no number is used twice
    std::string encode() const;
    static Result<NamespaceRecord> decode(std::string_view bytes);
};

// Which shard owns a namespace. Those of shard 0 have none: their NamespaceRecord is there.
struct PlacementRecord {
    ShardId shard;
    std::string encode() const;
    static Result<PlacementRecord> decode(std::string_view bytes);
};

// How many shards a broker has, so that one that is lost is missed; absent as long as it is one.
struct ShardCountRecord {
    std::uint32_t count = 1;
    std::string encode() const;
    static Result<ShardCountRecord> decode(std::string_view bytes);
};

struct QueueRecord {
    std::string name;
    QueueSettings settings;
    bool paused = false;
    std::int64_t created_ms = 0;
    std::string encode() const;
    static Result<QueueRecord> decode(std::string_view bytes);
};

// A topic is a queue that nobody consumes from, its log, and this.
struct TopicRecord {
    TopicSettings settings;
    std::string encode() const;
    static Result<TopicRecord> decode(std::string_view bytes);
};

// What a subscription still has to look at, one message after the other (SEMANTICS P-5).
struct FeedRecord {
    Sequence next;  // of the topic: blocks that begin before it were looked at; 0: there is nothing to look at
    Sequence from;  // messages before it are not wanted
    Sequence end;   // behind the last; 0: from there on it gets what comes
    friend bool operator==(const FeedRecord&, const FeedRecord&) = default;
};

// A subscription is a queue that gets the messages of a topic, and this.
struct SubscriptionRecord {
    QueueId topic;
    std::vector<std::string> subjects;  // patterns; none: everything
    std::string filter;
    QueueId to;        // the queue that gets the messages instead; 0: its own
    bool live = true;  // it gets what comes
    FeedRecord feed;
    std::uint64_t missed = 0;
    friend bool operator==(const SubscriptionRecord&, const SubscriptionRecord&) = default;
    std::string encode() const;
    static Result<SubscriptionRecord> decode(std::string_view bytes);
};

// The last message of an ordering key (SEMANTICS P-6).
struct LastValueRecord {
    Sequence sequence;
    std::int64_t commit_time_ms = 0;
    std::string message;  // as the publisher encoded it
    friend bool operator==(const LastValueRecord&, const LastValueRecord&) = default;
    std::string encode() const;
    static Result<LastValueRecord> decode(std::string_view bytes);
};

struct HeadRecord {
    Sequence next;
    std::string encode() const;
    static Result<HeadRecord> decode(std::string_view bytes);
};

struct BlockIndexRecord {
    std::uint32_t count = 0;
    std::uint32_t bytes = 0;  // of the messages, without the block's header
    std::int64_t commit_time_ms = 0;
    // Of each message, its sequence less that of the first: ascending from 0. Empty if the sequences are consecutive.
    std::vector<std::uint32_t> offsets;
    // Of each message, when it is due: after the commit. Empty but in lanes of scheduled messages.
    std::vector<std::int64_t> due_ms;
    // Of each message, when it expires, 0: never; or one for all; empty: none does.
    std::vector<std::int64_t> expires_ms;
    // Of each message, how often it may be tried, 0: as the queue says; empty: all as the queue says.
    std::vector<std::uint32_t> max_attempts;
    bool keyed = false;  // some of them have ordering keys
    // Of each message, the hash of its key, 0: none. Empty but in lanes of scheduled messages with keys: elsewhere the
    // key is read from the message.
    std::vector<std::uint64_t> keys;
    // Of a block whose messages lie in a topic: that one, and where there. The sequences here are the topic's, moved. 0: here.
    QueueId source;
    Sequence source_first;
    std::int64_t source_time_ms = 0;  // of their commit; commit_time_ms is then when they came here
    std::string encode() const;
    static Result<BlockIndexRecord> decode(std::string_view bytes);
};

// A block: a header of kBlockHeaderBytes, then `count` messages as (0x7A, varint length, bytes): field 15 of a protobuf
// message, so that a run of messages is the same bytes in Publish, on disk and in Deliver.
inline constexpr std::size_t kBlockHeaderBytes = 16;
inline constexpr char kMessageTag = 0x7A;
struct BlockHeader {
    std::uint32_t count = 0;
    std::uint32_t flags = 0;  // kKeyed
    std::int64_t commit_time_ms = 0;
};
inline constexpr std::uint32_t kKeyed = 1;  // some of its messages have ordering keys
// Overwrites the first kBlockHeaderBytes of `block`.
void write_block_header(std::string& block, const BlockHeader& header);
struct BlockView {
    BlockHeader header;
    std::vector<std::uint32_t> ends;  // end of each message record, counted from the start of the block
    std::vector<std::uint64_t> keys;  // hash of each message's key, 0: none; empty if the block is not keyed
};
// The ordering key of a message as its publisher encoded it; empty: none.
std::string_view message_key(std::string_view message);
Result<BlockView> read_block(std::string_view block);

// Messages [first, first + count) of a block, started together.
struct RunRecord {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    std::uint32_t lease = 0;  // number of the lease: how often the message was delivered
    std::uint32_t attempts = 0;
    std::uint32_t releases = 0;
    std::uint32_t losses = 0;  // how often its consumer was lost
    std::uint64_t epoch = 0;
    std::int64_t lease_end_ms = 0;
    std::int64_t started_ms = 0;  // 0: not known
    std::string consumer;
    friend bool operator==(const RunRecord&, const RunRecord&) = default;
};
struct BlockStateRecord {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> done;  // [first, end) of settled messages, ascending
    std::vector<RunRecord> runs;
    // [first, end) of messages that are as good as dead: their bodies are still to be moved to the dead letters.
    std::vector<std::pair<std::uint32_t, std::uint32_t>> leaving;
    std::vector<std::pair<std::uint32_t, std::uint32_t>>
        pushed_out;  // of those, by newer ones; the others have expired
    std::string encode() const;
    static Result<BlockStateRecord> decode(std::string_view bytes);
};

enum class DeathReason : std::uint8_t {
    kNone = 0,
    kMaxAttempts = 1,
    kMaxReleases = 2,
    kRejected = 3,
    kExpired = 4,
    kExpiredInRetry = 5,
    kOverflow = 6,  // pushed out by newer ones
};
std::string_view death_reason_name(DeathReason reason);  // "max_attempts"

struct ReturnedRecord {
    std::uint32_t attempts = 0;
    std::uint32_t lease = 0;
    std::uint32_t releases = 0;
    std::uint32_t losses = 0;
    std::int64_t visible_at_ms = 0;
    DeathReason dying = DeathReason::kNone;  // decided, but its body is still to be moved to the dead letters
    LaneId lane = kDefaultLane;
    std::uint64_t key = 0;          // hash of its key; 0: none
    std::uint64_t duration_ms = 0;  // with `dying`: see Death
    std::string last_error;
    std::string last_consumer;
    friend bool operator==(const ReturnedRecord&, const ReturnedRecord&) = default;
    std::string encode() const;
    static Result<ReturnedRecord> decode(std::string_view bytes);
};

struct Death {
    std::int64_t time_ms = 0;
    DeathReason reason = DeathReason::kNone;
    std::uint32_t attempt = 0;
    std::uint64_t duration_ms = 0;  // how long the last attempt had run; 0: it had not been started
    std::string consumer;
    std::string error;
    friend bool operator==(const Death&, const Death&) = default;
};
struct DeadRecord {
    std::int64_t commit_time_ms = 0;  // of the message's first commit, as in its id
    std::uint32_t attempts = 0;
    std::uint32_t lease = 0;
    std::uint32_t redrives = 0;
    std::vector<Death> deaths;  // oldest first
    std::string message;        // as the publisher encoded it
    LaneId priority = kDefaultLane;
    std::int64_t due_ms = 0;  // of a message sent with a delay
    // Of a message that was moved before it died: where its id says it is. 0: here.
    QueueId origin_queue;
    Sequence origin_sequence;
    std::string encode() const;
    static Result<DeadRecord> decode(std::string_view bytes);
};

// An ordering key that stopped with a death (SEMANTICS L-3).
struct PausedKeyRecord {
    std::int64_t since_ms = 0;
    Sequence sequence;  // of the message that died
    std::string key;
    friend bool operator==(const PausedKeyRecord&, const PausedKeyRecord&) = default;
    std::string encode() const;
    static Result<PausedKeyRecord> decode(std::string_view bytes);
};

// What a message that was moved to another place (redriven, or to the queue for dead letters) brought along. Lives as
// long as the message.
struct OriginRecord {
    QueueId queue;  // with commit time and sequence: its id
    std::int64_t commit_time_ms = 0;
    Sequence sequence;
    std::int64_t due_ms = 0;  // of a message that was sent with a delay; else 0
    std::uint32_t redrives = 0;
    std::vector<Death> deaths;  // oldest first
    friend bool operator==(const OriginRecord&, const OriginRecord&) = default;
    std::string encode() const;
    static Result<OriginRecord> decode(std::string_view bytes);
};

enum class TaskState : std::uint8_t { kRunning = 1, kDone = 2, kFailed = 3, kCancelled = 4 };

// Where redriven messages stand: with a key at their old place, others at the end; or all the same.
enum class RedrivePlace : std::uint8_t { kByKey = 1, kOriginal = 2, kEnd = 3 };

// A task of the broker; so far all are redrives of dead letters.
struct TaskRecord {
    TaskState state = TaskState::kRunning;
    bool dry_run = false;
    QueueId queue;  // whose dead letters
    QueueId to;
    std::string queue_name;
    std::string to_name;
    std::string reason;  // only letters that died of this last; empty: of anything
    std::string filter;  // only letters that match; empty: all
    RedrivePlace place = RedrivePlace::kByKey;
    std::uint64_t limit = 0;  // most letters to move; 0: all
    double rate = 0;          // a second; 0: as fast as it goes
    std::int64_t created_ms = 0;
    std::int64_t finished_ms = 0;
    Sequence next{1};         // of the first letter not looked at
    Sequence end;             // letters from here on died later, or were moved by a task
    std::uint64_t total = 0;  // letters that were there when it began
    std::uint64_t looked = 0;
    std::uint64_t moved = 0;                                     // dry run: would have been
    std::uint64_t skipped = 0;                                   // redriven too often
    std::uint64_t failed = 0;                                    // could not be read
    std::vector<std::pair<DeathReason, std::uint64_t>> reasons;  // of those moved
    std::string text;                                            // why it failed
    std::string encode() const;
    static Result<TaskRecord> decode(std::string_view bytes);
};

// Messages with dedup ids of one commit (SEMANTICS D-1).
struct DedupRecord {
    struct Entry {
        Sequence sequence;
        base::DedupId id;
        friend bool operator==(const Entry&, const Entry&) = default;
    };
    std::int64_t commit_time_ms = 0;
    std::vector<Entry> entries;  // ascending
    friend bool operator==(const DedupRecord&, const DedupRecord&) = default;
    std::string encode() const;
    static Result<DedupRecord> decode(std::string_view bytes);
};

// What was answered to producer sequences [first, first + count).
struct AnswerRange {
    std::uint64_t first = 0;
    std::uint32_t count = 0;
    QueueId queue;
    Sequence sequence;  // of the first
    std::int64_t commit_time_ms = 0;
    friend bool operator==(const AnswerRange&, const AnswerRange&) = default;
};
struct ProducerRecord {
    std::uint64_t epoch = 0;
    std::uint64_t floor = 0;  // answers below this sequence are forgotten
    std::int64_t last_used_ms = 0;
    std::vector<AnswerRange> answers;
    std::string encode() const;
    static Result<ProducerRecord> decode(std::string_view bytes);
};

}  // namespace rockdove::storage

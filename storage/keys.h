// Keys of all records (storage/FORMAT.md). A key is the namespace (4 bytes), a tag, and big-endian numbers, so that
// key order is namespace, kind, queue, sequence: one namespace is one range, and so is one queue within a kind.
#pragma once

#include <string>
#include <string_view>

#include "protocol/base/ids.h"

namespace rockdove::storage {

enum class Tag : char {
    kBlock = 'b',         // messages of one commit in one lane
    kShardCount = 'c',    // how many shards the broker has; namespace 0 of shard 0
    kDead = 'd',          // one dead letter
    kHead = 'h',          // next sequence of a queue whose last block is gone
    kBlockIndex = 'i',    // what recovery needs to know of a block
    kPlacement = 'l',     // name -> shard, of a namespace on another shard; namespace 0 of shard 0
    kKey = 'k',           // an ordering key that an operator has to resume
    kMeta = 'm',          // written by the store with each commit; namespace 0
    kNamespace = 'n',     // name -> namespace id; namespace 0
    kOrigin = 'o',        // where a message that was moved comes from
    kProducer = 'p',      // epoch and unforgotten answers of a producer
    kQueue = 'q',         // name and settings
    kReturned = 'r',      // a message that came back: attempts, when it is due
    kBlockState = 's',    // which messages of a block are done or started, per subscription
    kTask = 't',          // a task of the broker and how far it has come
    kDedup = 'u',         // ids of a commit's messages that have dedup ids
    kTopic = 'v',         // what makes a queue the log of a topic: its settings
    kSubscription = 'w',  // what makes a queue a subscription: of which topic, to which subjects
    kLastValue = 'x',     // the last message of an ordering key of a topic
};

// Control records (meta, namespaces, placement) live here; users' namespaces start at 1.
inline constexpr NamespaceId kSystemNamespace{0};

// A lane holds the blocks of one queue and one priority. What was sent with a delay has lanes of its own: its place in
// the order is known, its turn comes later.
using LaneId = std::uint8_t;
inline constexpr LaneId kPriorities = 10;
inline constexpr LaneId kDefaultLane = 4;          // of the default priority, sent without a delay
inline constexpr LaneId kScheduled = kPriorities;  // added to the priority
inline constexpr LaneId kMaxLane = 19;

struct KeyView {
    NamespaceId ns;
    Tag tag = Tag::kMeta;
    QueueId queue;    // all but those without a queue: kMeta, kNamespace, kPlacement, kProducer, kShardCount, kTask
    LaneId lane = 0;  // kBlock, kBlockIndex, kBlockState
    // kBlock, kBlockIndex, kBlockState: the first of the block; kReturned, kDead, kOrigin, kDedup; of kKey and kLastValue
    // the key's hash
    Sequence sequence;
    std::uint64_t task = 0;  // kTask
    std::string_view name;   // kNamespace, kPlacement, kProducer
};

std::string meta_key();
std::string namespace_key(std::string_view name);
std::string placement_key(std::string_view name);
std::string shard_count_key();
std::string queue_key(NamespaceId ns, QueueId queue);
std::string head_key(NamespaceId ns, QueueId queue);
std::string block_key(NamespaceId ns, QueueId queue, Sequence first, LaneId lane = kDefaultLane);
std::string block_index_key(NamespaceId ns, QueueId queue, Sequence first, LaneId lane = kDefaultLane);
std::string block_state_key(NamespaceId ns, QueueId queue, Sequence first, LaneId lane = kDefaultLane);
std::string returned_key(NamespaceId ns, QueueId queue, Sequence sequence);
std::string dead_key(NamespaceId ns, QueueId queue, Sequence sequence);
std::string paused_key_key(NamespaceId ns, QueueId queue, std::uint64_t hash);
std::string origin_key(NamespaceId ns, QueueId queue, Sequence sequence);
std::string dedup_key(NamespaceId ns, QueueId queue, Sequence first);
std::string topic_key(NamespaceId ns, QueueId log);
std::string subscription_key(NamespaceId ns, QueueId queue);
std::string last_value_key(NamespaceId ns, QueueId log, std::uint64_t hash);
std::string task_key(NamespaceId ns, std::uint64_t task);
std::string producer_key(NamespaceId ns, std::string_view producer_id);

// Range of all keys of a kind: [first, second).
std::pair<std::string, std::string> tag_range(NamespaceId ns, Tag tag);
// The same for one queue; tag must be one of those with a queue.
std::pair<std::string, std::string> queue_range(NamespaceId ns, Tag tag, QueueId queue);

// Error: kInvalid, for anything the functions above do not make.
Result<KeyView> parse_key(std::string_view key);

}  // namespace rockdove::storage

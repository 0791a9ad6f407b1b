// Identifiers, each a type of its own, and the public message id.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "protocol/base/result.h"

namespace rockdove::base {

// An integer that does not mix with others. Tag is any type, never defined.
template <class Tag, class Int>
struct Id {
    using value_type = Int;
    Int value = 0;

    constexpr Id() = default;
    constexpr explicit Id(Int v) : value(v) {}
    friend constexpr auto operator<=>(Id, Id) = default;
    friend std::size_t hash_value(Id id) { return std::hash<Int>{}(id.value); }
};

using ShardId = Id<struct ShardTag, std::uint16_t>;
// A shard's number must fit the upper 8 bits of a queue's id; more than this nobody needs in one process.
inline constexpr std::uint32_t kMaxShards = 64;
using NamespaceId = Id<struct NamespaceTag, std::uint32_t>;
// Unique in a cluster: the upper 8 bits are the shard that created the queue.
using QueueId = Id<struct QueueTag, std::uint32_t>;
// Counts the commits of a shard, from 1.
using Lsn = Id<struct LsnTag, std::uint64_t>;
// Position of a message in its queue, by commit, from 1; at most kMaxSequence.
using Sequence = Id<struct SequenceTag, std::uint64_t>;
inline constexpr std::uint64_t kMaxSequence = (std::uint64_t{1} << 48) - 1;
// A connection, unique in the life of a daemon.
using SessionId = Id<struct SessionTag, std::uint64_t>;

// A message's name for people and for commands. It tells where the message was stored first, so that no
// index from id to place is needed: 6 bytes commit time (Unix ms), 4 bytes queue id, 6 bytes sequence, all
// big-endian, written in Crockford's base32 (26 characters, sorts by time).
struct MessageId {
    std::int64_t commit_time_ms = 0;
    QueueId queue;
    Sequence sequence;

    friend bool operator==(const MessageId&, const MessageId&) = default;
};

inline constexpr std::size_t kMessageIdChars = 26;
inline constexpr std::size_t kIdPrefixBytes = 10;

// The first 10 bytes, common to a run of messages from one commit.
std::string id_prefix(std::int64_t commit_time_ms, QueueId queue);
// `prefix` must be kIdPrefixBytes long.
std::string format_message_id(std::string_view prefix, Sequence sequence);
std::string format_message_id(const MessageId& id);
// Accepts lower case, and o, i, l for 0, 1, 1. Error: kInvalid.
Result<MessageId> parse_message_id(std::string_view text);

}  // namespace rockdove::base

template <class Tag, class Int>
struct std::hash<rockdove::base::Id<Tag, Int>> {
    std::size_t operator()(rockdove::base::Id<Tag, Int> id) const noexcept { return std::hash<Int>{}(id.value); }
};

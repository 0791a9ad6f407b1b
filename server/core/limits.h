// Bounds of the core that are not settings of a queue. All have a test at the limit.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rockdove::core {

// A commit's messages for one queue are cut into blocks of about this size; a larger message is its own block.
inline constexpr std::size_t kBlockTargetBytes = 256 * 1024;
// The same for scheduled messages, of which mostly one at a time is wanted back.
inline constexpr std::size_t kScheduledBlockBytes = 64 * 1024;
// Messages of one queue held in memory ahead of its consumers.
inline constexpr std::size_t kWindowBytes = 4 << 20;
// The same while nobody consumes.
inline constexpr std::size_t kIdleWindowBytes = 512 * 1024;
// Room for scheduled messages that a queue keeps when all have become due.
inline constexpr std::size_t kKeptSchedule = 1'024;
// Messages with keys that a queue looks at ahead of their delivery; past it, what is further back waits until there are
// fewer (unless a key has messages of several priorities: their order comes first). Some 150 bytes each.
inline constexpr std::uint64_t kMaxKeyMembers = 500'000;
inline constexpr std::size_t kMaxPausedKeys = 100'000;  // of a queue; past it, keys with dead messages go on
// Dedup ids that a queue remembers, some 90 bytes each; past it, messages with new ids are refused.
inline constexpr std::size_t kMaxDedupIds = 1'000'000;
inline constexpr std::size_t kSweptWhenFull = 10'000;  // ids looked at for one that does not count any more
// Blocks around a queue's cursor that are kept at hand; those further back are packed, so many together.
inline constexpr std::size_t kNearBlocks = 64;
inline constexpr std::ptrdiff_t kPackedBlocks = 64;
// All windows of a shard; past it a queue reads one block at a time.
inline constexpr std::size_t kShardWindowBytes = 32 << 20;
// Delivered blocks kept in memory, so that a retry or a death need not read them back.
inline constexpr std::size_t kTrailingBytes = 8 << 20;

// Messages that nobody with room wants, which a queue looks past for those behind them. Past it, filters wait.
inline constexpr std::size_t kLookPast = 1'000;

// What a peek with a filter looks at before it answers with what it has found so far.
inline constexpr std::uint32_t kPeekScanMessages = 1'000;
inline constexpr std::size_t kPeekScanBytes = 1 << 20;

// Dead letters of a memory queue.
inline constexpr std::size_t kMemoryDeadBytes = 16 << 20;

// Of dead letters read at a time, their messages included even if nobody wants them.
inline constexpr std::size_t kDeadReadBytes = 16 << 20;
// Kept of a message that dies again and again; the oldest deaths go.
inline constexpr std::size_t kMaxDeaths = 32;
inline constexpr std::uint32_t kMaxRedrives = 10;  // then a message stays dead (L-4)
// What a queue remembers of messages that were moved to it, until they are done. Past it, it takes no more of them.
inline constexpr std::size_t kOriginBytes = 32 << 20;
// From a queue to its dead_letter_to, on to that one's, and so on.
inline constexpr std::size_t kMaxDeadLetterHops = 16;

// A task's step: what it moves in one commit. With a rate it takes ten steps a second.
inline constexpr std::uint32_t kTaskMessages = 256;
inline constexpr std::size_t kTaskBytes = 1 << 20;
inline constexpr std::size_t kMaxActiveTasks = 16;     // per namespace
inline constexpr std::size_t kMaxFinishedTasks = 100;  // the last ones are remembered

inline constexpr std::uint32_t kMaxQueues = 1'000'000;           // per namespace, topics and subscriptions included
inline constexpr std::uint32_t kMaxEphemeralPerSession = 1'000;  // subscriptions
inline constexpr std::size_t kLastValueBytes = 64 << 20;         // of a topic's last values, all in memory
inline constexpr std::uint32_t kMaxConsumersPerSession = 1'000;
inline constexpr std::uint32_t kMaxAnswerRanges = 4'096;             // unforgotten answers of a producer
inline constexpr std::size_t kMaxErrorText = 1'024;                  // kept of a retry's or reject's reason
inline constexpr std::uint64_t kProducerIdleMs = 24ULL * 3'600'000;  // a producer unused for this long is forgotten
inline constexpr std::uint32_t kMaxProducers = 100'000;              // per namespace

}  // namespace rockdove::core

// The only door between a shard and its disk. Three stores stand behind it: storage/rocksdb, storage/memory and
// storage/faulty (wraps another, for tests); one contract test runs on all (tests/contract).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/base/ids.h"
#include "protocol/base/result.h"
#include "storage/write_set.h"

namespace rockdove::storage {

// How a commit ended (ARCHITECTURE section 2).
//   kDurable  all of it holds: on disk if the write set asked for a sync, else with the operating system
//   kFailed   nothing of it will ever be seen
//   kUnknown  it may or may not be there after the next open; clients hear OUTCOME_UNKNOWN, never a refusal
//   kFenced   another owner has opened the shard with a higher epoch; nothing of it will be seen
// After any but kDurable the store refuses every later commit with kFailed; the shard stops and recovers by reopening.
enum class CommitOutcome : std::uint8_t { kDurable = 1, kFailed, kUnknown, kFenced };

struct CommitResult {
    CommitOutcome outcome = CommitOutcome::kUnknown;
    std::string error;     // empty if durable; else what failed: file and system error
    bool damaged = false;  // the store's own files contradict their checksums: opening again will not help
};

// Stored in the same batch with each commit (record "meta").
struct CommitStamp {
    Lsn lsn;                   // must be one higher than the store's last
    std::int64_t time_ms = 0;  // the broker's clock; kept so that it never goes back over a restart
};

// What the last commit left, read at open.
struct StoreState {
    ShardId shard;
    std::uint64_t epoch = 0;  // grows by one with each open for writing
    Lsn last_lsn;             // 0 in a new store
    std::uint64_t chain = 0;  // hash over previous chain and batch
    std::int64_t time_ms = 0;
    std::string cluster_id;  // made at creation, in FORMAT
};

struct StoreStats {
    std::uint64_t commits = 0;
    std::uint64_t syncs = 0;            // commits that were synced
    std::uint64_t bytes_written = 0;    // payload and keys handed to commit()
    std::uint64_t data_bytes = 0;       // of the directory's live files, estimated
    std::uint64_t disk_free_bytes = 0;  // for this process, 0 if not on a disk
    std::uint64_t disk_total_bytes = 0;
    std::uint64_t memory_bytes = 0;  // buffers and caches of the store
    bool write_stalled = false;      // nobody could write for some seconds
};

// One record as read back; valid until the visitor returns.
struct RecordView {
    std::string_view key;
    std::string_view payload;
    bool damaged = false;  // checksum or key binding is wrong: payload is empty, nothing in it may be used
};

// Threads: commit() and tick() from one thread only (the commit thread); everything else from any thread, at any time.
// Errors:  kUnavailable (closed, or after a failed commit), kInternal (I/O), kConflict (what is on disk contradicts its
//          checksum, so that some records cannot be read at all).
class MessageStore {
public:
    MessageStore() = default;
    MessageStore(const MessageStore&) = delete;
    MessageStore& operator=(const MessageStore&) = delete;
    virtual ~MessageStore() = default;

    [[nodiscard]] virtual const StoreState& opened() const = 0;  // as found by open, with this open's epoch

    // Writes all of `writes` and the stamp as one batch. Blocks until done.
    virtual CommitResult commit(const WriteSet& writes, const CommitStamp& stamp) = 0;
    // Called about once a second by the commit thread when there is nothing to commit: housekeeping of
    // the durable watermark. A failure counts like a failed sync.
    virtual CommitResult tick() = 0;

    // Visits records with begin <= key < end in key order, of one consistent state, until the visitor says false.
    // The record "meta" is the store's own: it is not visited, and no write set may touch it.
    virtual Result<void> scan(std::string_view begin, std::string_view end,
                              const std::function<bool(const RecordView&)>& visit) = 0;
    // Empty if there is no such key. A damaged record is an error (kInternal).
    virtual Result<std::optional<std::string>> get(std::string_view key) = 0;

    [[nodiscard]] virtual StoreStats stats() const = 0;

    // Syncs what is not yet synced, marks the store cleanly closed. No call but the destructor may follow.
    // The destructor alone leaves the store as a crash would (minus what the operating system still holds).
    virtual Result<void> close() = 0;
};

}  // namespace rockdove::storage

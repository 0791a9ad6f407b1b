// The record "meta", first in every batch: which commit this is (storage/FORMAT.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "storage/message_store.h"

namespace rockdove::storage {

struct MetaRecord {
    std::uint64_t epoch = 0;
    std::uint64_t lsn = 0;
    std::uint64_t chain = 0;
    std::int64_t time_ms = 0;
    // The last commit known to be on disk when this one was written: what recovery finds of a batch that lies
    // behind a hole in the log proves by it whether synced commits are missing.
    std::uint64_t durable_lsn = 0;

    friend bool operator==(const MetaRecord&, const MetaRecord&) = default;

    [[nodiscard]] std::string encode() const;
    static std::optional<MetaRecord> decode(std::string_view payload);
};

// True if `next` may come directly behind `before`: the next commit, or the opening of the next epoch.
bool follows(const MetaRecord& before, const MetaRecord& next);

// A batch of ours as it stands in the write-ahead log.
struct WalBatch {
    std::uint64_t first_sequence = 0;
    std::uint32_t count = 0;
    MetaRecord meta;
    [[nodiscard]] std::uint64_t last_sequence() const { return first_sequence + count - 1; }
};

// Bytes from the start of a batch that hold all that parse_wal_batch() needs.
inline constexpr std::size_t kWalBatchHeadBytes = 128;

// True for a batch without operations: RocksDB begins a log with one after it recovered from a torn one.
bool is_empty_wal_batch(std::string_view batch);

// `head`: at least the first kWalBatchHeadBytes of the batch, or all of it. Empty if it is not a batch of ours.
std::optional<WalBatch> parse_wal_batch(std::string_view head);

}  // namespace rockdove::storage

// The stores of all shards. Shard 0's directory is the data directory itself, as it was before there were others; shard k
// has `shard-k` in it.
//
// Runs on: the main thread; blocks on files.
// Owns:    the stores, each with the lock on its directory.
// Errors:  a Failure that says which directory it is about. A shard that was there once and is not any more is one: a
//          missing directory must never look like an empty one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/app/exit_code.h"
#include "storage/rocksdb/rocksdb_store.h"

namespace rockdove::app {

// One shard on up to 4 processors, then one per 4.
std::uint32_t default_shards(unsigned processors);

// "/var/lib/rockdove/shard-3"; the data directory itself for shard 0.
std::string shard_directory(const std::string& data_dir, std::uint32_t shard);

class Stores {
public:
    // `options` are those of shard 0, with the memory for all. `wanted`: 0 is what is there, at least `otherwise`. Makes
    // directories that are to be there and never were. Codes: kExitConfig (fewer wanted than there are), kExitData (one is
    // missing, or is another broker's), and those of storage::OpenFailure.
    std::optional<Failure> open(storage::OpenOptions options, std::uint32_t wanted, std::uint32_t otherwise);

    [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(stores_.size()); }
    storage::RocksdbStore& operator[](std::uint32_t shard) { return *stores_[shard]; }
    // How many shards there were according to shard 0's records.
    [[nodiscard]] std::uint32_t recorded() const { return recorded_; }
    // Closes all; the first error. Nothing to do if none is open.
    base::Result<void> close();
    void clear() { stores_.clear(); }

private:
    std::optional<Failure> open_one(const storage::OpenOptions& options);
    std::optional<Failure> check_recorded(const std::string& data_dir, std::uint32_t there);

    std::vector<std::unique_ptr<storage::RocksdbStore>> stores_;  // by shard
    std::uint32_t recorded_ = 1;
};

}  // namespace rockdove::app

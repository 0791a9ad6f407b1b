// Reads RocksDB's write-ahead logs without RocksDB, to judge them before it may touch them: it tells which batches
// are whole, and what can still be read behind the first fault. Log format: 32 KiB blocks of fragments, each with
// CRC32C, length and kind (RocksDB's wiki, "Write Ahead Log File Format").
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "storage/rocksdb/files.h"
#include "storage/rocksdb/meta_record.h"

namespace rockdove::storage {

// What the scan reports, in file order.
struct WalEvent {
    enum class Kind : std::uint8_t {
        kBatch,    // a whole batch of ours
        kWitness,  // the start of a batch of ours whose rest is not readable
        kFault,    // bytes that are not readable, a hole, or something that is not ours
    };
    Kind kind;
    std::string file;          // name in the directory
    std::uint64_t offset = 0;  // where it begins
    WalBatch batch;            // kBatch, kWitness
};

// Calls `visit` for every event of one log file. The bytes behind a fault are searched for readable fragments.
// Only errors of the file system are errors.
rocksdb::IOStatus scan_wal(const Directory& directory, const std::string& name,
                           const std::function<void(const WalEvent&)>& visit);

// How far a file in this format, such as a MANIFEST, can be read: offset of the first fault, empty if there is none.
rocksdb::IOStatus find_fault(const Directory& directory, const std::string& name,
                             std::optional<std::uint64_t>& first_fault);

// Names of the logs with at least this number, in order.
rocksdb::IOStatus list_wals(const Directory& directory, std::uint64_t from_number, std::vector<std::string>& names);

}  // namespace rockdove::storage

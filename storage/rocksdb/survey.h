// Looks at a data directory without changing it, before RocksDB may touch it: is all there that was confirmed?
// (RELIABILITY 5.2.) RocksDB by itself opens with less than it had, and deletes the evidence.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "storage/rocksdb/database.h"
#include "storage/rocksdb/durable_mark.h"
#include "storage/rocksdb/files.h"
#include "storage/rocksdb/meta_record.h"
#include "storage/rocksdb/open_failure.h"
#include "storage/rocksdb/open_options.h"

namespace rockdove::storage {

struct Survey {
    std::optional<DurableMark> mark;  // what was confirmed; empty if the file is missing or bad
    bool tables_readable = false;     // RocksDB opens, so that the fields below mean something
    MetaRecord last;                  // the last commit that can be reached without a gap
    std::uint64_t last_sequence = 0;
    bool torn = false;    // the logs go on behind `last`, but not readably, or not without a gap
    std::string torn_at;  // file and offset
    // The MANIFEST ends in a record that was never finished: the part before it, which is to be used.
    std::optional<ManifestEnd> manifest_end;
    // Why the directory must not be opened for writing.
    std::optional<OpenFailure> objection;
};

// Reads all of the live logs. Never writes.
Survey survey(const Directory& directory, const OpenOptions& options);

}  // namespace rockdove::storage

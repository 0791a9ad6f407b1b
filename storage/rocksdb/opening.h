// The way into a data directory: lock, format, free space, survey, open (RELIABILITY 5.2).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "storage/rocksdb/format_file.h"
#include "storage/rocksdb/lock.h"
#include "storage/rocksdb/place.h"
#include "storage/rocksdb/rocksdb_store.h"
#include "storage/rocksdb/survey.h"

namespace rockdove::storage {

// The file system to use, and the path without slashes at its end.
Directory directory_of(const OpenOptions& options);

// Reads and checks FORMAT.
std::variant<FormatFile, OpenFailure> read_format(const Directory& directory);

// One opening for writing, step by step. A step that fails returns why; nothing has been changed until the survey is
// done.
class Opening {
public:
    explicit Opening(const OpenOptions& options);

    RocksdbStore::Outcome run();

private:
    using Failure = std::optional<OpenFailure>;

    Failure make_directory();
    Failure take_lock();
    Failure check_format();
    Failure check_clock() const;
    Failure check_free_space();
    Failure open_existing();
    Failure create();
    Failure clear_unfinished();
    Failure begin_epoch(const MetaRecord& last, const DurableMark& mark);
    Failure io_failure(const std::string& doing, const rocksdb::Status& status) const;
    RocksdbStore::Outcome finish(Failure failure);

    const OpenOptions options_;
    const Directory directory_;
    FormatFile format_;
    std::unique_ptr<StoreParts> parts_;
};

}  // namespace rockdove::storage

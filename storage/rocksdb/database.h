// Opens the RocksDB database of a data directory in the three ways that are needed, and keeps alive what it uses.
#pragma once

#include <rocksdb/db.h>

#include <memory>
#include <optional>

#include "storage/message_store.h"
#include "storage/rocksdb/files.h"
#include "storage/rocksdb/meta_record.h"
#include "storage/rocksdb/open_options.h"
#include "storage/rocksdb/watcher.h"

namespace rocksdb {
class WalFilter;
}

namespace rockdove::storage {

struct ManifestEnd {
    std::string name;
    std::uint64_t bytes = 0;
};

// An open database. Closed when destroyed.
class Database {
public:
    enum class Mode : std::uint8_t {
        kTablesOnly,  // read-only, without what is only in the write-ahead logs
        kReadOnly,    // read-only, logs replayed in memory up to `end`
        kWrite,       // for writing, logs replayed up to `end`; what lies behind is dropped
        kBestEffort,  // for writing; tables as far as they are there, the logs are dropped
        kCreate,      // for writing, new
    };

    Database(const Directory& directory, const OpenOptions& options);
    ~Database();

    // Before open(): use only this much of the MANIFEST.
    void shorten_manifest(const ManifestEnd& end);
    // `end`: the last commit to replay. `torn`: the logs have a fault behind it.
    rocksdb::Status open(Mode mode, const MetaRecord& end = {}, bool torn = false);
    // Waits for background work; then everything is in files.
    rocksdb::Status close();

    rocksdb::DB& operator*() const { return *db_; }
    rocksdb::DB* operator->() const { return db_.get(); }
    Watcher& watcher() { return *watcher_; }

    // Number of the oldest log that RocksDB would replay; known after kTablesOnly.
    [[nodiscard]] std::uint64_t oldest_wal() const { return oldest_wal_; }
    // The record "meta". Empty if there is none; an error if it is damaged or unreadable.
    Result<std::optional<MetaRecord>> meta() const;

    // As MessageStore.
    Result<void> scan(std::string_view begin, std::string_view end,
                      const std::function<bool(const RecordView&)>& visit) const;
    Result<std::optional<std::string>> get(std::string_view key) const;

private:
    const std::string path_;
    std::shared_ptr<rocksdb::FileSystem> file_system_;
    const std::shared_ptr<rocksdb::Logger> info_log_;
    const std::uint64_t memory_bytes_;
    const std::shared_ptr<Watcher> watcher_;
    std::unique_ptr<rocksdb::Env> env_;
    std::unique_ptr<rocksdb::WalFilter> filter_;
    std::uint64_t oldest_wal_ = 0;
    std::unique_ptr<rocksdb::DB> db_;  // last: it uses all the others
};

}  // namespace rockdove::storage

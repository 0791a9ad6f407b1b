// What a RocksdbStore is made of; opening.cc puts it together, recover.cc borrows it.
#pragma once

#include <rocksdb/write_batch.h>

#include <atomic>
#include <chrono>
#include <mutex>

#include "storage/rocksdb/database.h"
#include "storage/rocksdb/durable_mark.h"
#include "storage/rocksdb/lock.h"

namespace rockdove::storage {

struct StoreParts {
    StoreParts(Directory where, const OpenOptions& options)
        : directory(std::move(where)), garbage_worth_it(options.memory_bytes), database(directory, options) {}

    // Set by open.
    const Directory directory;
    const std::uint64_t garbage_worth_it;  // less of it is left where it is
    std::unique_ptr<DirectoryLock> lock;   // let go after the database is closed
    Database database;
    StoreState opened;
    std::string torn_at;

    // The commit thread's own.
    MetaRecord meta;  // of the last commit
    DurableMarkFile mark_file;
    DurableMark mark;       // what the next write of the file will say
    bool mark_due = false;  // `mark` is newer than the file
    std::chrono::steady_clock::time_point mark_written;
    rocksdb::WriteBatch batch;
    std::uint64_t removals = 0;  // since the last flush that was asked for
    bool collecting = false;     // blob files are being rewritten without their garbage

    // Shared: set by the commit thread, read by all.
    std::atomic<bool> usable{true};  // false once closed or stopped
    std::atomic<std::uint64_t> commits{0};
    std::atomic<std::uint64_t> syncs{0};
    std::atomic<std::uint64_t> bytes_written{0};

    // Writes `writes` and the next meta record, and keeps `mark` in step. After an error nothing more may be written.
    rocksdb::Status write(const WriteSet& writes, const MetaRecord& next, bool sync);
    // Removals are small and what they remove is large: without a flush the disk would not get it back for long.
    rocksdb::Status flush_after(std::uint64_t removals_needed);
    // A few messages that stay must not hold the blob files of all that went: starts to rewrite them when most of what they
    // hold is garbage, and ends it when it is gone. RocksDB does the work in the background. Call it about once a second.
    void collect_garbage();
    // The same commit in the next epoch; synced, so that the epoch is never used again.
    rocksdb::Status begin_epoch(const MetaRecord& last, const DurableMark& before);
    rocksdb::Status write_mark();
    rocksdb::Status write_mark_file();  // without looking at RocksDB, which may be closed
    // Puts RocksDB's MANIFEST and its synced size into `mark`.
    rocksdb::Status note_manifest();
};

}  // namespace rockdove::storage

#include "storage/rocksdb/rocksdb_store.h"

#include <rocksdb/convenience.h>

#include <array>
#include <filesystem>

#include "storage/chain.h"
#include "storage/keys.h"
#include "storage/kill_point.h"
#include "storage/rocksdb/local_file_system.h"
#include "storage/rocksdb/options.h"
#include "storage/rocksdb/parts.h"
#include "storage/rocksdb/status.h"
#include "storage/value.h"

namespace rockdove::storage {
namespace {

constexpr std::chrono::seconds kMarkEvery{1};
// A removed block may have been 256 KiB. When idle, flush early; under load only so that garbage stays bounded.
constexpr std::uint64_t kIdleRemovals = kCompactedRemovals;
constexpr std::uint64_t kBusyRemovals = 32 * kCompactedRemovals;
// A full buffer stops writers for some 10 ms under load, and that must not refuse anybody.
constexpr std::chrono::seconds kStopWorthTelling{2};
constexpr std::size_t kKeepBatchBytes = 4 * 1024 * 1024;  // a larger buffer is not kept for the next commit

rocksdb::Slice slice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

// Without copying the payload into a sealed value first.
rocksdb::Status put_sealed(rocksdb::WriteBatch& batch, rocksdb::ColumnFamilyHandle* family, std::string_view key,
                           std::string_view payload) {
    const std::uint32_t crc = value_checksum(key, payload);
    const rocksdb::Slice key_part = slice(key);
    const std::array<rocksdb::Slice, 3> value_parts = {rocksdb::Slice(&kValueFormat, 1), slice(payload),
                                                       rocksdb::Slice(reinterpret_cast<const char*>(&crc), sizeof crc)};
    return batch.Put(family, rocksdb::SliceParts(&key_part, 1),
                     rocksdb::SliceParts(value_parts.data(), static_cast<int>(value_parts.size())));
}

rocksdb::Status add(rocksdb::WriteBatch& batch, rocksdb::ColumnFamilyHandle* family, const WriteSet::Op& op) {
    switch (op.kind) {
        case WriteSet::Kind::kPut:
            return put_sealed(batch, family, op.key, op.payload());
        case WriteSet::Kind::kRemove:
            return batch.Delete(family, op.key);
        case WriteSet::Kind::kRemoveRange:
            if (op.key >= op.value) return rocksdb::Status::OK();  // empty; RocksDB calls it an error
            return batch.DeleteRange(family, op.key, op.value);
    }
    return rocksdb::Status::OK();
}

CommitResult refused(const std::string& why, bool damaged = false) { return {CommitOutcome::kFailed, why, damaged}; }

CommitResult unknown(std::string_view doing, const rocksdb::Status& status) {
    return {CommitOutcome::kUnknown, describe(doing, status), status.IsCorruption()};
}

Error unavailable() { return {ErrorCode::kUnavailable, "the store is closed, or stopped after an error"}; }

std::uint64_t property(rocksdb::DB& db, const std::string& name) {
    std::uint64_t value = 0;
    return db.GetIntProperty(name, &value) ? value : 0;
}

}  // namespace

rocksdb::Status StoreParts::write(const WriteSet& writes, const MetaRecord& next, bool sync) {
    rocksdb::ColumnFamilyHandle* family = database->DefaultColumnFamily();
    if (batch.GetDataSize() > kKeepBatchBytes) batch = rocksdb::WriteBatch(writes.bytes() + writes.bytes() / 8);
    batch.Clear();
    rocksdb::Status status =
        put_sealed(batch, family, meta_key(), next.encode());  // first: recovery looks for it there
    for (const WriteSet::Op& op : writes.ops()) {
        removals += op.kind == WriteSet::Kind::kPut ? 0 : 1;
        if (status.ok()) status = add(batch, family, op);
    }
    if (!status.ok()) return status;
    rocksdb::WriteOptions options;
#ifdef RD_TEST_NO_SYNC
    options.sync = false;  // the control run of the power-cut tests: it must be caught
#else
    options.sync = sync;
#endif
    RD_KILL_POINT("commit_write");
    status = database->Write(options, &batch);
    RD_KILL_POINT("commit_written");
    if (!status.ok()) return status;
    meta = next;
    if (sync) {
        meta.durable_lsn = next.lsn;
        mark.epoch = static_cast<std::uint32_t>(next.epoch);
        mark.lsn = next.lsn;
        mark.sequence = database->GetLatestSequenceNumber();
        ++mark.confirms;
        mark_due = true;
    }
    return status;
}

rocksdb::Status StoreParts::flush_after(std::uint64_t removals_needed) {
    if (removals < removals_needed) return rocksdb::Status::OK();
    removals = 0;
    rocksdb::FlushOptions options;
    options.wait = false;
    options.allow_write_stall = true;  // do not wait for a better moment either
    return database->Flush(options);
}

void StoreParts::collect_garbage() {
    const std::uint64_t bytes = property(*database, rocksdb::DB::Properties::kLiveBlobFileSize);
    const std::uint64_t garbage = property(*database, rocksdb::DB::Properties::kLiveBlobFileGarbageSize);
    const bool enough = collecting ? garbage <= garbage_worth_it / 2 || garbage < bytes / 4
                                   : garbage <= garbage_worth_it || garbage < bytes / 2;
    if (collecting != enough) return;
    // If only the file with the options cannot be written, it is tried again; a MANIFEST that cannot is a background error
    // and stops the store, as after a flush.
    const rocksdb::Status status =
        database->SetOptions({{"blob_garbage_collection_age_cutoff", enough ? "0" : "1"},
                              {"blob_garbage_collection_force_threshold", enough ? "1" : "0.25"}});
    if (status.ok()) collecting = !enough;
}

rocksdb::Status StoreParts::begin_epoch(const MetaRecord& last, const DurableMark& before) {
    MetaRecord next = last;
    next.epoch = std::max<std::uint64_t>(last.epoch, before.epoch) + 1;
    next.durable_lsn = last.lsn;  // opening flushed what the logs held
    meta = last;
    mark = before;
    mark.clean = false;
    return write(WriteSet(), next, true);
}

rocksdb::Status StoreParts::note_manifest() {
    std::vector<std::string> files;
    std::uint64_t bytes = 0;
    const rocksdb::Status status = database->GetLiveFiles(files, &bytes, false);
    if (!status.ok()) return status;
    for (const std::string& file : files) {  // "/MANIFEST-000005"
        if (const auto number = manifest_number(std::string_view(file).substr(1))) mark.manifest_number = *number;
    }
    mark.manifest_bytes = bytes;
    return status;
}

rocksdb::Status StoreParts::write_mark() {
    const rocksdb::Status status = note_manifest();
    return status.ok() ? write_mark_file() : status;
}

rocksdb::Status StoreParts::write_mark_file() {
    const rocksdb::IOStatus status = mark_file.write(mark);
    if (!status.ok()) return status;
    mark_due = false;
    mark_written = std::chrono::steady_clock::now();
    return status;
}

RocksdbStore::RocksdbStore(std::unique_ptr<StoreParts> parts) : parts_(std::move(parts)) {}

RocksdbStore::~RocksdbStore() = default;

const StoreState& RocksdbStore::opened() const { return parts_->opened; }

const std::string& RocksdbStore::torn_at() const { return parts_->torn_at; }

CommitResult RocksdbStore::commit(const WriteSet& writes, const CommitStamp& stamp) {
    StoreParts& parts = *parts_;
    if (!parts.usable) return refused(unavailable().text);
    if (parts.database.watcher().failed()) {
        parts.usable = false;
        return refused(parts.database.watcher().background_error(), parts.database.watcher().damaged());
    }
    RD_CHECK(stamp.lsn.value == parts.meta.lsn + 1);
    MetaRecord next = parts.meta;
    next.lsn = stamp.lsn.value;
    next.time_ms = stamp.time_ms;
    next.chain = next_chain(parts.meta.chain, writes, stamp);
    rocksdb::Status status = parts.write(writes, next, writes.sync());
    if (!status.ok()) {
        parts.usable = false;
        return unknown("commit", status);
    }
    if (status = parts.flush_after(kBusyRemovals); !status.ok()) {
        parts.usable = false;
        return unknown("flush", status);
    }
    parts.commits.fetch_add(1, std::memory_order_relaxed);
    parts.bytes_written.fetch_add(writes.bytes(), std::memory_order_relaxed);
    if (!writes.sync()) return {CommitOutcome::kDurable, {}, false};
    parts.syncs.fetch_add(1, std::memory_order_relaxed);
    const bool switched = parts.database.watcher().take_wal_switched();
    if (switched || std::chrono::steady_clock::now() - parts.mark_written >= kMarkEvery) {
        status = parts.write_mark();
        if (!status.ok()) {
            parts.usable = false;
            return unknown("write DURABLE", status);
        }
        parts.collect_garbage();
    }
    return {CommitOutcome::kDurable, {}, false};
}

CommitResult RocksdbStore::tick() {
    StoreParts& parts = *parts_;
    if (!parts.usable) return refused(unavailable().text);
    if (parts.database.watcher().failed()) {
        parts.usable = false;
        return refused(parts.database.watcher().background_error(), parts.database.watcher().damaged());
    }
    rocksdb::Status status = parts.flush_after(kIdleRemovals);
    if (status.ok() && parts.mark_due) status = parts.write_mark();
    if (status.ok()) parts.collect_garbage();
    if (status.ok()) return {CommitOutcome::kDurable, {}, false};
    parts.usable = false;
    return unknown("write DURABLE", status);
}

Result<void> RocksdbStore::scan(std::string_view begin, std::string_view end,
                                const std::function<bool(const RecordView&)>& visit) {
    if (!parts_->usable) return unavailable();
    return parts_->database.scan(begin, end, visit);
}

Result<std::optional<std::string>> RocksdbStore::get(std::string_view key) {
    if (!parts_->usable) return unavailable();
    return parts_->database.get(key);
}

StoreStats RocksdbStore::stats() const {
    const StoreParts& parts = *parts_;
    StoreStats stats;
    stats.commits = parts.commits.load(std::memory_order_relaxed);
    stats.syncs = parts.syncs.load(std::memory_order_relaxed);
    stats.bytes_written = parts.bytes_written.load(std::memory_order_relaxed);
    if (!parts.usable) return stats;
    rocksdb::DB& db = *parts.database;
    const std::uint64_t buffers = property(db, rocksdb::DB::Properties::kCurSizeAllMemTables);
    stats.data_bytes = property(db, rocksdb::DB::Properties::kLiveSstFilesSize) +
                       property(db, rocksdb::DB::Properties::kLiveBlobFileSize) + buffers;
    // The cache's usage has the write buffers in it (options.cc).
    stats.memory_bytes = property(db, rocksdb::DB::Properties::kBlockCacheUsage) +
                         property(db, rocksdb::DB::Properties::kEstimateTableReadersMem);
    stats.write_stalled = parts_->database.watcher().stopped_for(std::chrono::steady_clock::now()) >= kStopWorthTelling;
    const Directory& directory = parts.directory;
    if (!directory.file_system()
             .GetFreeSpace(directory.path(), rocksdb::IOOptions(), &stats.disk_free_bytes, nullptr)
             .ok()) {
        stats.disk_free_bytes = 0;
    }
    std::error_code error;
    const std::filesystem::space_info space = std::filesystem::space(directory.path(), error);
    if (!error) stats.disk_total_bytes = space.capacity;
    return stats;
}

Result<void> RocksdbStore::close() {
    StoreParts& parts = *parts_;
    if (!parts.usable.exchange(false)) return unavailable();
    rocksdb::Status status = parts.database->SyncWAL();
    if (!status.ok()) return to_error("sync the log", status);
    parts.mark.sequence = parts.database->GetLatestSequenceNumber();
    parts.mark.lsn = parts.meta.lsn;
    parts.mark.clean = true;
    rocksdb::CancelAllBackgroundWork(&*parts.database, true);
    status = parts.note_manifest();
    if (!status.ok()) return to_error("close", status);
    status = parts.database.close();
    if (!status.ok()) return to_error("close", status);
    status = parts.write_mark_file();
    if (!status.ok()) return to_error("write DURABLE", status);
    (void)remove_spare_logs(parts.directory);  // else the next start does it
    return {};
}

}  // namespace rockdove::storage

#include "storage/rocksdb/database.h"

#include <rocksdb/convenience.h>
#include <rocksdb/wal_filter.h>
#include <spdlog/spdlog.h>

#include "storage/keys.h"
#include "storage/rocksdb/fast_checksum.h"
#include "storage/rocksdb/options.h"
#include "storage/rocksdb/shortened_file.h"
#include "storage/rocksdb/spdlog_logger.h"
#include "storage/rocksdb/status.h"
#include "storage/value.h"

namespace rockdove::storage {
namespace {

using Processing = rocksdb::WalFilter::WalProcessingOption;

// Replays nothing, but tells which logs would be.
class TablesOnlyFilter final : public rocksdb::WalFilter {
public:
    explicit TablesOnlyFilter(std::uint64_t& oldest_wal) : oldest_wal_(oldest_wal) {}
    const char* Name() const override { return "rockdove.tables_only"; }
    void ColumnFamilyLogNumberMap(const std::map<std::uint32_t, std::uint64_t>& oldest_logs,
                                  const std::map<std::string, std::uint32_t>&) override {
        if (!oldest_logs.empty()) oldest_wal_ = oldest_logs.begin()->second;
    }
    Processing LogRecordFound(unsigned long long, const std::string&, const rocksdb::WriteBatch&, rocksdb::WriteBatch*,
                              bool*) override {
        return Processing::kStopReplay;
    }

private:
    std::uint64_t& oldest_wal_;
};

// Replays up to a commit.
class CutFilter final : public rocksdb::WalFilter {
public:
    explicit CutFilter(const MetaRecord& end) : end_(end) {}
    const char* Name() const override { return "rockdove.cut"; }
    Processing LogRecordFound(unsigned long long, const std::string&, const rocksdb::WriteBatch& batch,
                              rocksdb::WriteBatch*, bool*) override {
        if (is_empty_wal_batch(batch.Data())) return Processing::kContinueProcessing;
        const std::optional<WalBatch> ours = parse_wal_batch(batch.Data());
        const bool beyond = !ours || ours->meta.epoch > end_.epoch || ours->meta.lsn > end_.lsn;
        return beyond ? Processing::kStopReplay : Processing::kContinueProcessing;
    }

private:
    const MetaRecord end_;
};

std::shared_ptr<spdlog::logger> logger_of(const OpenOptions& options) {
    if (options.log) return options.log;
    std::shared_ptr<spdlog::logger> named = spdlog::get("storage");
    return named ? named : spdlog::default_logger()->clone("storage");
}

rocksdb::Slice slice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view view(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

}  // namespace

Database::Database(const Directory& directory, const OpenOptions& options)
    : path_(directory.path()),
      file_system_(directory.shared_file_system()),
      info_log_(std::make_shared<SpdlogLogger>(logger_of(options))),
      memory_bytes_(options.memory_bytes),
      watcher_(std::make_shared<Watcher>()) {
    if (!rocksdb_checksums_are_fast()) logger_of(options)->debug("RocksDB uses its own checksum function");
}

Database::~Database() = default;

void Database::shorten_manifest(const ManifestEnd& end) {
    file_system_ = with_shortened_file(file_system_, path_ + "/" + end.name, end.bytes);
}

rocksdb::Status Database::open(Mode mode, const MetaRecord& end, bool torn) {
    const RocksdbSetup setup{file_system_, info_log_, memory_bytes_};
    env_ = make_env(setup);
    rocksdb::Options options = make_options(setup, env_.get());
    options.listeners.push_back(watcher_);
    const bool read_only = mode == Mode::kTablesOnly || mode == Mode::kReadOnly;
    switch (mode) {
        case Mode::kTablesOnly:
            options.wal_recovery_mode = rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords;
            filter_ = std::make_unique<TablesOnlyFilter>(oldest_wal_);
            break;
        case Mode::kReadOnly:
        case Mode::kWrite:
            if (torn) options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
            filter_ = std::make_unique<CutFilter>(end);
            break;
        case Mode::kBestEffort:
            options.best_efforts_recovery = true;
            options.paranoid_checks = false;
            break;
        case Mode::kCreate:
            options.create_if_missing = true;
            options.error_if_exists = true;
            break;
    }
    options.wal_filter = filter_.get();
    rocksdb::DB* db = nullptr;
    const rocksdb::Status status =
        read_only ? rocksdb::DB::OpenForReadOnly(options, path_, &db) : rocksdb::DB::Open(options, path_, &db);
    if (status.ok()) db_.reset(db);
    return status;
}

rocksdb::Status Database::close() {
    rocksdb::CancelAllBackgroundWork(db_.get(), true);
    const rocksdb::Status status = db_->Close();
    db_.reset();
    return status;
}

Result<std::optional<MetaRecord>> Database::meta() const {
    const Result<std::optional<std::string>> payload = get(meta_key());
    if (!payload) return payload.error();
    if (!*payload) return std::optional<MetaRecord>();
    const std::optional<MetaRecord> meta = MetaRecord::decode(**payload);
    if (!meta) return Error(ErrorCode::kInternal, "the record \"meta\" is not readable");
    return meta;
}

Result<void> Database::scan(std::string_view begin, std::string_view end,
                            const std::function<bool(const RecordView&)>& visit) const {
    if (begin >= end) return {};
    const rocksdb::Slice upper = slice(end);
    rocksdb::ReadOptions options;
    options.iterate_upper_bound = &upper;  // else a scan may walk tombstones for long (RELIABILITY 5.4)
    options.fill_cache = false;
    const std::string meta = meta_key();
    const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(options));
    for (at->Seek(slice(begin)); at->Valid(); at->Next()) {
        const std::string_view key = view(at->key());
        if (key != meta && !visit(unsealed_record(key, view(at->value())))) return {};
    }
    if (!at->status().ok()) return to_error("scan", at->status());
    return {};
}

Result<std::optional<std::string>> Database::get(std::string_view key) const {
    rocksdb::PinnableSlice stored;
    const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), db_->DefaultColumnFamily(), slice(key), &stored);
    if (status.IsNotFound()) return std::optional<std::string>();
    if (!status.ok()) return to_error("read", status);
    const std::optional<std::string_view> payload = unseal(key, view(stored));
    if (!payload) return Error(ErrorCode::kInternal, "a stored record is damaged: its checksum is wrong");
    return std::optional<std::string>(*payload);
}

}  // namespace rockdove::storage

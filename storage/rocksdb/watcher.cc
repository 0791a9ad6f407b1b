#include "storage/rocksdb/watcher.h"

#include "storage/rocksdb/status.h"

namespace rockdove::storage {
namespace {

const char* reason_name(rocksdb::BackgroundErrorReason reason) {
    switch (reason) {
        case rocksdb::BackgroundErrorReason::kFlush:
            return "flush";
        case rocksdb::BackgroundErrorReason::kCompaction:
            return "compaction";
        case rocksdb::BackgroundErrorReason::kWriteCallback:
            return "write";
        case rocksdb::BackgroundErrorReason::kMemTable:
            return "memtable insert";
        case rocksdb::BackgroundErrorReason::kManifestWrite:
        case rocksdb::BackgroundErrorReason::kManifestWriteNoWAL:
            return "manifest write";
        default:
            return "background work";
    }
}

}  // namespace

void Watcher::OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* error) {
    const std::lock_guard lock(mutex_);
    if (error_.empty()) {
        error_ = describe(reason_name(reason), *error);
        damaged_ = error->IsCorruption();
    }
    failed_.store(true, std::memory_order_release);
}

void Watcher::OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status, bool* auto_recovery) {
    *auto_recovery = false;
}

void Watcher::OnStallConditionsChanged(const rocksdb::WriteStallInfo& info) {
    stalled_.store(info.condition.cur != rocksdb::WriteStallCondition::kNormal, std::memory_order_relaxed);
}

void Watcher::OnMemTableSealed(const rocksdb::MemTableInfo&) { wal_switched_.store(true, std::memory_order_relaxed); }

std::string Watcher::background_error() const {
    const std::lock_guard lock(mutex_);
    return error_;
}

bool Watcher::damaged() const {
    const std::lock_guard lock(mutex_);
    return damaged_;
}

}  // namespace rockdove::storage

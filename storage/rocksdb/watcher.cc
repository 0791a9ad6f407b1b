#include "storage/rocksdb/watcher.h"

#include <algorithm>

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
    // kDelayed only slows writers down, and that reaches clients as slower confirms.
    const bool stopped = info.condition.cur == rocksdb::WriteStallCondition::kStopped;
    const bool was = info.condition.prev == rocksdb::WriteStallCondition::kStopped;
    if (stopped && was) return;
    stopped_since_.store(stopped ? Clock::now().time_since_epoch().count() : 0, std::memory_order_relaxed);
}

Watcher::Clock::duration Watcher::stopped_for(Clock::time_point now) const {
    const Clock::rep since = stopped_since_.load(std::memory_order_relaxed);
    if (since == 0) return Clock::duration::zero();
    return std::max(now.time_since_epoch() - Clock::duration(since), Clock::duration::zero());
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

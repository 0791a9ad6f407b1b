#include "storage/memory/memory_store.h"

#include <utility>
#include <vector>

#include "protocol/base/check.h"
#include "storage/chain.h"
#include "storage/value.h"

namespace rockdove::storage {
namespace {

Error unavailable() { return {ErrorCode::kUnavailable, "the store is closed, or stopped after a failed commit"}; }

}  // namespace

MemoryBacking::MemoryBacking(ShardId shard, std::string cluster_id) {
    state_.shard = shard;
    state_.cluster_id = std::move(cluster_id);
}

bool MemoryBacking::damage(std::string_view key) {
    const std::lock_guard lock(mutex_);
    const auto found = records_.find(key);
    if (found == records_.end()) return false;
    std::string stored = *found->second;
    stored[stored.size() / 2] = static_cast<char>(stored[stored.size() / 2] ^ 1);
    found->second = std::make_shared<const std::string>(std::move(stored));
    return true;
}

bool MemoryBacking::closed_cleanly() const {
    const std::lock_guard lock(mutex_);
    return clean_;
}

MemoryStore::MemoryStore(std::shared_ptr<MemoryBacking> backing) : backing_(std::move(backing)) {
    const std::lock_guard lock(backing_->mutex_);
    ++backing_->state_.epoch;
    backing_->clean_ = false;
    opened_ = backing_->state_;
}

CommitResult MemoryStore::commit(const WriteSet& writes, const CommitStamp& stamp) {
    const std::lock_guard lock(backing_->mutex_);
    StoreState& state = backing_->state_;
    if (!usable()) return {CommitOutcome::kFailed, unavailable().text};
    if (state.epoch != opened_.epoch) {
        stopped_ = true;
        return {CommitOutcome::kFenced, "the shard was opened again elsewhere"};
    }
    RD_CHECK(stamp.lsn.value == state.last_lsn.value + 1);
    state.chain = next_chain(state.chain, writes, stamp);
    for (const WriteSet::Op& op : writes.ops()) apply(op);
    state.last_lsn = stamp.lsn;
    state.time_ms = stamp.time_ms;
    ++stats_.commits;
    stats_.syncs += writes.sync() ? 1 : 0;
    stats_.bytes_written += writes.bytes();
    return {CommitOutcome::kDurable, {}};
}

void MemoryStore::apply(const WriteSet::Op& op) {
    MemoryBacking::Records& records = backing_->records_;
    switch (op.kind) {
        case WriteSet::Kind::kPut: {
            std::shared_ptr<const std::string>& stored = records[op.key];
            if (stored) backing_->bytes_ -= stored->size();
            stored = std::make_shared<const std::string>(seal(op.key, op.payload()));
            backing_->bytes_ += stored->size();
            break;
        }
        case WriteSet::Kind::kRemove:
            if (const auto found = records.find(op.key); found != records.end()) {
                backing_->bytes_ -= found->second->size();
                records.erase(found);
            }
            break;
        case WriteSet::Kind::kRemoveRange:
            for (auto at = records.lower_bound(op.key); at != records.end() && at->first < op.value;) {
                backing_->bytes_ -= at->second->size();
                at = records.erase(at);
            }
            break;
    }
}

CommitResult MemoryStore::tick() {
    const std::lock_guard lock(backing_->mutex_);
    if (!usable()) return {CommitOutcome::kFailed, unavailable().text};
    return {CommitOutcome::kDurable, {}};
}

Result<void> MemoryStore::scan(std::string_view begin, std::string_view end,
                               const std::function<bool(const RecordView&)>& visit) {
    std::vector<std::pair<std::string, std::shared_ptr<const std::string>>>
        range;  // so that the visitor runs without the lock
    {
        const std::lock_guard lock(backing_->mutex_);
        if (!usable()) return unavailable();
        if (begin < end) range.assign(backing_->records_.lower_bound(begin), backing_->records_.lower_bound(end));
    }
    for (const auto& [key, stored] : range) {
        if (!visit(unsealed_record(key, *stored))) break;
    }
    return {};
}

Result<std::optional<std::string>> MemoryStore::get(std::string_view key) {
    const std::lock_guard lock(backing_->mutex_);
    if (!usable()) return unavailable();
    const auto found = backing_->records_.find(key);
    if (found == backing_->records_.end()) return std::optional<std::string>();
    const std::optional<std::string_view> payload = unseal(key, *found->second);
    if (!payload) return Error(ErrorCode::kInternal, "a stored record is damaged: its checksum is wrong");
    return std::optional<std::string>(*payload);
}

StoreStats MemoryStore::stats() const {
    const std::lock_guard lock(backing_->mutex_);
    StoreStats stats = stats_;
    stats.data_bytes = backing_->bytes_;
    stats.memory_bytes = backing_->bytes_;
    return stats;
}

Result<void> MemoryStore::close() {
    const std::lock_guard lock(backing_->mutex_);
    if (!usable()) return unavailable();
    closed_ = true;
    backing_->clean_ = true;
    return {};
}

}  // namespace rockdove::storage

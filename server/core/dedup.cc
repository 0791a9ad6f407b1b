#include "server/core/dedup.h"

#include <algorithm>

#include "storage/keys.h"

namespace rockdove::core {

namespace {

constexpr std::size_t kForgottenAtATime = 50'000;

}  // namespace

std::optional<DedupTable::First> DedupTable::find(const base::DedupId& id) const {
    const auto it = ids_.find(id);
    if (it == ids_.end()) return std::nullopt;
    const auto batch = std::prev(batches_.upper_bound(it->second));
    return First{it->second, batch->second.commit_time_ms, it->first.body == id.body};
}

void DedupTable::add(const base::DedupId& id, Sequence sequence, std::int64_t commit_time_ms) {
    if (open_ && batches_.at(*open_).commit_time_ms != commit_time_ms) open_.reset();  // of a memory queue
    if (!open_) {
        open_ = sequence;
        batches_[sequence].commit_time_ms = commit_time_ms;
    }
    Batch& batch = batches_.at(*open_);
    batch.entries.push_back({sequence, id});
    ++batch.left;
    const auto [it, added] = ids_.try_emplace(id, sequence);
    if (added) return;
    // The entry of the one before stays until its batch goes; it does not count, since the id is this one's now.
    auto node = ids_.extract(it);
    node.key() = id;
    node.mapped() = sequence;
    ids_.insert(std::move(node));
}

void DedupTable::take_back(Sequence from) {
    if (!open_) return;
    const auto it = batches_.find(*open_);
    Batch& batch = it->second;
    while (!batch.entries.empty() && batch.entries.back().sequence >= from) {
        forget(batch, batch.entries.back());
        batch.entries.pop_back();
    }
    if (!batch.entries.empty()) return;
    batches_.erase(it);
    open_.reset();
}

void DedupTable::seal_open() {
    Batch& batch = batches_.at(*open_);
    if (durable_) put(*open_, batch);
    batch.stored = durable_;
    batch.entries.shrink_to_fit();
    open_.reset();
}

void DedupTable::put(Sequence first, const Batch& batch) {
    storage::DedupRecord record;
    record.commit_time_ms = batch.commit_time_ms;
    record.entries = batch.entries;
    shared_.stage.writes().put(storage::dedup_key(shared_.ns, queue_, first), record.encode());
}

void DedupTable::load(Sequence first, const storage::DedupRecord& record) {
    Batch& batch = batches_[first];
    batch.commit_time_ms = record.commit_time_ms;
    batch.entries = record.entries;
    batch.left = static_cast<std::uint32_t>(record.entries.size());
    batch.stored = true;
    for (const storage::DedupRecord::Entry& entry : batch.entries) {
        ids_.erase(entry.id);
        ids_.emplace(entry.id, entry.sequence);
    }
}

std::optional<std::int64_t> DedupTable::oldest_ms() const {
    if (batches_.empty()) return std::nullopt;
    return batches_.begin()->second.commit_time_ms;
}

void DedupTable::forget(Batch& batch, storage::DedupRecord::Entry& entry) {
    const auto it = ids_.find(entry.id);
    if (it != ids_.end() && it->second == entry.sequence) ids_.erase(it);
    entry.sequence = Sequence(0);
    --batch.left;
}

DedupTable::Batches::iterator DedupTable::remove(Batches::iterator batch) {
    if (batch->second.stored) shared_.stage.writes().remove(storage::dedup_key(shared_.ns, queue_, batch->first));
    return batches_.erase(batch);
}

void DedupTable::forget_until(std::int64_t time_ms) {
    std::size_t forgotten = 0;
    while (!batches_.empty() && batches_.begin()->second.commit_time_ms <= time_ms && forgotten < kForgottenAtATime) {
        const auto batch = batches_.begin();
        if (open_ == batch->first) return;
        for (storage::DedupRecord::Entry& entry : batch->second.entries) {
            if (entry.sequence.value != 0) forget(batch->second, entry);
        }
        forgotten += batch->second.entries.size();
        remove(batch);
    }
}

void DedupTable::sweep(std::size_t count, const std::function<bool(Sequence)>& is_there) {
    auto batch = batches_.lower_bound(swept_);
    for (; count > 0 && !batches_.empty(); --count) {
        if (batch == batches_.end()) {
            batch = batches_.begin();
            swept_entry_ = 0;
        }
        if (open_ == batch->first) {
            ++batch;
            swept_entry_ = 0;
            continue;
        }
        std::vector<storage::DedupRecord::Entry>& entries = batch->second.entries;
        if (swept_entry_ < entries.size()) {
            storage::DedupRecord::Entry& entry = entries[swept_entry_++];
            if (entry.sequence.value != 0 && !is_there(entry.sequence)) forget(batch->second, entry);
        }
        if (swept_entry_ < entries.size()) continue;
        swept_entry_ = 0;
        batch = batch->second.left == 0 ? remove(batch) : std::next(batch);
    }
    swept_ = batch == batches_.end() ? Sequence(0) : batch->first;
}

void DedupTable::sweep_all(const std::function<bool(Sequence)>& is_there) {
    for (auto batch = batches_.begin(); batch != batches_.end();) {
        for (storage::DedupRecord::Entry& entry : batch->second.entries) {
            if (entry.sequence.value != 0 && !is_there(entry.sequence)) forget(batch->second, entry);
        }
        Batch& swept = batch->second;
        if (swept.left == 0 && open_ != batch->first) {
            batch = remove(batch);
            continue;
        }
        // Those forgotten must not come back with a restart, where they could count again.
        if (swept.left < swept.entries.size()) {
            std::erase_if(swept.entries, [](const auto& entry) { return entry.sequence.value == 0; });
            if (swept.stored) put(batch->first, swept);
        }
        ++batch;
    }
}

}  // namespace rockdove::core

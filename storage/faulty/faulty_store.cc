#include "storage/faulty/faulty_store.h"

#include <utility>

#include "protocol/base/check.h"

namespace rockdove::storage {
namespace {

constexpr char kStopped[] = "the store stopped after a failed commit";

}  // namespace

FaultyStore::FaultyStore(std::unique_ptr<MessageStore> inner) : inner_(std::move(inner)) { RD_CHECK(inner_); }

FaultyStore::~FaultyStore() { release(); }

void FaultyStore::fail_commit(std::uint64_t n, Fault fault) {
    RD_CHECK(n > 0);
    const std::lock_guard lock(mutex_);
    commits_until_fault_ = n;
    fault_ = fault;
}

void FaultyStore::fail_tick() {
    const std::lock_guard lock(mutex_);
    fail_tick_ = true;
}

void FaultyStore::hold() {
    const std::lock_guard lock(mutex_);
    holding_ = true;
    passes_ = 0;
}

void FaultyStore::wait_until_held() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return held_; });
}

void FaultyStore::release_one() {
    const std::lock_guard lock(mutex_);
    held_ = false;
    ++passes_;
    changed_.notify_all();
}

void FaultyStore::release() {
    const std::lock_guard lock(mutex_);
    holding_ = false;
    held_ = false;
    changed_.notify_all();
}

void FaultyStore::wait_at_gate() {
    std::unique_lock lock(mutex_);
    if (!holding_) return;
    if (passes_ == 0) {
        held_ = true;
        changed_.notify_all();
        changed_.wait(lock, [this] { return !holding_ || passes_ > 0; });
    }
    if (passes_ > 0) --passes_;
}

std::optional<Fault> FaultyStore::next_fault() {
    const std::lock_guard lock(mutex_);
    if (!fault_ || --commits_until_fault_ > 0) return std::nullopt;
    stopped_ = true;
    return std::exchange(fault_, std::nullopt);
}

bool FaultyStore::stopped() const {
    const std::lock_guard lock(mutex_);
    return stopped_;
}

CommitResult FaultyStore::commit(const WriteSet& writes, const CommitStamp& stamp) {
    if (stopped()) return {CommitOutcome::kFailed, kStopped};
    wait_at_gate();
    const std::optional<Fault> fault = next_fault();
    if (!fault) return inner_->commit(writes, stamp);
    switch (*fault) {
        case Fault::kFailed:
            return {CommitOutcome::kFailed, "injected: refused before the write"};
        case Fault::kFenced:
            return {CommitOutcome::kFenced, "injected: another owner"};
        case Fault::kUnknownLost:
            return {CommitOutcome::kUnknown, "injected: sync failed"};
        case Fault::kUnknownApplied:
            break;
    }
    const CommitResult applied = inner_->commit(writes, stamp);
    if (applied.outcome != CommitOutcome::kDurable) return applied;
    return {CommitOutcome::kUnknown, "injected: sync failed"};
}

CommitResult FaultyStore::tick() {
    if (stopped()) return {CommitOutcome::kFailed, kStopped};
    {
        const std::lock_guard lock(mutex_);
        if (fail_tick_) {
            stopped_ = true;
            return {CommitOutcome::kFailed, "injected: tick failed"};
        }
    }
    return inner_->tick();
}

Result<void> FaultyStore::scan(std::string_view begin, std::string_view end,
                               const std::function<bool(const RecordView&)>& visit) {
    if (stopped()) return Error(ErrorCode::kUnavailable, kStopped);
    return inner_->scan(begin, end, visit);
}

Result<std::optional<std::string>> FaultyStore::get(std::string_view key) {
    if (stopped()) return Error(ErrorCode::kUnavailable, kStopped);
    return inner_->get(key);
}

Result<void> FaultyStore::close() {
    if (stopped()) return Error(ErrorCode::kUnavailable, kStopped);
    return inner_->close();
}

}  // namespace rockdove::storage

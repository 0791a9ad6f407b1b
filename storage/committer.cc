#include "storage/committer.h"

#include <utility>

#include "protocol/base/check.h"

namespace rockdove::storage {

Committer::Committer(MessageStore& store, Done done, std::chrono::milliseconds tick_every)
    : store_(store),
      done_(std::move(done)),
      tick_every_(tick_every),
      last_lsn_(store.opened().last_lsn),
      thread_([this] { run(); }) {}

Committer::~Committer() { stop(); }

void Committer::submit(WriteSet writes, CommitStamp stamp) {
    const std::lock_guard lock(mutex_);
    RD_CHECK(!pending_ && !stopping_);
    writes_ = std::move(writes);
    stamp_ = stamp;
    pending_ = true;
    changed_.notify_one();
}

WriteSet Committer::take_spare() {
    const std::lock_guard lock(mutex_);
    return std::exchange(spare_, WriteSet());
}

void Committer::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        changed_.notify_one();
    }
    if (thread_.joinable()) thread_.join();
}

CommitTimes Committer::times() const {
    return {durations_.count(), durations_.quantile(0.5), durations_.quantile(0.99)};
}

void Committer::run() {
    std::unique_lock lock(mutex_);
    bool healthy = true;
    while (true) {
        const bool woken = changed_.wait_for(lock, tick_every_, [this] { return pending_ || stopping_; });
        if (pending_) {
            healthy = commit_one(lock) && healthy;
        } else if (stopping_) {
            return;
        } else if (!woken && healthy) {
            healthy = tick(lock);
        }
    }
}

bool Committer::commit_one(std::unique_lock<std::mutex>& lock) {
    WriteSet writes = std::move(writes_);
    const CommitStamp stamp = stamp_;
    lock.unlock();
    const auto start = std::chrono::steady_clock::now();
    CommitResult result = store_.commit(writes, stamp);
    durations_.record(std::chrono::steady_clock::now() - start);
    writes.clear();  // outside the lock: it frees the batch's buffers
    last_lsn_ = stamp.lsn;
    const bool durable = result.outcome == CommitOutcome::kDurable;
    lock.lock();
    spare_ = std::move(writes);
    pending_ = false;  // before done(), which may make the shard submit the next one at once
    lock.unlock();
    done_(stamp.lsn, std::move(result));
    lock.lock();
    return durable;
}

bool Committer::tick(std::unique_lock<std::mutex>& lock) {
    lock.unlock();
    CommitResult result = store_.tick();
    const bool durable = result.outcome == CommitOutcome::kDurable;
    if (!durable) done_(last_lsn_, std::move(result));
    lock.lock();
    return durable;
}

}  // namespace rockdove::storage

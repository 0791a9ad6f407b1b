// The commit thread of a shard: writes the staged write set to the store and reports the outcome. While it
// works the shard stages the next one, so batches grow when the disk is slow (ARCHITECTURE section 2).
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "storage/duration_histogram.h"
#include "storage/message_store.h"

namespace rockdove::storage {

struct CommitTimes {
    std::uint64_t count = 0;
    std::chrono::nanoseconds p50{0};
    std::chrono::nanoseconds p99{0};
};

// Runs on: its own thread. submit(), take_spare() and stop() from the shard's thread; times() from any.
// Owns:    the thread. Borrows the store, which must outlive it.
// Errors:  every outcome goes to `done`; after the first that is not durable the store is not ticked again.
class Committer {
public:
    // Called on the commit thread. It must not call into this class; it posts to the shard.
    using Done = std::function<void(Lsn, CommitResult)>;

    // `tick_every`: how often store.tick() is called while there is nothing to commit. A tick that fails is
    // reported through `done` with the lsn of the last commit.
    Committer(MessageStore& store, Done done, std::chrono::milliseconds tick_every = std::chrono::seconds(1));
    Committer(const Committer&) = delete;
    Committer& operator=(const Committer&) = delete;
    ~Committer();  // stop()

    // One at a time: the next may be submitted once `done` was called for this one.
    void submit(WriteSet writes, CommitStamp stamp);
    // An empty write set, with the capacity of a committed one if there is one.
    [[nodiscard]] WriteSet take_spare();
    // Finishes the outstanding commit, reports it, and ends the thread. Nothing may be submitted afterwards.
    void stop();

    // How long store.commit() took.
    [[nodiscard]] CommitTimes times() const;

private:
    void run();
    bool commit_one(std::unique_lock<std::mutex>& lock);
    bool tick(std::unique_lock<std::mutex>& lock);

    MessageStore& store_;
    const Done done_;
    const std::chrono::milliseconds tick_every_;

    // Shared between shard and commit thread, under mutex_. The thread lets go of it during I/O.
    std::mutex mutex_;
    std::condition_variable changed_;
    bool pending_ = false;  // writes_ and stamp_ wait for the thread, or are being committed
    bool stopping_ = false;
    WriteSet writes_;
    CommitStamp stamp_;
    WriteSet spare_;

    DurationHistogram durations_;  // written by the commit thread, read by anyone
    Lsn last_lsn_;                 // the commit thread's own
    std::thread thread_;           // last: it uses all the others
};

}  // namespace rockdove::storage

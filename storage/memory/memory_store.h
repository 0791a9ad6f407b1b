// A MessageStore in memory: for tests, and for daemons told to keep nothing.
//
// The records live in a MemoryBacking, which stands for the disk: construct a second store on the same
// backing and it finds what the first one committed, with a higher epoch.
#pragma once

#include <functional>
#include <map>
#include <mutex>

#include "storage/message_store.h"

namespace rockdove::storage {

// Stands for a disk; shared by the stores opened on it one after the other. Any thread.
class MemoryBacking {
public:
    explicit MemoryBacking(ShardId shard = ShardId(0), std::string cluster_id = "00000000000000000000000000000000");

    // Flips one bit of the stored value. False if there is no such record.
    bool damage(std::string_view key);
    // True between a close() and the next open.
    [[nodiscard]] bool closed_cleanly() const;

private:
    friend class MemoryStore;
    using Records = std::map<std::string, std::shared_ptr<const std::string>, std::less<>>;  // sealed values

    mutable std::mutex mutex_;  // commit() runs on another thread than reads
    Records records_;
    std::uint64_t bytes_ = 0;  // of the values
    StoreState state_;
    bool clean_ = false;
};

// Owns its backing together with others. Threads and errors: as MessageStore. Commits never fail here, but
// an older store on a backing that was opened again is kFenced.
class MemoryStore final : public MessageStore {
public:
    explicit MemoryStore(std::shared_ptr<MemoryBacking> backing = std::make_shared<MemoryBacking>());

    [[nodiscard]] const StoreState& opened() const override { return opened_; }
    CommitResult commit(const WriteSet& writes, const CommitStamp& stamp) override;
    CommitResult tick() override;
    Result<void> scan(std::string_view begin, std::string_view end,
                      const std::function<bool(const RecordView&)>& visit) override;
    Result<std::optional<std::string>> get(std::string_view key) override;
    [[nodiscard]] StoreStats stats() const override;
    Result<void> close() override;

private:
    [[nodiscard]] bool usable() const { return !closed_ && !stopped_; }
    void apply(const WriteSet::Op& op);

    const std::shared_ptr<MemoryBacking> backing_;
    StoreState opened_;

    // Guarded by backing_->mutex_.
    bool closed_ = false;
    bool stopped_ = false;  // after a commit that was not durable
    StoreStats stats_;
};

}  // namespace rockdove::storage

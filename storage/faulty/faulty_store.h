// A MessageStore for tests: wraps another one, fails the n-th commit as told, and can hold commits back.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>

#include "storage/message_store.h"

namespace rockdove::storage {

enum class Fault : std::uint8_t {
    kFailed,          // nothing is applied, and that is said
    kUnknownApplied,  // applied, but the outcome is unknown
    kUnknownLost,     // not applied, and the outcome is unknown
    kFenced,          // nothing is applied
};

// Owns the wrapped store. The methods of this class: any thread; the others as MessageStore. After an
// injected fault every later commit, read and tick is refused, as a real store does.
class FaultyStore final : public MessageStore {
public:
    explicit FaultyStore(std::unique_ptr<MessageStore> inner);
    ~FaultyStore() override;  // lets a held commit go

    // The n-th commit from now (1: the next one) ends in `fault`. Replaces an earlier order.
    void fail_commit(std::uint64_t n, Fault fault);
    // The next tick() fails.
    void fail_tick();

    // From now on every commit waits before it is applied.
    void hold();
    // Blocks until a commit is waiting.
    void wait_until_held();
    // Lets the waiting commit go (or the next one, if none waits); later ones still wait.
    void release_one();
    // Ends the holding.
    void release();

    [[nodiscard]] const StoreState& opened() const override { return inner_->opened(); }
    CommitResult commit(const WriteSet& writes, const CommitStamp& stamp) override;
    CommitResult tick() override;
    Result<void> scan(std::string_view begin, std::string_view end,
                      const std::function<bool(const RecordView&)>& visit) override;
    Result<std::optional<std::string>> get(std::string_view key) override;
    [[nodiscard]] StoreStats stats() const override { return inner_->stats(); }
    Result<void> close() override;

private:
    void wait_at_gate();
    std::optional<Fault> next_fault();  // of the commit that is now at the gate's far side
    [[nodiscard]] bool stopped() const;

    const std::unique_ptr<MessageStore> inner_;

    // Shared between the commit thread and the test, under mutex_.
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    bool holding_ = false;
    bool held_ = false;         // a commit is waiting
    std::uint64_t passes_ = 0;  // commits that may go though holding_
    std::uint64_t commits_until_fault_ = 0;
    std::optional<Fault> fault_;
    bool fail_tick_ = false;
    bool stopped_ = false;
};

}  // namespace rockdove::storage

// What the shard is about to commit: the write set, and what may be said once it holds.
//
// Runs on: the shard's thread. The core stages; the runtime takes the whole and hands the writes to the commit
// thread. In-memory state changes at once: a commit that fails ends the shard (ARCHITECTURE section 6), so nothing is
// ever rolled back. Effects of one commit are executed in the order in which they were staged.
#pragma once

#include <functional>
#include <utility>
#include <variant>
#include <vector>

#include "server/core/ports.h"
#include "storage/write_set.h"

namespace rockdove::core {

// Called when the commit is done: null, or why it did not hold.
using Reply = std::function<void(const Error* failure)>;
using Effect = std::variant<Confirmation, Delivery, SettleReply, Reply, StartReply, Recall>;

class Stage {
public:
    // Set by the runtime at open and after each take().
    void begin(Lsn lsn, std::uint64_t epoch) {
        lsn_ = lsn;
        epoch_ = epoch;
        commit_time_ms_ = 0;
    }

    // The commit that what is staged now will belong to.
    [[nodiscard]] Lsn lsn() const { return lsn_; }
    // The last commit that holds; what belongs to a later one must not be shown.
    [[nodiscard]] Lsn committed() const { return committed_; }
    void set_committed(Lsn lsn) { committed_ = lsn; }
    [[nodiscard]] std::uint64_t epoch() const { return epoch_; }

    // The time of the commit: when its first message was staged. One time for all its messages, so that their ids share
    // a prefix.
    [[nodiscard]] std::int64_t commit_time_ms(TimePoint now) const {
        return commit_time_ms_ != 0 ? commit_time_ms_ : to_unix_ms(now);
    }
    // A message was staged with that time; who asks and is refused does not set it.
    void set_commit_time(std::int64_t time_ms) { commit_time_ms_ = time_ms; }

    storage::WriteSet& writes() { return writes_; }
    [[nodiscard]] const storage::WriteSet& writes() const { return writes_; }

    // To be executed when the commit holds (and those before it).
    void after_commit(Effect effect) { effects_.push_back(std::move(effect)); }
    // To be executed at the end of this turn: memory queues, refusals.
    void now(Effect effect) { immediate_.push_back(std::move(effect)); }

    [[nodiscard]] bool has_effects() const { return !effects_.empty(); }
    std::vector<Effect> take_effects() { return std::exchange(effects_, {}); }
    std::vector<Effect> take_immediate() { return std::exchange(immediate_, {}); }
    storage::WriteSet take_writes() { return std::exchange(writes_, {}); }

private:
    Lsn lsn_;
    Lsn committed_;
    std::uint64_t epoch_ = 0;
    std::int64_t commit_time_ms_ = 0;
    storage::WriteSet writes_;
    std::vector<Effect> effects_;
    std::vector<Effect> immediate_;
};

// Says through the outlet what an effect has to say; `failure` is null if its commit holds.
void execute(const Effect& effect, const Error* failure, Outlet& outlet);

}  // namespace rockdove::core

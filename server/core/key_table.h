// The ordering keys of a queue that have messages under way: which message of a key may be delivered, and which wait
// behind it (SEMANTICS E-1, E-2, E-4, L-3). One at a time for each key, in the order of their positions, whatever their
// priorities.
//
// Runs on: the shard's thread. Knows neither blocks nor consumers: it is told what happens to a message and answers which
//          message becomes ready in consequence, and which no longer is.
// Memory:  some 90 bytes a key, and 64 a message that waits behind another one of its key.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <optional>
#include <set>

#include "server/core/lane.h"

namespace rockdove::core {

// A due message with a key, where it stands.
struct KeyMember {
    Position position;
    storage::LaneId priority = storage::kDefaultLane;

    friend auto operator<=>(const KeyMember&, const KeyMember&) = default;
};

class KeyTable {
public:
    // What follows from an event: at most one member is ready for each key.
    struct Change {
        std::optional<KeyMember> no_longer_ready;
        std::optional<KeyMember> ready;
    };

    // True: a member that waits for its next try holds the others (key_on_retry).
    void set_hold(bool hold) { hold_ = hold; }

    // It is due, and not started.
    [[nodiscard]] Change arrive(std::uint64_t key, const KeyMember& member);
    // It was due and not started, and is gone; or it has been started elsewhere.
    [[nodiscard]] Change depart(std::uint64_t key, const KeyMember& member);
    // The ready one was started.
    void start(std::uint64_t key);
    // A member is started that was never ready here (recovery).
    void load_started(std::uint64_t key) { keys_[key].started = true; }
    // The started one is not started any more.
    [[nodiscard]] Change stop(std::uint64_t key);
    // One has begun, or stopped, to wait for its next try.
    [[nodiscard]] Change begin_wait(std::uint64_t key);
    [[nodiscard]] Change end_wait(std::uint64_t key);
    [[nodiscard]] Change set_paused(std::uint64_t key, bool paused);
    // Looks at a key again, after set_hold().
    [[nodiscard]] Change refresh(std::uint64_t key) { return settle(key); }

    struct Hold {
        bool started = false, paused = false, waiting = false;  // what holds it
        Sequence first;                                         // the first that is due and not started; 0: none
    };
    [[nodiscard]] Hold hold(std::uint64_t key) const;
    // Members of the key that are due and not started.
    [[nodiscard]] std::uint64_t behind(std::uint64_t key) const;
    // Members that are due and not started.
    [[nodiscard]] std::uint64_t members() const { return members_; }
    [[nodiscard]] std::size_t keys() const { return keys_.size(); }
    template <class Visit>
    void for_each_key(Visit&& visit) const {
        for (const auto& [key, state] : keys_) visit(key);
    }

private:
    struct State {
        std::optional<KeyMember> ready;
        std::set<KeyMember> parked;  // behind it, or behind the started one
        std::uint32_t waiting = 0;
        bool started = false;
        bool paused = false;

        [[nodiscard]] bool unused() const { return !ready && parked.empty() && waiting == 0 && !started && !paused; }
    };

    Change settle(std::uint64_t key);

    boost::unordered_flat_map<std::uint64_t, State> keys_;
    std::uint64_t members_ = 0;
    bool hold_ = true;
};

}  // namespace rockdove::core

// What the queues of a namespace share: the ports, the turn's stage, memory budgets, counters, and who needs attention.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "server/core/limits.h"
#include "server/core/ports.h"
#include "server/core/stage.h"

namespace rockdove::core {

class Queue;

// Since the broker started.
struct Counters {
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;
    std::uint64_t duplicate = 0;
    std::uint64_t delivered = 0;
    std::uint64_t acked = 0;
    std::uint64_t retried = 0;
    std::uint64_t released = 0;
    std::uint64_t died = 0;
    std::uint64_t expired = 0;
    std::uint64_t redriven = 0;
    std::uint64_t expired_leases = 0;
    std::uint64_t damaged = 0;
};

// Bytes of blocks in memory, over all queues of the shard.
struct WindowBudget {
    std::size_t ahead = 0;     // waiting to be delivered
    std::size_t trailing = 0;  // delivered, not yet settled
    struct Trailing {
        NamespaceId ns;
        QueueId queue;
        Sequence block;
        std::size_t bytes;
    };
    std::deque<Trailing> delivered;             // oldest first
    std::function<void(const Trailing&)> drop;  // forgets that block's payload; set by the owner
};

// Lives as long as the namespace; used on the shard's thread only.
struct Shared {
    NamespaceId ns;
    Stage& stage;
    Outlet& outlet;
    BlockReader& reader;
    const MessageFormat& format;
    WindowBudget& window;
    std::function<double()> random;                     // [0, 1)
    std::function<void(const std::string& text)> warn;  // something an operator should read
    std::function<Queue*(QueueId)> find;                // null once deleted
    std::function<Queue*(std::string_view)> find_name;  // null if there is none
    Counters counters;
    std::vector<Queue*> touched;   // to be dispatched and sealed
    std::vector<Queue*> unsealed;  // changed since the last seal
};

}  // namespace rockdove::core

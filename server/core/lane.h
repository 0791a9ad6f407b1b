// The part of a queue that has one priority: its blocks, and how far the consumers have come in them (SEMANTICS E-3).
//
// Runs on: the shard's thread.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

#include "server/core/block_list.h"
#include "storage/keys.h"

namespace rockdove::core {

// Where a message stands among those of its priority (SEMANTICS section 1): when it was committed or due, whichever is
// later, then its sequence. No retry, restart or change of settings changes it.
struct Position {
    std::int64_t time_ms = 0;
    Sequence sequence;

    friend auto operator<=>(const Position&, const Position&) = default;
};

struct Lane {
    explicit Lane(storage::LaneId lane) : id(lane), blocks(lane < storage::kScheduled) {}

    // A lane of scheduled messages has no cursor: they join `ready` of their priority's other lane when they are due.
    [[nodiscard]] bool scheduled() const { return id >= storage::kScheduled; }

    const storage::LaneId id;
    BlockList blocks;
    bool open = false;           // blocks.back() still takes messages
    std::size_t last_bytes = 0;  // of the last block that was closed: the next is likely to be as large
    Sequence cursor{1};          // everything before it is done, started or returned
    Sequence read_up_to{1};      // blocks from the cursor to here were in memory or need not be
    Sequence sorted_to{1};       // keyed blocks before it are in the KeyTable
    std::uint64_t unsorted = 0;  // keyed blocks that are not
    std::set<Position> ready;    // came back, was scheduled and is due, or is the first of its key
    // Of scheduled messages, those that go first from a full queue, the very first behind; empty: to be looked for.
    std::vector<Position> earliest;

    // A scheduled message has come, or has another time.
    void note_scheduled(const Position& at) {
        if (!earliest.empty() && at < earliest.front()) earliest.clear();
    }
};

}  // namespace rockdove::core

// Walks over the started messages of a queue; shared by the files of Queue only.
#pragma once

#include <algorithm>
#include <boost/container/small_vector.hpp>
#include <utility>
#include <vector>

#include "server/core/queue.h"

namespace rockdove::core {

// Index of the first run that ends behind `at`.
inline std::size_t first_run(const std::vector<Run>& runs, std::uint32_t at) {
    return static_cast<std::size_t>(
        std::upper_bound(runs.begin(), runs.end(), at, [](std::uint32_t i, const Run& run) { return i < run.end(); }) -
        runs.begin());
}

// Notes the parts of a requested range that were held, in any order; what is left of it is stale.
class HeldParts {
public:
    explicit HeldParts(const LeaseRange& range) : range_(range) {}

    void add(Sequence first, Sequence end) { parts_.emplace_back(first.value, end.value); }
    void add_stale_to(std::vector<LeaseRange>& stale) {
        std::sort(parts_.begin(), parts_.end());
        std::uint64_t at = range_.first.value;
        for (const auto& [first, end] : parts_) {
            if (first > at) stale.push_back(part(at, first - 1));
            at = end;
        }
        if (at <= range_.last.value) stale.push_back(part(at, range_.last.value));
    }

private:
    [[nodiscard]] LeaseRange part(std::uint64_t first, std::uint64_t last) const {
        LeaseRange part = range_;
        part.first = Sequence(first);
        part.last = Sequence(last);
        return part;
    }

    const LeaseRange& range_;
    boost::container::small_vector<std::pair<std::uint64_t, std::uint64_t>, 4> parts_;
};

// Calls handle(block, run index, first, end) for each stretch that the consumer holds under the range's lease; handle
// may change the runs of that block within [first, end). What it has in its buffer goes back, if `buffered_too`.
template <class Handle>
SettleReply Queue::for_held(Consumer& consumer, const std::vector<LeaseRange>& ranges, Handle&& handle,
                            bool buffered_too) {
    SettleReply reply;
    reply.session = consumer.session;
    for (const LeaseRange& range : ranges) {
        HeldParts held(range);
        if (buffered_too) reply.count += unbuffer_held(consumer, range, held);
        for (const auto& lane : lanes_) {
            if (!lane) continue;
            BlockList& blocks = lane->blocks;
            for (std::size_t at = blocks.index_of(range.first); at < blocks.size() && blocks[at].first <= range.last;
                 ++at) {
                Block& block = blocks[at];
                if (block.state && !block.gone()) reply.count += for_held_in(block, consumer, range, held, handle);
            }
        }
        held.add_stale_to(reply.stale);
    }
    return reply;
}

// Of one block; returns how many messages it handled.
template <class Handle>
std::uint64_t Queue::for_held_in(Block& block, const Consumer& consumer, const LeaseRange& range, HeldParts& held,
                                 Handle&& handle) {
    std::uint64_t count = 0;
    std::uint32_t i = block.index_from(range.first);
    const std::uint32_t end = block.index_from(Sequence(range.last.value + 1));
    while (i < end) {
        const std::vector<Run>& runs = block.state->runs;
        const std::size_t index = first_run(runs, i);
        if (index == runs.size() || runs[index].first >= end) break;
        const Run& run = runs[index];
        const std::uint32_t run_end = std::min(run.end(), end);
        if (run.consumer != &consumer || run.lease != range.lease || run.epoch != range.epoch) {
            i = run_end;
            continue;
        }
        const std::uint32_t first = block.state->done.find(std::max(i, run.first), false);
        if (first >= run_end) {
            i = run_end;
            continue;
        }
        const std::uint32_t undone = std::min(run_end, block.state->done.find(first, true));
        const std::uint32_t stop = block.stretch(first, undone);
        held.add(block.sequence(first), Sequence(block.sequence(stop - 1).value + 1));
        count += stop - first;
        handle(block, index, first, stop);
        i = stop;
    }
    if (count != 0) {
        index_lease(block);
        mark_dirty(block);
    }
    return count;
}

// Takes every run of the consumer out and hands it over.
template <class Handle>
void Queue::for_runs_of(const Consumer& consumer, Handle&& handle) {
    std::vector<Sequence> in_flight;
    in_flight.reserve(leases_.size());
    for (const auto& [end, first] : leases_) in_flight.push_back(first);
    std::sort(in_flight.begin(), in_flight.end());
    for (const Sequence first : in_flight) {
        Block* block = find_block(first);
        if (block == nullptr || !block->state) continue;
        std::vector<Run>& runs = block->state->runs;
        bool changed = false;
        for (std::size_t i = 0; i < runs.size();) {
            if (runs[i].consumer != &consumer) {
                ++i;
                continue;
            }
            const Run part = carve(runs, i, runs[i].first, runs[i].end(), block->state->done);
            handle(*block, part);
            changed = true;
        }
        if (changed) {
            index_lease(*block);
            mark_dirty(*block);
        }
    }
}

}  // namespace rockdove::core

// Walks over the started messages of a queue; shared by the files of Queue only.
#pragma once

#include <algorithm>
#include <vector>

#include "server/core/queue.h"

namespace rockdove::core {

// Index of the first run that ends behind `at`.
inline std::size_t first_run(const std::vector<Run>& runs, std::uint32_t at) {
    return static_cast<std::size_t>(
        std::upper_bound(runs.begin(), runs.end(), at, [](std::uint32_t i, const Run& run) { return i < run.end(); }) -
        runs.begin());
}

// Walks a requested range and notes the parts that were not held.
class StaleParts {
public:
    StaleParts(const LeaseRange& range, std::vector<LeaseRange>& stale)
        : range_(range), stale_(stale), at_(range.first.value) {}

    void held(std::uint64_t first, std::uint64_t end) {
        if (first > at_) add(first - 1);
        at_ = end;
    }
    void finish() {
        if (at_ <= range_.last.value) add(range_.last.value);
    }

private:
    void add(std::uint64_t last) {
        LeaseRange part = range_;
        part.first = Sequence(at_);
        part.last = Sequence(last);
        stale_.push_back(part);
    }

    const LeaseRange& range_;
    std::vector<LeaseRange>& stale_;
    std::uint64_t at_;
};

// Calls handle(block, run index, first, end) for each stretch that the consumer holds under the range's lease; handle
// may change the runs of that block within [first, end).
template <class Handle>
SettleReply Queue::for_held(Consumer& consumer, const std::vector<LeaseRange>& ranges, Handle&& handle) {
    SettleReply reply;
    reply.session = consumer.session;
    for (const LeaseRange& range : ranges) {
        StaleParts stale(range, reply.stale);
        for (std::size_t at = blocks_.index_of(range.first); at < blocks_.size() && blocks_[at].first <= range.last;
             ++at) {
            Block& block = blocks_[at];
            if (!block.state || block.gone()) continue;
            const std::uint64_t base = block.first.value;
            std::uint32_t i = range.first.value > base ? static_cast<std::uint32_t>(range.first.value - base) : 0;
            const auto end =
                static_cast<std::uint32_t>(std::min<std::uint64_t>(range.last.value - base + 1, block.count));
            bool changed = false;
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
                const std::uint32_t stop = std::min(run_end, block.state->done.find(first, true));
                stale.held(base + first, base + stop);
                reply.count += stop - first;
                handle(block, index, first, stop);
                changed = true;
                i = stop;
            }
            if (changed) {
                index_lease(block);
                mark_dirty(block);
            }
        }
        stale.finish();
    }
    return reply;
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

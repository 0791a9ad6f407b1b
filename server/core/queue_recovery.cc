// Rebuilding a queue from its records. Costs by blocks and by messages that are not simply waiting, never by payload.
#include <algorithm>

#include "server/core/queue.h"

namespace rockdove::core {

void Queue::load_head(Sequence next) { next_ = std::max(next_, next); }

// Blocks of a lane come in ascending order.
void Queue::load_block(storage::LaneId id, Sequence first, const storage::BlockIndexRecord& index) {
    Lane& to = lane(id);
    Block block;
    block.first = first;
    block.lane = id;
    if (!index.offsets.empty()) block.offsets = std::make_unique<std::vector<std::uint32_t>>(index.offsets);
    block.count = index.count;
    block.bytes = index.bytes;
    block.commit_time_ms = index.commit_time_ms;
    if (to.scheduled()) {
        block.due_ms = std::make_unique<std::vector<std::int64_t>>(index.due_ms);
        if (topic_ == nullptr) schedule(block, 0);
    }
    if (!index.expires_ms.empty() || !index.max_attempts.empty()) {
        block.limits = std::make_unique<Limits>();
        block.limits->expires_ms = index.expires_ms;
        block.limits->max_attempts = index.max_attempts;
        if (topic_ == nullptr) watch_expiry(block);
    }
    block.keyed = index.keyed;
    if (!index.keys.empty()) block.keys = std::make_unique<std::vector<std::uint64_t>>(index.keys);
    if (block.keyed && !to.scheduled()) ++to.unsorted;
    if (index.source.value != 0) {
        block.source = std::make_unique<Source>();
        block.source->log = index.source;
        block.source->first = index.source_first;
        block.source->commit_time_ms = index.source_time_ms;
        note_source(block);
    }
    if (to.blocks.empty()) to.cursor = first;
    next_ = std::max(next_, Sequence(block.end()));
    messages_ += block.count;
    bytes_ += block.bytes;
    to.blocks.push_back(std::move(block), shared_.stage.committed());
}

Result<void> Queue::load_state(storage::LaneId id, Sequence first, const storage::BlockStateRecord& record) {
    lane(id).blocks.reach(first);
    Block* block = find_block(first);
    const auto bad = [&](const char* what) {
        return Error(ErrorCode::kInternal,
                     "queue \"" + record_.name + "\": the state of block " + std::to_string(first.value) + " " + what);
    };
    if (block == nullptr || block->first != first || block->lane != id) return bad("belongs to no block");
    BlockState& state = block->touch();
    state.stored = true;
    std::uint32_t done = 0;
    for (const auto& [from, end] : record.done) {
        if (from >= end || end > block->count) return bad("is out of range");
        state.done.set(from, end);
        done += end - from;
    }
    if (done >= block->count) return bad("has nothing left");
    std::uint32_t leaving = 0;
    if (!record.leaving.empty()) state.leaving = std::make_unique<Bits>(block->count);
    for (const auto& [from, end] : record.leaving) {
        if (from >= end || end > block->count || state.done.count(from, end) != 0) return bad("is out of range");
        state.leaving->set(from, end);
        state.held.set(from, end);
        leaving += end - from;
    }
    if (!record.pushed_out.empty()) state.pushed_out = std::make_unique<Bits>(block->count);
    for (const auto& [from, end] : record.pushed_out) {
        if (from >= end || end > block->count || !state.leaving || state.leaving->count(from, end) != end - from) {
            return bad("is out of range");
        }
        state.pushed_out->set(from, end);
    }
    const std::uint64_t before = block->bytes_left();
    block->done = done;
    block->leaving = leaving;
    messages_ -= done + leaving;
    if (block->due_ms) scheduled_ -= done + leaving;
    bytes_ -= before - block->bytes_left();
    if (leaving != 0) {
        leaving_messages_ += leaving;
        leaving_.emplace(first, id);
    }

    for (const storage::RunRecord& stored : record.runs) {
        if (stored.count == 0 || std::uint64_t{stored.first} + stored.count > block->count)
            return bad("is out of range");
        if (!state.runs.empty() && state.runs.back().end() > stored.first) return bad("has runs out of order");
        Run run;
        run.first = stored.first;
        run.count = stored.count;
        run.left = run.count - state.done.count(run.first, run.end());
        if (run.left == 0) return bad("has an empty run");
        run.lease = stored.lease;
        run.attempts = stored.attempts;
        run.releases = stored.releases;
        run.losses = stored.losses;
        run.epoch = stored.epoch;
        run.lease_end = from_unix_ms(stored.lease_end_ms);
        run.started = from_unix_ms(stored.started_ms);
        run.bytes_left = std::uint64_t{block->bytes} * run.left / block->count;
        run.consumer = find_consumer(stored.consumer);
        if (run.consumer == nullptr) {
            // Its client may come back and settle until the lease ends (SEMANTICS section 7, "broker restart").
            consumers_.push_back(std::make_unique<Consumer>());
            run.consumer = consumers_.back().get();
            run.consumer->name = stored.consumer;
            run.consumer->queue = this;
        }
        run.consumer->held_messages += run.left;
        run.consumer->held_bytes += run.bytes_left;
        started_ += run.left;
        if (block->due_ms) scheduled_ -= run.left;
        for (std::uint32_t i = run.first; i < run.end(); ++i) {
            if (state.done.test(i)) continue;
            if (state.held.test(i)) return bad("has a message in two states");
            state.held.set(i);
        }
        state.runs.push_back(run);
    }
    index_lease(*block);
    return {};
}

Result<void> Queue::load_returned(Sequence sequence, storage::ReturnedRecord record) {
    lane(record.lane).blocks.reach(sequence);
    Block* block = find_block(sequence);
    if (block == nullptr || block->lane != record.lane) {
        return Error(ErrorCode::kInternal, "queue \"" + record_.name + "\": message " + std::to_string(sequence.value) +
                                               " came back, but its block is gone");
    }
    BlockState& state = block->touch();
    const std::uint32_t index = block->index_from(sequence);
    if (state.done.test(index) || state.held.test(index)) {
        return Error(ErrorCode::kInternal, "queue \"" + record_.name + "\": message " + std::to_string(sequence.value) +
                                               " is recorded in two states");
    }
    state.held.set(index);
    if (block->due_ms) --scheduled_;
    if (record.dying != storage::DeathReason::kNone) {
        dying_.insert(sequence);
    } else {
        // Those due already become ready with the first tick.
        waiting_.emplace(from_unix_ms(record.visible_at_ms), sequence);
        if (record.key != 0) apply(keys_.begin_wait(record.key));
    }
    returned_.insert_or_assign(sequence, std::move(record));
    return {};
}

}  // namespace rockdove::core

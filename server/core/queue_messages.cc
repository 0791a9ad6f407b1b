// A single message: where it is and why, taking it back, moving its time.
#include <algorithm>

#include "server/core/queue_runs.h"
#include "storage/keys.h"

namespace rockdove::core {

// Of a message that is not done; null if there is none. Brings its block near.
Block* Queue::reach_block(Sequence sequence) {
    if (sequence >= next_) return nullptr;
    for (const auto& lane : lanes_) {
        if (!lane || lane->blocks.empty() || lane->blocks.back().end() <= sequence.value) continue;
        bool there = false;
        lane->blocks.each_from(sequence, [&](const Block& block) {
            there = block.contains(sequence);
            return false;
        });
        if (there) lane->blocks.reach(sequence);
    }
    Block* block = find_block(sequence);
    if (block == nullptr) return nullptr;
    const std::uint32_t index = block->index_from(sequence);
    return block->state && block->state->done.test(index) ? nullptr : block;
}

bool Queue::has(Sequence sequence) {
    return dead_.contains(sequence) || dying_.contains(sequence) || reach_block(sequence) != nullptr;
}

bool Queue::is_alive(Sequence sequence) const {
    if (dead_.contains(sequence) || dying_.contains(sequence)) return false;
    bool alive = false;
    for (const auto& lane : lanes_) {
        if (!lane || lane->blocks.empty() || lane->blocks.back().end() <= sequence.value) continue;
        lane->blocks.each_from(sequence, [&](const Block& block) {
            if (block.gone() || !block.contains(sequence)) return false;
            const std::uint32_t index = block.index_from(sequence);
            alive = !block.is_leaving(index) && !(block.state && block.state->done.test(index));
            return false;
        });
        if (alive) return true;
    }
    return false;
}

// --- explaining -------------------------------------------------------------------------------------------------

Explanation Queue::explain(Sequence sequence) {
    Explanation out;
    out.sequence = sequence;
    Block* block = reach_block(sequence);
    const std::uint32_t index = block == nullptr ? 0 : block->index_from(sequence);
    if (dead_.contains(sequence) || dying_.contains(sequence) || (block != nullptr && block->is_leaving(index))) {
        out.gate = Gate::kDead;
        return out;
    }
    if (block == nullptr) return out;
    const PeekItem item = describe(*block, index);
    out.attempts = item.attempts;
    out.last_error = item.last_error;
    out.until_ms = item.visible_at_ms;
    if (item.state == PeekState::kStarted) {
        out.gate = Gate::kStarted;
        out.consumer = item.consumer;
    } else if (item.state == PeekState::kBuffered) {
        out.gate = Gate::kBuffered;
        out.consumer = item.consumer;
    } else if (item.state == PeekState::kScheduled) {
        out.gate = Gate::kNotDue;
    } else if (item.state == PeekState::kWaiting) {
        out.gate = Gate::kRetryWait;
    } else {
        out.gate = ready_gate(*block, index, out);
    }
    return out;
}

Gate Queue::ready_gate(Block& block, std::uint32_t index, Explanation& out) {
    if (record_.paused) return Gate::kQueuePaused;
    if (block.payload) remember_keys(block);  // the cursor may not have come to it
    const auto returned = returned_.find(block.sequence(index));
    const std::uint64_t key = returned != returned_.end() ? returned->second.key : block.key(index);
    if (key != 0) {
        const KeyTable::Hold hold = keys_.hold(key);
        if (hold.paused) return Gate::kKeyPaused;
        if (hold.started) {
            find_key_started(key, out);
            return Gate::kKeyStarted;
        }
        if (hold.waiting) return Gate::kKeyWaits;
        if (hold.first.value != 0 && hold.first != block.sequence(index)) {
            out.behind = hold.first;
            return Gate::kKeyBehind;
        }
    }
    if (attached_ == 0) return Gate::kNoConsumer;
    bool room = false;
    for (const auto& one : consumers_) {
        if (!one->attached() || one->room() == 0) continue;
        room = true;
        // Without its body nobody can tell yet.
        if (!one->filter || !block.payload || wants(*one, block, index)) return Gate::kOpen;
    }
    return room ? Gate::kNotWanted : Gate::kNoCredit;
}

// Which message has the key, and until when.
void Queue::find_key_started(std::uint64_t key, Explanation& out) {
    for (const auto& [sequence, buffered] : buffered_) {
        const Block* block = find_block(sequence);
        if (block == nullptr || block->key(block->index_from(sequence)) != key) continue;
        out.behind = sequence;
        out.consumer = buffered.consumer->name;
        return;
    }
    for (const auto& [end, first] : leases_) {
        const Block* block = find_block(first);
        if (block == nullptr || !block->keys) continue;
        for (const Run& run : block->state->runs) {
            for (std::uint32_t i = run.first; i < run.end(); ++i) {
                if (block->key(i) != key || block->state->done.test(i)) continue;
                out.behind = block->sequence(i);
                out.until_ms = to_unix_ms(run.lease_end);
                out.consumer = run.consumer->name;
                return;
            }
        }
    }
}

// The message that would be delivered next, or why none is.
Explanation Queue::explain_next() {
    Sequence next;
    for (std::size_t priority = storage::kPriorities; priority-- > 0 && next.value == 0;) {
        if (!lanes_[priority]) continue;
        Lane& lane = *lanes_[priority];
        const Fresh fresh = next_fresh(lane);
        if (!lane.ready.empty() && *lane.ready.begin() < fresh.until) {
            next = lane.ready.begin()->sequence;
        } else if (fresh.block != nullptr) {
            next = fresh.block->sequence(fresh.first);
        }
    }
    if (next.value == 0 && !waiting_.empty()) next = waiting_.begin()->second;
    if (next.value == 0 && !schedule_.empty()) next = schedule_.front().sequence;
    if (next.value == 0 && !buffered_.empty()) next = buffered_.begin()->first;
    if (next.value == 0 && !leases_.empty()) {
        const Block* block = find_block(leases_.begin()->second);
        if (block != nullptr && block->state && !block->state->runs.empty()) {
            next = block->sequence(block->state->runs.front().first);
        }
    }
    if (next.value == 0) {
        Explanation out;
        out.gate = messages_ == 0 ? Gate::kEmpty : record_.paused ? Gate::kQueuePaused : Gate::kKeyPaused;
        return out;
    }
    return explain(next);
}

Explanation Queue::explain_key(std::string_view name) {
    const std::uint64_t key = base::key_hash(name);
    const KeyTable::Hold hold = keys_.hold(key);
    Explanation out;
    out.sequence = hold.first;
    if (hold.paused) {
        out.gate = Gate::kKeyPaused;
        if (const auto it = paused_keys_.find(key); it != paused_keys_.end()) out.behind = it->second.sequence;
    } else if (hold.started) {
        out.gate = Gate::kKeyStarted;
        find_key_started(key, out);
    } else if (hold.waiting) {
        out.gate = Gate::kKeyWaits;
        for (const auto& [time, sequence] : waiting_) {
            if (returned_.at(sequence).key != key) continue;
            out.behind = sequence;
            out.until_ms = to_unix_ms(time);
            break;
        }
    } else if (hold.first.value != 0) {
        return explain(hold.first);
    } else {
        out.gate = Gate::kEmpty;
    }
    return out;
}

// --- taking back, moving ----------------------------------------------------------------------------------------

// CANCELLED: gone for good, wherever it waits. Error: kNotFound; kConflict if it is started or dead.
Result<void> Queue::cancel(Sequence sequence) {
    Block* block = reach_block(sequence);
    if (block == nullptr) {
        if (dead_.contains(sequence)) return Error(ErrorCode::kConflict, "the message is a dead letter");
        return Error(ErrorCode::kNotFound, "there is no such message in queue \"" + record_.name + "\" any more");
    }
    const std::uint32_t index = block->index_from(sequence);
    close_open_blocks();
    if (!take_out(*block, index)) {
        return Error(ErrorCode::kConflict, is_started(*block, index)
                                               ? "the message is started: only its consumer can end it"
                                               : "the message is a dead letter, or damaged");
    }
    if (returned_.contains(sequence)) forget_returned(sequence);
    block->touch();
    drop(*block, index);
    touch();
    return {};
}

// Of a message that is not due yet. Error: kNotFound; kConflict if it is due; kInvalid if it would expire before.
Result<void> Queue::reschedule(Sequence sequence, std::int64_t due_ms, TimePoint now) {
    Block* block = reach_block(sequence);
    if (block == nullptr) {
        return Error(ErrorCode::kNotFound, "there is no such message in queue \"" + record_.name + "\" any more");
    }
    const std::uint32_t index = block->index_from(sequence);
    const bool scheduled = block->due_ms && !(block->state && block->state->held.test(index));
    if (!scheduled || (*block->due_ms)[index] <= to_unix_ms(now)) {  // due, though its timer may not have run yet
        return Error(ErrorCode::kConflict, "the message is due already; only a scheduled one has a time to move");
    }
    const std::int64_t expires = block->expiry_ms(index);
    if (expires != 0 && expires <= std::max(due_ms, to_unix_ms(now))) {
        return Error(ErrorCode::kInvalid, "the message would expire before it is due");
    }
    close_open_blocks();
    (*block->due_ms)[index] = std::max(due_ms, to_unix_ms(now));
    lane_of(*block).earliest.clear();
    schedule_.push_back({(*block->due_ms)[index], sequence});  // the entry before it finds that it is not due
    std::push_heap(schedule_.begin(), schedule_.end(), std::greater<>());
    if (durable()) put_index(*block);
    touch();
    return {};
}

}  // namespace rockdove::core

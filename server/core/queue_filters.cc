// Choosing when consumers have filters: in the usual order, each message is offered to those with room; what none of them
// wants is set aside, ready, for others, and looked past, up to kLookPast messages.
#include <algorithm>

#include "server/core/queue_runs.h"

namespace rockdove::core {

void Queue::choose_filtered(TimePoint now) {
    LookedPast looked;
    looked.fill({INT64_MIN, Sequence(0)});
    allowance_ = UINT64_MAX;
    for (std::size_t passed = 0; !able_.empty() && passed < kLookPast;) {
        Position at;
        Lane* lane = next_lane(looked, &at);
        if (lane == nullptr) return;
        more_ready_ = false;
        const Offered offered = offer_to_all(*lane, at, looked[lane->id], now);
        if (offered == Offered::kMustWait) return;
        if (offered == Offered::kPassed) {
            looked[lane->id] = at;
            ++passed;
        } else if (more_ready_) {  // perhaps before those that were looked past
            looked.fill({INT64_MIN, Sequence(0)});
            passed = 0;
        }
    }
}

// Where the next message is that was not looked past: by priority, or by position when that is due (E-3).
Lane* Queue::next_lane(const LookedPast& looked, Position* at) {
    const std::uint64_t every = record_.settings.oldest_every;
    const bool oldest = every != 0 && (choices_ + 1) % every == 0;
    Lane* found = nullptr;
    for (std::size_t priority = storage::kPriorities; priority-- > 0;) {
        if (!lanes_[priority]) continue;
        const std::optional<Position> next = next_behind(*lanes_[priority], looked[priority]);
        if (!next || (found != nullptr && *at < *next)) continue;
        found = lanes_[priority].get();
        *at = *next;
        if (!oldest) break;
    }
    return found;
}

std::optional<Position> Queue::next_behind(Lane& lane, const Position& after) {
    const Fresh fresh = next_fresh(lane, after);
    const auto ready = lane.ready.upper_bound(after);
    if (ready != lane.ready.end() && *ready < fresh.until) return *ready;
    if (fresh.block == nullptr) return std::nullopt;
    return fresh.until;
}

// Of a lane's messages that are not yet ready by themselves, the first. False if it is still to be read.
bool Queue::set_aside(Lane& lane, const Fresh& fresh) {
    Block& block = *fresh.block;
    if (!block.payload) {
        read_ahead(lane);
        return false;
    }
    block.touch().held.set(fresh.first);
    lane.ready.insert(position(block, fresh.first));
    const bool last = fresh.first + 1 == block.count;
    lane.cursor = last ? Sequence(block.end()) : block.sequence(fresh.first + 1);
    if (last) leave(block);
    read_ahead(lane);
    return true;
}

Queue::Offered Queue::offer_to_all(Lane& lane, const Position& at, const Position& after, TimePoint now) {
    if (!lane.ready.contains(at) && !set_aside(lane, next_fresh(lane, after))) return Offered::kMustWait;
    Block* block = find_block(at.sequence);
    RD_CHECK(block != nullptr);
    const std::uint32_t index = block->index_from(at.sequence);
    if (block->keyed && unsorted_beside(lane)) {
        if (!sort_beside(lane, at)) return Offered::kMustWait;
        if (!lane.ready.contains(at)) return Offered::kChanged;  // one before it has the same key
    }
    bool wanted = false;
    for (std::size_t tries = able_.size(); tries != 0; --tries) {
        Consumer* consumer = next_consumer();
        if (consumer == nullptr) return Offered::kMustWait;
        const bool known = !consumer->filter || consumer->unwanted.contains(at.sequence.value);
        if (!block->payload && (!known || !consumer->filter)) {
            read_block(*block);
            return Offered::kMustWait;
        }
        if (!wants(*consumer, *block, index)) continue;
        wanted = true;
        if (fitting(*consumer, *block, index, 1) == 0) continue;
        start_ready(lane, *consumer, *block, index, index + 1, now);
        return Offered::kTaken;
    }
    return wanted ? Offered::kMustWait : Offered::kPassed;  // strict: what fits behind it does not overtake it
}

// Asks once, until the message has been started again.
bool Queue::wants(Consumer& consumer, const Block& block, std::uint32_t index) const {
    if (!consumer.filter) return true;
    const Sequence sequence = block.sequence(index);
    if (consumer.unwanted.contains(sequence.value)) return false;
    if (consumer.filter(message_body(*block.payload, index), facts_of(describe(block, index)))) return true;
    if (consumer.unwanted.size() >= 4 * kLookPast) consumer.unwanted.clear();  // of messages that are long gone
    consumer.unwanted.insert(sequence.value);
    return false;
}

// Of messages that are started: should they come back, they have changed.
void Queue::may_want_again(Sequence first, Sequence last) {
    for (const auto& consumer : consumers_) {
        if (consumer->unwanted.empty()) continue;
        for (std::uint64_t sequence = first.value; sequence <= last.value; ++sequence)
            consumer->unwanted.erase(sequence);
    }
}

}  // namespace rockdove::core

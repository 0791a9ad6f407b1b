// A full queue that drops what is least urgent, then oldest, for something new (SEMANTICS Q-1).
#include <algorithm>
#include <functional>

#include "server/core/queue.h"

namespace rockdove::core {

bool Queue::has_room(std::uint32_t bytes) const { return room_messages() != 0 && room_bytes() >= bytes; }

// One after the other as soon as it gets narrow, since one of them may push out another.
Appended Queue::append_by_dropping(const Records& records, TimePoint now) {
    const std::size_t all = records.ends[records.first + records.count - 1] - records.start_of(records.first);
    if (room_messages() >= records.count && room_bytes() >= all) return append_what_fits(records, now);
    Appended result;
    result.first = next_;
    result.commit_time_ms = commit_time_ms(now);
    Records one = records;
    one.count = 1;
    for (std::uint32_t i = records.first; i < records.first + records.count; ++i) {
        const std::uint32_t bytes = message_size(records.ends[i] - static_cast<std::uint32_t>(records.start_of(i)));
        if (!make_room(bytes, records.traits_of(i).priority)) break;
        one.first = i;
        const Appended appended = append_what_fits(one, now);
        RD_CHECK(appended.count == 1);
        ++result.count;
        for (const IndexRange& lowered : appended.ttl_lowered) result.ttl_lowered.push_back(lowered);
    }
    return result;
}

// For a message of this priority: what is more urgent does not go for it. False: there is nothing that may go.
bool Queue::make_room(std::uint32_t bytes, storage::LaneId priority) {
    const std::uint64_t most = record_.settings.max_bytes;
    if ((most != 0 && bytes > most) || (!durable() && bytes > kMemoryQueueBytes)) return false;
    while (!has_room(bytes)) {
        if (!push_out(priority)) return false;
    }
    return true;
}

// One of this priority or less. False: there is none that may go.
bool Queue::push_out(storage::LaneId priority) {
    close_open_blocks();
    const Victim victim = find_victim(priority);
    if (victim.block == nullptr) return false;
    Block& block = *victim.block;
    RD_CHECK(take_out(block, victim.index));
    if (const Sequence sequence = block.sequence(victim.index); returned_.contains(sequence)) {
        forget_returned(sequence);
    }
    ++dropped_;
    BlockState& state = block.touch();
    if (record_.settings.on_expire == OnExpire::kDrop) {
        drop(block, victim.index);
    } else {
        send_off(block, {victim.index});
        if (!state.pushed_out) state.pushed_out = std::make_unique<Bits>(block.count);
        state.pushed_out->set(victim.index);
    }
    touch();
    return true;
}

std::uint64_t Queue::drop_overflow() {
    if (record_.settings.overflow != Overflow::kDropOldest) return 0;
    const std::uint64_t messages = record_.settings.max_messages != 0 ? record_.settings.max_messages : UINT64_MAX;
    const std::uint64_t bytes = record_.settings.max_bytes != 0 ? record_.settings.max_bytes
                                : durable()                     ? UINT64_MAX
                                                                : kMemoryQueueBytes;
    std::uint64_t dropped = 0;
    while ((messages_ > messages || bytes_ > bytes) && push_out(storage::kPriorities - 1)) ++dropped;
    return dropped;
}

// Neither done, in a consumer's hands, nor as good as dead.
bool Queue::may_go(const Block& block, std::uint32_t index) const {
    if (block.gone() || block.damaged || block.is_leaving(index)) return false;
    if (!block.state) return true;
    const Sequence sequence = block.sequence(index);
    return !block.state->done.test(index) && !is_started(block, index) && !buffered_.contains(sequence) &&
           !dying_.contains(sequence);
}

// The least urgent of those up to this priority; of them the one with the earliest position.
Queue::Victim Queue::find_victim(storage::LaneId most) {
    for (storage::LaneId priority = 0; priority <= most; ++priority) {
        const Victim direct = lanes_[priority] ? first_of(*lanes_[priority]) : Victim();
        const auto& later = lanes_[priority + storage::kScheduled];
        const Victim scheduled = later ? earliest_of(*later) : Victim();
        if (scheduled.block == nullptr && direct.block == nullptr) continue;
        if (scheduled.block == nullptr) return direct;
        if (direct.block == nullptr) return scheduled;
        const bool before = position(*scheduled.block, scheduled.index) < position(*direct.block, direct.index);
        return before ? scheduled : direct;
    }
    return {};
}

// They stand in the order of their positions.
Queue::Victim Queue::first_of(Lane& lane) {
    for (std::size_t at = 0; lane.blocks.reach(at); ++at) {
        Block& block = lane.blocks[at];
        for (std::uint32_t i = 0; i < block.count && !block.gone(); ++i) {
            if (block.state) i = block.state->done.find(i, false);
            if (i < block.count && may_go(block, i)) return {&block, i};
        }
    }
    return {};
}

// Of a lane of scheduled messages, which stand in no order: what was found once is remembered.
Queue::Victim Queue::earliest_of(Lane& lane) {
    for (std::size_t i = lane.earliest.size(); i-- > 0;) {
        Block* block = find_block(lane.earliest[i].sequence);
        const std::uint32_t index = block == nullptr ? 0 : block->index_from(lane.earliest[i].sequence);
        if (block != nullptr && may_go(*block, index)) return {block, index};
        const bool in_hand = block != nullptr && !block->gone() && block->state && !block->state->done.test(index);
        if (!in_hand) lane.earliest.erase(lane.earliest.begin() + static_cast<std::ptrdiff_t>(i));
    }
    return list_earliest(lane);
}

Queue::Victim Queue::list_earliest(Lane& lane) {
    constexpr std::size_t kKept = 1'000;
    std::vector<Position> found;
    Victim first;
    for (std::size_t at = 0; lane.blocks.reach(at); ++at) {
        Block& block = lane.blocks[at];
        for (std::uint32_t i = 0; i < block.count && !block.gone(); ++i) {
            if (block.state && block.state->done.test(i)) continue;
            found.push_back(position(block, i));
            const bool earlier = first.block == nullptr || found.back() < position(*first.block, first.index);
            if (earlier && may_go(block, i)) first = {&block, i};
        }
    }
    if (found.size() > kKept) {
        std::nth_element(found.begin(), found.begin() + kKept, found.end());
        found.resize(kKept);
    }
    std::sort(found.begin(), found.end(), std::greater<>());
    lane.earliest = std::move(found);
    return first;
}

}  // namespace rockdove::core

// Messages that lie in a topic: a subscription's blocks say where. It adopts them when the topic routes them (topic.cc);
// from then on they are blocks like others, but for where their bodies are and what their ids are.
#include <algorithm>

#include "server/core/queue.h"
#include "server/core/topic.h"
#include "storage/keys.h"

namespace rockdove::core {

// --- adopting ---------------------------------------------------------------------------------------------------

void Queue::adopt(const Block& from, QueueId log, std::uint64_t group, Sequence group_first, const Bits* wanted) {
    Lane& to = lane(from.lane);
    close_open_block(to);
    Holding& holding = holding_of(log);
    if (holding.group != group) {
        // Behind everything that is here; as long as nothing was put in between, at the topic's own sequences.
        holding.group = group;
        const std::uint64_t first = group_first.value + holding.shift;
        if (next_.value > first) holding.shift += next_.value - first;
    }
    Block block = from.copy_of_messages();
    block.first = Sequence(from.first.value + holding.shift);
    block.source = std::make_unique<Source>();
    block.source->log = log;
    block.source->first = from.first;
    block.source->commit_time_ms = from.commit_time_ms;
    // The order in a lane is that of coming: what comes again later stands behind what is there.
    if (!to.blocks.empty()) block.commit_time_ms = std::max(from.commit_time_ms, to.blocks.back().commit_time_ms);
    if (record_.settings.ttl.count() != 0) limit_source(block, from);
    note_source(block);
    if (wanted != nullptr) {
        block.state = std::make_unique<BlockState>(block.count);
        block.part = true;
        for (std::uint32_t at = wanted->find(0, false); at < block.count;) {
            const std::uint32_t end = wanted->find(at, true);
            block.state->done.set(at, end);
            block.done += end - at;
            at = wanted->find(end, false);
        }
    }
    const std::uint32_t count = block.count - block.done;
    const SharedPayload payload = block.payload;
    next_ = std::max(next_, Sequence(block.end()));
    messages_ += count;
    accepted_ += count;
    bytes_ += block.bytes_left();
    Block& added = to.blocks.push_back(std::move(block), shared_.stage.committed());
    if (to.scheduled()) {
        schedule(added, 0);
        scheduled_ -= added.done;
    }
    if (added.keyed && !to.scheduled()) ++to.unsorted;
    if (durable()) {
        put_index(added);
        if (added.state) store_state(added);
    }
    watch_expiry(added);
    if (payload && !to.scheduled()) keep_ahead(added);
    if (payload && to.scheduled()) keep_behind(added);
    touch();
}

// The queue's own bound on their time to live.
void Queue::limit_source(Block& block, const Block& from) const {
    auto limits = std::make_unique<Limits>();
    for (std::uint32_t i = 0; i < from.count; ++i) {
        const std::int64_t starts =
            from.due_ms ? std::max(from.commit_time_ms, (*from.due_ms)[i]) : from.commit_time_ms;
        const std::int64_t most = starts + record_.settings.ttl.count();
        const std::int64_t asked = from.expiry_ms(i);
        const bool tries = from.limits && !from.limits->max_attempts.empty();
        limits->add(i, asked == 0 ? most : std::min(asked, most), tries ? from.limits->max_attempts[i] : 0);
    }
    block.limits = std::move(limits);
}

// --- what it holds ----------------------------------------------------------------------------------------------

Holding& Queue::holding_of(QueueId log) {
    const auto at = std::find_if(holdings_.begin(), holdings_.end(), [&](const Holding& h) { return h.log == log; });
    if (at != holdings_.end()) return *at;
    holdings_.emplace_back();
    holdings_.back().log = log;
    return holdings_.back();
}

// About to be added behind the others of its lane.
void Queue::note_source(const Block& block) {
    Holding& holding = holding_of(block.source->log);
    Holding::OfLane& of = holding.lanes[block.lane];
    if (of.blocks == 0 || of.oldest.value == UINT64_MAX) {
        of.oldest = block.source->first;
        of.ascending = block.first;
    } else if (block.source->first <= of.last) {  // it went back
        of.oldest = std::min(of.oldest, block.source->first);
        of.ascending = block.first;
    }
    of.last = block.source->first;
    ++of.blocks;
    holding.shift = std::max(holding.shift, block.first.value - block.source->first.value);
}

void Queue::release_source(const Block& block) {
    Holding::OfLane& of = holding_of(block.source->log).lanes[block.lane];
    --of.blocks;
    if (block.source->first > of.oldest) return;
    of.stale = true;
    holdings_stale_ = true;
}

// Finds the oldest anew where it has gone, and tells the topics.
void Queue::settle_holdings() {
    holdings_stale_ = false;
    for (Holding& holding : holdings_) {
        for (storage::LaneId id = 0; id <= storage::kMaxLane; ++id) {
            Holding::OfLane& of = holding.lanes[id];
            if (!of.stale) continue;
            find_oldest(holding.log, id);
            if (const Queue* log = shared_.find(holding.log)) log->topic_->hold(*this, id);
        }
    }
}

// Of those that are not gone; a block that is about to be removed counts no more.
void Queue::find_oldest(QueueId log, storage::LaneId id) {
    Holding::OfLane& of = holding_of(log).lanes[id];
    of.stale = false;
    of.oldest = Sequence(UINT64_MAX);
    if (of.blocks == 0) return;
    lanes_[id]->blocks.each_from(Sequence(1), [&](const Block& block) {
        if (block.gone() || !block.source || block.source->log != log) return true;
        of.oldest = std::min(of.oldest, block.source->first);
        return block.first < of.ascending;
    });
}

std::optional<Sequence> Queue::oldest_of(QueueId log, storage::LaneId id) const {
    for (const Holding& holding : holdings_) {
        const Holding::OfLane& of = holding.lanes[id];
        if (holding.log == log && of.blocks != 0 && of.oldest.value != UINT64_MAX) return of.oldest;
    }
    return std::nullopt;
}

// Some of the lane's blocks went without being looked at.
void Queue::recount_sources(const Lane& lane) {
    for (Holding& holding : holdings_) {
        Holding::OfLane& of = holding.lanes[lane.id];
        if (of.blocks == 0) continue;
        of.blocks = 0;
        for (std::size_t i = 0; i < lane.blocks.size(); ++i) {
            const Block& block = lane.blocks[i];
            if (block.source && block.source->log == holding.log) ++of.blocks;
        }
        of.stale = holdings_stale_ = true;
    }
}

std::uint64_t Queue::forget_source(QueueId log, storage::LaneId id, Sequence end) {
    std::uint64_t forgotten = 0;
    BlockList& blocks = lane(id).blocks;
    const Sequence ascending = holding_of(log).lanes[id].ascending;
    for (std::size_t at = 0; blocks.reach(at); ++at) {
        Block& block = blocks[at];
        if (block.gone() || !block.source || block.source->log != log) continue;
        if (block.source->first >= end) {
            if (block.first >= ascending) break;
            continue;
        }
        forgotten += purge_block(block);
    }
    return forgotten;
}

// Topics feed a queue in memory no faster than it is emptied.
void Queue::ask_for_more() {
    for (const Holding& holding : holdings_) {
        if (const Queue* log = shared_.find(holding.log)) log->topic_->on_room();
    }
}

void Queue::let_go_of_topics() {
    for (const Holding& holding : holdings_) {
        if (const Queue* log = shared_.find(holding.log)) log->topic_->forget_holder(id_);
    }
    holdings_.clear();
    holdings_stale_ = false;
}

std::optional<Sequence> Queue::find_published(QueueId queue, Sequence sequence) const {
    std::optional<Sequence> found = find_moved(queue, sequence);
    for (const auto& lane : lanes_) {
        if (!lane || found) continue;
        lane->blocks.each_from(Sequence(1), [&](const Block& block) {
            if (block.gone() || !block.source || block.source->log != queue) return true;
            if (sequence < block.source->first) return true;
            const Sequence here(block.first.value + (sequence.value - block.source->first.value));
            if (block.contains(here)) found = here;
            return !found;
        });
    }
    return found;
}

// --- reading ----------------------------------------------------------------------------------------------------

ReadRequest Queue::read_request(const Block& first) const {
    ReadRequest request;
    request.ns = shared_.ns;
    request.queue = first.source ? first.source->log : id_;
    request.lane = first.lane;
    request.first = first.source ? first.source->first : first.first;
    return request;
}

bool Queue::read_together(const Block& before, const Block& block) {
    if (!before.source || !block.source) return !before.source && !block.source;
    return before.source->log == block.source->log &&
           block.first.value - block.source->first.value == before.first.value - before.source->first.value;
}

}  // namespace rockdove::core

// Choosing what goes to whom, the window of blocks in memory, and what time brings. Next on a message's way: the
// delivery staged here leaves through server/net/outbox.h once the start is written.
#include <algorithm>

#include "server/core/queue_runs.h"
#include "server/core/topic.h"
#include "storage/keys.h"

namespace rockdove::core {

// --- the window -------------------------------------------------------------------------------------------------

std::size_t Queue::window_limit() const { return attached_ != 0 ? kWindowBytes : kIdleWindowBytes; }

// Decides whether a block just filled stays in memory. Only the blocks right ahead of the consumers do, without a gap:
// what is further back is read when its turn comes.
void Queue::keep_ahead(Block& block) {
    if (!durable()) return;  // has no other place
    const Lane& lane = lane_of(block);
    const std::size_t size = block.payload->bytes.size();
    const Block* before = lane.blocks.before_back();
    const bool next = before == nullptr || before->gone() || before->end() <= lane.cursor.value;
    const bool gap = !next && !before->payload;
    const std::size_t limit = window_limit();
    if (gap || ahead_bytes_ + size > limit || shared_.window.ahead + size > kShardWindowBytes) {
        // Always keep the very next block for those who wait for it: a queue whose consumers keep up never reads.
        if (!next || limit == kIdleWindowBytes) {
            block.payload = nullptr;
            return;
        }
    }
    block.ahead = true;
    ahead_bytes_ += size;
    shared_.window.ahead += size;
}

// The cursor has passed the block, or it is gone: it no longer counts as ahead.
void Queue::leave(Block& block) {
    if (!block.ahead) return;
    block.ahead = false;
    const std::size_t size = block.payload->bytes.size();
    ahead_bytes_ -= size;
    shared_.window.ahead -= size;
    if (!block.gone()) keep_behind(block);
}

// In memory until younger ones need the room.
void Queue::keep_behind(Block& block) {
    if (!durable()) return;  // has no other place
    const std::size_t size = block.payload->bytes.size();
    WindowBudget& window = shared_.window;
    window.delivered.push_back(WindowBudget::Trailing{shared_.ns, id_, block.first, size});
    window.trailing += size;
    while (window.trailing > kTrailingBytes && window.delivered.size() > 1) {
        const WindowBudget::Trailing oldest = window.delivered.front();
        window.delivered.pop_front();
        window.trailing -= oldest.bytes;
        window.drop(oldest);
    }
}

void Queue::drop_payload(Sequence first) {
    Block* block = find_block(first);
    if (block != nullptr && block->first == first && !block->ahead && durable()) block->payload = nullptr;
}

// The block, and those behind it up to the one that begins at `last`.
void Queue::start_read(const Block& first, Sequence last, std::size_t max_bytes) {
    if (reading_) return;
    reading_ = true;
    ReadRequest request = read_request(first);
    const std::uint64_t shift = first.first.value - request.first.value;  // may wrap, and wraps back
    request.last = Sequence(last.value - shift);
    request.max_bytes = max_bytes;
    shared_.reader.read(request,
                        [shared = &shared_, id = id_, wanted = first.first, shift](std::vector<ReadBlock> blocks) {
                            Queue* queue = shared->find(id);
                            if (queue == nullptr) return;
                            for (ReadBlock& block : blocks) block.first.value += shift;
                            queue->on_read(wanted, std::move(blocks));
                        });
}

void Queue::read_block(const Block& block) { start_read(block, block.first, 1); }

void Queue::read_ahead(Lane& lane) {
    if (reading_ || !durable()) return;
    const auto needs_no_read = [](const Block& block) { return block.payload || block.gone() || block.damaged; };
    BlockList& blocks = lane.blocks;
    std::size_t index = blocks.index_of(lane.cursor);
    const std::size_t limit = window_limit();
    // What is to be delivered next is read even if other lanes fill the window.
    const bool next_is_there = !blocks.reach(index) || needs_no_read(blocks[index]);
    if (ahead_bytes_ > limit / 2 && next_is_there) return;
    // Looked at before: a queue of many small blocks is not walked for each delivery. A payload dropped since then is
    // found when the cursor gets there.
    if (next_is_there) index = std::max(index, blocks.index_of(lane.read_up_to));
    while (blocks.reach(index) && needs_no_read(blocks[index])) ++index;
    lane.read_up_to = index < blocks.size() ? blocks[index].first : next_;
    if (index == blocks.size() || !visible(blocks[index])) return;
    std::size_t last = index;
    std::size_t bytes = blocks[index].bytes;
    const bool room_left = shared_.window.ahead < kShardWindowBytes && ahead_bytes_ < limit;
    const std::size_t room = room_left ? limit - ahead_bytes_ : 1;
    while (bytes < room && blocks.reach(last + 1) && visible(blocks[last + 1]) &&
           read_together(blocks[last], blocks[last + 1])) {
        bytes += blocks[++last].bytes;
    }
    start_read(blocks[index], blocks[last].first, room);
}

void Queue::on_read(Sequence wanted, std::vector<ReadBlock> blocks) {
    reading_ = false;
    if (blocks.empty() || blocks.front().first != wanted) {
        // Its record is missing altogether.
        Block* block = find_block(wanted);
        if (block != nullptr && !block->payload) mark_damaged(*block);
    }
    for (ReadBlock& read : blocks) {
        Block* block = find_block(read.first);
        if (block == nullptr || block->first != read.first || block->payload) continue;
        if (!read.payload || read.payload->ends.size() != block->count) {
            mark_damaged(*block);
            continue;
        }
        block->payload = std::move(read.payload);
        if (lane_of(*block).scheduled()) {
            keep_behind(*block);
            continue;
        }
        const std::size_t size = block->payload->bytes.size();
        block->ahead = true;
        ahead_bytes_ += size;
        shared_.window.ahead += size;
        if (block->end() <= lane_of(*block).cursor.value) leave(*block);
    }
    touch();
}

// The block cannot be read: its messages stay on disk for inspection, are counted and never delivered.
void Queue::mark_damaged(Block& block) {
    BlockState& state = block.touch();
    const bool known = block.damaged;
    block.damaged = false;  // until its messages are taken out
    std::uint32_t count = 0;
    if (block.keyed && !block.sorted && !lane_of(block).scheduled()) {
        block.sorted = true;
        --lane_of(block).unsorted;
    }
    if (leaving_.erase({block.first, block.lane}) != 0) {  // out of the depth already
        leaving_messages_ -= block.leaving;
        shared_.counters.damaged += block.leaving;
        shared_.warn("damaged block: queue=\"" + record_.name + "\" first_seq=" + std::to_string(block.first.value) +
                     " messages=" + std::to_string(block.leaving) +
                     ": expired, and cannot be moved to the dead letters");
    }
    for (std::uint32_t i = 0; i < block.count; ++i) {
        // Started: its consumer has the body.
        if (state.done.test(i) || block.is_leaving(i) || is_started(block, i)) continue;
        const Sequence sequence = block.sequence(i);
        const bool came_back = returned_.contains(sequence);
        if (known && state.held.test(i) && !came_back) continue;  // counted before
        if (dying_.erase(sequence) == 0) take_out(block, i);
        returned_.erase(sequence);  // on disk it stays
        state.held.set(i);
        ++count;
    }
    block.damaged = true;
    if (count == 0) return;
    damaged_ += count;
    shared_.counters.damaged += count;
    shared_.warn("damaged block: queue=\"" + record_.name + "\" first_seq=" + std::to_string(block.first.value) +
                 " messages=" + std::to_string(count) + ": not delivered, kept on disk for inspection");
}

// --- choosing ---------------------------------------------------------------------------------------------------

Queue::Fresh Queue::next_fresh(Lane& lane, const Position& after) {
    Fresh fresh;
    BlockList& blocks = lane.blocks;
    for (std::size_t index = blocks.index_of(lane.cursor); blocks.reach(index); ++index) {
        Block& block = blocks[index];
        if (block.gone()) {  // purged, expired or cancelled before its turn
            lane.cursor = Sequence(block.end());
            continue;
        }
        if (!visible(block)) break;
        if (block.keyed && !block.sorted) {
            // What is ready before it comes first; so this looks no further than it must.
            const auto ready = lane.ready.upper_bound(after);
            const bool ready_first = ready != lane.ready.end() && *ready < position(block, 0);
            if (ready_first || keys_.members() >= kMaxKeyMembers) {
                fresh.until = position(block, 0);
                break;
            }
            if (block.payload) sort_block(block);
        }
        std::uint32_t first = block.index_from(lane.cursor);
        std::uint32_t end = block.count;
        if (block.state) {
            const BlockState& state = *block.state;
            while (first < block.count && (state.done.test(first) || state.held.test(first))) ++first;
            if (first < block.count) end = std::min(state.done.find(first, true), state.held.find(first, true));
        }
        if (first == block.count) {
            lane.cursor = Sequence(block.end());
            leave(block);
            continue;
        }
        fresh.block = &block;
        fresh.first = first;
        fresh.end = block.stretch(first, end);
        if (!origins_.empty()) fresh.end = with_same_origin(block, first, fresh.end);
        fresh.until = position(block, first);
        break;
    }
    return fresh;
}

void Queue::dispatch(TimePoint now) {
    if (!durable()) close_open_blocks();
    if (topic_ != nullptr) return topic_->turn(now);
    bury_dying(now);
    promote_due(now);  // before anything is chosen (E-5)
    const bool all_expired = expire(now);
    bury_expired(now);
    if (record_.paused || !all_expired) return;
    choose(now);
    while (recall_for_urgent()) {
        const std::uint64_t before = choices_;
        choose(now);
        if (choices_ == before && !able_.empty()) break;  // else its consumer holds more than its credit still
    }
    if (!durable() && !holdings_.empty()) ask_for_more();
}

void Queue::choose(TimePoint now) {
    if (filtering_ != 0) return choose_filtered(now);
    allowance_ = UINT64_MAX;
    const std::uint64_t every = record_.settings.oldest_every;
    if (every == 0) return dispatch_by_priority(now);
    std::uint64_t before = choices_ - 1;
    while (choices_ != before) {
        before = choices_;
        allowance_ = every - 1 - choices_ % every;
        if (allowance_ != 0) {
            dispatch_by_priority(now);
        } else if (Lane* oldest = oldest_lane()) {
            allowance_ = 1;
            urgent_again_ = false;
            dispatch_lane(*oldest, now);
        }
    }
}

void Queue::dispatch_by_priority(TimePoint now) {
    for (std::size_t priority = storage::kPriorities; priority-- > 0 && allowance_ != 0;) {
        if (!lanes_[priority]) continue;
        choosing_ = static_cast<storage::LaneId>(priority);
        urgent_again_ = false;
        if (!dispatch_lane(*lanes_[priority], now)) break;
        if (urgent_again_) priority = storage::kPriorities;
    }
    choosing_ = storage::kPriorities;
}

// Where the message with the earliest position is; null if there is none to be delivered.
Lane* Queue::oldest_lane() {
    Lane* oldest = nullptr;
    Position earliest = Fresh().until;
    for (std::size_t priority = 0; priority < storage::kPriorities; ++priority) {
        if (!lanes_[priority]) continue;
        Lane& lane = *lanes_[priority];
        Position first = next_fresh(lane).until;
        if (!lane.ready.empty()) first = std::min(first, *lane.ready.begin());
        if (first < earliest) {
            earliest = first;
            oldest = &lane;
        }
    }
    return oldest;
}

// False if what is less urgent has to wait as well (E-3): nobody takes more now, or what is next is still to be read.
bool Queue::dispatch_lane(Lane& lane, TimePoint now) {
    while (allowance_ != 0 && !urgent_again_ &&
           (!lane.ready.empty() || (!lane.blocks.empty() && lane.cursor.value < lane.blocks.back().end()))) {
        const Fresh fresh = next_fresh(lane);
        const bool ready_first = !lane.ready.empty() &&
                                 (fresh.block == nullptr || *lane.ready.begin() < position(*fresh.block, fresh.first));
        if (!ready_first && fresh.block == nullptr) return true;
        if (!(ready_first ? dispatch_ready(lane, fresh.until, now) : dispatch_fresh(lane, fresh, now))) return false;
    }
    return true;
}

// Moves those whose bodies are in memory by now, and asks for the next body that is not.
void Queue::bury_dying(TimePoint now) {
    for (auto it = dying_.begin(); it != dying_.end();) {
        const Sequence sequence = *it;
        Block* block = find_block(sequence);
        RD_CHECK(block != nullptr);
        if (!block->payload) {
            read_block(*block);
            return;
        }
        it = dying_.erase(it);
        const storage::ReturnedRecord record = returned_.at(sequence);
        forget_returned(sequence);
        bury(*block, block->index_from(sequence), record, now);
    }
}

// One that is ready, and those right behind it that may go with it.
bool Queue::dispatch_ready(Lane& lane, const Position& until, TimePoint now) {
    const Position at = *lane.ready.begin();
    Block* block = find_block(at.sequence);
    RD_CHECK(block != nullptr);
    if (able_.empty()) return false;
    const std::uint32_t index = block->index_from(at.sequence);
    const bool alone = returned_.contains(at.sequence);
    const bool others = block->keyed && unsorted_beside(lane);
    if (others) {
        if (!sort_beside(lane, at)) return false;
        if (lane.ready.empty() || *lane.ready.begin() != at) return true;  // one before it has the same key
    }
    Consumer* consumer = next_consumer();
    if (consumer == nullptr) return false;
    if (!block->payload) {
        read_block(*block);
        return false;
    }
    std::size_t able = able_.size();
    const std::uint64_t share = (lane.ready.size() + able - 1) / able;
    while (fitting(*consumer, *block, index, 1) == 0) {
        if (--able == 0 || (consumer = next_consumer()) == nullptr) return false;
    }
    std::uint32_t end = index + 1;
    const bool frees_key = consumer->ack_on_delivery && block->keyed;  // the next of the key may come before the others
    if (!alone && !others && !frees_key) {
        const std::uint64_t most = std::min<std::uint64_t>({consumer->room(), share, allowance_});
        const std::uint32_t stop = with_same_origin(*block, index, block->stretch(index, block->count));
        for (auto next = std::next(lane.ready.begin());
             end < stop && end - index < most && next != lane.ready.end() && *next == position(*block, end) &&
             *next < until && !returned_.contains(next->sequence);
             ++next) {
            ++end;
        }
        end = index + fitting(*consumer, *block, index, end - index);
    }
    start_ready(lane, *consumer, *block, index, end, now);
    return true;
}

// They are ready, and lie side by side.
void Queue::start_ready(Lane& lane, Consumer& consumer, Block& block, std::uint32_t index, std::uint32_t end,
                        TimePoint now) {
    Run run;
    run.lease = 1;
    run.attempts = 1;
    std::uint64_t key = 0;
    const Sequence sequence = block.sequence(index);
    if (const auto returned = returned_.find(sequence); returned != returned_.end()) {
        const storage::ReturnedRecord& record = returned->second;
        run.lease += record.lease;
        run.attempts += record.attempts;
        run.releases = record.releases;
        run.losses = record.losses;
        key = record.key;
        if (!consumer.explicit_start) forget_returned(sequence);  // else when it begins
    }
    if (key != 0) remember_keys(block);  // it came back before a restart
    for (std::uint32_t i = index; i < end; ++i) {
        if (block.key(i) != 0) keys_.start(block.key(i));
        lane.ready.erase(position(block, i));
    }
    start(consumer, block, index, end, run, now);
}

// How many messages from `first` on fit the consumer's byte credit.
std::uint32_t Queue::fitting(const Consumer& consumer, const Block& block, std::uint32_t first,
                             std::uint32_t count) const {
    if (consumer.credit_bytes == 0) return count;
    const std::uint64_t room =
        consumer.credit_bytes > consumer.held_bytes ? consumer.credit_bytes - consumer.held_bytes : 0;
    std::uint64_t bytes = 0;
    std::uint32_t fits = 0;
    while (fits < count) {
        bytes += message_bytes(*block.payload, first + fits, first + fits + 1);
        if (bytes > room) break;
        ++fits;
    }
    // A message larger than the whole credit still moves, alone.
    return fits == 0 && consumer.held_messages == 0 ? 1 : fits;
}

bool Queue::dispatch_fresh(Lane& lane, const Fresh& fresh, TimePoint now) {
    Consumer* consumer = next_consumer();
    if (consumer == nullptr) return false;
    if (!fresh.block->payload) {
        read_ahead(lane);
        return false;
    }
    // Several consumers share what is there, so that none sits on everything while others wait.
    const std::uint64_t there = std::max<std::uint64_t>(
        messages_ - started_ - buffered_.size() - scheduled_ - waiting_.size() - dying_.size() - damaged_, 1);
    const std::size_t able = able_.size();
    const std::uint64_t share = (there + able - 1) / able;
    std::uint32_t count = 0;
    for (std::size_t tries = able; tries != 0 && consumer != nullptr; --tries) {
        const std::uint64_t most =
            std::min<std::uint64_t>({consumer->room(), fresh.end - fresh.first, share, allowance_});
        count = fitting(*consumer, *fresh.block, fresh.first, static_cast<std::uint32_t>(most));
        if (count != 0) break;
        consumer = next_consumer();
    }
    if (count == 0) return false;
    Run run;
    run.lease = 1;
    run.attempts = 1;
    const std::uint32_t end = fresh.first + count;
    lane.cursor = end == fresh.block->count ? Sequence(fresh.block->end()) : fresh.block->sequence(end);
    start(*consumer, *fresh.block, fresh.first, end, run, now);
    if (end == fresh.block->count) leave(*fresh.block);
    read_ahead(lane);
    return true;
}

void Queue::start(Consumer& consumer, Block& block, std::uint32_t first, std::uint32_t end, Run run, TimePoint now) {
    run.first = first;
    run.count = run.left = end - first;
    run.epoch = shared_.stage.epoch();
    run.bytes_left = message_bytes(*block.payload, first, end);
    choices_ += run.count;
    allowance_ -= run.count;
    delivered_ += run.count;
    shared_.counters.delivered += run.count;
    consumer.held_messages += run.count;
    consumer.held_bytes += run.bytes_left;
    withdraw_full(consumer);
    if (filtering_ != 0) may_want_again(block.sequence(first), block.sequence(end - 1));
    if (consumer.explicit_start) {
        buffer(consumer, block, first, end, run);
    } else if (!consumer.ack_on_delivery) {
        block.touch().held.set(first, end);
        run.lease_end = now + consumer.lease;
        run.started = now;
        run.lsn = durable() ? shared_.stage.lsn() : Lsn(0);
        run.consumer = &consumer;
        insert_run(block, run);
        started_ += run.count;
        mark_dirty(block);
    }
    hand_over(consumer, block, first, run);
    if (consumer.ack_on_delivery) finish_delivered(block, first, end);
}

// Stages what the consumer is to get.
void Queue::hand_over(const Consumer& consumer, const Block& block, std::uint32_t first, const Run& run) {
    Delivery delivery;
    delivery.session = consumer.session;
    delivery.consumer = consumer.number;
    const base::MessageId id = id_of(block, first);
    delivery.queue = id.queue;
    delivery.first_seq = block.sequence(first);
    if (id.sequence != delivery.first_seq) delivery.original_seq = id.sequence;
    delivery.count = run.count;
    delivery.lease = run.lease;
    delivery.attempt = run.attempts;
    delivery.epoch = run.epoch;
    delivery.lease_time = consumer.lease;
    delivery.commit_time_ms = id.commit_time_ms;
    delivery.missed = std::exchange(untold_missed_, 0);
    delivery.payload = block.payload;
    delivery.bytes = message_records(*block.payload, first, first + run.count);
    shared_.outlet.reserve(consumer.session, delivery.bytes.size());
    after_commit(std::move(delivery));
}

// --- time -------------------------------------------------------------------------------------------------------

TimePoint Queue::next_time() const {
    TimePoint next = TimePoint::max();
    if (!leases_.empty()) next = std::min(next, leases_.begin()->first);
    if (!waiting_.empty()) next = std::min(next, waiting_.begin()->first);
    if (!schedule_.empty()) next = std::min(next, from_unix_ms(schedule_.front().due_ms));
    if (!expiring_.empty()) next = std::min(next, from_unix_ms(expiring_.front().expires_ms));
    if (record_.settings.dedup_mode == DedupMode::kWindow) {
        if (const auto oldest = dedup_.oldest_ms()) {
            next = std::min(next, from_unix_ms(*oldest) + record_.settings.dedup_window);
        }
    }
    if (!graces_.empty()) next = std::min(next, graces_.begin()->first);
    if (topic_ != nullptr) next = std::min(next, topic_->next_time());
    return std::min(next, bury_at_);
}

void Queue::on_time(TimePoint now) {
    end_graces(now);
    expire_leases(now);
    remove_unused_consumers();
    promote_due(now);
    if (record_.settings.dedup_mode == DedupMode::kWindow) {
        dedup_.forget_until(to_unix_ms(now - record_.settings.dedup_window));
    }
    expire(now);
    bury_at_ = TimePoint::max();  // dispatch goes on with it
    if (topic_ != nullptr) topic_->on_time(now);
    touch();
}

void Queue::promote_due(TimePoint now) {
    while (!waiting_.empty() && waiting_.begin()->first <= now) {
        const Sequence sequence = waiting_.begin()->second;
        Block* block = find_block(sequence);
        RD_CHECK(block != nullptr);
        const std::uint64_t key = returned_.at(sequence).key;
        waiting_.erase(waiting_.begin());
        join(*block, block->index_from(sequence), key);
        if (key != 0) apply(keys_.end_wait(key));
    }
    promote_scheduled(now);
}

// Messages [first, ...) of a block of scheduled ones have come.
void Queue::schedule(const Block& block, std::uint32_t first) {
    for (std::uint32_t i = first; i < block.count; ++i) {
        schedule_.push_back({(*block.due_ms)[i], block.sequence(i)});
        std::push_heap(schedule_.begin(), schedule_.end(), std::greater<>());
        lane_of(block).note_scheduled(position(block, i));
        ++scheduled_;
    }
}

void Queue::promote_scheduled(TimePoint now) {
    std::erase_if(unborn_, [&](Sequence sequence) { return promote(sequence, now); });
    while (!schedule_.empty() && from_unix_ms(schedule_.front().due_ms) <= now) {
        const Sequence sequence = schedule_.front().sequence;

        std::pop_heap(schedule_.begin(), schedule_.end(), std::greater<>());
        schedule_.pop_back();
        if (!promote(sequence, now)) unborn_.push_back(sequence);
    }
    if (schedule_.empty() && schedule_.capacity() > kKeptSchedule) std::vector<Scheduled>().swap(schedule_);
}

// False if its commit does not hold yet.
bool Queue::promote(Sequence sequence, TimePoint now) {
    Block* block = find_block(sequence);
    if (block == nullptr) return true;
    if (!visible(*block)) return false;
    const std::uint32_t index = block->index_from(sequence);
    if (from_unix_ms((*block->due_ms)[index]) > now) return true;  // it was given another time since
    BlockState& state = block->touch();
    if (state.done.test(index) || state.held.test(index)) return true;
    state.held.set(index);
    --scheduled_;
    join(*block, index, block->key(index));
    return true;
}

void Queue::expire_leases(TimePoint now) {
    while (!leases_.empty() && leases_.begin()->first <= now) {
        Block* block = find_block(leases_.begin()->second);
        RD_CHECK(block != nullptr && block->state);
        std::vector<Run>& runs = block->state->runs;
        for (std::size_t i = 0; i < runs.size();) {
            // The consumer's time begins when it is told, so not before the commit.
            if (runs[i].lsn > shared_.stage.committed() && runs[i].consumer != nullptr) {
                runs[i].lease_end = std::max(runs[i].lease_end, now + runs[i].consumer->lease);
            }
            if (runs[i].lease_end > now) {
                ++i;
                continue;
            }
            const Run part = carve(runs, i, runs[i].first, runs[i].end(), block->state->done);
            shared_.counters.expired_leases += part.left;
            retry(*block, part, "lease_expired", std::nullopt, now);
        }
        index_lease(*block);
    }
}

}  // namespace rockdove::core

// Choosing what goes to whom, the window of blocks in memory, and what time brings. Next on a message's way: the
// delivery staged here leaves through server/net/outbox.h once the start is written.
#include <algorithm>

#include "server/core/queue_runs.h"
#include "storage/keys.h"

namespace rockdove::core {

// --- the window -------------------------------------------------------------------------------------------------

std::size_t Queue::window_limit() const { return attached_ != 0 ? kWindowBytes : kIdleWindowBytes; }

// Decides whether a block just filled stays in memory. Only the blocks right ahead of the consumers do, without a gap:
// what is further back is read when its turn comes.
void Queue::keep_ahead(Block& block) {
    if (!durable()) return;  // has no other place
    const std::size_t size = block.payload->bytes.size();
    const Block* before = blocks_.before_back();
    const bool gap = before != nullptr && !before->payload && !before->gone() && before->end() > cursor_.value;
    const std::size_t limit = window_limit();
    if (gap || ahead_bytes_ + size > limit || shared_.window.ahead + size > kShardWindowBytes) {
        // Always keep the very next block for those who wait for it: a queue whose consumers keep up never reads.
        if (gap || cursor_ < block.first || limit == kIdleWindowBytes) {
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
    if (block.gone()) return;
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

void Queue::start_read(Sequence first, Sequence last, std::size_t max_bytes) {
    if (reading_) return;
    reading_ = true;
    ReadRequest request;
    request.ns = shared_.ns;
    request.queue = id_;
    request.first = first;
    request.last = last;
    request.max_bytes = max_bytes;
    shared_.reader.read(request, [shared = &shared_, id = id_, first](std::vector<ReadBlock> blocks) {
        if (Queue* queue = shared->find(id)) queue->on_read(first, std::move(blocks));
    });
}

void Queue::read_block(const Block& block) { start_read(block.first, block.first, 1); }

void Queue::read_ahead() {
    if (reading_ || !durable()) return;
    const std::size_t limit = window_limit();
    if (ahead_bytes_ > limit / 2) return;
    std::size_t index = blocks_.index_of(cursor_);
    const auto needs_no_read = [](const Block& block) { return block.payload || block.gone() || block.damaged; };
    // Looked at before: a queue of many small blocks is not walked for each delivery. A payload dropped since then is
    // found when the cursor gets there.
    if (index < blocks_.size() && needs_no_read(blocks_[index])) index = std::max(index, blocks_.index_of(read_up_to_));
    while (blocks_.reach(index) && needs_no_read(blocks_[index])) ++index;
    read_up_to_ = index < blocks_.size() ? blocks_[index].first : next_;
    if (index == blocks_.size() || !visible(blocks_[index])) return;
    std::size_t last = index;
    std::size_t bytes = blocks_[index].bytes;
    const std::size_t room = shared_.window.ahead < kShardWindowBytes ? limit - ahead_bytes_ : 1;
    while (bytes < room && blocks_.reach(last + 1) && visible(blocks_[last + 1])) bytes += blocks_[++last].bytes;
    start_read(blocks_[index].first, blocks_[last].first, room);
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
        const std::size_t size = block->payload->bytes.size();
        block->ahead = true;
        ahead_bytes_ += size;
        shared_.window.ahead += size;
        if (block->end() <= cursor_.value) leave(*block);
    }
    touch();
}

// The block cannot be read: its messages stay on disk for inspection, are counted and never delivered.
void Queue::mark_damaged(Block& block) {
    BlockState& state = block.touch();
    block.damaged = true;
    std::uint32_t count = 0;
    for (std::uint32_t i = 0; i < block.count; ++i) {
        const Sequence sequence(block.first.value + i);
        if (state.done.test(i)) continue;
        const auto returned = returned_.find(sequence);
        // Started, its consumer has the body; or counted before.
        if (state.held.test(i) && returned == returned_.end()) continue;
        if (returned != returned_.end()) {
            waiting_.erase({from_unix_ms(returned->second.visible_at_ms), sequence});
            ready_.erase(sequence);
            dying_.erase(sequence);
            returned_.erase(returned);
        }
        state.held.set(i);
        ++count;
    }
    if (count == 0) return;
    damaged_ += count;
    shared_.counters.damaged += count;
    shared_.warn("damaged block: queue=\"" + record_.name + "\" first_seq=" + std::to_string(block.first.value) +
                 " messages=" + std::to_string(count) + ": not delivered, kept on disk for inspection");
}

// --- choosing ---------------------------------------------------------------------------------------------------

Queue::Fresh Queue::next_fresh() {
    Fresh fresh;
    for (std::size_t index = blocks_.index_of(cursor_); blocks_.reach(index); ++index) {
        Block& block = blocks_[index];
        if (block.gone()) continue;
        if (!visible(block)) break;
        std::uint32_t first = cursor_ > block.first ? static_cast<std::uint32_t>(cursor_.value - block.first.value) : 0;
        std::uint32_t end = block.count;
        if (block.state) {
            const BlockState& state = *block.state;
            while (first < block.count && (state.done.test(first) || state.held.test(first))) ++first;
            if (first < block.count) end = std::min(state.done.find(first, true), state.held.find(first, true));
        }
        if (first == block.count) {
            cursor_ = Sequence(block.end());
            leave(block);
            continue;
        }
        fresh.block = &block;
        fresh.first = first;
        fresh.end = end;
        break;
    }
    return fresh;
}

void Queue::dispatch(TimePoint now) {
    if (!durable()) close_open_block();
    bury_dying(now);
    promote_due(now);  // before anything is chosen (E-5)
    if (record_.paused) return;
    while (!ready_.empty() || cursor_ < next_) {
        const Fresh fresh = next_fresh();
        const bool returned_first = !ready_.empty() && (fresh.block == nullptr ||
                                                        ready_.begin()->value < fresh.block->first.value + fresh.first);
        if (returned_first ? !dispatch_returned(now) : fresh.block == nullptr || !dispatch_fresh(fresh, now)) break;
    }
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
        bury(*block, static_cast<std::uint32_t>(sequence.value - block->first.value), record, now);
    }
}

bool Queue::dispatch_returned(TimePoint now) {
    const Sequence sequence = *ready_.begin();
    Block* block = find_block(sequence);
    RD_CHECK(block != nullptr);
    Consumer* consumer = next_consumer();
    if (consumer == nullptr) return false;
    if (!block->payload) {
        read_block(*block);
        return false;
    }
    std::size_t able = able_.size();
    const auto index = static_cast<std::uint32_t>(sequence.value - block->first.value);
    while (fitting(*consumer, *block, index, 1) == 0) {
        if (--able == 0 || (consumer = next_consumer()) == nullptr) return false;
    }
    const storage::ReturnedRecord& record = returned_.at(sequence);
    Run run;
    run.lease = record.lease + 1;
    run.attempts = record.attempts + 1;
    run.releases = record.releases;
    run.losses = record.losses;
    ready_.erase(ready_.begin());
    forget_returned(sequence);
    start(*consumer, *block, index, index + 1, run, now);
    return true;
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

bool Queue::dispatch_fresh(const Fresh& fresh, TimePoint now) {
    Consumer* consumer = next_consumer();
    if (consumer == nullptr) return false;
    if (!fresh.block->payload) {
        read_ahead();
        return false;
    }
    // Several consumers share what is there, so that none sits on everything while others wait.
    const std::uint64_t there = std::max<std::uint64_t>(messages_ - started_, 1);
    const std::size_t able = able_.size();
    const std::uint64_t share = (there + able - 1) / able;
    std::uint32_t count = 0;
    for (std::size_t tries = able; tries != 0 && consumer != nullptr; --tries) {
        const std::uint64_t most = std::min<std::uint64_t>({consumer->room(), fresh.end - fresh.first, share});
        count = fitting(*consumer, *fresh.block, fresh.first, static_cast<std::uint32_t>(most));
        if (count != 0) break;
        consumer = next_consumer();
    }
    if (count == 0) return false;
    Run run;
    run.lease = 1;
    run.attempts = 1;
    const std::uint32_t end = fresh.first + count;
    cursor_ = Sequence(fresh.block->first.value + end);
    start(*consumer, *fresh.block, fresh.first, end, run, now);
    if (end == fresh.block->count) leave(*fresh.block);
    read_ahead();
    return true;
}

void Queue::start(Consumer& consumer, Block& block, std::uint32_t first, std::uint32_t end, Run run, TimePoint now) {
    const std::string_view bytes = message_records(*block.payload, first, end);
    run.first = first;
    run.count = run.left = end - first;
    run.epoch = shared_.stage.epoch();
    run.bytes_left = message_bytes(*block.payload, first, end);
    run.lease_end = now + consumer.lease;
    run.lsn = durable() ? shared_.stage.lsn() : Lsn(0);
    run.consumer = &consumer;
    block.touch().held.set(first, end);
    insert_run(block, run);
    consumer.held_messages += run.count;
    consumer.held_bytes += run.bytes_left;
    withdraw_full(consumer);
    started_ += run.count;
    delivered_ += run.count;
    shared_.counters.delivered += run.count;
    mark_dirty(block);

    Delivery delivery;
    delivery.session = consumer.session;
    delivery.consumer = consumer.number;
    delivery.queue = id_;
    delivery.first_seq = Sequence(block.first.value + first);
    delivery.count = run.count;
    delivery.lease = run.lease;
    delivery.attempt = run.attempts;
    delivery.epoch = run.epoch;
    delivery.lease_time = consumer.lease;
    delivery.commit_time_ms = block.commit_time_ms;
    delivery.payload = block.payload;
    delivery.bytes = bytes;
    shared_.outlet.reserve(consumer.session, bytes.size());
    after_commit(std::move(delivery));
}

// --- time -------------------------------------------------------------------------------------------------------

TimePoint Queue::next_time() const {
    TimePoint next = TimePoint::max();
    if (!leases_.empty()) next = std::min(next, leases_.begin()->first);
    if (!waiting_.empty()) next = std::min(next, waiting_.begin()->first);
    if (!graces_.empty()) next = std::min(next, graces_.begin()->first);
    return next;
}

void Queue::on_time(TimePoint now) {
    end_graces(now);
    expire_leases(now);
    remove_unused_consumers();
    promote_due(now);
    touch();
}

void Queue::promote_due(TimePoint now) {
    while (!waiting_.empty() && waiting_.begin()->first <= now) {
        ready_.insert(waiting_.begin()->second);
        waiting_.erase(waiting_.begin());
    }
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

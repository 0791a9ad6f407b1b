// Consumers with explicit_start: what they get waits in their buffer, without lease and attempt, until they say that they
// begin (SEMANTICS C-2, C-3). Nothing of a buffer is stored: after a restart its messages are ready.
#include <iterator>
#include <tuple>

#include "server/core/queue_runs.h"

namespace rockdove::core {

namespace {

// Whether `run`, of one message, is nothing but one more of the run before it.
bool goes_with(const Run& before, const Run& run) {
    const auto same = [](const Run& a) {
        return std::tie(a.lease, a.attempts, a.releases, a.losses, a.epoch, a.lease_end, a.started, a.lsn, a.consumer);
    };
    return before.end() == run.first && same(before) == same(run);
}

}  // namespace

Queue::BufferedPlace Queue::buffered_place(const Block& block, std::uint32_t index) const {
    return {static_cast<storage::LaneId>(block.lane % storage::kPriorities), position(block, index)};
}

// `run` becomes what the consumer is told.
void Queue::buffer(Consumer& consumer, Block& block, std::uint32_t first, std::uint32_t end, Run& run) {
    run.lease = kBufferedBit | (++last_buffered_ & (kBufferedBit - 1));
    block.touch().held.set(first, end);
    for (std::uint32_t i = first; i < end; ++i) {
        Buffered one;
        one.consumer = &consumer;
        one.number = run.lease;
        one.bytes = static_cast<std::uint32_t>(message_bytes(*block.payload, i, i + 1));
        buffered_.emplace(block.sequence(i), one);
        buffered_places_.insert(buffered_place(block, i));
    }
    consumer.buffered += end - first;
}

// Out of the buffer. `held`: it stays in its consumer's hands, started.
Queue::Buffer::iterator Queue::leave_buffer(Block& block, std::uint32_t index, Buffer::iterator it, bool held) {
    Consumer& consumer = *it->second.consumer;
    --consumer.buffered;
    if (!held) {
        --consumer.held_messages;
        consumer.held_bytes -= it->second.bytes;
        offer(consumer);
        touch();
    }
    buffered_places_.erase(buffered_place(block, index));
    return buffered_.erase(it);
}

// As if it had never been there.
Queue::Buffer::iterator Queue::unbuffer(Buffer::iterator it) {
    const Sequence sequence = it->first;
    Block* block = find_block(sequence);
    RD_CHECK(block != nullptr);
    const std::uint32_t index = block->index_from(sequence);
    it = leave_buffer(*block, index, it, false);
    join(*block, index, block->key(index));
    stop_key(*block, index);
    return it;
}

// Of a consumer that has gone, or comes anew: nobody is told.
void Queue::unbuffer_all_of(const Consumer& consumer) {
    if (!consumer.explicit_start) return;
    for (auto it = buffered_.begin(); it != buffered_.end();) {
        it = it->second.consumer == &consumer ? unbuffer(it) : std::next(it);
    }
}

// --- recall -----------------------------------------------------------------------------------------------------

void Queue::tell_recall(Sequence sequence, const Buffered& buffered) {
    Recall recall;
    recall.session = buffered.consumer->session;
    recall.consumer = buffered.consumer->number;
    recall.range.first = recall.range.last = sequence;
    recall.range.epoch = shared_.stage.epoch();
    recall.range.lease = buffered.number;
    after_commit(recall);
}

// It leaves the queue, or is counted as damaged. False if no consumer has it in its buffer.
bool Queue::recall(Block& block, std::uint32_t index) {
    if (buffered_.empty()) return false;
    const auto it = buffered_.find(block.sequence(index));
    if (it == buffered_.end()) return false;
    tell_recall(it->first, it->second);
    leave_buffer(block, index, it, false);
    stop_key(block, index);
    return true;
}

void Queue::recall_all() {
    for (auto it = buffered_.begin(); it != buffered_.end();) {
        tell_recall(it->first, it->second);
        it = unbuffer(it);
    }
}

// Where the message is that would be delivered next from the lane; null if there is none.
const Block* Queue::next_of(Lane& lane) {
    for (;;) {
        const Fresh fresh = next_fresh(lane);
        if (lane.ready.empty() || fresh.until < *lane.ready.begin()) return fresh.block;
        const Position at = *lane.ready.begin();
        const Block* block = find_block(at.sequence);
        if (!block->keyed || !unsorted_beside(lane)) return block;
        if (!sort_beside(lane, at)) return nullptr;  // what may come before it in its key is being read
        if (!lane.ready.empty() && *lane.ready.begin() == at) return block;
    }
}

// When something urgent waits for want of credit, the least urgent message that only waits in a buffer makes room for it.
// False if there is no such thing.
bool Queue::recall_for_urgent() {
    if (buffered_places_.empty() || !able_.empty() || filtering_ != 0) return false;
    if (record_.settings.oldest_every != 0) return false;  // there the less urgent have a share of their own
    const BufferedPlace least = *buffered_places_.begin();
    bool urgent = false;
    for (std::size_t priority = storage::kPriorities; !urgent && priority-- > least.priority + 1U;) {
        if (!lanes_[priority]) continue;
        const Block* next = next_of(*lanes_[priority]);
        if (next == nullptr) continue;
        if (!next->payload) return false;  // it is being read
        urgent = true;
    }
    if (!urgent) return false;
    const auto it = buffered_.find(least.position.sequence);
    RD_CHECK(it != buffered_.end());
    const Consumer& consumer = *it->second.consumer;
    if (consumer.room() != 0 || !shared_.outlet.has_room(consumer.session)) return false;
    tell_recall(it->first, it->second);
    unbuffer(it);
    return true;
}

// --- what the consumer says ---------------------------------------------------------------------------------------

StartReply Queue::begin(Consumer& consumer, const std::vector<LeaseRange>& ranges, TimePoint now) {
    StartReply reply;
    reply.session = consumer.session;
    reply.lease = consumer.lease;
    for (const LeaseRange& range : ranges) {
        HeldParts held(range);
        for (auto it = buffered_.lower_bound(range.first); it != buffered_.end() && it->first <= range.last;) {
            const Sequence sequence = it->first;
            Block* block = find_block(sequence);
            RD_CHECK(block != nullptr);
            const std::uint32_t index = block->index_from(sequence);
            const std::int64_t expires = block->expiry_ms(index);
            const bool expired = expires != 0 && expires <= to_unix_ms(now);  // it is about to be recalled
            if (expired || !is_named(range, *it, consumer)) {
                ++it;
                continue;
            }
            const Run run = begin_one(*block, index, it->second, now);
            it = leave_buffer(*block, index, it, true);
            held.add(sequence, Sequence(sequence.value + 1));
            const bool follows = !reply.started.empty() && reply.started.back().range.lease == run.lease &&
                                 reply.started.back().range.last.value + 1 == sequence.value &&
                                 reply.started.back().attempt == run.attempts;
            if (follows) {
                reply.started.back().range.last = sequence;
            } else {
                reply.started.push_back({{sequence, sequence, run.epoch, run.lease}, run.attempts});
            }
        }
        held.add_stale_to(reply.stale);
    }
    return reply;
}

bool Queue::is_named(const LeaseRange& range, const Buffer::value_type& one, const Consumer& consumer) const {
    return one.second.consumer == &consumer && one.second.number == range.lease &&
           range.epoch == shared_.stage.epoch() && range.first <= one.first && one.first <= range.last;
}

// As a run of its own, or as the end of the one before it. Returns the run as it would be alone.
Run Queue::begin_one(Block& block, std::uint32_t index, const Buffered& buffered, TimePoint now) {
    Run run;
    run.first = index;
    run.count = run.left = 1;
    run.lease = run.attempts = 1;
    run.epoch = shared_.stage.epoch();
    run.bytes_left = buffered.bytes;
    run.lease_end = now + buffered.consumer->lease;
    run.started = now;
    run.lsn = durable() ? shared_.stage.lsn() : Lsn(0);
    run.consumer = buffered.consumer;
    const Sequence sequence = block.sequence(index);
    if (const auto returned = returned_.find(sequence); returned != returned_.end()) {
        run.lease += returned->second.lease;
        run.attempts += returned->second.attempts;
        run.releases = returned->second.releases;
        run.losses = returned->second.losses;
        forget_returned(sequence);
    }
    ++started_;
    mark_dirty(block);
    std::vector<Run>& runs = block.state->runs;
    const std::size_t behind = first_run(runs, index);
    if (behind != 0 && goes_with(runs[behind - 1], run)) {
        Run& before = runs[behind - 1];
        ++before.count;
        ++before.left;
        before.bytes_left += run.bytes_left;
    } else {
        insert_run(block, run);
    }
    return run;
}

// Gives back what it has in its buffer, uncounted. Returns how many messages that are.
std::uint64_t Queue::unbuffer_held(Consumer& consumer, const LeaseRange& range, HeldParts& held) {
    std::uint64_t count = 0;
    for (auto it = buffered_.lower_bound(range.first); it != buffered_.end() && it->first <= range.last;) {
        if (!is_named(range, *it, consumer)) {
            ++it;
            continue;
        }
        held.add(it->first, Sequence(it->first.value + 1));
        it = unbuffer(it);
        ++count;
    }
    return count;
}

}  // namespace rockdove::core

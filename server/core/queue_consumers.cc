// Who receives from a queue, and whose turn it is. Dispatch (queue_dispatch.cc) costs the same with ten waiting
// consumers and with ten thousand: those that can take more stand in a list, and only its front is looked at.
#include <algorithm>
#include <utility>

#include "server/core/queue_runs.h"

namespace rockdove::core {

Consumer& Queue::attach(std::string_view name, SessionId session, std::uint64_t number,
                        const std::vector<LeaseRange>& held, TimePoint now, std::vector<LeaseRange>* still_held) {
    Consumer* known = find_consumer(name);
    if (known == nullptr) {
        consumers_.push_back(std::make_unique<Consumer>());
        Consumer& consumer = *consumers_.back();
        consumer.name = name;
        consumer.queue = this;
        consumer.session = session;
        consumer.number = number;
        ++attached_;
        touch();
        return consumer;
    }
    Consumer& consumer = *known;
    if (!consumer.attached()) ++attached_;
    let_go_of_unstarted(consumer);
    set_ways(consumer, false, false, {});
    consumer.session = session;
    consumer.number = number;
    graces_.erase({consumer.grace_end, &consumer});
    consumer.grace_end = TimePoint::max();
    // Keeps what the client names. The rest it does not know of any more: lost, since the message may be what ended it.
    std::vector<std::pair<Sequence, Run>> kept;
    for_held(consumer, held, [&](Block& block, std::size_t run_index, std::uint32_t first, std::uint32_t end) {
        std::vector<Run>& runs = block.state->runs;
        Run part = carve(runs, run_index, first, end, block.state->done);
        for (std::uint32_t i = first, stop = 0; i < end; i = stop) {
            stop = block.stretch(i, end);
            LeaseRange range;
            range.first = block.sequence(i);
            range.last = block.sequence(stop - 1);
            range.epoch = part.epoch;
            range.lease = part.lease;
            still_held->push_back(range);
        }
        kept.emplace_back(block.first, part);
    });
    for_runs_of(consumer, [&](Block& block, const Run& part) { lose(block, part, now); });
    for (const auto& [first, run] : kept) {
        Block* block = find_block(first);
        insert_run(*block, run);
        mark_dirty(*block);
    }
    touch();
    return consumer;
}

void Queue::detach(Consumer& consumer, bool clean, TimePoint now) {
    --attached_;
    consumer.session = SessionId(0);
    consumer.credit_messages = 0;
    let_go_of_unstarted(consumer);
    set_ways(consumer, false, false, {});
    if (std::exchange(consumer.listed, false)) std::erase(able_, &consumer);
    if (clean) {
        for_runs_of(consumer, [&](Block& block, const Run& part) { give_back(block, part, now); });
    } else {
        consumer.grace_end = now + record_.settings.reconnect_grace;
        graces_.emplace(consumer.grace_end, &consumer);
    }
    touch();
    remove_unused_consumers();
}

void Queue::set_ways(Consumer& consumer, bool explicit_start, bool ack_on_delivery, MessagePredicate filter) {
    consumer.explicit_start = explicit_start;
    consumer.ack_on_delivery = ack_on_delivery;
    if (consumer.filter) --filtering_;
    if (filter) ++filtering_;
    consumer.filter = std::move(filter);
    consumer.unwanted.clear();
}

// What it has not begun is ready again, and what was done when it got it is no concern of its credit any more.
void Queue::let_go_of_unstarted(Consumer& consumer) {
    unbuffer_all_of(consumer);
    if (consumer.ack_on_delivery) consumer.held_messages = consumer.held_bytes = 0;
}

// Detached ones that hold nothing have nothing to come back to.
void Queue::remove_unused_consumers() {
    if (attached_ == consumers_.size()) return;
    std::erase_if(consumers_, [this](const auto& owned) {
        if (owned->attached() || owned->held_messages != 0) return false;
        graces_.erase({owned->grace_end, owned.get()});
        return true;
    });
}

void Queue::end_graces(TimePoint now) {
    while (!graces_.empty() && graces_.begin()->first <= now) {
        Consumer& consumer = *graces_.begin()->second;
        graces_.erase(graces_.begin());
        consumer.grace_end = TimePoint::max();
        for_runs_of(consumer, [&](Block& block, const Run& part) { lose(block, part, now); });
    }
}

Consumer* Queue::find_consumer(std::string_view name) const {
    const auto it = std::find_if(consumers_.begin(), consumers_.end(),
                                 [&](const auto& consumer) { return consumer->name == name; });
    return it == consumers_.end() ? nullptr : it->get();
}

void Queue::set_credit(Consumer& consumer, std::uint32_t messages, std::uint64_t bytes) {
    consumer.credit_messages = messages;
    consumer.credit_bytes = bytes;
    on_room(consumer);
}

void Queue::on_room(Consumer& consumer) {
    offer(consumer);
    touch();
}

// Whenever a consumer may have become able to take more.
void Queue::offer(Consumer& consumer) {
    if (consumer.listed || !consumer.attached() || consumer.room() == 0) return;
    consumer.listed = true;
    able_.push_back(&consumer);
}

// After a delivery: next_consumer() has put it at the end.
void Queue::withdraw_full(Consumer& consumer) {
    if (consumer.room() != 0 || able_.empty() || able_.back() != &consumer) return;
    able_.pop_back();
    consumer.listed = false;
}

// In turn; none if nobody can take more. One whose session has no room comes back by on_room().
Consumer* Queue::next_consumer() {
    while (!able_.empty()) {
        Consumer& consumer = *able_.front();
        able_.pop_front();
        if (consumer.attached() && consumer.room() != 0 && shared_.outlet.has_room(consumer.session)) {
            able_.push_back(&consumer);
            return &consumer;
        }
        consumer.listed = false;
    }
    return nullptr;
}

void Queue::close_consumers(const Error& why) {
    for (const auto& consumer : consumers_) {
        if (consumer->attached()) shared_.outlet.consumer_closed(consumer->session, consumer->number, why);
    }
}

}  // namespace rockdove::core

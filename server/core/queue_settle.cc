// What becomes of started messages: acked, put back, dead (SEMANTICS section 7).
#include <algorithm>
#include <cmath>

#include "server/core/queue_runs.h"
#include "storage/keys.h"

namespace rockdove::core {

// --- runs -------------------------------------------------------------------------------------------------------

void Queue::insert_run(Block& block, Run run) {
    BlockState& state = block.touch();
    state.runs.insert(state.runs.begin() + static_cast<std::ptrdiff_t>(first_run(state.runs, run.first)), run);
    index_lease(block);
}

// Keeps leases_ true for the block; to be called after its runs have changed.
void Queue::index_lease(Block& block) {
    TimePoint earliest = TimePoint::max();
    if (block.state) {
        for (const Run& run : block.state->runs) earliest = std::min(earliest, run.lease_end);
    }
    if (!block.state || block.state->next_lease_end == earliest) return;
    if (block.state->next_lease_end != TimePoint::max()) leases_.erase({block.state->next_lease_end, block.first});
    block.state->next_lease_end = earliest;
    if (earliest != TimePoint::max()) leases_.emplace(earliest, block.first);
    touch();
}

// `count` messages of the run are no longer in its consumer's hands; takes their share of its credit.
void Queue::unhold(Run& run, std::uint32_t count) {
    const std::uint64_t bytes = run.left == 0 ? 0 : run.bytes_left * count / run.left;
    run.consumer->held_messages -= count;
    run.consumer->held_bytes -= bytes;
    offer(*run.consumer);
    run.bytes_left -= bytes;
    run.left -= count;
    started_ -= count;
}

// --- settling ---------------------------------------------------------------------------------------------------

SettleReply Queue::settle(Consumer& consumer, Outcome outcome, const std::vector<LeaseRange>& ranges,
                          std::string_view reason, std::optional<Millis> after, TimePoint now) {
    if (consumer.ack_on_delivery) return take_note(consumer, outcome, ranges);
    const bool buffered_too = consumer.explicit_start && outcome == Outcome::kRelease;
    SettleReply reply = for_held(
        consumer, ranges,
        [&](Block& block, std::size_t run_index, std::uint32_t first, std::uint32_t end) {
            if (outcome == Outcome::kAck) {
                ack(block, run_index, first, end);
                return;
            }
            const Run part = carve(block.state->runs, run_index, first, end, block.state->done);
            if (outcome == Outcome::kRetry) {
                retry(block, part, reason, after, now);
            } else if (outcome == Outcome::kRelease) {
                release(block, part, after, now);
            } else {
                Run rejected = part;
                unhold(rejected, rejected.left);
                for (std::uint32_t i = first; i < end; ++i) {
                    storage::ReturnedRecord record;
                    record.attempts = part.attempts;
                    record.lease = part.lease;
                    record.last_error = reason;
                    record.last_consumer = consumer.name;
                    record.duration_ms = ran_ms(part, now);
                    give_up(block, i, std::move(record), storage::DeathReason::kRejected, now);
                }
            }
        },
        buffered_too);
    touch();  // its credit is free again
    return reply;
}

// Of a consumer whose deliveries are done already (S-6): an ack only makes room for more.
SettleReply Queue::take_note(Consumer& consumer, Outcome outcome, const std::vector<LeaseRange>& ranges) {
    SettleReply reply;
    reply.session = consumer.session;
    for (const LeaseRange& range : ranges) {
        const std::uint64_t count = std::min(range.last.value - range.first.value + 1, consumer.held_messages);
        if (outcome != Outcome::kAck || count == 0) {
            reply.stale.push_back(range);
            continue;
        }
        const std::uint64_t bytes = consumer.held_bytes * count / consumer.held_messages;
        consumer.held_messages -= count;
        consumer.held_bytes -= bytes;
        reply.count += count;
    }
    if (reply.count != 0) consumer.queue->on_room(consumer);
    return reply;
}

// Its consumer gets it, and that is all there is to it (S-6).
void Queue::finish_delivered(Block& block, std::uint32_t first, std::uint32_t end) {
    BlockState& state = block.touch();
    state.done.set(first, end);
    state.held.reset(first, end);
    if (block.keys) {
        for (std::uint32_t i = first; i < end; ++i) stop_key(block, i);
    }
    if (!origins_.empty()) forget_origins(block, first, end);
    account_done(block, end - first);
    acked_ += end - first;
    shared_.counters.acked += end - first;
}

SettleReply Queue::extend(Consumer& consumer, const std::vector<LeaseRange>& ranges, Millis lease, TimePoint now) {
    SettleReply reply =
        for_held(consumer, ranges, [&](Block& block, std::size_t run_index, std::uint32_t first, std::uint32_t end) {
            std::vector<Run>& runs = block.state->runs;
            Run part = carve(runs, run_index, first, end, block.state->done);
            part.lease_end = now + lease;
            runs.insert(runs.begin() + static_cast<std::ptrdiff_t>(first_run(runs, part.first)), part);
        });
    reply.extended = true;
    return reply;
}

void Queue::ack(Block& block, std::size_t run_index, std::uint32_t first, std::uint32_t end) {
    BlockState& state = *block.state;
    const std::uint32_t count = end - first;
    unhold(state.runs[run_index], count);
    if (state.runs[run_index].left == 0) state.runs.erase(state.runs.begin() + static_cast<std::ptrdiff_t>(run_index));
    state.done.set(first, end);
    state.held.reset(first, end);
    if (block.keys) {
        for (std::uint32_t i = first; i < end; ++i) stop_key(block, i);
    }
    if (!origins_.empty()) forget_origins(block, first, end);
    account_done(block, count);
    acked_ += count;
    shared_.counters.acked += count;
}

void Queue::retry(Block& block, const Run& part, std::string_view reason, std::optional<Millis> after, TimePoint now) {
    Run run = part;
    const std::string consumer = run.consumer->name;
    unhold(run, run.left);
    const Millis wait = after ? std::clamp(*after, Millis(0), record_.settings.max_retry_delay) : backoff(run.attempts);
    for (std::uint32_t i = run.first; i < run.end(); ++i) {
        if (block.state->done.test(i)) continue;
        storage::ReturnedRecord record;
        record.attempts = run.attempts;
        record.lease = run.lease;
        record.releases = run.releases;
        record.losses = run.losses;
        record.last_error = reason.substr(0, kMaxErrorText);
        record.last_consumer = consumer;
        std::optional<storage::DeathReason> death = hopeless(block, i, now + wait, now);
        if (death != storage::DeathReason::kExpired && run.attempts >= max_attempts(block, i)) {
            death = storage::DeathReason::kMaxAttempts;
        }
        if (death) {
            record.duration_ms = ran_ms(run, now);
            give_up(block, i, std::move(record), *death, now);
        } else {
            record.visible_at_ms = to_unix_ms(now + wait);
            ++retried_;
            ++shared_.counters.retried;
            put_back(block, i, std::move(record), now);
        }
    }
}

// Its consumer has not come back within the grace: a retry, the first time without a wait.
void Queue::lose(Block& block, const Run& part, TimePoint now) {
    Run run = part;
    ++run.losses;
    retry(block, run, "consumer_lost", part.losses == 0 ? std::optional<Millis>(Millis(0)) : std::nullopt, now);
}

void Queue::release(Block& block, const Run& part, std::optional<Millis> after, TimePoint now) {
    Run run = part;
    const std::string consumer = run.consumer->name;
    unhold(run, run.left);
    const Millis wait = std::clamp(after.value_or(Millis(0)), Millis(0), record_.settings.max_retry_delay);
    for (std::uint32_t i = run.first; i < run.end(); ++i) {
        if (block.state->done.test(i)) continue;
        storage::ReturnedRecord record;
        record.attempts = run.attempts - 1;
        record.lease = run.lease;
        record.releases = run.releases + 1;
        record.losses = run.losses;
        record.last_consumer = consumer;
        if (record.releases > record_.settings.max_releases) {
            record.last_error = "released " + std::to_string(record.releases) + " times";
            record.duration_ms = ran_ms(run, now);
            give_up(block, i, std::move(record), storage::DeathReason::kMaxReleases, now);
        } else if (const auto death = hopeless(block, i, now + wait, now)) {
            record.duration_ms = ran_ms(run, now);
            give_up(block, i, std::move(record), *death, now);
        } else {
            record.visible_at_ms = to_unix_ms(now + wait);
            ++shared_.counters.released;
            put_back(block, i, std::move(record), now);
        }
    }
}

// As if it had not been started, but for the lease number, which only grows.
void Queue::give_back(Block& block, const Run& part, TimePoint now) {
    Run run = part;
    const std::string consumer = run.consumer->name;
    unhold(run, run.left);
    for (std::uint32_t i = run.first; i < run.end(); ++i) {
        if (block.state->done.test(i)) continue;
        storage::ReturnedRecord record;
        record.attempts = run.attempts - 1;
        record.lease = run.lease;
        record.releases = run.releases;
        record.losses = run.losses;
        record.visible_at_ms = to_unix_ms(now);
        record.last_consumer = consumer;
        if (const auto death = hopeless(block, i, now, now)) {
            give_up(block, i, std::move(record), *death, now);
        } else {
            put_back(block, i, std::move(record), now);
        }
    }
}

void Queue::put_back(Block& block, std::uint32_t index, storage::ReturnedRecord record, TimePoint now) {
    const Sequence sequence = block.sequence(index);
    const TimePoint visible_at = from_unix_ms(record.visible_at_ms);
    const std::uint64_t key = block.key(index);
    record.lane = block.lane;
    record.key = key;
    if (durable()) {
        shared_.stage.writes().put(storage::returned_key(shared_.ns, id_, sequence), record.encode());
    }
    returned_.insert_or_assign(sequence, std::move(record));
    if (visible_at <= now) {
        join(block, index, key);
    } else {
        waiting_.emplace(visible_at, sequence);
        if (key != 0) apply(keys_.begin_wait(key));
    }
    stop_key(block, index);
    mark_dirty(block);
}

void Queue::forget_returned(Sequence sequence) {
    returned_.erase(sequence);
    if (durable()) shared_.stage.writes().remove(storage::returned_key(shared_.ns, id_, sequence));
}

Millis Queue::backoff(std::uint32_t attempts) const {
    const QueueSettings& s = record_.settings;
    if (s.backoff_first == Millis(0)) return Millis(0);  // times infinity it would be no number
    const double grown =
        static_cast<double>(s.backoff_first.count()) * std::pow(s.backoff_factor, std::max(attempts, 1U) - 1);
    const double capped = std::min(grown, static_cast<double>(s.backoff_longest.count()));
    const double jitter = 1.0 + s.backoff_jitter * (2.0 * shared_.random() - 1.0);
    return Millis(static_cast<std::int64_t>(capped * jitter));
}

// How long its consumer has had it.
std::uint64_t Queue::ran_ms(const Run& run, TimePoint now) {
    if (run.started == TimePoint() || run.started > now) return 0;
    return static_cast<std::uint64_t>((now - run.started).count());
}

// --- death ------------------------------------------------------------------------------------------------------

// A started message, whose key goes on, or stops here (L-3). T-4: expiry never stops it.
void Queue::give_up(Block& block, std::uint32_t index, storage::ReturnedRecord record, storage::DeathReason reason,
                    TimePoint now) {
    const std::uint64_t key = block.key(index);
    const bool expired = reason == storage::DeathReason::kExpired || reason == storage::DeathReason::kExpiredInRetry;
    if (key != 0 && !expired && record_.settings.key_on_dead == KeyOnDead::kPause) pause_key(block, index, key, now);
    die(block, index, std::move(record), reason, now);
    stop_key(block, index);
}

// The message is held (not in a run any more). Its body moves in the same commit; if it has to be read first, the
// decision is stored and the move follows.
void Queue::die(Block& block, std::uint32_t index, storage::ReturnedRecord record, storage::DeathReason reason,
                TimePoint now) {
    if (reason == storage::DeathReason::kExpired || reason == storage::DeathReason::kExpiredInRetry) {
        ++expired_;
        ++shared_.counters.expired;
        if (record_.settings.on_expire == OnExpire::kDrop) return drop(block, index);
    }
    ++died_;
    ++shared_.counters.died;
    record.dying = reason;
    record.visible_at_ms = to_unix_ms(now);  // when it died
    record.last_error.resize(std::min(record.last_error.size(), kMaxErrorText));
    if (block.payload) {
        bury(block, index, record, now);
        return;
    }
    const Sequence sequence = block.sequence(index);
    record.lane = block.lane;
    shared_.stage.writes().put(storage::returned_key(shared_.ns, id_, sequence), record.encode());
    returned_.insert_or_assign(sequence, std::move(record));
    dying_.insert(sequence);
    mark_dirty(block);
}

// Gone without a trace.
void Queue::drop(Block& block, std::uint32_t index) {
    forget_origins(block, index, index + 1);
    block.state->done.set(index);
    block.state->held.reset(index);
    account_done(block, 1);
}

}  // namespace rockdove::core

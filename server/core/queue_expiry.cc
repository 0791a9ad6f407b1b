// Messages whose time is over (SEMANTICS section 8). A block knows when the first of its messages expires, so nothing
// is asked of a message before that; bodies are touched only for dead letters that will be kept.
#include <algorithm>

#include "server/core/queue.h"

namespace rockdove::core {

namespace {

// Per turn, so that a million that expire together do not stop everything else.
constexpr std::uint32_t kExpiredPerTurn = 100'000;
constexpr std::uint32_t kExpiringBlocksPerTurn = 10'000;
constexpr std::size_t kBuriedBytesPerTurn = 4 << 20;
// While so many expire in one turn, burying waits for the end of that: those behind them may push them out of the dead
// letters, and then they need not be read and written. Unless too many wait already.
constexpr std::uint32_t kManyExpired = 1'000;
constexpr Millis kBuryPause{200};
constexpr std::uint64_t kMostLeaving = 1'000'000;

}  // namespace

// Of the message that was just added to the block.
bool Queue::set_limits(Block& block, std::uint32_t index, const base::MessageTraits& traits) {
    const std::int64_t asked = traits.expiry_ms(block.commit_time_ms);
    std::int64_t expires = asked;
    bool lowered = false;
    if (const std::int64_t ttl = record_.settings.ttl.count(); ttl != 0) {
        const std::int64_t most = std::max(block.commit_time_ms, traits.due_ms(block.commit_time_ms)) + ttl;
        expires = asked == 0 ? most : std::min(asked, most);
        lowered = asked != 0 && most < asked;
    }
    if (!block.limits) {
        if (expires == 0 && traits.max_attempts == 0) return lowered;
        block.limits = std::make_unique<Limits>();
    }
    block.limits->add(index, expires, traits.max_attempts);
    return lowered;
}

void Queue::watch_expiry(const Block& block) {
    if (!block.limits) return;
    std::int64_t earliest = 0;
    for (const std::int64_t expires : block.limits->expires_ms) {
        if (expires != 0 && (earliest == 0 || expires < earliest)) earliest = expires;
    }
    if (earliest == 0) return;
    expiring_.push_back({earliest, block.lane, block.first});
    std::push_heap(expiring_.begin(), expiring_.end(), std::greater<>());
}

// False if there is more to do in another turn; until then nothing may be delivered.
bool Queue::expire(TimePoint now) {
    const std::int64_t now_ms = to_unix_ms(now);
    std::uint32_t expired = 0;
    std::uint32_t blocks = 0;
    const auto expire_one = [&](const Expiring& next) {
        BlockList& list = lane(next.lane).blocks;
        list.reach(next.block);
        const std::size_t index = list.index_of(next.block);
        if (index == list.size() || list[index].first != next.block || list[index].gone()) return true;
        if (!visible(list[index])) return false;
        expired += expire_block(list[index], now);
        return true;
    };
    std::erase_if(unborn_expiring_, expire_one);
    while (!expiring_.empty() && expiring_.front().expires_ms <= now_ms) {
        if (expired >= kExpiredPerTurn || blocks++ == kExpiringBlocksPerTurn) {
            bury_not_before_ = now + kBuryPause;
            return false;
        }
        const Expiring next = expiring_.front();
        std::pop_heap(expiring_.begin(), expiring_.end(), std::greater<>());
        expiring_.pop_back();
        if (!expire_one(next)) unborn_expiring_.push_back(next);
    }
    if (expired >= kManyExpired) bury_not_before_ = now + kBuryPause;
    if (expiring_.empty() && expiring_.capacity() > kKeptSchedule) std::vector<Expiring>().swap(expiring_);
    return true;
}

// Those that are started stay with their consumer (T-2); the others go, wherever they stand (T-1).
std::uint32_t Queue::expire_block(Block& block, TimePoint now) {
    const std::int64_t now_ms = to_unix_ms(now);
    BlockState& state = block.touch();
    std::int64_t next = 0;
    std::vector<std::uint32_t> untouched;  // never started
    std::uint32_t count = 0;
    for (std::uint32_t i = 0; i < block.count; ++i) {
        const std::int64_t expires = block.expiry_ms(i);
        if (expires == 0 || state.done.test(i) || block.is_leaving(i)) continue;
        if (expires > now_ms) {
            next = next == 0 ? expires : std::min(next, expires);
            continue;
        }
        const Sequence sequence = block.sequence(i);
        if (!take_out(block, i)) continue;
        const auto returned = returned_.find(sequence);
        if (returned != returned_.end()) {
            storage::ReturnedRecord record = std::move(returned->second);
            forget_returned(sequence);
            die(block, i, std::move(record), storage::DeathReason::kExpired, now);
            ++count;
            continue;
        }
        untouched.push_back(i);
    }
    expire_messages(block, untouched);
    count += static_cast<std::uint32_t>(untouched.size());
    if (next != 0) {
        expiring_.push_back({next, block.lane, block.first});
        std::push_heap(expiring_.begin(), expiring_.end(), std::greater<>());
    }
    return count;
}

void Queue::expire_messages(Block& block, const std::vector<std::uint32_t>& indexes) {
    if (indexes.empty()) return;
    BlockState& state = *block.state;
    const auto count = static_cast<std::uint32_t>(indexes.size());
    expired_ += count;
    shared_.counters.expired += count;
    if (record_.settings.on_expire == OnExpire::kDrop) {
        for (const std::uint32_t i : indexes) {
            forget_origins(block, i, i + 1);
            state.done.set(i);
            state.held.reset(i);
        }
        account_done(block, count);
        return;
    }
    send_off(block, indexes);
}

// They are as good as dead: out of the depth at once; their bodies follow (bury_expired).
void Queue::send_off(Block& block, const std::vector<std::uint32_t>& indexes) {
    BlockState& state = block.touch();
    const auto count = static_cast<std::uint32_t>(indexes.size());
    died_ += count;
    shared_.counters.died += count;
    if (!state.leaving) state.leaving = std::make_unique<Bits>(block.count);
    for (const std::uint32_t i : indexes) {
        state.leaving->set(i);
        state.held.set(i);
    }
    const std::uint64_t before = block.bytes_left();
    block.leaving += count;
    messages_ -= count;
    bytes_ -= before - block.bytes_left();
    leaving_messages_ += count;
    leaving_.emplace(block.first, block.lane);
    mark_dirty(block);
}

// Its body has been moved, or is not wanted.
void Queue::settle_leaving(Block& block, std::uint32_t index) {
    forget_origins(block, index, index + 1);
    block.state->leaving->reset(index);
    if (block.state->pushed_out) block.state->pushed_out->reset(index);
    block.state->held.reset(index);
    block.state->done.set(index);
    --block.leaving;
    ++block.done;
    --leaving_messages_;
}

// Moves the bodies of expired messages, and of those pushed out, to the dead letters, the oldest first. Those that would be evicted at once are
// not read.
void Queue::bury_expired(TimePoint now) {
    std::size_t bytes = 0;
    bury_at_ = TimePoint::max();
    const bool pause = now < bury_not_before_ && leaving_messages_ < kMostLeaving;
    while (!leaving_.empty()) {
        if (bytes > kBuriedBytesPerTurn) {
            bury_at_ = now;
            return;
        }
        const auto [first, lane_id] = *leaving_.begin();
        BlockList& blocks = lane(lane_id).blocks;
        Block& block = blocks[blocks.index_of(first)];
        // What goes on to another queue leaves nothing here.
        const bool goes_on = !record_.settings.dead_letter_to.empty();
        const std::uint64_t most = record_.settings.dead_max;
        while (!goes_on && !dead_.empty() && *dead_.begin() < first && dead_.size() + leaving_messages_ > most)
            evict_oldest_dead();
        const std::uint64_t all = dead_.size() + leaving_messages_;
        const bool wanted = goes_on || all < most + block.leaving;
        if (wanted && pause) {
            bury_at_ = bury_not_before_;
            return;
        }
        if (wanted && !block.payload) {
            if (visible(block))
                read_block(block);  // else it is not on disk yet: pushed out in the commit that brings it
            return;
        }
        storage::ReturnedRecord record;
        record.visible_at_ms = to_unix_ms(now);
        const SharedPayload payload = block.payload;
        for (std::uint32_t i = block.state->leaving->find(0, true); i < block.count;
             i = block.state->leaving->find(i, true)) {
            if (wanted) {
                const bool pushed_out = block.state->pushed_out && block.state->pushed_out->test(i);
                record.dying = pushed_out ? storage::DeathReason::kOverflow : storage::DeathReason::kExpired;
                block.payload = payload;  // what was appended elsewhere may have dropped it
                store_dead(block, i, record, now);
                bytes += block.bytes / block.count;
            } else {
                ++dead_evicted_;
            }
            settle_leaving(block, i);
        }
        leaving_.erase(leaving_.begin());
        mark_dirty(block);
        evict_dead();
    }
}

// Why a message that is to be tried again at this time will not be (S-3, T-2); nothing if it will.
std::optional<storage::DeathReason> Queue::hopeless(const Block& block, std::uint32_t index, TimePoint next_try,
                                                    TimePoint now) {
    const std::int64_t expires = block.expiry_ms(index);
    if (expires == 0 || to_unix_ms(next_try) < expires) return std::nullopt;
    return to_unix_ms(now) >= expires ? storage::DeathReason::kExpired : storage::DeathReason::kExpiredInRetry;
}

std::uint32_t Queue::max_attempts(const Block& block, std::uint32_t index) const {
    if (!block.limits || block.limits->max_attempts.empty()) return record_.settings.max_attempts;
    const std::uint32_t asked = block.limits->max_attempts[index];
    return asked != 0 ? asked : record_.settings.max_attempts;
}

}  // namespace rockdove::core

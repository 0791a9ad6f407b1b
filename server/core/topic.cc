// Publishing to a topic: who gets a message is decided when it is accepted, and carried out when its block is closed.
#include "server/core/topic.h"

#include <algorithm>

#include "protocol/base/bytes.h"
#include "storage/keys.h"

namespace rockdove::core {

namespace {

// A subscription that holds its publishers back does so from here on; at half of it they go on.
constexpr std::uint64_t kHoldBackBytes = 4 << 20;

std::string_view message_at(const Records& records, std::uint32_t index) {
    const std::size_t start = records.start_of(index);
    ByteReader in(records.bytes.substr(start, records.ends[index] - start));
    in.u8();
    return in.string();
}

std::uint32_t bytes_of(const Records& records, std::uint32_t index) {
    return message_size(records.ends[index] - static_cast<std::uint32_t>(records.start_of(index)));
}

}  // namespace

void Subscription::seal(Shared& shared) {
    if (!std::exchange(dirty, false) || ephemeral) return;
    shared.stage.writes().put(storage::subscription_key(shared.ns, queue->id()), record.encode());
}

Topic::Topic(Shared& shared, Queue& log, const TopicSettings& settings)
    : shared_(shared), log_(log), settings_(settings) {
    log_.topic_ = this;
}

Topic::~Topic() { log_.topic_ = nullptr; }

// --- admitting --------------------------------------------------------------------------------------------------

// Ephemeral subscriptions and others in memory are bounded as a whole; exactly, by the block.
std::optional<Error> Topic::check_memory(std::uint64_t bytes) const {
    for (const Subscription* subscription : blocking_) {
        if (subscription->queue->room_bytes() >= bytes) continue;
        return subscription->queue->full_error();
    }
    return std::nullopt;
}

Topic::Admission Topic::admit(const Records& records, bool mandatory) {
    Admission admission;
    plan_.clear();
    const std::uint32_t end = records.first + records.count;
    if (!blocking_.empty()) {
        const std::uint64_t bytes = records.ends[end - 1] - records.start_of(records.first);
        if (std::optional<Error> full = check_memory(bytes)) {
            admission.refused = records.count;
            admission.stops = true;
            admission.error = std::move(full);
            return admission;
        }
    }
    if (settings_.retain_last && !records.traits.empty()) {
        const std::uint64_t bytes = records.ends[end - 1] - records.start_of(records.first);
        if (last_value_bytes_ + bytes > kLastValueBytes) {
            admission.refused = records.count;
            admission.stops = true;
            admission.error.emplace(
                ErrorCode::kFull,
                "topic \"" + name() + "\" keeps the last messages of " + std::to_string(last_values_.size()) +
                    " keys (retain_last), " + std::to_string(last_value_bytes_ >> 20) + " of " +
                    std::to_string(kLastValueBytes >> 20) + " MiB; publish with fewer keys, or without retain_last");
            return admission;
        }
    }
    if (selective_ == 0 && (!mandatory || !everything_.empty())) {
        // Nothing is asked of the messages, but that a subject is one.
        Planned all;
        all.until = end;
        all.first = all.end = static_cast<std::uint32_t>(pool_.size());
        plan_.push_back(all);
        admission.count = records.count;
        return admission;
    }
    for (std::uint32_t i = records.first; i < end; ++i) {
        Planned planned;
        bool stops = false;
        std::optional<Error> error = plan(message_at(records, i), bytes_of(records, i), mandatory, planned, &stops);
        if (error) {
            if (admission.count == 0) {
                admission.refused = stops ? records.count : 1;
                admission.stops = stops;
                admission.error = std::move(error);
            }
            return admission;
        }
        planned.until = i + 1;
        const auto same = [&](const Planned& before) {
            return before.full == planned.full && std::equal(pool_.begin() + before.first, pool_.begin() + before.end,
                                                             pool_.begin() + planned.first, pool_.end());
        };
        if (!plan_.empty() && same(plan_.back())) {
            pool_.resize(planned.first);
            plan_.back().until = planned.until;
        } else {
            plan_.push_back(std::move(planned));
        }
        ++admission.count;
    }
    return admission;
}

// Appends the selective subscriptions that get the message to the pool. Nothing of a refused message stays there.
std::optional<Error> Topic::plan(std::string_view message, std::uint32_t bytes, bool mandatory, Planned& planned,
                                 bool* stops) {
    const std::string_view subject = shared_.format.subject(message);
    if (Result<void> ok = check_subject(subject); !ok) return ok.error();
    planned.first = static_cast<std::uint32_t>(pool_.size());
    for (Subscription* subscription : index_.match(subject)) {
        if (subscription->filter && !subscription->filter(message, MessageFacts())) continue;
        if (has_limits(*subscription)) {
            const Queue& to = *subscription->to;
            const bool fits = to.room_messages() > subscription->admitted_messages &&
                              to.room_bytes() >= subscription->admitted_bytes + bytes;
            if (!fits && !settings_.best_effort) {
                pool_.resize(planned.first);
                *stops = true;
                return to.full_error();
            }
            if (!fits) {
                planned.full.push_back(subscription->name);
                miss(*subscription, 1);
                continue;
            }
        }
        pool_.push_back(subscription);
    }
    planned.end = static_cast<std::uint32_t>(pool_.size());
    if (planned.first == planned.end && everything_.empty() && mandatory) {
        return Error(ErrorCode::kUnroutable, "no subscription of topic \"" + name() +
                                                 "\" wants a message with subject \"" +
                                                 std::string(subject.substr(0, 64)) +
                                                 "\"; see them with: rockdove subscription list " + name());
    }
    for (std::uint32_t i = planned.first; i < planned.end; ++i) {
        Subscription& subscription = *pool_[i];
        if (!has_limits(subscription)) continue;
        if (subscription.admitted_messages++ == 0) limited_.push_back(&subscription);
        subscription.admitted_bytes += bytes;
    }
    return std::nullopt;
}

void Topic::accepted(const Records& records, const Appended& appended, std::vector<Routed>& routed) {
    const auto everybody = static_cast<std::uint32_t>(everything_.size());
    const std::uint32_t end = records.first + appended.count;
    std::uint32_t at = records.first;
    for (const Planned& planned : plan_) {
        if (at >= end) break;
        const std::uint32_t until = std::min(planned.until, end);
        const Sequence behind(appended.first.value + (until - records.first));
        if (selective_ != 0) routes_.push_back({behind, planned.first, planned.end});
        const std::uint32_t subscriptions = everybody + planned.end - planned.first;
        if (subscriptions == 0) unrouted_ += until - at;
        if (subscriptions != 0 || !planned.full.empty()) {
            const bool follows = !routed.empty() && routed.back().first + routed.back().count == at &&
                                 routed.back().subscriptions == subscriptions && routed.back().full == planned.full;
            if (follows) {
                routed.back().count += until - at;
            } else {
                routed.push_back({at, until - at, subscriptions, planned.full});
            }
        }
        at = until;
    }
    if (!settings_.retain_last || records.traits.empty()) return;
    for (std::uint32_t i = records.first; i < end; ++i) {
        const std::uint64_t key = records.traits[i].key;
        if (key == 0) continue;
        storage::LastValueRecord& last = last_values_[key];
        last_value_bytes_ -= last.message.size();
        last.sequence = Sequence(appended.first.value + (i - records.first));
        last.commit_time_ms = appended.commit_time_ms;
        last.message = message_at(records, i);
        last_value_bytes_ += last.message.size();
        changed_values_.insert(key);
    }
}

// --- routing ----------------------------------------------------------------------------------------------------

void Topic::take(Block& block) {
    closed_.push_back(block.copy_of_messages());
    if (log_.durable()) block.payload = nullptr;  // it is in the commit; a subscription that wants it keeps it
}

void Topic::flush() {
    log_.close_open_blocks();
    route();
}

// One after the other in each lane. What comes of one commit keeps its distances.
void Topic::route() {
    if (closed_.empty()) return;
    ++group_;
    for (const Block& block : closed_) route_block(block);
    closed_.clear();
    routes_.clear();
    pool_.clear();
    for (Subscription* subscription : limited_) subscription->admitted_messages = subscription->admitted_bytes = 0;
    limited_.clear();
    routed_ = log_.next_;
    trim();
}

void Topic::route_block(const Block& block) {
    for (Subscription* subscription : everything_) deliver_to(*subscription, block, nullptr);
    if (routes_.empty()) return;
    auto route = std::upper_bound(routes_.begin(), routes_.end(), block.first,
                                  [](Sequence sequence, const Route& r) { return sequence < r.until; });
    for (std::uint32_t at = 0; at < block.count;) {
        while (route != routes_.end() && block.sequence(at) >= route->until) ++route;
        if (route == routes_.end()) break;
        const std::uint32_t end = std::max(block.index_from(route->until), at + 1);
        for (std::uint32_t i = route->first; i < route->end; ++i) {
            Subscription& subscription = *pool_[i];
            if (!subscription.wanted) {
                subscription.wanted = std::make_unique<Bits>(block.count);
                wanting_.push_back(&subscription);
            }
            subscription.wanted->set(at, end);
        }
        at = end;
    }
    for (Subscription* subscription : wanting_) {
        const std::unique_ptr<Bits> wanted = std::move(subscription->wanted);
        deliver_to(*subscription, block, wanted->find(0, false) == block.count ? nullptr : wanted.get());
    }
    wanting_.clear();
}

void Topic::deliver_to(Subscription& subscription, const Block& block, const Bits* wanted) {
    if (!subscription.record.live) return;  // its feed comes to it
    Queue& to = *subscription.to;
    to.adopt(block, log_.id_, group_, routed_, wanted);
    if (!subscription.ephemeral) hold(to, block.lane);
    if (const std::uint64_t dropped = to.drop_overflow(); dropped != 0) miss(subscription, dropped);
    unseal(to);
}

// It has changed while others are sealed already.
void Topic::unseal(Queue& queue) {
    if (queue.unsealed_) return;
    queue.unsealed_ = true;
    shared_.unsealed.push_back(&queue);
}

void Topic::miss(Subscription& subscription, std::uint64_t count) {
    subscription.record.missed += count;
    subscription.to->tell_missed(count);
    subscription.dirty = true;
    subscription.queue->touch();
    unseal(*subscription.queue);
}

// --- flow control -----------------------------------------------------------------------------------------------

void Topic::confirm(Confirmation confirmation) {
    const auto behind = [](const Subscription* s) { return s->queue->bytes_ > kHoldBackBytes; };
    if (!held_.empty() || std::any_of(blocking_.begin(), blocking_.end(), behind)) {
        held_.push_back(std::move(confirmation));
        return;
    }
    log_.after_commit(std::move(confirmation));
}

void Topic::release_confirmations() {
    const auto behind = [](const Subscription* s) { return s->queue->bytes_ > kHoldBackBytes / 2; };
    if (std::any_of(blocking_.begin(), blocking_.end(), behind)) return;
    for (Confirmation& confirmation : held_) log_.after_commit(std::move(confirmation));
    held_.clear();
}

// --- the log's turn ---------------------------------------------------------------------------------------------

void Topic::turn(TimePoint now) {
    now_ = now;
    if (!log_.durable()) route();  // its blocks were closed
    feed_all();
}

TimePoint Topic::next_time() const { return feed_again_ ? now_ : check_at_; }

void Topic::on_time(TimePoint now) {
    now_ = now;
    trim();
    log_.touch();
}

void Topic::seal() {
    flush();
    for (const std::uint64_t key : changed_values_) {
        if (!log_.durable()) break;
        shared_.stage.writes().put(storage::last_value_key(shared_.ns, log_.id_, key), last_values_.at(key).encode());
    }
    changed_values_.clear();
}

}  // namespace rockdove::core

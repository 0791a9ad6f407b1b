// Consumer on the I/O thread: deliveries in, leases renewed, coming back after a lost connection.
#include <algorithm>

#include "client/src/consumer.h"
#include "client/src/core.h"
#include "protocol/limits.h"
#include "protocol/wire.h"

namespace rockdove::detail {

void Consumer::on_deliver(std::string_view deliver) {
    auto run = std::make_shared<Run>();
    run->bytes = std::string(deliver);
    run->source = source_;
    std::size_t count = 0;
    protocol::FieldReader in(run->bytes);
    while (in.next()) {
        const auto& field = in.field();
        switch (field.number) {
            case 2:
                run->first_seq = field.value;
                break;
            case 3:
                run->epoch = field.value;
                break;
            case 4:
                run->lease = static_cast<std::uint32_t>(field.value);
                break;
            case 5:
                run->attempt = static_cast<std::uint32_t>(field.value);
                break;
            case 6:
                run->lease_time = Millis(field.value);
                break;
            case 7:
                run->commit_time_ms = static_cast<std::int64_t>(field.value);
                break;
            case 8:
                run->id_prefix = field.bytes;
                break;
            case 9:
                run->original_seq = field.value;
                break;
            case 10:
                run->missed = field.value;
                break;
            case 15:
                ++count;
                break;
            default:
                break;
        }
    }
    if (!in.ok() || count == 0) return;
    const auto now = std::chrono::steady_clock::now();
    if (run->lease_time.count() > 0) lease_ = run->lease_time;
    std::vector<SettleEntry> unwanted;
    std::vector<std::shared_ptr<Delivery>> for_nexts;
    std::vector<NextCallback> nexts;
    {
        Stops stops;
        std::unique_lock lock(mutex_);
        std::uint64_t sequence = run->first_seq;
        protocol::FieldReader again(run->bytes);
        while (again.next()) {
            if (again.field().number != 15) continue;
            auto delivery = std::make_shared<Delivery>();
            delivery->run = run;
            delivery->message = again.field().bytes;
            delivery->sequence = sequence++;
            // A subscription that was made anew counts anew: its messages must not push out those that wait here.
            delivery->place = settings.ack_on_delivery && subscription_ ? next_place_++ : delivery->sequence;
            const bool leased = !settings.explicit_start && !settings.ack_on_delivery;
            delivery->lease_end = leased ? now + run->lease_time : SteadyTime::max();
            delivery->renew_at = leased ? now + run->lease_time / 3 : SteadyTime::max();
            auto& place = held_[delivery->place];
            if (place && place->phase != Phase::kSettling) {  // given to us anew: the old lease is over
                if (place->phase == Phase::kBuffered) std::erase(buffer_, place);
                if (place->phase == Phase::kUnstarted) std::erase(unstarted_, place);
                if (place->phase == Phase::kWorking) request_stop(*place, stops);
                place->phase = Phase::kGone;
            }
            place = delivery;
            if (settings.explicit_start) {
                delivery->phase = Phase::kUnstarted;
                unstarted_.push_back(std::move(delivery));
            } else {
                hand_out(std::move(delivery), now, for_nexts, nexts);
            }
        }
        if ((paused_ || stopping_) && !keeps_what_waits()) {  // they crossed our credit of 0
            take_buffered(unwanted);
        } else if (settings.explicit_start || paused_) {
            // Later: when there is a place for them.
        } else if (handler_) {
            dispatch(lock);
        } else {
            count == 1 ? arrived_.notify_one() : arrived_.notify_all();
        }
    }
    for (std::size_t i = 0; i < nexts.size(); ++i) nexts[i](std::move(for_nexts[i]), std::nullopt);
    if (!unwanted.empty()) core_->settle(std::move(unwanted));
    if (settings.ack_on_delivery) return;
    if (settings.explicit_start) return start_more();
    look_at_ = std::min(look_at_, now + std::min(run->lease_time / 3, settings.longest));
    core_->arm(look_at_);
}

// To one who waits for it, or into the buffer. Under the mutex.
void Consumer::hand_out(std::shared_ptr<Delivery> delivery, SteadyTime now,
                        std::vector<std::shared_ptr<Delivery>>& for_nexts, std::vector<NextCallback>& nexts) {
    if (nexts_.empty() || stopping_) {
        delivery->phase = Phase::kBuffered;
        buffer_.push_back(std::move(delivery));
        return;
    }
    start_work(*delivery, now);
    for_nexts.push_back(std::move(delivery));
    nexts.push_back(std::move(nexts_.front().second));
    nexts_.pop_front();
}

void Consumer::on_recall(const v1::Recall& recall) {
    const std::lock_guard lock(mutex_);
    const auto recalled = [&](const std::shared_ptr<Delivery>& delivery) {
        return std::any_of(recall.ranges().begin(), recall.ranges().end(),
                           [&](const v1::SeqRange& range) { return contains(range, *delivery); });
    };
    // What is being started already is told by the answer to that.
    std::erase_if(unstarted_, [&](const std::shared_ptr<Delivery>& delivery) {
        if (!recalled(delivery)) return false;
        delivery->phase = Phase::kGone;
        const auto found = held_.find(delivery->place);
        if (found != held_.end() && found->second == delivery) held_.erase(found);
        return true;
    });
}

void Consumer::on_started(const std::vector<std::shared_ptr<Delivery>>& asked, const base::Result<v1::Frame>& answer) {
    const auto now = std::chrono::steady_clock::now();
    std::vector<SettleEntry> unwanted;
    std::vector<std::shared_ptr<Delivery>> lost, for_nexts;
    std::vector<NextCallback> nexts;
    {
        std::unique_lock lock(mutex_);
        starting_ -= asked.size();
        for (const auto& delivery : asked) {
            if (delivery->phase != Phase::kStarting) continue;
            const v1::StartedRange* begun = nullptr;
            if (answer) {
                for (const v1::StartedRange& range : answer->started().ranges()) {
                    const bool meant =
                        range.first_seq() <= delivery->sequence && delivery->sequence <= range.last_seq();
                    if (meant) begun = &range;
                }
            }
            if (begun == nullptr) {
                lost.push_back(delivery);
                continue;
            }
            auto run = std::make_shared<Run>();
            run->buffered = delivery->run;
            run->id_prefix = delivery->run->id_prefix;
            run->first_seq = delivery->run->first_seq;
            run->original_seq = delivery->run->original_seq;
            run->missed = delivery->run->missed;
            run->source = delivery->run->source;
            run->commit_time_ms = delivery->run->commit_time_ms;
            run->epoch = begun->epoch();
            run->lease = begun->lease();
            run->attempt = begun->attempt();
            run->lease_time = Millis(answer->started().lease_ms());
            delivery->lease_end = now + run->lease_time;
            delivery->renew_at = now + run->lease_time / 3;
            delivery->run = std::move(run);
            hand_out(delivery, now, for_nexts, nexts);
        }
        if (paused_ || stopping_) {
            take_buffered(unwanted);
        } else if (handler_) {
            dispatch(lock);
        } else {
            arrived_.notify_all();
        }
    }
    lose(lost);
    for (std::size_t i = 0; i < nexts.size(); ++i) nexts[i](std::move(for_nexts[i]), std::nullopt);
    if (!unwanted.empty()) core_->settle(std::move(unwanted));
    if (!answer) return;
    start_more();  // in place of those that were recalled
    const Millis lease(answer->started().lease_ms());
    look_at_ = std::min(look_at_, now + std::min(lease / 3, settings.longest));
    core_->arm(look_at_);
}

void Consumer::dispatch(std::unique_lock<std::mutex>& lock) {
    const std::size_t idle_tokens = tokens_ - std::min(tokens_, busy_);
    std::size_t more = buffer_.size() > idle_tokens ? buffer_.size() - idle_tokens : 0;
    more = std::min(more, settings.concurrency - tokens_);
    tokens_ += more;
    lock.unlock();
    for (; more > 0; --more) core_->submit(shared_from_this());
}

void Consumer::fill(v1::Consume& consume) {
    std::vector<std::shared_ptr<Delivery>> all;
    const std::lock_guard lock(mutex_);
    if (subscription_) {
        consume.set_subscription(*source_);
    } else {
        consume.set_queue(queue);
    }
    consume.set_consumer(number);
    consume.set_name(settings.name);
    credit_told = paused_ || stopping_ ? 0 : settings.prefetch;
    consume.set_credit_messages(credit_told);
    consume.set_credit_bytes(settings.prefetch_bytes);
    consume.set_lease_ms(static_cast<std::uint64_t>(settings.lease.count()));
    consume.set_filter(settings.filter);
    consume.set_explicit_start(settings.explicit_start);
    consume.set_ack_on_delivery(settings.ack_on_delivery);
    if (settings.ack_on_delivery) return;  // nothing here is the broker's any more
    all.reserve(held_.size());
    for (const auto& [place, delivery] : held_) {
        const Phase phase = delivery->phase;
        if (phase != Phase::kGone && phase != Phase::kUnstarted && phase != Phase::kStarting) all.push_back(delivery);
    }
    for (v1::SeqRange& range : to_ranges(all)) {
        if (consume.held_size() == static_cast<int>(protocol::kMaxElements)) break;  // the rest counts as lost
        *consume.add_held() = std::move(range);
    }
}

void Consumer::fill(v1::SubscriptionCreate& create, std::uint64_t connection) {
    create = *subscription_;
    if (subscribed_) create.clear_from();  // from the end: what comes before it has had its chance
    if (!create.ephemeral()) return;
    create.set_name(create.name() + "-" + std::to_string(connection));
    if (std::exchange(subscribed_on_, connection) == connection) return;
    source_ = std::make_shared<const std::string>(create.topic() + "/" + create.name());
}

bool Consumer::fill(v1::SubscriptionDelete& remove, std::uint64_t connection) const {
    if (!subscription_ || !subscription_->ephemeral() || subscribed_on_ != connection) return false;
    remove.set_topic(subscription_->topic());
    remove.set_name(source_->substr(subscription_->topic().size() + 1));
    remove.set_if_exists(true);
    return true;
}

void Consumer::on_attached(const v1::ConsumeOk& answer) {
    attached_ = true;
    if (answer.lease_ms() != 0) lease_ = Millis(answer.lease_ms());
    std::vector<std::shared_ptr<Delivery>> lost;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [place, delivery] : held_) {
            if (settings.ack_on_delivery) break;
            const bool kept = std::any_of(answer.held().begin(), answer.held().end(),
                                          [&](const v1::SeqRange& range) { return contains(range, *delivery); });
            if (!kept) lost.push_back(delivery);
            delivery->extending = false;
        }
    }
    // Settles under way of what is lost are answered here: they may have taken effect before the connection broke.
    for (SettleEntry& entry : backlog_) {
        if (std::find(lost.begin(), lost.end(), entry.delivery) == lost.end()) continue;
        if (entry.waiter) {
            entry.waiter->set_value(entry.sent_before
                                        ? base::Error(base::ErrorCode::kOutcomeUnknown,
                                                      "the connection broke while message " +
                                                          std::to_string(entry.delivery->sequence) + " of \"" + queue +
                                                          "\" was being settled; the broker no longer holds it")
                                        : stale_lease(*entry.delivery, queue));
        }
        entry.delivery.reset();
    }
    std::erase_if(backlog_, [](const SettleEntry& entry) { return !entry.delivery; });
    lose(lost);
    look_at_ = SteadyTime::min();
    core_->arm(std::chrono::steady_clock::now());
}

void Consumer::lose(const std::vector<std::shared_ptr<Delivery>>& deliveries) {
    Stops stops;
    const std::lock_guard lock(mutex_);
    for (const auto& delivery : deliveries) {
        if (delivery->phase == Phase::kGone) continue;
        if (delivery->phase == Phase::kBuffered) std::erase(buffer_, delivery);
        if (delivery->phase == Phase::kUnstarted) std::erase(unstarted_, delivery);
        if (delivery->phase == Phase::kWorking) request_stop(*delivery, stops);
        delivery->phase = Phase::kGone;
        const auto found = held_.find(delivery->place);
        if (found != held_.end() && found->second == delivery) held_.erase(found);
    }
}

void Consumer::settled(const std::shared_ptr<Delivery>& delivery) {
    const std::lock_guard lock(mutex_);
    delivery->phase = Phase::kGone;
    const auto found = held_.find(delivery->place);
    if (found != held_.end() && found->second == delivery) held_.erase(found);
}

bool Consumer::holds_anything() {
    const std::lock_guard lock(mutex_);
    return !held_.empty();
}

SteadyTime Consumer::tick(SteadyTime now) {
    if (now < look_at_) return look_at_;
    std::vector<std::shared_ptr<Delivery>> lost, renew;
    std::vector<SettleEntry> too_long;
    SteadyTime next = SteadyTime::max();
    {
        Stops stops;
        const std::lock_guard lock(mutex_);
        bool due = false;
        for (const auto& [place, delivery] : held_) {
            Delivery& d = *delivery;
            if (d.phase != Phase::kBuffered && d.phase != Phase::kWorking) continue;
            if (now >= d.lease_end) {
                lost.push_back(delivery);
            } else if (now >= d.work_end && attached_) {
                request_stop(d, stops);
                d.phase = Phase::kSettling;
                SettleEntry& entry = too_long.emplace_back();
                entry.consumer = shared_from_this();
                entry.delivery = delivery;
                entry.outcome = v1::RETRY;
                entry.reason = "not done within " + std::to_string(settings.longest.count()) + " ms";
            } else {
                next = std::min(next, d.lease_end);
                // What waits may begin at any time, and then has `longest`.
                if (d.phase == Phase::kBuffered) next = std::min(next, now + settings.longest);
                if (d.work_end > now) next = std::min(next, d.work_end);
                if (d.extending || !attached_) continue;
                due = due || now >= d.renew_at;
                // Those nearly due come along, so that one frame serves many.
                if (now >= d.renew_at - lease_ / 6) {
                    renew.push_back(delivery);
                } else {
                    next = std::min(next, d.renew_at);
                }
            }
        }
        if (!due) {
            for (const auto& delivery : renew) next = std::min(next, delivery->renew_at);
            renew.clear();
        }
        if (renew.size() > protocol::kMaxElements) {  // the others follow at once
            renew.resize(protocol::kMaxElements);
            next = now;
        }
        for (const auto& delivery : renew) delivery->extending = true;
    }
    look_at_ = next;
    lose(lost);
    if (!too_long.empty()) core_->settle(std::move(too_long));
    if (renew.empty()) return next;

    v1::Frame frame;
    v1::Extend& request = *frame.mutable_extend();
    request.set_consumer(number);
    for (v1::SeqRange& range : to_ranges(renew)) *request.add_ranges() = std::move(range);
    core_->request(std::move(frame), now + lease_, true,
                   [self = shared_from_this(), renew, now](base::Result<v1::Frame> answer) {
                       std::vector<std::shared_ptr<Delivery>> stale;
                       {
                           const std::lock_guard lock(self->mutex_);
                           for (const auto& delivery : renew) {
                               delivery->extending = false;
                               if (!answer) continue;  // asked again at the next look, until the lease ends
                               const auto& ranges = answer->extended().stale();
                               if (std::any_of(ranges.begin(), ranges.end(),
                                               [&](const v1::SeqRange& range) { return contains(range, *delivery); })) {
                                   stale.push_back(delivery);
                               } else {
                                   delivery->lease_end = now + self->lease_;
                                   delivery->renew_at = now + self->lease_ / 3;
                               }
                           }
                       }
                       self->lose(stale);
                       const auto soon = std::chrono::steady_clock::now() + (answer ? Millis{0} : Millis{100});
                       self->look_at_ = std::min(self->look_at_, soon);
                       self->core_->arm(self->look_at_);
                   });
    return next;
}

void Consumer::on_extended(const std::shared_ptr<Delivery>& delivery, SteadyTime since, Millis time) {
    {
        const std::lock_guard lock(mutex_);
        delivery->lease_end = since + time;
        delivery->renew_at = since + std::max(time / 3, time - lease_ * 2 / 3);
    }
    look_at_ = SteadyTime::min();
    core_->arm(std::chrono::steady_clock::now());
}

void Consumer::end(std::optional<base::Error> error) {
    attached_ = false;
    for (SettleEntry& entry : backlog_) {
        if (entry.waiter) entry.waiter->set_value(stale_lease(*entry.delivery, queue));
    }
    backlog_.clear();
    std::deque<std::pair<const void*, NextCallback>> nexts;
    std::vector<std::function<void(std::optional<base::Error>)>> callbacks;
    std::optional<base::Error> reason;
    {
        Stops stops;
        const std::lock_guard lock(mutex_);
        if (ended_) return;
        ended_ = true;
        error_ = std::move(error);
        reason = stopping_ ? std::nullopt : error_;
        for (auto& [place, delivery] : held_) {
            if (delivery->phase == Phase::kWorking) request_stop(*delivery, stops);
            delivery->phase = Phase::kGone;
        }
        held_.clear();
        buffer_.clear();
        unstarted_.clear();
        nexts.swap(nexts_);
        callbacks.swap(end_callbacks_);
        arrived_.notify_all();
        idle_.notify_all();
    }
    for (auto& [key, next] : nexts) {
        next(nullptr, reason ? *reason : base::Error(base::ErrorCode::kClosed, "the receiver was closed"));
    }
    for (auto& callback : callbacks) callback(reason);
}

}  // namespace rockdove::detail

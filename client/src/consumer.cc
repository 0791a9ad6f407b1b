#include "client/src/consumer.h"

#include <algorithm>

#include "client/src/core.h"
#include "protocol/limits.h"
#include "protocol/wire.h"

namespace rockdove::detail {

namespace {

// The handler that this thread runs, if any: stop() must not wait for it.
thread_local const Consumer* running_consumer = nullptr;
thread_local const Delivery* running_delivery = nullptr;

// Text that fits Settle.reason: valid UTF-8 of bounded length.
std::string clean_reason(std::string reason) {
    std::size_t at = 0;
    while (at < reason.size()) {
        const auto lead = static_cast<unsigned char>(reason[at]);
        const std::size_t size = lead < 0x80                   ? 1
                                 : lead >= 0xC2 && lead < 0xE0 ? 2
                                 : lead >= 0xE0 && lead < 0xF0 ? 3
                                 : lead >= 0xF0 && lead < 0xF5 ? 4
                                                               : 0;
        bool good = size != 0 && at + size <= reason.size();
        for (std::size_t i = 1; good && i < size; ++i) {
            good = (static_cast<unsigned char>(reason[at + i]) & 0xC0U) == 0x80U;
        }
        if (good && size == 3) {  // overlong forms and surrogates
            const auto next = static_cast<unsigned char>(reason[at + 1]);
            good = !(lead == 0xE0 && next < 0xA0) && !(lead == 0xED && next >= 0xA0);
        }
        if (good && size == 4) {
            const auto next = static_cast<unsigned char>(reason[at + 1]);
            good = !(lead == 0xF0 && next < 0x90) && !(lead == 0xF4 && next >= 0x90);
        }
        if (!good) {
            reason[at] = '?';
            ++at;
            continue;
        }
        if (at + size > protocol::kMaxReasonBytes) break;
        at += size;
    }
    reason.resize(std::min({at, reason.size(), protocol::kMaxReasonBytes}));
    return reason;
}

}  // namespace

Consumer::Consumer(std::shared_ptr<Core> core, std::uint64_t consumer_number, std::string queue_name,
                   Access::WorkerSettings worker_settings, Handler handler,
                   std::optional<v1::SubscriptionCreate> subscription)
    : number(consumer_number),
      queue(std::move(queue_name)),
      settings(std::move(worker_settings)),
      core_(std::move(core)),
      handler_(std::move(handler)),
      subscription_(std::move(subscription)),
      source_(std::make_shared<const std::string>(queue)) {}

// --- any thread ---

void Consumer::pause() {
    std::vector<SettleEntry> entries;
    {
        const std::lock_guard lock(mutex_);
        if (paused_ || stopping_ || ended_) return;
        paused_ = true;
        take_buffered(entries);
    }
    core_->settle(std::move(entries));
    core_->update_credit(shared_from_this());
}

void Consumer::resume() {
    {
        const std::lock_guard lock(mutex_);
        if (!paused_ || stopping_ || ended_) return;
        paused_ = false;
    }
    core_->update_credit(shared_from_this());
    std::unique_lock lock(mutex_);
    if (handler_ && !buffer_.empty()) dispatch(lock);
}

std::uint32_t Consumer::credit() {
    const std::lock_guard lock(mutex_);
    return paused_ || stopping_ ? 0 : settings.prefetch;
}

// What waits for a handler goes back.
bool Consumer::take_buffered(std::vector<SettleEntry>& entries) {
    if (keeps_what_waits()) return false;
    for (auto* waiting : {&buffer_, &unstarted_}) {
        for (auto& delivery : *waiting) {
            delivery->phase = Phase::kSettling;
            Outcome outcome = Outcome::release();
            entries.push_back(make_entry(delivery, outcome));
        }
        waiting->clear();
    }
    return !entries.empty();
}

// Asks for as many as there are places for.
void Consumer::start_more() {
    std::vector<std::shared_ptr<Delivery>> asked;
    {
        const std::lock_guard lock(mutex_);
        if (unstarted_.empty() || paused_ || stopping_ || ended_) return;
        const std::size_t places =
            handler_ ? settings.concurrency - std::min(settings.concurrency, busy_) : waiting_ + nexts_.size();
        const std::size_t there = buffer_.size() + starting_;
        while (there + asked.size() < places && !unstarted_.empty()) {
            asked.push_back(std::move(unstarted_.front()));
            unstarted_.pop_front();
            asked.back()->phase = Phase::kStarting;
        }
        starting_ += asked.size();
    }
    if (!asked.empty()) core_->start(shared_from_this(), std::move(asked));
}

void Consumer::request_stop(Delivery& delivery, Stops& stops) {
    delivery.stop_requested = true;
    if (delivery.stop) stops.sources.push_back(*delivery.stop);
}

void Consumer::begin_stop() {
    std::vector<SettleEntry> entries;
    std::deque<std::pair<const void*, NextCallback>> nexts;
    {
        Stops stops;
        const std::lock_guard lock(mutex_);
        if (stopping_ || ended_) return;
        stopping_ = true;
        take_buffered(entries);
        for (auto& [place, delivery] : held_) {
            if (delivery->phase == Phase::kWorking) request_stop(*delivery, stops);
        }
        nexts.swap(nexts_);
        arrived_.notify_all();
    }
    for (auto& [key, next] : nexts) next(nullptr, base::Error(base::ErrorCode::kClosed, "the receiver was closed"));
    core_->settle(std::move(entries));
    core_->update_credit(shared_from_this());
}

void Consumer::stop(Millis within) {
    core_->check_may_block("stop()");
    begin_stop();
    {
        std::unique_lock lock(mutex_);
        const bool inside = running_consumer == this;
        idle_.wait_for(lock, within, [&] { return ended_ || busy_ <= (inside ? 1U : 0U); });
        if (ended_) return;
        if (inside) {
            detach_after_handler_ = true;  // the handler's own outcome still counts
            return;
        }
        if (busy_ > 0) {
            for (auto& [place, delivery] : held_) {
                if (delivery->phase == Phase::kWorking) delivery->phase = Phase::kGone;
            }
        }
    }
    core_->detach(shared_from_this());
    std::unique_lock lock(mutex_);
    if (idle_.wait_for(lock, std::max(within, Millis{1000}), [&] { return ended_; })) return;
    lock.unlock();
    core_->force_end(shared_from_this());
    lock.lock();
    idle_.wait(lock, [&] { return ended_; });
}

void Consumer::abandon() {
    begin_stop();
    core_->detach(shared_from_this());
}

void Consumer::wait() {
    core_->check_may_block("wait()");
    if (running_consumer == this) fail(ErrorCode::kWouldDeadlock, "wait() in the worker's own handler");
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [&] { return ended_; });
    if (error_ && !stopping_) throw to_public(*error_);
}

void Consumer::on_end(std::function<void(std::optional<base::Error>)> callback) {
    std::optional<base::Error> error;
    {
        const std::lock_guard lock(mutex_);
        if (!ended_) {
            end_callbacks_.push_back(std::move(callback));
            return;
        }
        if (!stopping_) error = error_;
    }
    callback(error);
}

base::Error Consumer::ended_error() const {
    return error_ && !stopping_ ? *error_ : base::Error(base::ErrorCode::kClosed, "the receiver was closed");
}

void Consumer::start_work(Delivery& delivery, SteadyTime now) {
    delivery.phase = Phase::kWorking;
    if (!settings.ack_on_delivery) delivery.work_end = now + settings.longest;
}

std::shared_ptr<Delivery> Consumer::next(SteadyTime deadline) {
    core_->check_may_block("next()");
    std::shared_ptr<Delivery> delivery;
    {
        std::unique_lock lock(mutex_);
        const auto ready = [&] { return !buffer_.empty() || ended_ || stopping_; };
        ++waiting_;
        if (!unstarted_.empty()) {
            lock.unlock();
            start_more();
            lock.lock();
        }
        bool in_time = true;
        if (deadline == SteadyTime::max()) {
            arrived_.wait(lock, ready);
        } else {
            in_time = arrived_.wait_until(lock, deadline, ready);
        }
        --waiting_;
        if (!in_time) return nullptr;
        if (buffer_.empty()) throw to_public(ended_error());
        delivery = std::move(buffer_.front());
        buffer_.pop_front();
        start_work(*delivery, std::chrono::steady_clock::now());
    }
    return delivery;
}

void Consumer::next_async(const void* key, NextCallback callback) {
    std::shared_ptr<Delivery> delivery;
    std::optional<base::Error> error;
    {
        const std::lock_guard lock(mutex_);
        if (!buffer_.empty()) {
            delivery = std::move(buffer_.front());
            buffer_.pop_front();
            start_work(*delivery, std::chrono::steady_clock::now());
        } else if (ended_ || stopping_) {
            error = ended_error();
        } else {
            nexts_.emplace_back(key, std::move(callback));
        }
    }
    if (!delivery && !error) return start_more();
    callback(std::move(delivery), std::move(error));
}

bool Consumer::cancel_next(const void* key) {
    NextCallback callback;
    {
        const std::lock_guard lock(mutex_);
        const auto found =
            std::find_if(nexts_.begin(), nexts_.end(), [&](const auto& next) { return next.first == key; });
        if (found == nexts_.end()) return false;
        callback = std::move(found->second);
        nexts_.erase(found);
    }
    callback(nullptr, base::Error(base::ErrorCode::kCancelled, "next was cancelled"));
    return true;
}

// --- jobs ---

SettleEntry Consumer::make_entry(const std::shared_ptr<Delivery>& delivery, Outcome& outcome) {
    SettleEntry entry;
    entry.consumer = shared_from_this();
    entry.delivery = delivery;
    if (settings.ack_on_delivery) return entry;  // it is done: the ack makes room for another one
    entry.outcome = static_cast<v1::Outcome>(Access::kind(outcome));
    entry.after = Access::after(outcome);
    std::string& reason = Access::reason(outcome);
    if (!reason.empty()) entry.reason = clean_reason(std::move(reason));
    return entry;
}

void Consumer::settle_and_wait(const std::shared_ptr<Delivery>& delivery, Outcome outcome) {
    core_->check_may_block("settling a job");
    auto waiter = std::make_shared<std::promise<std::optional<base::Error>>>();
    auto answer = waiter->get_future();
    {
        const std::lock_guard lock(mutex_);
        if (delivery->phase != Phase::kWorking || ended_) throw to_public(stale_lease(*delivery, queue));
        delivery->phase = Phase::kSettling;
    }
    std::vector<SettleEntry> entries;
    entries.push_back(make_entry(delivery, outcome));
    entries.back().waiter = std::move(waiter);
    entries.back().deadline = std::chrono::steady_clock::now() + core_->config().operation_timeout;
    core_->settle(std::move(entries));
    if (const std::optional<base::Error> error = answer.get()) throw to_public(*error);
}

void Consumer::release_quietly(const std::shared_ptr<Delivery>& delivery) {
    {
        const std::lock_guard lock(mutex_);
        if (delivery->phase != Phase::kWorking || ended_) return;
        delivery->phase = Phase::kSettling;
    }
    Outcome outcome = Outcome::release();
    std::vector<SettleEntry> entries;
    entries.push_back(make_entry(delivery, outcome));
    core_->settle(std::move(entries));
}

void Consumer::extend(const std::shared_ptr<Delivery>& delivery, Millis time) {
    core_->check_may_block("extend()");
    if (time.count() <= 0) fail(ErrorCode::kInvalid, "extend() needs a positive time");
    {
        const std::lock_guard lock(mutex_);
        if (delivery->phase != Phase::kWorking || ended_) throw to_public(stale_lease(*delivery, queue));
    }
    auto done = std::make_shared<std::promise<std::optional<base::Error>>>();
    auto answer = done->get_future();
    core_->extend(shared_from_this(), delivery, time,
                  [done](std::optional<base::Error> error) { done->set_value(std::move(error)); });
    if (const std::optional<base::Error> error = answer.get()) throw to_public(*error);
    const std::lock_guard lock(mutex_);
    delivery->work_end = std::max(delivery->work_end, std::chrono::steady_clock::now() + time);
}

std::stop_token Consumer::stop_token(Delivery& delivery) {
    const std::lock_guard lock(mutex_);
    if (!delivery.stop) {
        delivery.stop.emplace();
        if (delivery.stop_requested) delivery.stop->request_stop();  // nobody can have registered a callback yet
    }
    return delivery.stop->get_token();
}

// --- handler threads ---

bool Consumer::run_handlers(const std::function<bool()>& others_wait) {
    for (;;) {
        std::shared_ptr<Delivery> delivery;
        {
            const std::lock_guard lock(mutex_);
            if (buffer_.empty() || paused_ || stopping_ || ended_) {
                --tokens_;
                return false;
            }
            delivery = std::move(buffer_.front());
            buffer_.pop_front();
            start_work(*delivery, std::chrono::steady_clock::now());
            ++busy_;
        }
        run_one(delivery);
        bool say_goodbye = false;
        {
            const std::lock_guard lock(mutex_);
            --busy_;
            if (stopping_) idle_.notify_all();
            say_goodbye = detach_after_handler_ && busy_ == 0;
        }
        if (say_goodbye) core_->detach(shared_from_this());
        delivery.reset();
        if (settings.explicit_start) start_more();
        if (others_wait()) return true;
    }
}

void Consumer::run_one(const std::shared_ptr<Delivery>& delivery) {
    const Consumer* outer_consumer = std::exchange(running_consumer, this);
    const Delivery* outer_delivery = std::exchange(running_delivery, delivery.get());
    Outcome outcome;
    Job job = Access::job(shared_from_this(), delivery);
    try {
        outcome = handler_(job);
    } catch (const Reject& reject) {
        outcome = Outcome::reject(reject.what());
    } catch (const std::exception& error) {
        outcome = Outcome::retry(error.what());
    } catch (...) {
        outcome = Outcome::retry("an exception that is not a std::exception");
    }
    running_consumer = outer_consumer;
    running_delivery = outer_delivery;
    finish(delivery, std::move(outcome));
}

void Consumer::finish(const std::shared_ptr<Delivery>& delivery, Outcome outcome) {
    {
        const std::lock_guard lock(mutex_);
        if (delivery->phase != Phase::kWorking || ended_) return;  // lost, or settled by the handler
        delivery->phase = Phase::kSettling;
    }
    std::vector<SettleEntry> entries;
    entries.push_back(make_entry(delivery, outcome));
    core_->settle(std::move(entries));
}

}  // namespace rockdove::detail

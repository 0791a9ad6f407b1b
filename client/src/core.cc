// The part of Core that other threads call, and the I/O thread's beginning and end.
#include "client/src/core.h"

#include <algorithm>

#include "protocol/names.h"

namespace rockdove::detail {

namespace {

std::string random_hex(int words) {
    std::random_device device;
    std::string text;
    for (int i = 0; i < words; ++i) {
        char buffer[16];
        std::snprintf(buffer, sizeof buffer, "%08x", static_cast<unsigned>(device()));
        text += buffer;
    }
    return text;
}

base::Error closed_error() { return base::Error(base::ErrorCode::kClosed, "the client is closed"); }

void refuse(std::vector<SettleEntry>& entries, const base::Error& error) {
    for (SettleEntry& entry : entries) {
        if (entry.waiter) entry.waiter->set_value(error);
    }
}

}  // namespace

Core::Core(Config config)
    : config_(std::move(config)),
      random_name_("p-" + random_hex(4)),
      producer_(config_),
      pool_(config_.handler_threads),
      random_(std::random_device{}()) {}

Core::~Core() = default;

void Core::start() {
    work_.emplace(asio::make_work_guard(io_));
    thread_ = std::thread([self = shared_from_this()] { self->run(); });
    if (config_.wait_for_broker) return;
    std::optional<base::Error> error;
    {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return first_outcome_.has_value(); });
        error = *first_outcome_;
    }
    if (!error) return;
    close(Millis{0});
    throw to_public(*error);
}

void Core::run() {
    io_thread_id_.store(std::this_thread::get_id());
    enter();
    asio::co_spawn(io_, supervise(), [this](std::exception_ptr failure) {
        enter();
        supervisor_done_ = true;
        if (failure) {
            std::string text = "a fault in the client library";
            try {
                std::rethrow_exception(failure);
            } catch (const std::exception& error) {
                text += std::string(": ") + error.what();
            } catch (...) {
                text += ", of unknown kind";
            }
            terminal(base::Error(base::ErrorCode::kInternal, text));
        }
        if (finishing_) wrap_up();
    });
    while (io_.run_one() != 0) rest();
    enter();
    std::vector<SettleEntry> settles;
    {
        const std::lock_guard lock(mutex_);
        finished_ = true;
        settles.swap(settles_);
        changed_.notify_all();
    }
    refuse(settles, closed_error());
    io_.restart();  // what was posted before finished_ was set
    io_.poll();
    inside_ = false;
    io_mutex_.unlock();
}

void Core::enter() {
    if (inside_) return;
    io_mutex_.lock();
    inside_ = true;
}

void Core::rest() {
    // Without a connection there is nothing to write, and the steps towards one need not enter().
    if (!inside_ || !connected_) return;
    inside_ = false;
    io_mutex_.unlock();
}

bool Core::on_io(std::function<void()> work) {
    const std::lock_guard lock(mutex_);
    if (finished_) return false;
    asio::post(io_, [this, work = std::move(work)] {
        enter();
        work();
        pump();
    });
    return true;
}

void Core::wake(bool may_write) {
    if (awake_.load(std::memory_order_relaxed) || awake_.exchange(true)) return;
    if (may_write && write_here()) return;
    asio::post(io_, [this] {
        enter();
        pump();
    });
}

// The first message after a quiet time is written by the thread that sends it: waking the I/O thread for that may take as
// long as the broker does. Those that follow gather while it is on its way.
bool Core::write_here() {
    if (on_io_thread()) return false;
    const std::unique_lock lock(io_mutex_, std::try_to_lock);
    if (!lock.owns_lock() || !connected_ || writing_ || leaving_ || finishing_ ||
        !producer_.quiet(std::chrono::steady_clock::now()))
        return false;
    here_ = true;
    pump();
    here_ = false;
    return writing_;
}

void Core::check_may_block(std::string_view what) const {
    if (on_io_thread()) {
        fail(ErrorCode::kWouldDeadlock, std::string(what) + " blocks, and was called on the client's I/O thread");
    }
}

void Core::send(Target to, const Message& message, SendWaiter waiter, AtLimit at_limit) {
    if (at_limit == AtLimit::kBlock && on_io_thread()) at_limit = AtLimit::kThrow;
    if (producer_.send(to, message, std::move(waiter), at_limit)) wake(true);
}

void Core::flush() {
    check_may_block("flush()");
    const SteadyTime deadline = std::chrono::steady_clock::now() + config_.operation_timeout;
    producer_.flush(deadline, [this] { wake(); });
}

base::Result<v1::Frame> Core::call(v1::Frame request_frame, Millis timeout) {
    check_may_block("call()");
    auto promise = std::make_shared<std::promise<base::Result<v1::Frame>>>();
    auto answer = promise->get_future();
    call(std::move(request_frame), timeout,
         [promise](base::Result<v1::Frame> result) { promise->set_value(std::move(result)); });
    return answer.get();
}

void Core::call(v1::Frame request_frame, Millis timeout, std::function<void(base::Result<v1::Frame>)> done) {
    const SteadyTime deadline = std::chrono::steady_clock::now() + timeout;
    const bool posted = on_io([this, done, request_frame = std::move(request_frame), deadline] {
        request(request_frame, deadline, false, done);
    });
    if (!posted) done(closed_error());
}

std::shared_ptr<Consumer> Core::attach(std::string queue, Access::WorkerSettings settings, Handler handler) {
    const auto checked = base::check_name("queue name", queue);
    if (!checked) throw to_public(checked.error());
    const std::uint64_t number = next_consumer_.fetch_add(1);
    if (settings.name.empty()) settings.name = made_up_name(number);
    return add(std::make_shared<Consumer>(shared_from_this(), number, std::move(queue), std::move(settings),
                                          std::move(handler)));
}

std::shared_ptr<Consumer> Core::subscribe(v1::SubscriptionCreate subscription, Access::WorkerSettings settings,
                                          Handler handler) {
    const std::uint64_t number = next_consumer_.fetch_add(1);
    if (settings.name.empty()) settings.name = made_up_name(number);
    if (subscription.ephemeral()) subscription.set_name(made_up_name(number));
    std::string name = subscription.topic() + "/" + subscription.name();
    return add(std::make_shared<Consumer>(shared_from_this(), number, std::move(name), std::move(settings),
                                          std::move(handler), std::move(subscription)));
}

std::string Core::made_up_name(std::uint64_t consumer) const {
    const std::string base_name = base::check_name("name", config_.name) ? config_.name : "client";
    return base_name + "-" + random_name_.substr(2, 12) + "-" + std::to_string(consumer);
}

std::shared_ptr<Consumer> Core::add(std::shared_ptr<Consumer> consumer) {
    {
        const std::lock_guard lock(mutex_);
        if (closed_) throw to_public(*closed_);
        if (closing_) throw to_public(closed_error());
        std::erase_if(all_consumers_, [](const auto& weak) { return weak.expired(); });
        all_consumers_.push_back(consumer);
    }
    const bool posted = on_io([this, consumer] {
        std::optional<base::Error> closed;
        {
            const std::lock_guard lock(mutex_);
            closed = closed_;
        }
        if (closed) return consumer->end(closed);
        consumers_.emplace(consumer->number, consumer);
        if (connected_) attach_now(consumer);
    });
    if (!posted) throw to_public(closed_error());
    return consumer;
}

void Core::settle(std::vector<SettleEntry> entries) {
    if (entries.empty()) return;
    bool late = false;
    {
        const std::lock_guard lock(mutex_);
        late = finished_;
        if (!late) std::move(entries.begin(), entries.end(), std::back_inserter(settles_));
    }
    if (late) return refuse(entries, closed_error());
    wake();
}

void Core::detach(std::shared_ptr<Consumer> consumer) {
    on_io([this, consumer = std::move(consumer)] {
        if (consumer->detach_wanted) return;
        consumer->detach_wanted = true;
        detach_now(consumer);
    });
}

void Core::force_end(std::shared_ptr<Consumer> consumer) {
    on_io([this, consumer = std::move(consumer)] {
        if (connected_ && consumer->attached()) {
            v1::Frame cancel;
            cancel.mutable_cancel_consumer()->set_consumer(consumer->number);
            put(cancel);
        }
        end_consumer(consumer, std::nullopt);
    });
}

void Core::update_credit(std::shared_ptr<Consumer> consumer) {
    on_io([this, consumer = std::move(consumer)] {
        if (connected_ && consumer->attached()) put_credit(*consumer);
    });
}

// Asks the broker to start what the consumer has in its buffer; Consumer::on_started() has the answer.
void Core::start(std::shared_ptr<Consumer> consumer, std::vector<std::shared_ptr<Delivery>> deliveries) {
    on_io([this, consumer = std::move(consumer), deliveries = std::move(deliveries)]() mutable {
        v1::Frame frame;
        v1::Start& start = *frame.mutable_start();
        start.set_consumer(consumer->number);
        for (v1::SeqRange& range : to_ranges(deliveries)) *start.add_ranges() = std::move(range);
        request(std::move(frame), std::chrono::steady_clock::now() + config_.operation_timeout, true,
                [consumer, deliveries](const base::Result<v1::Frame>& answer) {
                    consumer->on_started(deliveries, answer);
                });
    });
}

void Core::extend(std::shared_ptr<Consumer> consumer, std::shared_ptr<Delivery> delivery, Millis time,
                  std::function<void(std::optional<base::Error>)> done) {
    auto shared = std::make_shared<std::function<void(std::optional<base::Error>)>>(std::move(done));
    const bool posted = on_io([this, consumer, delivery, time, shared] {
        v1::Frame frame;
        v1::Extend& extend = *frame.mutable_extend();
        extend.set_consumer(consumer->number);
        extend.set_lease_ms(static_cast<std::uint64_t>(time.count()));
        std::vector<std::shared_ptr<Delivery>> one{delivery};
        for (v1::SeqRange& range : to_ranges(one)) *extend.add_ranges() = std::move(range);
        const SteadyTime now = std::chrono::steady_clock::now();
        request(std::move(frame), now + config_.operation_timeout, true,
                [consumer, delivery, time, now, shared](const base::Result<v1::Frame>& answer) {
                    if (!answer) return (*shared)(answer.error());
                    if (answer->extended().stale_size() > 0) {
                        consumer->lose({delivery});
                        return (*shared)(base::Error(base::ErrorCode::kStaleLease,
                                                     "the lease of message " + std::to_string(delivery->sequence) +
                                                         " of \"" + consumer->queue + "\" has ended"));
                    }
                    consumer->on_extended(delivery, now, time);
                    (*shared)(std::nullopt);
                });
    });
    if (!posted) (*shared)(closed_error());
}

void Core::on_state(std::function<void(ConnectionState, std::error_code)> callback) {
    auto shared = std::make_shared<std::function<void(ConnectionState, std::error_code)>>(std::move(callback));
    const std::lock_guard lock(mutex_);
    state_callback_ = std::move(shared);
}

std::optional<v1::Welcome> Core::welcome() const {
    const std::lock_guard lock(mutex_);
    return welcome_shared_;
}

std::string Core::endpoint() const {
    const std::lock_guard lock(mutex_);
    return endpoint_shared_;
}

void Core::close(Millis grace) {
    check_may_block("close()");
    const SteadyTime deadline = std::chrono::steady_clock::now() + grace;
    const auto left = [&] {
        return std::max(Millis{0}, std::chrono::duration_cast<Millis>(deadline - std::chrono::steady_clock::now()));
    };
    std::vector<std::shared_ptr<Consumer>> consumers;
    {
        const std::lock_guard lock(mutex_);
        closing_ = true;
        for (const auto& weak : all_consumers_) {
            if (auto consumer = weak.lock()) consumers.push_back(std::move(consumer));
        }
    }
    on_io([this] { set_state(ConnectionState::kDraining); });
    for (const auto& consumer : consumers) consumer->begin_stop();
    for (const auto& consumer : consumers) consumer->stop(std::min(left(), consumer->settings.stop_within));
    consumers.clear();
    producer_.refuse(closed_error());
    producer_.flush(deadline, [this] { wake(); });
    on_io([this] { finish(); });
    {
        const std::lock_guard lock(close_mutex_);
        if (thread_.joinable()) thread_.join();
    }
    pool_.stop();
}

void Core::abandon() {
    std::vector<std::shared_ptr<Consumer>> consumers;
    {
        const std::lock_guard lock(mutex_);
        closing_ = true;
        for (const auto& weak : all_consumers_) {
            if (auto consumer = weak.lock()) consumers.push_back(std::move(consumer));
        }
    }
    for (const auto& consumer : consumers) consumer->begin_stop();
    producer_.refuse(closed_error());
    on_io([this] { finish(); });
    const std::lock_guard lock(close_mutex_);
    if (thread_.joinable()) thread_.detach();
}

}  // namespace rockdove::detail

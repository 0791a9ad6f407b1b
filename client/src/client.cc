// The public classes: thin covers over Core, Consumer and Delivery.
#include <chrono>
#include <cstdlib>
#include <thread>

#include "client/src/core.h"
#include "client/src/fast_id.h"
#include "protocol/wire.h"

namespace rockdove {

using detail::Access;

namespace {

std::string_view text_field(std::string_view message, std::uint32_t number) {
    protocol::FieldReader in(message);
    std::string_view found;
    while (in.next()) {
        if (in.field().number != number) continue;
        found = in.field().bytes;
        if (number == 1) break;  // the body: what follows may be long, and ours write it first
    }
    return found;
}

std::pair<std::string_view, std::string_view> read_header(std::string_view bytes) {
    return {text_field(bytes, 1), text_field(bytes, 2)};
}

}  // namespace

// --- Job ---

Job::Job(std::shared_ptr<detail::Consumer> consumer, std::shared_ptr<detail::Delivery> delivery) noexcept
    : consumer_(std::move(consumer)), delivery_(std::move(delivery)) {}
Job::Job(Job&&) noexcept = default;
Job& Job::operator=(Job&& other) noexcept {
    Job old(std::move(*this));
    consumer_ = std::move(other.consumer_);
    delivery_ = std::move(other.delivery_);
    return *this;
}
Job::~Job() {
    if (delivery_) consumer_->release_quietly(delivery_);
}

const std::string& Job::id() const {
    if (delivery_->id.empty()) {
        const detail::Run& run = *delivery_->run;
        const std::uint64_t first = run.original_seq != 0 ? run.original_seq : run.first_seq;
        delivery_->id = detail::IdRun(run.id_prefix)(first + (delivery_->sequence - run.first_seq));
    }
    return delivery_->id;
}
std::string_view Job::body() const { return text_field(delivery_->message, 1); }
std::string_view Job::content_type() const { return text_field(delivery_->message, 3); }
std::string_view Job::subject() const { return text_field(delivery_->message, 4); }
std::string_view Job::correlation_id() const { return text_field(delivery_->message, 5); }
std::string_view Job::reply_to() const { return text_field(delivery_->message, 6); }
std::string_view Job::traceparent() const { return text_field(delivery_->message, 7); }
std::string_view Job::tracestate() const { return text_field(delivery_->message, 8); }
std::string_view Job::key() const { return text_field(delivery_->message, 10); }
int Job::priority() const {
    int priority = 4;
    protocol::FieldReader in(delivery_->message);
    while (in.next()) {
        if (in.field().number == 9) priority = static_cast<int>(in.field().value);
    }
    return priority;
}
std::vector<std::pair<std::string_view, std::string_view>> Job::headers() const {
    std::vector<std::pair<std::string_view, std::string_view>> headers;
    protocol::FieldReader in(delivery_->message);
    while (in.next()) {
        if (in.field().number == 2) headers.push_back(read_header(in.field().bytes));
    }
    return headers;
}
std::optional<std::string_view> Job::header(std::string_view name) const {
    protocol::FieldReader in(delivery_->message);
    while (in.next()) {
        if (in.field().number != 2) continue;
        const auto header = read_header(in.field().bytes);
        if (header.first == name) return header.second;
    }
    return std::nullopt;
}
int Job::attempt() const { return static_cast<int>(delivery_->run->attempt); }
std::uint64_t Job::sequence() const { return delivery_->sequence; }
Clock::time_point Job::commit_time() const { return Clock::time_point(Millis(delivery_->run->commit_time_ms)); }
const std::string& Job::queue() const { return *delivery_->run->source; }
std::uint64_t Job::missed() const {
    return delivery_->sequence == delivery_->run->first_seq ? delivery_->run->missed : 0;
}
std::pair<std::uint64_t, std::uint32_t> Job::fence() const { return {delivery_->run->epoch, delivery_->run->lease}; }
std::stop_token Job::stop_token() const { return consumer_->stop_token(*delivery_); }

void Job::ack() && { consumer_->settle_and_wait(delivery_, Outcome::ack()); }
void Job::retry(std::string reason, std::optional<Millis> after) && {
    consumer_->settle_and_wait(delivery_, Outcome::retry(std::move(reason), after));
}
void Job::release(Millis after) && { consumer_->settle_and_wait(delivery_, Outcome::release(after)); }
void Job::reject(std::string reason) && { consumer_->settle_and_wait(delivery_, Outcome::reject(std::move(reason))); }
void Job::extend(Millis time) { consumer_->extend(delivery_, time); }

// --- Worker ---

Worker::Worker(std::shared_ptr<detail::Consumer> consumer) noexcept : consumer_(std::move(consumer)) {}
Worker::Worker(Worker&&) noexcept = default;
Worker& Worker::operator=(Worker&& other) noexcept {
    Worker old(std::move(*this));
    consumer_ = std::move(other.consumer_);
    return *this;
}
Worker::~Worker() {
    if (!consumer_) return;
    try {
        consumer_->stop(consumer_->settings.stop_within);
    } catch (const Error&) {
        consumer_->abandon();  // on the I/O thread
    }
}
void Worker::pause() { consumer_->pause(); }
void Worker::resume() { consumer_->resume(); }
void Worker::stop() { consumer_->stop(consumer_->settings.stop_within); }
void Worker::wait() { consumer_->wait(); }

// --- Receiver ---

Receiver::Receiver(std::shared_ptr<detail::Consumer> consumer) noexcept : consumer_(std::move(consumer)) {}
Receiver::Receiver(Receiver&&) noexcept = default;
Receiver& Receiver::operator=(Receiver&& other) noexcept {
    Receiver old(std::move(*this));
    consumer_ = std::move(other.consumer_);
    return *this;
}
Receiver::~Receiver() {
    if (!consumer_) return;
    try {
        consumer_->stop(consumer_->settings.stop_within);
    } catch (const Error&) {
        consumer_->abandon();
    }
}
Job Receiver::next() {
    auto delivery = consumer_->next(std::chrono::steady_clock::time_point::max());
    return Access::job(consumer_, std::move(delivery));
}
std::optional<Job> Receiver::next(Millis wait) {
    auto delivery = consumer_->next(std::chrono::steady_clock::now() + wait);
    if (!delivery) return std::nullopt;
    return Access::job(consumer_, std::move(delivery));
}

// --- Client ---

namespace {

detail::Core& checked(const std::shared_ptr<detail::Core>& core) {
    if (!core) detail::fail(ErrorCode::kClosed, "this client was moved from");
    return *core;
}

void close_quietly(const std::shared_ptr<detail::Core>& core) noexcept {
    if (!core) return;
    try {
        if (core->on_io_thread()) {
            core->abandon();
        } else {
            core->close(Millis{5000});
        }
    } catch (...) {  // NOLINT(bugprone-empty-catch): what was not confirmed has failed its own future
    }
}

}  // namespace

Client::Client(ClientOptions options) {
    const char* environment = std::getenv("ROCKDOVE_URL");
    core_ = std::make_shared<detail::Core>(
        detail::resolve(Access::settings(options), environment != nullptr ? environment : ""));
    core_->start();
}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&& other) noexcept {
    close_quietly(core_);
    core_ = std::move(other.core_);
    return *this;
}
Client::~Client() { close_quietly(core_); }

Receipt Client::send(std::string_view queue, Message message) {
    checked(core_).check_may_block("send()");
    return send_async(queue, std::move(message)).get();
}

std::future<Receipt> Client::send_async(std::string_view queue, Message message) {
    std::promise<Receipt> promise;
    std::future<Receipt> receipt = promise.get_future();
    checked(core_).send({.name = queue}, message, std::move(promise));
    return receipt;
}

void Client::send_async(std::string_view queue, Message message, SendCallback done) {
    if (!done) detail::fail(ErrorCode::kInvalid, "send_async() needs a callback");
    checked(core_).send({.name = queue}, message, std::move(done));
}

Receipt Client::publish(std::string_view topic, Message message) {
    checked(core_).check_may_block("publish()");
    return publish_async(topic, std::move(message)).get();
}

std::future<Receipt> Client::publish_async(std::string_view topic, Message message) {
    std::promise<Receipt> promise;
    std::future<Receipt> receipt = promise.get_future();
    checked(core_).send({.name = topic, .topic = true}, message, std::move(promise));
    return receipt;
}

void Client::publish_async(std::string_view topic, Message message, SendCallback done) {
    if (!done) detail::fail(ErrorCode::kInvalid, "publish_async() needs a callback");
    checked(core_).send({.name = topic, .topic = true}, message, std::move(done));
}

Worker Client::receive(std::string queue, Handler handler, WorkerOptions options) {
    if (!handler) detail::fail(ErrorCode::kInvalid, "receive() needs a handler");
    return Access::worker(checked(core_).attach(std::move(queue), Access::settings(options), std::move(handler)));
}

Receiver Client::open_receiver(std::string queue, WorkerOptions options) {
    return Access::receiver(checked(core_).attach(std::move(queue), Access::settings(options), {}));
}

Worker Client::subscribe(std::string topic, Handler handler, SubscriptionOptions options) {
    if (!handler) detail::fail(ErrorCode::kInvalid, "subscribe() needs a handler");
    v1::SubscriptionCreate create = Access::subscription(options, std::move(topic));
    return Access::worker(
        checked(core_).subscribe(std::move(create), Access::worker_settings(options), std::move(handler)));
}

Receiver Client::open_subscription(std::string topic, SubscriptionOptions options) {
    v1::SubscriptionCreate create = Access::subscription(options, std::move(topic));
    return Access::receiver(checked(core_).subscribe(std::move(create), Access::worker_settings(options), {}));
}

void Client::create_queue(std::string_view name, QueueOptions options) {
    checked(core_).check_may_block("create_queue()");
    create_queue_async(name, std::move(options)).get();
}

std::future<void> Client::create_queue_async(std::string_view name, QueueOptions options) {
    v1::Frame request;
    v1::QueueCreate& create = *request.mutable_queue_create();
    create.set_name(std::string(name));
    Access::fill(options, create);
    auto created = std::make_shared<std::promise<void>>();
    std::future<void> result = created->get_future();
    checked(core_).call(std::move(request), core_->config().operation_timeout,
                        [created = std::move(created)](const base::Result<v1::Frame>& answer) {
                            if (answer) return created->set_value();
                            created->set_exception(std::make_exception_ptr(to_public(answer.error())));
                        });
    return result;
}

namespace {

// Answered, or thrown.
v1::Frame asked(const std::shared_ptr<detail::Core>& core, const char* what, v1::Frame request) {
    checked(core).check_may_block(what);
    auto answered = std::make_shared<std::promise<v1::Frame>>();
    std::future<v1::Frame> result = answered->get_future();
    core->call(std::move(request), core->config().operation_timeout,
               [answered = std::move(answered)](const base::Result<v1::Frame>& answer) {
                   if (answer) return answered->set_value(*answer);
                   answered->set_exception(std::make_exception_ptr(to_public(answer.error())));
               });
    return result.get();
}

constexpr Millis kTaskPoll{50};

}  // namespace

void Client::create_topic(std::string_view name, TopicOptions options) {
    v1::Frame request;
    Access::fill(options, name, *request.mutable_topic_create());
    (void)asked(core_, "create_topic()", std::move(request));
}

void Client::cancel(std::string_view message_id) {
    v1::Frame request;
    request.mutable_message_cancel()->set_id(std::string(message_id));
    (void)asked(core_, "cancel()", std::move(request));
}

void Client::reschedule(std::string_view message_id, Clock::time_point time) {
    v1::Frame request;
    v1::MessageReschedule& move = *request.mutable_message_reschedule();
    move.set_id(std::string(message_id));
    move.set_not_before_ms(std::chrono::duration_cast<Millis>(time.time_since_epoch()).count());
    (void)asked(core_, "reschedule()", std::move(request));
}

std::uint64_t Client::redrive(std::string_view queue, RedriveOptions options) {
    v1::Frame request;
    Access::fill(options, queue, *request.mutable_redrive());
    v1::TaskInfo task = asked(core_, "redrive()", std::move(request)).task_info();
    while (task.state() == v1::TASK_RUNNING || task.state() == v1::TASK_WAITING) {
        std::this_thread::sleep_for(kTaskPoll);
        v1::Frame look;
        look.mutable_task_show()->set_task(task.task());
        task = asked(core_, "redrive()", std::move(look)).task_info();
    }
    if (task.state() == v1::TASK_DONE) return task.moved();
    const bool cancelled = task.state() == v1::TASK_CANCELLED;
    throw Error(cancelled ? ErrorCode::kCancelled : ErrorCode::kUnavailable,
                "redrive of \"" + std::string(queue) + "\" " +
                    (cancelled ? "was cancelled" : "failed: " + task.text()) + " after " +
                    std::to_string(task.moved()) + " messages");
}

void Client::flush() { checked(core_).flush(); }
ConnectionState Client::state() const { return core_ ? core_->state() : ConnectionState::kClosed; }
void Client::on_state(std::function<void(ConnectionState, std::error_code)> callback) {
    checked(core_).on_state(std::move(callback));
}
void Client::close(Millis grace) {
    if (core_) core_->close(grace);
}

// --- call.h ---

base::Result<v1::Frame> call(Client& client, v1::Frame request, std::chrono::milliseconds timeout) {
    return checked(Access::core(client)).call(std::move(request), timeout);
}
std::future<base::Result<v1::Frame>> call_async(Client& client, v1::Frame request, std::chrono::milliseconds timeout) {
    auto answered = std::make_shared<std::promise<base::Result<v1::Frame>>>();
    std::future<base::Result<v1::Frame>> answer = answered->get_future();
    checked(Access::core(client)).call(std::move(request), timeout, [answered](base::Result<v1::Frame> result) {
        answered->set_value(std::move(result));
    });
    return answer;
}
std::optional<v1::Welcome> welcome(const Client& client) { return checked(Access::core(client)).welcome(); }
std::string endpoint(const Client& client) { return checked(Access::core(client)).endpoint(); }

}  // namespace rockdove

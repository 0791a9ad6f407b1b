// Message and its encoding, Outcome, and the option types' setters. A message is encoded once, in the thread that sends
// it, straight into the batch that goes out.
#include <limits>

#include "client/src/access.h"
#include "protocol/names.h"
#include "protocol/wire.h"

namespace rockdove {

struct Message::Properties {
    std::vector<std::pair<std::string, std::string>> headers;
    std::string content_type, subject, correlation_id, reply_to, traceparent, tracestate, key, dedup_id;
    std::optional<std::uint32_t> priority;
    std::uint64_t delay_ms = 0, ttl_ms = 0;
    std::int64_t not_before_ms = 0;
    std::uint32_t max_attempts = 0;
    bool mandatory = false;  // says the frame, not the message
};

namespace {

constexpr std::uint32_t kEphemeralPrefetch = 1'000;

std::uint64_t positive_ms(std::string_view what, Millis value) {
    if (value.count() < 0) detail::fail(ErrorCode::kInvalid, std::string(what) + " must not be negative");
    return static_cast<std::uint64_t>(value.count());
}

std::size_t header_size(const std::string& name, const std::string& value) {
    return protocol::bytes_field_size(1, name.size()) + protocol::bytes_field_size(2, value.size());
}

}  // namespace

void Message::Drop::operator()(Properties* properties) const noexcept { delete properties; }

Message::Message() noexcept = default;
Message::Message(const Message& other)
    : body_(other.body_), properties_(other.properties_ ? new Properties(*other.properties_) : nullptr) {}
Message::Message(Message&&) noexcept = default;
Message& Message::operator=(const Message& other) {
    Message copy(other);
    return *this = std::move(copy);
}
Message& Message::operator=(Message&&) noexcept = default;
Message::~Message() = default;

Message::Properties& Message::properties() {
    if (!properties_) properties_.reset(new Properties);
    return *properties_;
}

Message& Message::header(std::string name, std::string value) {
    if (name.empty()) detail::fail(ErrorCode::kInvalid, "a header's name must not be empty");
    properties().headers.emplace_back(std::move(name), std::move(value));
    return *this;
}
Message& Message::content_type(std::string type) {
    properties().content_type = std::move(type);
    return *this;
}
Message& Message::key(std::string key) {
    properties().key = std::move(key);
    return *this;
}
Message& Message::subject(std::string subject) {
    properties().subject = std::move(subject);
    return *this;
}
Message& Message::priority(int priority) {
    if (priority < 0 || priority > 9) {
        detail::fail(ErrorCode::kInvalid, "priority must be 0 to 9, not " + std::to_string(priority));
    }
    properties().priority = static_cast<std::uint32_t>(priority);
    return *this;
}
Message& Message::delay(Millis delay) {
    properties().delay_ms = positive_ms("delay", delay);
    return *this;
}
Message& Message::deliver_at(Clock::time_point time) {
    properties().not_before_ms = std::chrono::duration_cast<Millis>(time.time_since_epoch()).count();
    return *this;
}
Message& Message::ttl(Millis ttl) {
    if (ttl.count() <= 0) detail::fail(ErrorCode::kInvalid, "ttl must be positive");
    properties().ttl_ms = static_cast<std::uint64_t>(ttl.count());
    return *this;
}
Message& Message::dedup_id(std::string id) {
    properties().dedup_id = std::move(id);
    return *this;
}
Message& Message::correlation_id(std::string id) {
    properties().correlation_id = std::move(id);
    return *this;
}
Message& Message::reply_to(std::string queue) {
    properties().reply_to = std::move(queue);
    return *this;
}
Message& Message::trace(std::string traceparent, std::string tracestate) {
    properties().traceparent = std::move(traceparent);
    properties().tracestate = std::move(tracestate);
    return *this;
}
Message& Message::max_attempts(std::uint32_t attempts) {
    properties().max_attempts = attempts;
    return *this;
}
Message& Message::mandatory(bool on) {
    if (on || properties_) properties().mandatory = on;
    return *this;
}

std::optional<std::string_view> Message::header(std::string_view name) const {
    if (!properties_) return std::nullopt;
    for (const auto& [key, value] : properties_->headers) {
        if (key == name) return value;
    }
    return std::nullopt;
}

namespace detail {

std::size_t Access::encoded_size(const Message& message) {
    using protocol::bytes_field_size;
    using protocol::varint_field_size;
    std::size_t size = bytes_field_size(1, message.body_.size());
    if (!message.properties_) return size;
    const Message::Properties& p = *message.properties_;
    for (const auto& [name, value] : p.headers) {
        const std::size_t inner = header_size(name, value);
        size += 1 + base::varint_size(inner) + inner;
    }
    size += bytes_field_size(3, p.content_type.size()) + bytes_field_size(4, p.subject.size()) +
            bytes_field_size(5, p.correlation_id.size()) + bytes_field_size(6, p.reply_to.size()) +
            bytes_field_size(7, p.traceparent.size()) + bytes_field_size(8, p.tracestate.size());
    if (p.priority) size += 2;
    size += bytes_field_size(10, p.key.size()) + bytes_field_size(11, p.dedup_id.size()) +
            varint_field_size(12, p.delay_ms) + varint_field_size(13, static_cast<std::uint64_t>(p.not_before_ms)) +
            varint_field_size(14, p.ttl_ms) + varint_field_size(17, p.max_attempts);
    return size;
}

void Access::encode(const Message& message, std::string& out) {
    const std::size_t size = encoded_size(message);
    char head[2 * base::kMaxVarintBytes + 2];
    char* at = head;
    *at++ = 0x7A;  // field 15, bytes
    at = base::write_varint(at, size);
    const std::string& body = message.body_;
    if (!body.empty()) {
        *at++ = 0x0A;
        at = base::write_varint(at, body.size());
    }
    out.append(head, static_cast<std::size_t>(at - head));
    out.append(body);
    if (!message.properties_) return;
    const Message::Properties& p = *message.properties_;
    protocol::FieldWriter fields(out);
    base::ByteWriter raw(out);
    for (const auto& [name, value] : p.headers) {
        raw.u8(0x12);
        raw.varint(header_size(name, value));
        fields.bytes(1, name);
        fields.bytes(2, value);
    }
    fields.bytes(3, p.content_type);
    fields.bytes(4, p.subject);
    fields.bytes(5, p.correlation_id);
    fields.bytes(6, p.reply_to);
    fields.bytes(7, p.traceparent);
    fields.bytes(8, p.tracestate);
    if (p.priority) {
        raw.u8(9 << 3);
        raw.varint(*p.priority);  // also when it is 0, which says something
    }
    fields.bytes(10, p.key);
    fields.bytes(11, p.dedup_id);
    fields.varint(12, p.delay_ms);
    fields.varint(13, static_cast<std::uint64_t>(p.not_before_ms));
    fields.varint(14, p.ttl_ms);
    fields.varint(17, p.max_attempts);
}

bool Access::mandatory(const Message& message) { return message.properties_ && message.properties_->mandatory; }

Access::WorkerSettings Access::settings(const WorkerOptions& options) {
    WorkerSettings settings{options.concurrency_,    options.prefetch_,       options.prefetch_bytes_, options.lease_,
                            options.longest_,        options.stop_within_,    options.name_,           options.filter_,
                            options.explicit_start_, options.ack_on_delivery_};
    if (settings.explicit_start && settings.ack_on_delivery) {
        fail(ErrorCode::kInvalid, "a worker has explicit_start or ack_on_delivery, not both");
    }
    if (settings.concurrency < 1 || settings.concurrency > 1024)
        fail(ErrorCode::kInvalid, "concurrency must be 1 to 1024");
    if (settings.prefetch == 0) {
        settings.prefetch = static_cast<std::uint32_t>((settings.ack_on_delivery ? 1 : 2) * settings.concurrency);
    }
    if (settings.prefetch > 65'535) fail(ErrorCode::kInvalid, "prefetch must be at most 65535");
    if (settings.lease.count() < 0) fail(ErrorCode::kInvalid, "lease must not be negative");
    if (settings.longest.count() <= 0) fail(ErrorCode::kInvalid, "longest must be positive");
    if (settings.stop_within.count() < 0) fail(ErrorCode::kInvalid, "stop_within must not be negative");
    if (!settings.name.empty()) {
        const auto checked = base::check_name("worker name", settings.name);
        if (!checked) throw to_public(checked.error());
    }
    return settings;
}

Access::WorkerSettings Access::worker_settings(const SubscriptionOptions& options) {
    if (options.worker_) return settings(*options.worker_);
    if (!options.name_.empty()) return settings(WorkerOptions());
    return settings(WorkerOptions().ack_on_delivery().prefetch(kEphemeralPrefetch));
}

v1::SubscriptionCreate Access::subscription(const SubscriptionOptions& options, std::string topic) {
    auto checked = base::check_name("topic name", topic);
    if (checked && !options.name_.empty()) checked = base::check_name("subscription name", options.name_);
    if (!checked) throw to_public(checked.error());
    if (options.drop_when_slow_ && !options.name_.empty()) {
        fail(ErrorCode::kInvalid,
             "drop_when_slow() is for ephemeral subscriptions; a durable one never holds a publisher "
             "back, and queue(QueueOptions{}.drop_oldest()) bounds it");
    }
    v1::SubscriptionCreate create;
    create.set_topic(std::move(topic));
    create.set_name(options.name_);
    create.set_ephemeral(options.name_.empty());
    create.set_if_not_exists(true);
    v1::SubscriptionSettings& settings = *create.mutable_settings();
    for (const std::string& subject : options.subjects_) settings.add_subjects(subject);
    if (!options.filter_.empty()) settings.set_filter(options.filter_);
    fill(options.queue_, *settings.mutable_queue());
    if (options.drop_when_slow_) settings.mutable_queue()->set_overflow(v1::DROP_OLDEST);
    switch (options.from_) {
        case SubscriptionOptions::From::kEnd:
            break;
        case SubscriptionOptions::From::kStart:
            create.mutable_from()->set_from(v1::FROM_START);
            break;
        case SubscriptionOptions::From::kTime:
            create.mutable_from()->set_from(v1::FROM_TIME);
            create.mutable_from()->set_time_ms(options.from_ms_);
            break;
        case SubscriptionOptions::From::kSequence:
            create.mutable_from()->set_from(v1::FROM_SEQ);
            create.mutable_from()->set_seq(options.from_sequence_);
            break;
    }
    return create;
}

void Access::fill(const TopicOptions& options, std::string_view name, v1::TopicCreate& create) {
    create.set_name(std::string(name));
    create.set_if_not_exists(options.if_not_exists_);
    v1::TopicSettings& settings = *create.mutable_settings();
    if (options.durability_)
        settings.set_durability(static_cast<v1::Durability>(static_cast<int>(*options.durability_) + 1));
    if (options.retain_age_ms_) settings.set_retain_age_ms(*options.retain_age_ms_);
    if (options.retain_bytes_) settings.set_retain_bytes(*options.retain_bytes_);
    if (options.retain_messages_) settings.set_retain_messages(*options.retain_messages_);
    if (options.retain_until_done_) settings.set_retain_until_done(*options.retain_until_done_);
    if (options.retain_last_) settings.set_retain_last(*options.retain_last_);
    if (options.best_effort_) settings.set_best_effort(*options.best_effort_);
    if (options.ttl_ms_) settings.set_ttl_ms(*options.ttl_ms_);
    if (options.dedup_window_ms_) settings.set_dedup_window_ms(*options.dedup_window_ms_);
}

void Access::fill(const QueueOptions& options, v1::QueueCreate& create) {
    create.set_if_not_exists(options.if_not_exists_);
    fill(options, *create.mutable_settings());
}

void Access::fill(const QueueOptions& options, v1::QueueSettings& settings) {
    if (options.durability_)
        settings.set_durability(static_cast<v1::Durability>(static_cast<int>(*options.durability_) + 1));
    if (options.lease_ms_) settings.set_lease_ms(*options.lease_ms_);
    if (options.max_attempts_) settings.set_max_attempts(*options.max_attempts_);
    if (options.max_releases_) settings.set_max_releases(*options.max_releases_);
    if (options.backoff_first_ms_) settings.set_backoff_first_ms(*options.backoff_first_ms_);
    if (options.backoff_factor_) settings.set_backoff_factor(*options.backoff_factor_);
    if (options.backoff_longest_ms_) settings.set_backoff_longest_ms(*options.backoff_longest_ms_);
    if (options.backoff_jitter_) settings.set_backoff_jitter(*options.backoff_jitter_);
    if (options.max_retry_delay_ms_) settings.set_max_retry_delay_ms(*options.max_retry_delay_ms_);
    if (options.max_messages_) settings.set_max_messages(*options.max_messages_);
    if (options.max_bytes_) settings.set_max_bytes(*options.max_bytes_);
    if (options.drop_oldest_) settings.set_overflow(*options.drop_oldest_ ? v1::DROP_OLDEST : v1::REJECT_NEW);
    if (options.dead_max_) settings.set_dead_max(*options.dead_max_);
    if (options.reconnect_grace_ms_) settings.set_reconnect_grace_ms(*options.reconnect_grace_ms_);
    if (options.ttl_ms_) settings.set_ttl_ms(*options.ttl_ms_);
    if (options.drop_expired_) settings.set_on_expire(*options.drop_expired_ ? v1::EXPIRED_DROP : v1::EXPIRED_DEAD);
    if (options.pass_on_retry_) settings.set_key_on_retry(*options.pass_on_retry_ ? v1::KEY_PASS : v1::KEY_HOLD);
    if (options.pause_on_dead_) settings.set_key_on_dead(*options.pause_on_dead_ ? v1::KEY_PAUSE : v1::KEY_SKIP);
    if (options.dedup_window_ms_) settings.set_dedup_window_ms(*options.dedup_window_ms_);
    if (options.dedup_until_done_) {
        settings.set_dedup_mode(*options.dedup_until_done_ ? v1::DEDUP_UNTIL_DONE : v1::DEDUP_WINDOW);
    }
    if (options.oldest_every_) settings.set_oldest_every(*options.oldest_every_);
    if (options.dead_letter_to_) settings.set_dead_letter_to(*options.dead_letter_to_);
}

void Access::fill(const RedriveOptions& options, std::string_view queue, v1::Redrive& redrive) {
    redrive.set_queue(std::string(queue));
    redrive.set_to(options.to_);
    redrive.set_reason(options.reason_);
    redrive.set_filter(options.filter_);
    redrive.set_limit(options.limit_);
    redrive.set_rate(options.rate_);
}

}  // namespace detail

Outcome::Outcome() : kind_(v1::ACK) {}
Outcome Outcome::ack() { return {}; }
Outcome Outcome::retry(std::string reason, std::optional<Millis> after) {
    if (after) positive_ms("after", *after);
    Outcome outcome;
    outcome.kind_ = v1::RETRY;
    outcome.reason_ = std::move(reason);
    outcome.after_ = after;
    return outcome;
}
Outcome Outcome::release(Millis after) {
    Outcome outcome;
    outcome.kind_ = v1::RELEASE;
    if (positive_ms("after", after) != 0) outcome.after_ = after;
    return outcome;
}
Outcome Outcome::reject(std::string reason) {
    Outcome outcome;
    outcome.kind_ = v1::REJECT;
    outcome.reason_ = std::move(reason);
    return outcome;
}

WorkerOptions::WorkerOptions() = default;
WorkerOptions& WorkerOptions::concurrency(std::size_t handlers) {
    concurrency_ = handlers;
    return *this;
}
WorkerOptions& WorkerOptions::prefetch(std::uint32_t jobs) {
    prefetch_ = jobs;
    return *this;
}
WorkerOptions& WorkerOptions::prefetch_bytes(std::uint64_t bytes) {
    prefetch_bytes_ = bytes;
    return *this;
}
WorkerOptions& WorkerOptions::lease(Millis lease) {
    lease_ = lease;
    return *this;
}
WorkerOptions& WorkerOptions::longest(Millis time) {
    longest_ = time;
    return *this;
}
WorkerOptions& WorkerOptions::stop_within(Millis time) {
    stop_within_ = time;
    return *this;
}
WorkerOptions& WorkerOptions::filter(std::string expression) {
    filter_ = std::move(expression);
    return *this;
}
WorkerOptions& WorkerOptions::explicit_start(bool on) {
    explicit_start_ = on;
    return *this;
}
WorkerOptions& WorkerOptions::ack_on_delivery(bool on) {
    ack_on_delivery_ = on;
    return *this;
}
WorkerOptions& WorkerOptions::name(std::string name) {
    name_ = std::move(name);
    return *this;
}

QueueOptions::QueueOptions() = default;
QueueOptions& QueueOptions::durability(Durability durability) {
    durability_ = durability;
    return *this;
}
QueueOptions& QueueOptions::lease(Millis lease) {
    lease_ms_ = positive_ms("lease", lease);
    return *this;
}
QueueOptions& QueueOptions::max_attempts(std::uint32_t attempts) {
    max_attempts_ = attempts;
    return *this;
}
QueueOptions& QueueOptions::max_releases(std::uint32_t releases) {
    max_releases_ = releases;
    return *this;
}
QueueOptions& QueueOptions::backoff(Millis first, double factor, Millis longest, double jitter) {
    backoff_first_ms_ = positive_ms("backoff", first);
    backoff_factor_ = factor;
    backoff_longest_ms_ = positive_ms("backoff", longest);
    backoff_jitter_ = jitter;
    return *this;
}
QueueOptions& QueueOptions::max_retry_delay(Millis delay) {
    max_retry_delay_ms_ = positive_ms("max_retry_delay", delay);
    return *this;
}
QueueOptions& QueueOptions::max_messages(std::uint64_t messages) {
    max_messages_ = messages;
    return *this;
}
QueueOptions& QueueOptions::max_bytes(std::uint64_t bytes) {
    max_bytes_ = bytes;
    return *this;
}
QueueOptions& QueueOptions::dead_max(std::uint64_t dead_letters) {
    dead_max_ = dead_letters;
    return *this;
}
QueueOptions& QueueOptions::dead_letter_to(std::string queue) {
    dead_letter_to_ = std::move(queue);
    return *this;
}
QueueOptions& QueueOptions::reconnect_grace(Millis time) {
    reconnect_grace_ms_ = positive_ms("reconnect_grace", time);
    return *this;
}
QueueOptions& QueueOptions::ttl(Millis most) {
    ttl_ms_ = positive_ms("ttl", most);
    return *this;
}
QueueOptions& QueueOptions::drop_expired(bool drop) {
    drop_expired_ = drop;
    return *this;
}
QueueOptions& QueueOptions::pass_on_retry(bool pass) {
    pass_on_retry_ = pass;
    return *this;
}
QueueOptions& QueueOptions::pause_on_dead(bool pause) {
    pause_on_dead_ = pause;
    return *this;
}
RedriveOptions& RedriveOptions::to(std::string queue) {
    to_ = std::move(queue);
    return *this;
}
RedriveOptions& RedriveOptions::reason(std::string reason) {
    reason_ = std::move(reason);
    return *this;
}
RedriveOptions& RedriveOptions::filter(std::string filter) {
    filter_ = std::move(filter);
    return *this;
}
RedriveOptions& RedriveOptions::limit(std::uint64_t letters) {
    limit_ = letters;
    return *this;
}
RedriveOptions& RedriveOptions::rate(double per_second) {
    rate_ = per_second;
    return *this;
}
QueueOptions& QueueOptions::drop_oldest(bool drop) {
    drop_oldest_ = drop;
    return *this;
}
QueueOptions& QueueOptions::dedup_window(Millis time) {
    dedup_window_ms_ = positive_ms("dedup_window", time);
    return *this;
}
QueueOptions& QueueOptions::dedup_until_done(bool done) {
    dedup_until_done_ = done;
    return *this;
}
QueueOptions& QueueOptions::oldest_every(std::uint32_t n) {
    oldest_every_ = n;
    return *this;
}
QueueOptions& QueueOptions::if_not_exists(bool fine) {
    if_not_exists_ = fine;
    return *this;
}

TopicOptions::TopicOptions() = default;
TopicOptions& TopicOptions::durability(Durability durability) {
    durability_ = durability;
    return *this;
}
TopicOptions& TopicOptions::retain_age(Millis age) {
    retain_age_ms_ = positive_ms("retain_age", age);
    return *this;
}
TopicOptions& TopicOptions::retain_bytes(std::uint64_t bytes) {
    retain_bytes_ = bytes;
    return *this;
}
TopicOptions& TopicOptions::retain_messages(std::uint64_t messages) {
    retain_messages_ = messages;
    return *this;
}
TopicOptions& TopicOptions::retain_until_done(bool until_done) {
    retain_until_done_ = until_done;
    return *this;
}
TopicOptions& TopicOptions::retain_last(bool retain) {
    retain_last_ = retain;
    return *this;
}
TopicOptions& TopicOptions::best_effort(bool on) {
    best_effort_ = on;
    return *this;
}
TopicOptions& TopicOptions::ttl(Millis most) {
    ttl_ms_ = positive_ms("ttl", most);
    return *this;
}
TopicOptions& TopicOptions::dedup_window(Millis time) {
    dedup_window_ms_ = positive_ms("dedup_window", time);
    return *this;
}
TopicOptions& TopicOptions::if_not_exists(bool fine) {
    if_not_exists_ = fine;
    return *this;
}

SubscriptionOptions::SubscriptionOptions() = default;
SubscriptionOptions& SubscriptionOptions::durable(std::string name) {
    if (name.empty()) detail::fail(ErrorCode::kInvalid, "durable() needs a name; an ephemeral subscription has none");
    name_ = std::move(name);
    return *this;
}
SubscriptionOptions& SubscriptionOptions::subject(std::string pattern) {
    subjects_.push_back(std::move(pattern));
    return *this;
}
SubscriptionOptions& SubscriptionOptions::filter(std::string expression) {
    filter_ = std::move(expression);
    return *this;
}
SubscriptionOptions& SubscriptionOptions::from_start() {
    from_ = From::kStart;
    return *this;
}
SubscriptionOptions& SubscriptionOptions::from(Clock::time_point time) {
    const std::int64_t ms = std::chrono::ceil<Millis>(time.time_since_epoch()).count();
    if (ms <= 0)
        detail::fail(ErrorCode::kInvalid, "from() needs a time after 1970; from_start() begins with the oldest");
    from_ = From::kTime;
    from_ms_ = ms;
    return *this;
}
SubscriptionOptions& SubscriptionOptions::from_sequence(std::uint64_t sequence) {
    if (sequence == 0) {
        detail::fail(ErrorCode::kInvalid, "sequences count from 1; from_start() begins with the oldest message");
    }
    from_ = From::kSequence;
    from_sequence_ = sequence;
    return *this;
}
SubscriptionOptions& SubscriptionOptions::drop_when_slow(bool drop) {
    drop_when_slow_ = drop;
    return *this;
}
SubscriptionOptions& SubscriptionOptions::queue(QueueOptions options) {
    queue_ = std::move(options);
    return *this;
}
SubscriptionOptions& SubscriptionOptions::worker(WorkerOptions options) {
    worker_ = std::move(options);
    return *this;
}

}  // namespace rockdove

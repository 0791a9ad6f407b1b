// Setters of TopicOptions and SubscriptionOptions, and what they ask of the broker.
#include "client/src/access.h"

namespace rockdove {

namespace {

std::uint64_t positive_ms(const char* what, Millis value) {
    if (value.count() < 0) detail::fail(ErrorCode::kInvalid, std::string(what) + " must not be negative");
    return static_cast<std::uint64_t>(value.count());
}

constexpr std::uint32_t kLivePrefetch = 1'000;

}  // namespace

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
TopicOptions& TopicOptions::retain_until_done(bool until) {
    retain_until_done_ = until;
    return *this;
}
TopicOptions& TopicOptions::retain_last(bool last) {
    retain_last_ = last;
    return *this;
}
TopicOptions& TopicOptions::best_effort(bool best) {
    best_effort_ = best;
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
    if (name.empty()) detail::fail(ErrorCode::kInvalid, "a durable subscription needs a name");
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
    from_ = v1::FROM_START;
    return *this;
}
SubscriptionOptions& SubscriptionOptions::from(Clock::time_point time) {
    from_ = v1::FROM_TIME;
    from_ms_ = std::chrono::duration_cast<Millis>(time.time_since_epoch()).count();
    return *this;
}
SubscriptionOptions& SubscriptionOptions::from_sequence(std::uint64_t sequence) {
    from_ = v1::FROM_SEQ;
    from_seq_ = sequence;
    return *this;
}
SubscriptionOptions& SubscriptionOptions::drop_when_slow(bool drop) {
    drop_when_slow_ = drop;
    return *this;
}
SubscriptionOptions& SubscriptionOptions::queue(QueueOptions settings) {
    queue_ = std::move(settings);
    return *this;
}
SubscriptionOptions& SubscriptionOptions::worker(WorkerOptions options) {
    worker_ = std::move(options);
    return *this;
}

namespace detail {

Access::WorkerSettings Access::settings(const SubscriptionOptions& options) {
    if (options.worker_) return settings(*options.worker_);
    WorkerOptions worker;
    if (options.name_.empty()) worker.ack_on_delivery().prefetch(kLivePrefetch);
    return settings(worker);
}

void Access::fill(const TopicOptions& options, v1::TopicCreate& create) {
    create.set_if_not_exists(options.if_not_exists_);
    v1::TopicSettings& settings = *create.mutable_settings();
    if (options.durability_) {
        settings.set_durability(static_cast<v1::Durability>(static_cast<int>(*options.durability_) + 1));
    }
    if (options.retain_age_ms_) settings.set_retain_age_ms(*options.retain_age_ms_);
    if (options.retain_bytes_) settings.set_retain_bytes(*options.retain_bytes_);
    if (options.retain_messages_) settings.set_retain_messages(*options.retain_messages_);
    if (options.retain_until_done_) settings.set_retain_until_done(*options.retain_until_done_);
    if (options.retain_last_) settings.set_retain_last(*options.retain_last_);
    if (options.best_effort_) settings.set_best_effort(*options.best_effort_);
    if (options.ttl_ms_) settings.set_ttl_ms(*options.ttl_ms_);
    if (options.dedup_window_ms_) settings.set_dedup_window_ms(*options.dedup_window_ms_);
}

void Access::fill(const SubscriptionOptions& options, v1::SubscriptionCreate& create) {
    if (options.drop_when_slow_ && !options.name_.empty()) {
        fail(ErrorCode::kInvalid,
             "drop_when_slow() is for subscriptions without a name; a durable one has "
             "queue(QueueOptions().drop_oldest())");
    }
    create.set_name(options.name_);
    create.set_ephemeral(options.name_.empty());
    create.set_if_not_exists(true);
    v1::SubscriptionSettings& settings = *create.mutable_settings();
    for (const std::string& pattern : options.subjects_) settings.add_subjects(pattern);
    if (!options.filter_.empty()) settings.set_filter(options.filter_);
    if (options.queue_) fill(*options.queue_, *settings.mutable_queue());
    if (options.drop_when_slow_) settings.mutable_queue()->set_overflow(v1::DROP_OLDEST);
    v1::Position& from = *create.mutable_from();
    from.set_from(static_cast<v1::From>(options.from_));
    from.set_seq(options.from_seq_);
    from.set_time_ms(options.from_ms_);
}

}  // namespace detail

}  // namespace rockdove

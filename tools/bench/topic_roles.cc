#include "tools/bench/topic_roles.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "protocol/frame.h"
#include "protocol/wire.h"

namespace rockdove::bench {
namespace {

using protocol::Field;
using protocol::FieldReader;
using protocol::FieldWriter;
using protocol::FrameKind;

constexpr std::uint64_t kConsumer = 1;
constexpr std::uint64_t kAhead = 10'000;  // of the slowest subscriber, where nothing is stored
constexpr std::uint64_t kMessagesPerFrame = 500;
constexpr std::size_t kCreatesAtATime = 500;

// The pattern of a subscription that wants all of the subjects, or everything.
std::string wanted(const Run& run) { return run.subjects == 0 ? std::string() : "bench.>"; }

// Levels that no subject of the run has, at different depths.
std::string other_pattern(std::size_t number) {
    const std::string level = "other" + std::to_string(number);
    switch (number % 4) {
        case 0:
            return "bench." + level + ".created";
        case 1:
            return "*." + level + ".*";
        case 2:
            return "bench.*." + level;
        default:
            return "*.*.*." + level + ".>";
    }
}

v1::Frame create(const Run& run, const std::string& name, const std::string& pattern, bool ephemeral) {
    v1::Frame frame;
    v1::SubscriptionCreate& subscription = *frame.mutable_subscription_create();
    subscription.set_topic(run.queue);
    subscription.set_name(name);
    subscription.set_ephemeral(ephemeral);
    if (!pattern.empty()) subscription.mutable_settings()->add_subjects(pattern);
    return frame;
}

void append_settle(const v1::SeqRange& range, std::string& out) {
    v1::Frame frame;
    v1::Settle& settle = *frame.mutable_settle();
    settle.set_consumer(kConsumer);
    settle.set_outcome(v1::ACK);
    *settle.add_ranges() = range;
    append_frame(frame, out);
}

void answer_ping(std::uint64_t request_id, std::string& out) {
    v1::Frame pong;
    pong.set_request_id(request_id);
    pong.mutable_pong();
    append_frame(pong, out);
}

}  // namespace

bool stored(const Run& run) { return run.mode != "none"; }

void make_other_subscriptions(const Run& run) {
    RawConnection connection(run.endpoint, run.name_space);
    for (std::size_t made = 0; made < run.others;) {
        std::string out;
        const std::size_t end = std::min(run.others, made + kCreatesAtATime);
        std::size_t open = end - made;
        for (; made < end; ++made) {
            v1::Frame frame = create(run, "other" + std::to_string(made), other_pattern(made), false);
            frame.set_request_id(made + 1);
            append_frame(frame, out);
        }
        connection.send(out);
        while (open != 0) {
            const auto bytes = connection.take_frame();
            if (!bytes) {
                if (!connection.read_more()) throw std::runtime_error("the broker closed the connection");
                continue;
            }
            const auto frame = protocol::read_frame(*bytes);
            if (frame && frame->kind == FrameKind::kError) throw std::runtime_error("a subscription was refused");
            open -= frame && frame->kind == FrameKind::kSubscriptionInfo ? 1 : 0;
        }
    }
}

Subscriber::Subscriber(const Run& run, const std::string& name, const Phase* times)
    : connection_(run.endpoint, run.name_space),
      subscription_(run.queue + "/" + name),
      acks_(stored(run)),
      times_(times) {
    connection_.ask(create(run, name, wanted(run), !acks_));
}

Subscriber::~Subscriber() { stop(); }

void Subscriber::stop() {
    connection_.shut_down();
    if (thread_.joinable()) thread_.join();
}

void Subscriber::start(std::uint32_t credit, std::uint64_t pace) {
    pace_ = pace;
    started_ns_ = now_ns();
    v1::Frame request;
    v1::Consume& consume = *request.mutable_consume();
    consume.set_subscription(subscription_);
    consume.set_consumer(kConsumer);
    consume.set_name("bench");
    consume.set_credit_messages(credit);
    consume.set_ack_on_delivery(!acks_);
    connection_.ask(std::move(request));
    thread_ = std::thread([this] { run(); });
}

void Subscriber::run() {
    std::string out;
    try {
        do {
            std::uint64_t count = 0;
            out.clear();
            while (const auto bytes = connection_.take_frame()) {
                const auto frame = protocol::read_frame(*bytes);
                if (frame && frame->kind == FrameKind::kDeliver) count += take(frame->body, out);
                if (frame && frame->kind == FrameKind::kPing) answer_ping(frame->request_id, out);
            }
            received_.fetch_add(count, std::memory_order_relaxed);
            if (!acks_) make_room(count, out);
            if (pace_ != 0) keep_pace();
            if (!out.empty()) connection_.send(out);
        } while (connection_.read_more());
    } catch (const std::runtime_error&) {
        // Ends as if the connection had been closed; what is missing shows.
    }
}

// Of a Deliver; returns how many messages it brought.
std::uint64_t Subscriber::take(std::string_view body, std::string& out) {
    v1::SeqRange range;
    std::uint64_t count = 0;
    FieldReader in(body);
    while (in.next()) {
        const Field& field = in.field();
        if (field.number == 2) range.set_first_seq(field.value);
        if (field.number == 3) range.set_epoch(field.value);
        if (field.number == 4) range.set_lease(static_cast<std::uint32_t>(field.value));
        if (field.number == 15) {
            ++count;
            if (times_ != nullptr) note_time(field.bytes);
        }
    }
    range.set_last_seq(range.first_seq() + count - 1);
    if (acks_) append_settle(range, out);
    return count;
}

void Subscriber::note_time(std::string_view message) {
    if (!times_->measure.load(std::memory_order_relaxed)) return;
    FieldReader in(message);
    if (!in.next() || in.field().number != 1) return;
    late_us_.push_back(
        static_cast<std::uint32_t>(std::max<std::int64_t>(now_ns() - due_time(in.field().bytes), 0) / 1000));
    measured_.store(late_us_.size(), std::memory_order_relaxed);
}

// Deliveries that are done already take up credit until they are acknowledged: now and then is enough.
void Subscriber::make_room(std::uint64_t count, std::string& out) {
    unacked_ += count;
    if (unacked_ < kCredit / 4) return;
    v1::SeqRange range;
    range.set_first_seq(1);
    range.set_last_seq(unacked_);
    append_settle(range, out);
    unacked_ = 0;
}

void Subscriber::keep_pace() const {
    const auto taken = std::chrono::nanoseconds(received() * 1'000'000'000 / pace_);
    std::this_thread::sleep_until(std::chrono::steady_clock::time_point(std::chrono::nanoseconds(started_ns_) + taken));
}

Publisher::Publisher(const Run& run, const std::deque<Subscriber>& subscribers, Phase& phase, std::uint64_t most)
    : connection_(run.endpoint, run.name_space),
      subscribers_(subscribers),
      phase_(phase),
      topic_(run.queue),
      confirms_(stored(run)),
      window_(confirms_ ? run.window : kAhead),
      most_(most == 0 ? UINT64_MAX : most),
      bodies_(run.body_bytes, 1) {
    for (std::size_t i = 0; i < run.subjects; ++i) {
        subjects_.push_back("bench.region" + std::to_string(i) + ".created");
    }
    thread_ = std::thread([this] { this->run(); });
    if (confirms_) reader_ = std::thread([this] { read(); });
}

Publisher::~Publisher() {
    join();
    connection_.shut_down();
    if (reader_.joinable()) reader_.join();
}

void Publisher::join() {
    if (thread_.joinable()) thread_.join();
}

std::optional<std::string> Publisher::failure() {
    const std::lock_guard lock(mutex_);
    return failure_;
}

std::uint64_t Publisher::done() const {
    if (confirms_) return confirmed_.load(std::memory_order_acquire);
    std::uint64_t least = UINT64_MAX;
    for (const Subscriber& subscriber : subscribers_) least = std::min(least, subscriber.received());
    return least;
}

void Publisher::run() {
    std::string frames;
    try {
        while (!phase_.stop && sent_ != most_) {
            const std::uint64_t room = std::min(window_ - (sent_ - done()), most_ - sent_);
            if (room < window_ / 2 && room != most_ - sent_) {
                std::this_thread::sleep_for(std::chrono::microseconds(20));
                continue;
            }
            frames.clear();
            for (std::uint64_t left = room; left != 0;) {
                const std::uint64_t count = std::min(left, kMessagesPerFrame);
                append_publish(count, frames);
                left -= count;
            }
            connection_.send(frames);
            sent_ += room;
        }
    } catch (const std::runtime_error& error) {
        fail(error.what());
    }
}

void Publisher::append_publish(std::uint64_t count, std::string& out) {
    body_.clear();
    FieldWriter publish(body_);
    publish.bytes(2, topic_);
    for (std::uint64_t i = 0; i < count; ++i) {
        message_.clear();
        FieldWriter message(message_);
        message.bytes(1, bodies_.next());
        if (!subjects_.empty()) message.bytes(4, subjects_[subject_++ % subjects_.size()]);
        publish.bytes(15, message_);
    }
    if (confirms_) counts_.push(count);
    protocol::begin_frame(out, confirms_ ? ++request_id_ : 0, FrameKind::kPublish, body_.size());
    out += body_;
}

// Confirms come in the order of the requests.
void Publisher::read() {
    try {
        do {
            while (const auto bytes = connection_.take_frame()) {
                const auto frame = protocol::read_frame(*bytes);
                if (frame && frame->kind == FrameKind::kConfirm) {
                    confirmed_.fetch_add(counts_.pop(), std::memory_order_release);
                }
                if (frame && frame->kind == FrameKind::kError) return fail("the broker refused a publish");
            }
        } while (connection_.read_more());
    } catch (const std::runtime_error& error) {
        fail(error.what());
    }
}

void Publisher::fail(const std::string& why) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = why;
    phase_.stop = true;
}

void Publisher::Counts::push(std::uint64_t count) {
    const std::lock_guard lock(mutex_);
    counts_.push_back(count);
}

std::uint64_t Publisher::Counts::pop() {
    const std::lock_guard lock(mutex_);
    const std::uint64_t count = counts_.front();
    counts_.pop_front();
    return count;
}

}  // namespace rockdove::bench

#include "tools/bench/fan_out.h"

#include <algorithm>
#include <deque>
#include <stdexcept>

#include "protocol/frame.h"
#include "protocol/wire.h"
#include "tools/bench/raw_connection.h"
#include "tools/bench/roles.h"
#include "tools/bench/usage.h"

namespace rockdove::bench {
namespace {

using ctl::Json;
using protocol::Field;
using protocol::FieldReader;
using protocol::FieldWriter;
using protocol::FrameKind;

constexpr std::uint64_t kConsumer = 1;
constexpr std::uint32_t kCredit = 50'000;
constexpr std::uint64_t kAhead = 10'000;  // of the slowest subscriber, where nothing is stored
constexpr std::size_t kMessagesPerFrame = 500;
constexpr std::chrono::seconds kQuiet{2};  // after which what has not come is lost

bool stored(const Run& run) { return run.mode != "none"; }

class Subscriber {
public:
    Subscriber(const Run& run, std::size_t number) : connection_(run.endpoint, run.name_space), acks_(stored(run)) {
        const std::string name = "s" + std::to_string(number);
        v1::Frame create;
        v1::SubscriptionCreate& subscription = *create.mutable_subscription_create();
        subscription.set_topic(run.queue);
        subscription.set_name(name);
        subscription.set_ephemeral(!acks_);
        connection_.ask(std::move(create));
        v1::Frame request;
        v1::Consume& consume = *request.mutable_consume();
        consume.set_subscription(run.queue + "/" + name);
        consume.set_consumer(kConsumer);
        consume.set_name("bench");
        consume.set_credit_messages(kCredit);
        consume.set_ack_on_delivery(!acks_);
        connection_.ask(std::move(request));
        thread_ = std::thread([this] { this->run(); });
    }
    ~Subscriber() {
        connection_.shut_down();
        thread_.join();
    }
    Subscriber(const Subscriber&) = delete;
    Subscriber& operator=(const Subscriber&) = delete;

    [[nodiscard]] std::uint64_t received() const { return received_.load(std::memory_order_relaxed); }

private:
    void run() {
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
                if (!out.empty()) connection_.send(out);
            } while (connection_.read_more());
        } catch (const std::runtime_error&) {
            // Ends as if the connection had been closed; what is missing shows.
        }
    }

    // Of a Deliver; returns how many messages it brought.
    std::uint64_t take(std::string_view body, std::string& out) const {
        v1::SeqRange range;
        std::uint64_t count = 0;
        FieldReader in(body);
        while (in.next()) {
            const Field& field = in.field();
            if (field.number == 2) range.set_first_seq(field.value);
            if (field.number == 3) range.set_epoch(field.value);
            if (field.number == 4) range.set_lease(static_cast<std::uint32_t>(field.value));
            if (field.number == 15) ++count;
        }
        range.set_last_seq(range.first_seq() + count - 1);
        if (acks_) settle(range, out);
        return count;
    }

    // Deliveries that are done already take up credit until they are acknowledged: now and then is enough.
    void make_room(std::uint64_t count, std::string& out) {
        unacked_ += count;
        if (unacked_ < kCredit / 4) return;
        v1::SeqRange range;
        range.set_first_seq(1);
        range.set_last_seq(unacked_);
        settle(range, out);
        unacked_ = 0;
    }

    static void settle(const v1::SeqRange& range, std::string& out) {
        v1::Frame frame;
        v1::Settle& settle = *frame.mutable_settle();
        settle.set_consumer(kConsumer);
        settle.set_outcome(v1::ACK);
        *settle.add_ranges() = range;
        append_frame(frame, out);
    }

    static void answer_ping(std::uint64_t request_id, std::string& out) {
        v1::Frame pong;
        pong.set_request_id(request_id);
        pong.mutable_pong();
        append_frame(pong, out);
    }

    RawConnection connection_;
    const bool acks_;
    std::uint64_t unacked_ = 0;
    std::atomic<std::uint64_t> received_{0};
    std::thread thread_;
};

// As far ahead of the slowest subscriber as it may be, or with so many messages not confirmed.
class Publisher {
public:
    Publisher(const Run& run, const std::deque<Subscriber>& subscribers, Phase& phase)
        : connection_(run.endpoint, run.name_space),
          subscribers_(subscribers),
          phase_(phase),
          topic_(run.queue),
          confirms_(stored(run)),
          window_(confirms_ ? run.window : kAhead),
          bodies_(run.body_bytes, 1) {
        thread_ = std::thread([this] { this->run(); });
        if (confirms_) reader_ = std::thread([this] { read(); });
    }
    ~Publisher() {
        join();
        connection_.shut_down();
        if (reader_.joinable()) reader_.join();
    }
    Publisher(const Publisher&) = delete;
    Publisher& operator=(const Publisher&) = delete;

    // phase.stop must be set.
    void join() {
        if (thread_.joinable()) thread_.join();
    }
    [[nodiscard]] std::uint64_t sent() const { return sent_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::optional<std::string> failure() {
        const std::lock_guard lock(mutex_);
        return failure_;
    }

private:
    [[nodiscard]] std::uint64_t done() const {
        if (confirms_) return confirmed_.load(std::memory_order_acquire);
        std::uint64_t least = UINT64_MAX;
        for (const Subscriber& subscriber : subscribers_) least = std::min(least, subscriber.received());
        return least;
    }

    void run() {
        std::string frames;
        try {
            while (!phase_.stop) {
                const std::uint64_t room = window_ - (sent_ - done());
                if (room < window_ / 2) {
                    std::this_thread::sleep_for(std::chrono::microseconds(20));
                    continue;
                }
                frames.clear();
                for (std::uint64_t left = room; left != 0;) {
                    const std::uint64_t count = std::min<std::uint64_t>(left, kMessagesPerFrame);
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

    void append_publish(std::uint64_t count, std::string& out) {
        body_.clear();
        FieldWriter publish(body_);
        publish.bytes(2, topic_);
        for (std::uint64_t i = 0; i < count; ++i) {
            message_.clear();
            FieldWriter(message_).bytes(1, bodies_.next());
            publish.bytes(15, message_);
        }
        if (confirms_) counts_.push(count);
        protocol::begin_frame(out, confirms_ ? ++request_id_ : 0, FrameKind::kPublish, body_.size());
        out += body_;
    }

    // Confirms come in the order of the requests.
    void read() {
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

    void fail(const std::string& why) {
        const std::lock_guard lock(mutex_);
        if (!failure_) failure_ = why;
        phase_.stop = true;
    }

    // Messages of the requests that are not confirmed.
    class Counts {
    public:
        void push(std::uint64_t count) {
            const std::lock_guard lock(mutex_);
            counts_.push_back(count);
        }
        std::uint64_t pop() {
            const std::lock_guard lock(mutex_);
            const std::uint64_t count = counts_.front();
            counts_.pop_front();
            return count;
        }

    private:
        std::mutex mutex_;
        std::deque<std::uint64_t> counts_;
    };

    RawConnection connection_;
    const std::deque<Subscriber>& subscribers_;
    Phase& phase_;
    const std::string topic_;
    const bool confirms_;
    const std::uint64_t window_;
    Bodies bodies_;
    std::string body_, message_;
    std::uint64_t request_id_ = 0;
    Counts counts_;
    std::atomic<std::uint64_t> sent_{0};
    std::atomic<std::uint64_t> confirmed_{0};
    std::mutex mutex_;
    std::optional<std::string> failure_;
    std::thread thread_;
    std::thread reader_;
};

std::uint64_t sum(const std::deque<Subscriber>& subscribers) {
    std::uint64_t received = 0;
    for (const Subscriber& subscriber : subscribers) received += subscriber.received();
    return received;
}

void pass(double seconds, const Phase& phase) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    while (!phase.stop && std::chrono::steady_clock::now() < end)
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

}  // namespace

Json fan_out(const Run& run) {
    Phase phase;
    std::deque<Subscriber> subscribers;
    for (std::size_t i = 0; i < run.subscribers; ++i) subscribers.emplace_back(run, i);
    Publisher publisher(run, subscribers, phase);
    pass(run.warm_up_s, phase);
    const std::uint64_t before = sum(subscribers);
    const Usage begin = Usage::read(run.pid, run.disk);
    pass(run.seconds, phase);
    const std::uint64_t count = sum(subscribers) - before;
    const Usage end = Usage::read(run.pid, run.disk);
    phase.stop = true;
    publisher.join();
    const std::uint64_t expected = publisher.sent() * run.subscribers;
    std::uint64_t received = sum(subscribers);
    for (auto last = std::chrono::steady_clock::now(); received != expected;) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        const std::uint64_t now = sum(subscribers);
        if (now != received) last = std::chrono::steady_clock::now();
        received = now;
        if (std::chrono::steady_clock::now() - last > kQuiet) break;
    }
    if (const auto failure = publisher.failure()) throw std::runtime_error("a publish failed: " + *failure);
    Json out = identity(run);
    add_costs(out, begin, end, count);
    out["lost_pct"] = 100.0 * static_cast<double>(expected - received) / static_cast<double>(expected);
    out["published_total"] = publisher.sent();
    out["received_total"] = received;
    return out;
}

}  // namespace rockdove::bench

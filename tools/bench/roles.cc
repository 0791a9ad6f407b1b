#include "tools/bench/roles.h"

#include <sys/prctl.h>

#include <algorithm>
#include <cstring>

namespace rockdove::bench {
namespace {

constexpr std::size_t kMostLatencies = 8'000'000;

}  // namespace

std::int64_t now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

std::string numbered_queue(const std::string& queue, std::size_t number) {
    return queue + "." + std::to_string(number);
}

Bodies::Bodies(std::size_t size, std::uint64_t seed) : size_(size), pool_(kPool + size, '\0') {
    std::mt19937_64 random(seed);
    for (char& c : pool_) c = static_cast<char>(random());
}

std::string_view Bodies::next() {
    at_ = (at_ + 4099) % kPool;
    return {pool_.data() + at_, size_};
}

Producer::Producer(const ClientOptions& options, std::string queue, std::size_t body_bytes, std::uint64_t window,
                   std::uint64_t seed, Phase& phase, std::uint64_t most, std::size_t queues, std::size_t keys)
    : phase_(phase),
      queues_{queue},
      window_(window),
      most_(most),
      keys_(keys),
      bodies_(body_bytes, seed),
      client_(options) {
    if (queues != 0) queues_.clear();
    for (std::size_t i = 0; i < queues; ++i) queues_.push_back(numbered_queue(queue, i));
    latency_us_.reserve(kMostLatencies);
    thread_ = std::thread([this] { run(); });
}

Producer::~Producer() { join(); }

void Producer::join() {
    if (thread_.joinable()) thread_.join();
}

std::optional<std::string> Producer::failure() {
    const std::lock_guard lock(mutex_);
    return failure_;
}

void Producer::on_answer(std::int64_t sent_ns, const std::string* error) {
    if (error != nullptr) {
        const std::lock_guard lock(mutex_);
        if (!failure_) failure_ = *error;
        phase_.stop = true;
    } else {
        if (phase_.measure.load(std::memory_order_relaxed) && latency_us_.size() < kMostLatencies) {
            latency_us_.push_back(static_cast<std::uint32_t>((now_ns() - sent_ns) / 1000));
        }
        confirmed_.fetch_add(1, std::memory_order_relaxed);
    }
    answered_.fetch_add(1, std::memory_order_release);
    answered_.notify_one();
}

void Producer::run() {
    std::uint64_t sent = 0;
    while (!phase_.stop && (most_ == 0 || sent < most_)) {
        const std::uint64_t answered = answered_.load(std::memory_order_acquire);
        std::uint64_t room = window_ - (sent - answered);
        if (most_ != 0) room = std::min(room, most_ - sent);
        if (room == 0) {
            answered_.wait(answered, std::memory_order_acquire);
            continue;
        }
        const std::int64_t now = now_ns();
        for (; room > 0; --room, ++sent) {
            Message message{std::string(bodies_.next())};
            if (keys_ != 0) message.key("k" + std::to_string(sent % keys_));
            client_.send_async(queues_[sent % queues_.size()], std::move(message),
                               [this, now](const Error* error, const Receipt*) {
                                   on_answer(now, error != nullptr ? &error->detail() : nullptr);
                               });
        }
    }
    // Every send has a deadline, so this ends.
    for (std::uint64_t answered = answered_; answered != sent; answered = answered_) answered_.wait(answered);
}

PacedProducer::PacedProducer(const ClientOptions& options, std::string queue, std::size_t body_bytes,
                             std::uint64_t rate, Phase& phase, bool topic)
    : phase_(phase), queue_(std::move(queue)), rate_(rate), topic_(topic), bodies_(body_bytes, 1), client_(options) {
    thread_ = std::thread([this] { run(); });
}

PacedProducer::~PacedProducer() { join(); }

void PacedProducer::join() {
    if (thread_.joinable()) thread_.join();
}

std::optional<std::string> PacedProducer::failure() {
    const std::lock_guard lock(mutex_);
    return failure_;
}

void PacedProducer::on_answer(std::int64_t due_ns, const std::string* error) {
    if (error != nullptr) {
        const std::lock_guard lock(mutex_);
        if (!failure_) failure_ = *error;
        phase_.stop = true;
    } else if (phase_.measure.load(std::memory_order_relaxed)) {
        confirm_us_.push_back(static_cast<std::uint32_t>((now_ns() - due_ns) / 1000));
    }
    answered_.fetch_add(1, std::memory_order_release);
    answered_.notify_one();
}

void PacedProducer::run() {
    ::prctl(PR_SET_TIMERSLACK, 1);  // ns; else the system may wake this thread 50 us late
    const std::int64_t begin = now_ns();
    std::uint64_t sent = 0;
    while (!phase_.stop) {
        const std::int64_t due = begin + static_cast<std::int64_t>(sent * 1'000'000'000 / rate_);
        std::this_thread::sleep_until(std::chrono::steady_clock::time_point(std::chrono::nanoseconds(due)));
        if (phase_.measure.load(std::memory_order_relaxed)) {
            late_us_.push_back(static_cast<std::uint32_t>((now_ns() - due) / 1000));
        }
        std::string body(bodies_.next());
        std::memcpy(body.data(), &due, sizeof due);
        const auto answered = [this, due](const Error* error, const Receipt*) {
            on_answer(due, error != nullptr ? &error->detail() : nullptr);
        };
        if (topic_) {
            client_.publish_async(queue_, Message{std::move(body)}, answered);
        } else {
            client_.send_async(queue_, Message{std::move(body)}, answered);
        }
        ++sent;
    }
    // Every send has a deadline, so this ends.
    for (std::uint64_t answered = answered_; answered != sent; answered = answered_) answered_.wait(answered);
}

std::int64_t due_time(std::string_view body) {
    std::int64_t due = 0;
    if (body.size() >= sizeof due) std::memcpy(&due, body.data(), sizeof due);
    return due;
}

}  // namespace rockdove::bench

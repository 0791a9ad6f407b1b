// Who publishes to a topic and who subscribes, for W4. They speak the protocol themselves, each on a connection and a
// thread of its own: at this rate the client library's own costs would be what is measured.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tools/bench/raw_connection.h"
#include "tools/bench/roles.h"
#include "tools/bench/workload.h"

namespace rockdove::bench {

// Whether the topic keeps its messages: all modes but "none".
bool stored(const Run& run);

// Subscriptions that want none of the messages: durable, each with a pattern of its own, of four shapes. Blocks until they
// are there.
void make_other_subscriptions(const Run& run);

class Subscriber {
public:
    static constexpr std::uint32_t kCredit = 50'000;

    // Makes the subscription: of a stored topic a durable one, which acknowledges each delivery, else an ephemeral one,
    // which does not. `times`: the bodies begin with due times, and how late each came is kept while times->measure is set.
    Subscriber(const Run& run, const std::string& name, const Phase* times = nullptr);
    ~Subscriber();
    Subscriber(const Subscriber&) = delete;
    Subscriber& operator=(const Subscriber&) = delete;

    // Begins to receive, with so many unacknowledged, and works off no more than `pace` a second (0: as many as come). Once.
    void start(std::uint32_t credit = kCredit, std::uint64_t pace = 0);
    [[nodiscard]] std::uint64_t received() const { return received_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::size_t measured() const { return measured_.load(std::memory_order_relaxed); }  // times so far
    // No more of it. Then the times.
    void stop();
    [[nodiscard]] const std::vector<std::uint32_t>& late_us() const { return late_us_; }

private:
    void run();
    std::uint64_t take(std::string_view body, std::string& out);
    void note_time(std::string_view message);
    void make_room(std::uint64_t count, std::string& out);
    void keep_pace() const;

    RawConnection connection_;
    const std::string subscription_;
    const bool acks_;
    const Phase* const times_;
    std::uint64_t unacked_ = 0;
    std::uint64_t pace_ = 0;
    std::int64_t started_ns_ = 0;
    std::vector<std::uint32_t> late_us_;  // the thread's until stop()
    std::atomic<std::size_t> measured_{0};
    std::atomic<std::uint64_t> received_{0};
    std::thread thread_;
};

// Publishes until phase.stop or until `most` messages are sent (0: no end). To a stored topic with at most run.window
// messages not confirmed, else as far ahead of the slowest subscriber as it may be.
class Publisher {
public:
    Publisher(const Run& run, const std::deque<Subscriber>& subscribers, Phase& phase, std::uint64_t most = 0);
    ~Publisher();
    Publisher(const Publisher&) = delete;
    Publisher& operator=(const Publisher&) = delete;

    // Until all is sent: phase.stop must be set, unless there is an end.
    void join();
    [[nodiscard]] std::uint64_t sent() const { return sent_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::optional<std::string> failure();

private:
    // Messages of the requests that are not confirmed.
    class Counts {
    public:
        void push(std::uint64_t count);
        std::uint64_t pop();

    private:
        std::mutex mutex_;
        std::deque<std::uint64_t> counts_;
    };

    [[nodiscard]] std::uint64_t done() const;
    void run();
    void append_publish(std::uint64_t count, std::string& out);
    void read();
    void fail(const std::string& why);

    RawConnection connection_;
    const std::deque<Subscriber>& subscribers_;
    Phase& phase_;
    const std::string topic_;
    const bool confirms_;
    const std::uint64_t window_, most_;
    Bodies bodies_;
    std::vector<std::string> subjects_;  // in turn
    std::size_t subject_ = 0;
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

}  // namespace rockdove::bench

// Who sends and receives in a run. Each role has a connection of its own.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "client/include/rockdove/client.h"

namespace rockdove::bench {

// Bodies that no broker can compress: a window that moves over random bytes.
class Bodies {
public:
    explicit Bodies(std::size_t size, std::uint64_t seed);
    std::string_view next();

private:
    static constexpr std::size_t kPool = std::size_t{1} << 18;
    const std::size_t size_;
    std::size_t at_ = 0;
    std::string pool_;
};

// What all roles of a run look at.
struct Phase {
    std::atomic<bool> stop{false};
    std::atomic<bool> measure{false};
};

// Name of one of several queues: "jobs.7".
std::string numbered_queue(const std::string& queue, std::size_t number);

// Keeps at most `window` messages unconfirmed and sends whenever there is room, until phase.stop or until `most` are
// sent (0: no end); to one queue, or to `queues` numbered ones in turn; with `keys` ordering keys in turn. Owns its connection and one thread; confirms are
// counted on the client's I/O thread.
class Producer {
public:
    Producer(const ClientOptions& options, std::string queue, std::size_t body_bytes, std::uint64_t window,
             std::uint64_t seed, Phase& phase, std::uint64_t most = 0, std::size_t queues = 0, std::size_t keys = 0);
    // Waits until everything is answered. phase.stop must be set.
    ~Producer();

    [[nodiscard]] std::uint64_t confirmed() const { return confirmed_.load(std::memory_order_relaxed); }
    // Until all is sent and answered; after it: latencies of the measured time.
    void join();
    [[nodiscard]] const std::vector<std::uint32_t>& latency_us() const { return latency_us_; }
    [[nodiscard]] std::optional<std::string> failure();

private:
    void run();
    void on_answer(std::int64_t sent_ns, const std::string* error);

    Phase& phase_;
    std::vector<std::string> queues_;
    const std::uint64_t window_;
    const std::uint64_t most_;
    const std::size_t keys_;
    Bodies bodies_;
    std::vector<std::uint32_t> latency_us_;   // the I/O thread's until join()
    std::atomic<std::uint64_t> answered_{0};  // confirmed or refused
    std::atomic<std::uint64_t> confirmed_{0};
    std::mutex mutex_;
    std::optional<std::string> failure_;
    Client client_;  // after all that its callbacks use
    std::thread thread_;
};

// Sends to a queue, or publishes to a topic, `rate` messages a second on a fixed schedule, whatever happened to those before. A body begins with its due
// time. Owns its connection and one thread.
class PacedProducer {
public:
    PacedProducer(const ClientOptions& options, std::string queue, std::size_t body_bytes, std::uint64_t rate,
                  Phase& phase, bool topic = false);
    ~PacedProducer();

    // phase.stop must be set; waits until everything is answered. Then the times of the measured part:
    void join();
    [[nodiscard]] std::vector<std::uint32_t>& confirm_us() { return confirm_us_; }  // from due to confirmed
    [[nodiscard]] std::vector<std::uint32_t>& late_us() { return late_us_; }        // from due to sent
    [[nodiscard]] std::optional<std::string> failure();

private:
    void run();
    void on_answer(std::int64_t due_ns, const std::string* error);

    Phase& phase_;
    const std::string queue_;
    const std::uint64_t rate_;
    const bool topic_;
    Bodies bodies_;
    std::vector<std::uint32_t> late_us_;     // the sending thread's until join()
    std::vector<std::uint32_t> confirm_us_;  // the I/O thread's until join()
    std::atomic<std::uint64_t> answered_{0};
    std::mutex mutex_;  // the I/O thread writes, others read
    std::optional<std::string> failure_;
    Client client_;  // after all that its callbacks use
    std::thread thread_;
};

// Of a body that a PacedProducer has sent.
std::int64_t due_time(std::string_view body);

std::int64_t now_ns();

}  // namespace rockdove::bench

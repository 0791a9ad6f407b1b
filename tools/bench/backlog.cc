#include "tools/bench/backlog.h"

#include <chrono>
#include <stdexcept>

#include "tools/bench/roles.h"
#include "tools/bench/usage.h"

namespace rockdove::bench {
namespace {

constexpr Millis kPatience{600'000};
constexpr Millis kRetry{5};
constexpr std::chrono::seconds kNothingMore{3};

ClientOptions patient(const ClientOptions& options) {
    ClientOptions out = options;
    out.wait_for_broker().connect_timeout(kPatience).operation_timeout(kPatience).backoff(kRetry, kRetry);
    return out;
}

void add_first(ctl::Json& out, const Run& run) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
    if (run.since_ns > 0) out["first_s"] = static_cast<double>(ns - run.since_ns) / 1e9;
}

}  // namespace

ctl::Json fill(const Run& run, const ClientOptions& options) {
    Phase phase;
    const Usage begin = Usage::read(run.pid, run.disk);
    Producer producer(options, run.queue, run.body_bytes, run.window, 1, phase, run.count, run.queues);
    producer.join();
    const Usage end = Usage::read(run.pid, run.disk);
    if (const auto failure = producer.failure()) throw std::runtime_error("a send failed: " + *failure);
    ctl::Json out = identity(run);
    add_costs(out, begin, end, producer.confirmed());
    return out;
}

ctl::Json first(const Run& run, const ClientOptions& options) {
    Client client(patient(options));
    WorkerOptions settings;
    settings.prefetch(1);
    Receiver receiver = client.open_receiver(run.queue, settings);
    const std::optional<Job> job = receiver.next(kPatience);
    if (!job) throw std::runtime_error("queue " + run.queue + " has no message");
    ctl::Json out = identity(run);
    add_first(out, run);
    return out;
}

ctl::Json drain(const Run& run, const ClientOptions& options) {
    ctl::Json out = identity(run);
    Client client(patient(options));
    std::atomic<std::uint64_t> taken{0};
    std::atomic<std::int64_t> last_ns{0};
    WorkerOptions settings;
    settings.concurrency(1).prefetch(static_cast<std::uint32_t>(run.window));
    const std::int64_t connecting_ns = now_ns();
    Usage begin = Usage::read(run.pid, run.disk);
    Worker worker = client.receive(
        run.queue,
        [&](Job&) {
            if (taken.load(std::memory_order_relaxed) == 0) add_first(out, run);
            last_ns.store(now_ns(), std::memory_order_relaxed);
            taken.fetch_add(1, std::memory_order_release);
            taken.notify_one();
            return Outcome::ack();
        },
        settings);
    const auto over = [&](std::uint64_t count) {
        const std::int64_t quiet = now_ns() - (count == 0 ? connecting_ns : last_ns.load());
        const std::chrono::nanoseconds most = count == 0 ? std::chrono::nanoseconds(kPatience) : kNothingMore;
        return count >= run.count || quiet > most.count();
    };
    std::uint64_t count = 0;
    while (!over(count = taken.load(std::memory_order_acquire))) std::this_thread::sleep_for(Millis(1));
    Usage end = Usage::read(run.pid, run.disk);
    worker.stop();  // acks what is in hand
    if (count == 0) throw std::runtime_error("queue " + run.queue + " has no message");
    end.wall_s = static_cast<double>(last_ns.load()) / 1e9;  // the wait for more does not count
    begin.wall_s = static_cast<double>(connecting_ns) / 1e9;
    add_costs(out, begin, end, count);
    return out;
}

}  // namespace rockdove::bench

#include "tools/bench/fan_out.h"

#include <algorithm>
#include <deque>
#include <stdexcept>

#include "tools/bench/roles.h"
#include "tools/bench/topic_roles.h"
#include "tools/bench/usage.h"

namespace rockdove::bench {
namespace {

using ctl::Json;

constexpr std::chrono::seconds kQuiet{2};  // after which what has not come is lost
constexpr std::chrono::minutes kCatchUp{10};

std::uint64_t sum(const std::deque<Subscriber>& subscribers) {
    std::uint64_t received = 0;
    for (const Subscriber& subscriber : subscribers) received += subscriber.received();
    return received;
}

void pass(double seconds, const Phase& phase) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    while (!phase.stop && std::chrono::steady_clock::now() < end)
        std::this_thread::sleep_for(std::min<std::chrono::duration<double>>(end - std::chrono::steady_clock::now(),
                                                                            std::chrono::milliseconds(20)));
}

}  // namespace

Json fan_out(const Run& run) {
    Phase phase;
    std::deque<Subscriber> subscribers;
    for (std::size_t i = 0; i < run.subscribers; ++i) subscribers.emplace_back(run, "s" + std::to_string(i)).start();
    make_other_subscriptions(run);
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

Json catch_up(const Run& run, const ClientOptions& options) {
    Phase phase;
    std::deque<Subscriber> live;
    for (std::size_t i = 0; i < run.subscribers; ++i) live.emplace_back(run, "s" + std::to_string(i), &phase).start();
    Subscriber away(run, "away");
    {
        Publisher publisher(run, live, phase, run.count);
        publisher.join();
        if (const auto failure = publisher.failure()) throw std::runtime_error("a publish failed: " + *failure);
        const std::uint64_t expected = run.count * run.subscribers;
        const auto end = std::chrono::steady_clock::now() + kCatchUp;
        while (sum(live) < expected && std::chrono::steady_clock::now() < end) pass(0.02, phase);
        if (sum(live) != expected) throw std::runtime_error("the live subscribers did not get everything");
    }
    PacedProducer producer(options, run.queue, run.body_bytes, run.rate, phase, true);
    pass(run.warm_up_s, phase);
    phase.measure = true;
    pass(run.seconds, phase);
    phase.measure = false;
    std::vector<std::size_t> before;
    for (const Subscriber& subscriber : live) before.push_back(subscriber.measured());

    const Usage begin = Usage::read(run.pid, run.disk);
    const auto end_at = std::chrono::steady_clock::now() + kCatchUp;
    phase.measure = true;
    away.start(static_cast<std::uint32_t>(run.window), run.pace);
    while (!phase.stop && away.received() < run.count && std::chrono::steady_clock::now() < end_at) pass(0.001, phase);
    phase.measure = false;
    const Usage end = Usage::read(run.pid, run.disk);
    const std::uint64_t count = away.received();
    phase.stop = true;
    producer.join();
    if (const auto failure = producer.failure()) throw std::runtime_error("a publish failed: " + *failure);
    if (count < run.count) throw std::runtime_error("the subscriber that was away did not catch up");
    std::vector<std::uint32_t> alone, beside;
    for (std::size_t i = 0; i < live.size(); ++i) {
        live[i].stop();
        const auto& times = live[i].late_us();
        const auto middle = times.begin() + static_cast<std::ptrdiff_t>(before[i]);
        alone.insert(alone.end(), times.begin(), middle);
        beside.insert(beside.end(), middle, times.end());
    }
    Json out = identity(run);
    add_costs(out, begin, end, count);
    add_percentiles(out, "live_before", alone);
    add_percentiles(out, "live_during", beside);
    return out;
}

}  // namespace rockdove::bench

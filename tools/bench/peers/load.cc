#include "tools/bench/peers/load.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

namespace rockdove::bench {
namespace {

constexpr std::size_t kMostLatencies = 8'000'000;

ctl::Json measure(const Settings& settings, const Peer& peer) {
    Phase phase;
    std::atomic<bool> failed{false};
    std::string failure;
    std::mutex mutex;
    std::vector<std::unique_ptr<Role>> producers;
    std::vector<std::unique_ptr<Role>> consumers;
    const std::size_t wanted = settings.workload == "W1" ? 0 : settings.workload == "W2" ? 1 : settings.subscribers;
    for (std::size_t i = 0; i < wanted; ++i) consumers.push_back(peer.consumer(settings, i, phase));
    for (std::size_t i = 0; i < settings.producers; ++i) producers.push_back(peer.producer(settings, i + 1, phase));
    std::vector<std::thread> threads;
    const auto run = [&](Role& role) {
        threads.emplace_back([&] {
            try {
                role.run();
            } catch (const std::exception& error) {
                const std::lock_guard lock(mutex);
                failure = error.what();
                failed = true;
                phase.stop = true;
            }
        });
    };
    for (const auto& consumer : consumers) run(*consumer);
    for (const auto& producer : producers) run(*producer);

    const auto counted = [&] {
        std::uint64_t sum = 0;
        for (const auto& role : consumers.empty() ? producers : consumers) sum += role->done;
        return sum;
    };
    const auto pass = [&](double seconds) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
        while (!failed && std::chrono::steady_clock::now() < end) {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
    };
    pass(1);
    const std::uint64_t before = counted();
    const Usage begin = Usage::read(settings.pid, settings.disk);
    phase.measure = true;
    pass(settings.seconds);
    phase.measure = false;
    const std::uint64_t count = counted() - before;
    const Usage end = Usage::read(settings.pid, settings.disk);
    phase.stop = true;
    for (std::thread& thread : threads) thread.join();
    if (failed) throw std::runtime_error(failure);

    ctl::Json out = ctl::Json{{"peer", peer.name}, {"mode", settings.mode}, {"workload", settings.workload}};
    out["size"] = settings.size;
    if (settings.workload == "W1") out["producers"] = settings.producers;
    if (settings.workload == "W2") out["ack"] = peer.ack;
    if (settings.workload == "W4") out["subscribers"] = settings.subscribers;
    add_costs(out, begin, end, count);
    std::vector<std::uint32_t> latency;
    for (const auto& producer : producers) {
        latency.insert(latency.end(), producer->latency_us.begin(), producer->latency_us.end());
    }
    add_percentiles(out, "confirm", latency);
    return out;
}

}  // namespace

void Role::note_latency(const Phase& phase, std::int64_t sent_ns) {
    if (!phase.measure.load(std::memory_order_relaxed) || latency_us.size() >= kMostLatencies) return;
    if (latency_us.capacity() == 0) latency_us.reserve(kMostLatencies);
    latency_us.push_back(static_cast<std::uint32_t>((now_ns() - sent_ns) / 1000));
}

int load_main(int argc, char** argv, const Peer& peer) {
    Settings settings;
    CLI::App app("W1, W2 and W4 against " + peer.name);
    std::vector<std::string> workloads = {"W1", "W2"};
    if (peer.fans_out) workloads.emplace_back("W4");
    app.add_option("workload", settings.workload)->required()->check(CLI::IsMember(workloads));
    app.add_option("--port", settings.port)->required();
    app.add_option("--mode", settings.mode, "how the server was started; only written into the result");
    app.add_option("--size", settings.size)->check(CLI::Range(1, 1 << 20));
    app.add_option("--producers", settings.producers)->check(CLI::Range(1, 64));
    app.add_option("--subscribers", settings.subscribers)->check(CLI::Range(1, 64));
    app.add_option("--window", settings.window)->check(CLI::Range(1, 100'000));
    app.add_option("--seconds", settings.seconds)->check(CLI::Range(0.1, 3600.0));
    app.add_option("--pid", settings.pid);
    app.add_option("--disk", settings.disk);
    CLI11_PARSE(app, argc, argv);
    try {
        std::printf("%s\n", measure(settings, peer).dump().c_str());
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s_load: %s\n", peer.name.c_str(), error.what());
        return 1;
    }
    return 0;
}

}  // namespace rockdove::bench

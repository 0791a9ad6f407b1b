#include "tools/bench/workload.h"

#include <algorithm>
#include <deque>
#include <stdexcept>

#include "tools/bench/raw_consumer.h"
#include "tools/bench/roles.h"
#include "tools/bench/usage.h"

namespace rockdove::bench {
namespace {

using ctl::Json;

// Waits, and looks now and then whether somebody has failed.
void pass(double seconds, const Phase& phase) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    while (!phase.stop && std::chrono::steady_clock::now() < end) {
        const auto left = end - std::chrono::steady_clock::now();
        std::this_thread::sleep_for(std::min<std::chrono::duration<double>>(left, std::chrono::milliseconds(100)));
    }
}

// W3: one message at each due time, and how long after it the message is received.
Json measure_latency(const Run& run, const ClientOptions& options) {
    Phase phase;
    std::vector<std::uint32_t> e2e_us;
    std::atomic<std::uint64_t> taken{0};
    Client consumer(options);
    WorkerOptions settings;
    settings.concurrency(1).prefetch(static_cast<std::uint32_t>(run.window));
    Worker worker = consumer.receive(
        run.queue,
        [&](Job& job) {
            const std::int64_t late = now_ns() - due_time(job.body());
            if (phase.measure) e2e_us.push_back(static_cast<std::uint32_t>(std::max<std::int64_t>(late, 0) / 1000));
            taken.fetch_add(1, std::memory_order_relaxed);
            return Outcome::ack();
        },
        settings);
    PacedProducer producer(options, run.queue, run.body_bytes, run.rate, phase);
    std::optional<Producer> flood;
    if (run.flood != 0) flood.emplace(options, flood_queue(run), run.flood, run.window, 1, phase);
    pass(run.warm_up_s, phase);
    const std::uint64_t flooded = flood ? flood->confirmed() : 0;
    const std::uint64_t before = taken;
    const Usage begin = Usage::read(run.pid, run.disk);
    phase.measure = true;
    pass(run.seconds, phase);
    phase.measure = false;
    const std::uint64_t count = taken - before;
    const Usage end = Usage::read(run.pid, run.disk);
    const std::uint64_t flooding = flood ? flood->confirmed() - flooded : 0;
    phase.stop = true;
    producer.join();
    if (flood) flood->join();
    worker.stop();
    if (const auto failure = producer.failure()) throw std::runtime_error("a send failed: " + *failure);
    Json out = identity(run);
    add_costs(out, begin, end, count);
    if (flood) {
        if (const auto failure = flood->failure()) throw std::runtime_error("a send failed: " + *failure);
        out["flood_size"] = run.flood;
        out["flood_rate"] = static_cast<double>(flooding) / out["seconds"].get<double>();
    }
    add_percentiles(out, "e2e", e2e_us);
    add_percentiles(out, "confirm", producer.confirm_us());
    add_percentiles(out, "sender_late", producer.late_us());
    return out;
}

}  // namespace

std::string flood_queue(const Run& run) { return run.queue + ".flood"; }

Json identity(const Run& run) {
    Json out =
        Json{{"peer", "rockdove"}, {"version", ROCKDOVE_VERSION}, {"mode", run.mode}, {"workload", run.workload}};
    if (run.workload != "W7") out["size"] = run.body_bytes;
    if (run.workload.starts_with("W4")) out["subscribers"] = run.subscribers;
    if (run.subjects != 0) out["subjects"] = run.subjects;
    if (run.others != 0) out["others"] = run.others;
    if (run.workload == "W4-behind") {
        out["rate_wanted"] = run.rate;
        out["window"] = run.window;
        if (run.pace != 0) out["pace"] = run.pace;
    }
    if (run.workload <= "W4") {
        out["window"] = run.window;
        out["secs"] = run.seconds;
    }
    if (run.workload == "W1") out["producers"] = run.producers;
    if (run.workload == "W2") out["ack"] = run.ack;
    if (run.workload == "W2" && run.consumers != 1) out["consumers"] = run.consumers;
    if (run.keys != 0) out["keys"] = run.keys;
    if (run.workload == "W3") out["rate_wanted"] = run.rate;
    if (run.workload.starts_with("W6") || run.workload == "W4-behind") out["count"] = run.count;
    if (!run.after.empty()) out["after"] = run.after;
    if (run.connections > 0) out["connections"] = run.connections;
    if (run.queues > 0) out["queues"] = run.queues;
    for (const auto& [name, value] : run.remarks) out[name] = value;
    return out;
}

Json measure(const Run& run, const ClientOptions& options) {
    if (run.workload == "W3") return measure_latency(run, options);
    Phase phase;
    std::deque<Producer> producers;
    std::atomic<std::uint64_t> taken{0};
    std::optional<Client> consumer;
    std::deque<Worker> workers;
    std::optional<RawConsumer> raw;
    if (run.workload == "W2" && run.ack == "each") {
        raw.emplace(run.endpoint, run.name_space, run.queue, static_cast<std::uint32_t>(run.window));
    } else if (run.workload == "W2") {
        consumer.emplace(options);
        WorkerOptions settings;
        settings.concurrency(1).prefetch(static_cast<std::uint32_t>(run.window));
        const auto take = [&taken](Job&) {
            taken.fetch_add(1, std::memory_order_relaxed);
            return Outcome::ack();
        };
        for (std::size_t i = 0; i < run.consumers; ++i) workers.push_back(consumer->receive(run.queue, take, settings));
    }
    for (std::size_t i = 0; i < run.producers; ++i) {
        producers.emplace_back(options, run.queue, run.body_bytes, run.window, i + 1, phase, 0, 0, run.keys);
    }
    const auto produced = [&] {
        std::uint64_t sum = 0;
        for (const Producer& producer : producers) sum += producer.confirmed();
        return sum;
    };
    const auto consumed = [&] { return raw ? raw->consumed() : taken.load(); };
    const auto counted = [&] { return run.workload == "W2" ? consumed() : produced(); };

    pass(run.warm_up_s, phase);
    const std::uint64_t before = counted();
    const Usage begin = Usage::read(run.pid, run.disk);
    phase.measure = true;
    pass(run.seconds, phase);
    phase.measure = false;
    const std::uint64_t count = counted() - before;
    const Usage end = Usage::read(run.pid, run.disk);
    phase.stop = true;
    for (Producer& producer : producers) producer.join();
    for (Producer& producer : producers) {
        if (const auto failure = producer.failure()) throw std::runtime_error("a send failed: " + *failure);
    }

    Json out = identity(run);
    add_costs(out, begin, end, count);
    std::vector<std::uint32_t> latency;
    for (const Producer& producer : producers) {
        latency.insert(latency.end(), producer.latency_us().begin(), producer.latency_us().end());
    }
    add_percentiles(out, "confirm", latency);
    out["produced_total"] = produced();
    if (run.workload == "W2") {
        if (raw && raw->broken()) throw std::runtime_error("the consumer's connection broke");
        for (Worker& worker : workers) worker.stop();
        out["consumed_total"] = consumed();
    }
    return out;
}

}  // namespace rockdove::bench

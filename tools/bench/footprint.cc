#include "tools/bench/footprint.h"

#include <deque>

#include "client/src/call.h"
#include "tools/bench/roles.h"
#include "tools/bench/usage.h"

namespace rockdove::bench {
namespace {

constexpr std::chrono::seconds kSettle{3};
constexpr Millis kPatience{30'000};

double rss_mb(const Usage& usage) { return static_cast<double>(usage.broker_rss_kb) / 1024; }

void remove_queue(Client& client, const std::string& name) {
    v1::Frame request;
    request.mutable_queue_delete()->set_name(name);
    if (const auto answer = call(client, std::move(request), kPatience); !answer) throw to_public(answer.error());
}

double seconds_since(std::int64_t ns) { return static_cast<double>(now_ns() - ns) / 1e9; }

}  // namespace

ctl::Json footprint(const Run& run, const ClientOptions& options) {
    ctl::Json out = identity(run);
    std::this_thread::sleep_for(kSettle);
    out["rss_idle_mb"] = rss_mb(Usage::read(run.pid, run.disk));
    if (run.connections > 0) {
        const std::int64_t begin = now_ns();
        std::deque<Client> clients;
        for (std::size_t i = 0; i < run.connections; ++i) clients.emplace_back(options);
        out["connect_s"] = seconds_since(begin);
        std::this_thread::sleep_for(kSettle);
        out["rss_connected_mb"] = rss_mb(Usage::read(run.pid, run.disk));
    }
    if (run.queues > 0) {
        Client client(options);
        const auto name = [&](std::size_t number) { return run.queue + "." + std::to_string(number); };
        const std::int64_t begin = now_ns();
        const Usage before = Usage::read(run.pid, run.disk);
        for (std::size_t i = 0; i < run.queues; ++i) client.create_queue(name(i));
        out["queues_s"] = seconds_since(begin);
        std::this_thread::sleep_for(kSettle);
        const Usage after = Usage::read(run.pid, run.disk);
        out["queues_broker_cpu_s"] = after.broker_cpu_s - before.broker_cpu_s;
        out["rss_queues_mb"] = rss_mb(after);
        for (std::size_t i = 0; i < run.queues; ++i) remove_queue(client, name(i));
    }
    return out;
}

}  // namespace rockdove::bench

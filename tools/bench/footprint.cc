#include "tools/bench/footprint.h"

#include <deque>
#include <future>

#include "client/src/call.h"
#include "tools/bench/roles.h"
#include "tools/bench/usage.h"

namespace rockdove::bench {
namespace {

constexpr std::chrono::seconds kSettle{3};
constexpr Millis kPatience{30'000};

double rss_mb(const Usage& usage) { return static_cast<double>(usage.broker_rss_kb) / 1024; }

std::future<base::Result<v1::Frame>> remove_queue(Client& client, const std::string& name) {
    v1::Frame request;
    request.mutable_queue_delete()->set_name(name);
    return call_async(client, std::move(request), kPatience);
}

// start(i) for each i below `count`, and finish() with what it gave; at most `window` are under way.
template <class Start, class Finish>
void pipelined(std::size_t count, std::uint64_t window, Start start, Finish finish) {
    std::deque<decltype(start(0))> under_way;
    for (std::size_t i = 0; i < count; ++i) {
        if (under_way.size() == window) {
            finish(under_way.front());
            under_way.pop_front();
        }
        under_way.push_back(start(i));
    }
    for (auto& one : under_way) finish(one);
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
        const auto name = [&](std::size_t number) { return numbered_queue(run.queue, number); };
        const std::int64_t begin = now_ns();
        const Usage before = Usage::read(run.pid, run.disk);
        pipelined(
            run.queues, run.window, [&](std::size_t i) { return client.create_queue_async(name(i)); },
            [](std::future<void>& created) { created.get(); });
        out["queues_s"] = seconds_since(begin);
        std::this_thread::sleep_for(kSettle);
        const Usage after = Usage::read(run.pid, run.disk);
        out["queues_broker_cpu_s"] = after.broker_cpu_s - before.broker_cpu_s;
        out["rss_queues_mb"] = rss_mb(after);
        pipelined(
            run.queues, run.window, [&](std::size_t i) { return remove_queue(client, name(i)); },
            [](std::future<base::Result<v1::Frame>>& removed) {
                if (const auto answer = removed.get(); !answer) throw to_public(answer.error());
            });
    }
    return out;
}

}  // namespace rockdove::bench

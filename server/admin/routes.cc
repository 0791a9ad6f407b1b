#include "server/admin/routes.h"

#include <memory>
#include <utility>
#include <vector>

#include "server/admin/metrics_text.h"
#include "server/runtime/snapshot.h"

namespace rockdove::admin {
namespace {

HttpResponse text(unsigned status, std::string_view body) { return HttpResponse{status, std::string(body) + "\n"}; }

HttpResponse metrics_response(std::string body) {
    return HttpResponse{200, std::move(body), "text/plain; version=0.0.4; charset=utf-8"};
}

using Snapshots = std::vector<runtime::ShardSnapshot>;

void healthz(const BrokerStatus& status, HttpAnswer answer) {
    const auto* shards = status.shards.load();
    if (shards == nullptr) return answer(text(status.phase == Phase::kFailed ? 503 : 200, "ok"));
    // That all of them answer is the answer.
    runtime::take_snapshots(*shards, 0, [answer = std::move(answer)](const Snapshots&) { answer(text(200, "ok")); });
}

void readyz(const BrokerStatus& status, HttpAnswer answer) {
    const auto* shards = status.shards.load();
    if (status.phase != Phase::kReady || shards == nullptr) return answer(text(503, phase_name(status.phase)));
    runtime::take_snapshots(*shards, 0, [answer = std::move(answer)](const Snapshots& snapshots) {
        bool disk_low = false;
        for (const runtime::ShardSnapshot& snapshot : snapshots) {
            if (snapshot.failed) return answer(text(503, phase_name(Phase::kFailed)));
            // A store that catches up for a moment is no reason to send traffic elsewhere; a full disk is.
            disk_low = disk_low || (!snapshot.publish_refusal.empty() && !snapshot.store.write_stalled);
        }
        answer(disk_low ? text(503, "disk low") : text(200, "ready"));
    });
}

void show_metrics(HttpServer& server, const BrokerStatus& status, const metrics::Registry& registry,
                  HttpAnswer answer) {
    const auto* shards = status.shards.load();
    if (shards == nullptr) return answer(metrics_response(registry.text()));
    runtime::take_snapshots(*shards, kMetricsQueues,
                            [&server, &registry, answer = std::move(answer)](Snapshots snapshots) mutable {
                                const auto taken = std::make_shared<Snapshots>(std::move(snapshots));
                                // The text of many queues takes milliseconds: not on a shard's thread.
                                server.post([&registry, taken, answer = std::move(answer)] {
                                    answer(metrics_response(registry.text() + shard_metrics(std::move(*taken))));
                                });
                            });
}

}  // namespace

void add_routes(HttpServer& server, const BrokerStatus& status, const metrics::Registry& registry) {
    server.route("/healthz", [&status](HttpAnswer answer) { healthz(status, std::move(answer)); });
    server.route("/readyz", [&status](HttpAnswer answer) { readyz(status, std::move(answer)); });
    server.route("/metrics", [&server, &status, &registry](HttpAnswer answer) {
        show_metrics(server, status, registry, std::move(answer));
    });
}

}  // namespace rockdove::admin

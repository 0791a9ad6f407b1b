#include "server/admin/routes.h"

#include <boost/asio.hpp>
#include <memory>
#include <utility>

#include "server/admin/metrics_text.h"
#include "server/runtime/shard.h"

namespace rockdove::admin {
namespace {

HttpResponse text(unsigned status, std::string_view body) { return HttpResponse{status, std::string(body) + "\n"}; }

HttpResponse metrics_response(std::string body) {
    return HttpResponse{200, std::move(body), "text/plain; version=0.0.4; charset=utf-8"};
}

void healthz(const BrokerStatus& status, HttpAnswer answer) {
    runtime::Shard* const shard = status.shard;
    if (shard == nullptr) return answer(text(status.phase == Phase::kFailed ? 503 : 200, "ok"));
    boost::asio::post(shard->context(), [answer = std::move(answer)] { answer(text(200, "ok")); });
}

void readyz(const BrokerStatus& status, HttpAnswer answer) {
    runtime::Shard* const shard = status.shard;
    if (status.phase != Phase::kReady || shard == nullptr) return answer(text(503, phase_name(status.phase)));
    boost::asio::post(shard->context(), [shard, answer = std::move(answer)] {
        if (shard->failed()) return answer(text(503, phase_name(Phase::kFailed)));
        // A store that catches up for a moment is no reason to send traffic elsewhere; a full disk is.
        const runtime::ShardSnapshot snapshot = shard->snapshot(0);
        const bool disk_low = !snapshot.publish_refusal.empty() && !snapshot.store.write_stalled;
        answer(disk_low ? text(503, "disk low") : text(200, "ready"));
    });
}

void show_metrics(HttpServer& server, const BrokerStatus& status, const metrics::Registry& registry,
                  HttpAnswer answer) {
    runtime::Shard* const shard = status.shard;
    if (shard == nullptr) return answer(metrics_response(registry.text()));
    boost::asio::post(shard->context(), [&server, &registry, shard, answer = std::move(answer)]() mutable {
        auto snapshot = std::make_shared<runtime::ShardSnapshot>(shard->snapshot(kMetricsQueues));
        // The text of many queues takes milliseconds: not on the shard's thread.
        server.post([&registry, snapshot = std::move(snapshot), answer = std::move(answer)] {
            answer(metrics_response(registry.text() + shard_metrics(*snapshot)));
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

// Health, readiness and metrics of a shard in this process, where its loop can be held up.
#include "server/admin/routes.h"

#include <boost/asio.hpp>
#include <catch2/catch.hpp>
#include <future>
#include <optional>

#include "http_get.h"
#include "server/admin/metrics_text.h"
#include "server/runtime/shard.h"
#include "storage/memory/memory_store.h"

using namespace std::chrono_literals;
using namespace rockdove;
using Catch::Contains;
using Catch::StartsWith;

namespace {

struct Broker {
    Broker() {
        admin::HttpOptions options;
        options.answer_timeout = 200ms;
        http.emplace(options);
        admin::add_process_metrics(registry);
        admin::add_routes(*http, status, registry);
        REQUIRE(http->start());
    }
    ~Broker() {
        shard.stop();
        http->stop();
    }
    void start_shard() {
        REQUIRE(shard.start());
        status.shards = &shards;
        status.phase = admin::Phase::kReady;
    }
    std::string get(const std::string& path) { return http_get(http->port(), path); }

    storage::MemoryStore store;
    runtime::Shard shard{base::ShardId(0), store, runtime::ShardOptions()};
    const std::vector<runtime::Shard*> shards{&shard};
    metrics::Registry registry;
    admin::BrokerStatus status;
    std::optional<admin::HttpServer> http;
};

}  // namespace

TEST_CASE("before the shard runs the broker is alive, not ready, and tells about its process", "[admin][health]") {
    Broker broker;
    CHECK_THAT(broker.get("/healthz"), StartsWith("HTTP/1.1 200"));
    CHECK_THAT(broker.get("/readyz"), StartsWith("HTTP/1.1 503") && Contains("starting"));
    CHECK_THAT(broker.get("/metrics"), Contains("process_open_fds") && !Contains("rockdove_queues"));
}

TEST_CASE("a loop that no longer turns is neither healthy nor ready, until it turns again", "[admin][health]") {
    Broker broker;
    broker.start_shard();
    CHECK_THAT(broker.get("/healthz"), StartsWith("HTTP/1.1 200"));
    CHECK_THAT(broker.get("/readyz"), StartsWith("HTTP/1.1 200"));
    std::promise<void> release;
    boost::asio::post(broker.shard.context(), [&] { release.get_future().wait(); });
    CHECK_THAT(broker.get("/healthz"), StartsWith("HTTP/1.1 503"));
    CHECK_THAT(broker.get("/readyz"), StartsWith("HTTP/1.1 503"));
    CHECK_THAT(broker.get("/metrics"), StartsWith("HTTP/1.1 503"));
    release.set_value();
    CHECK_THAT(broker.get("/healthz"), StartsWith("HTTP/1.1 200"));
    CHECK_THAT(broker.get("/metrics"), Contains("\nrockdove_queues 0\n"));
}

TEST_CASE("while draining, and after a failure, the broker is not ready", "[admin][health]") {
    Broker broker;
    broker.start_shard();
    broker.status.phase = admin::Phase::kDraining;
    CHECK_THAT(broker.get("/readyz"), StartsWith("HTTP/1.1 503") && Contains("draining"));
    CHECK_THAT(broker.get("/healthz"), StartsWith("HTTP/1.1 200"));
    broker.status.phase = admin::Phase::kFailed;
    broker.status.shards = nullptr;
    CHECK_THAT(broker.get("/readyz"), StartsWith("HTTP/1.1 503") && Contains("failed"));
    CHECK_THAT(broker.get("/healthz"), StartsWith("HTTP/1.1 503"));
}

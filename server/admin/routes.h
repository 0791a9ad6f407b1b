// /healthz, /readyz and /metrics.
//
//   /healthz  200 while the shards' loops turn (or the broker still recovers), whatever the disk is like
//   /readyz   200 when recovered, listening, publishes accepted as far as the disk goes, and not draining; else 503,
//   why /metrics  Prometheus text
#pragma once

#include "server/admin/http_server.h"
#include "server/admin/status.h"
#include "server/metrics/registry.h"

namespace rockdove::admin {

// All must outlive the running server. Before server.start().
void add_routes(HttpServer& server, const BrokerStatus& status, const metrics::Registry& registry);

}  // namespace rockdove::admin

// What /metrics says: the shard's numbers from one picture of it, the process's from the registry.
#pragma once

#include <string>

#include "server/metrics/registry.h"
#include "server/runtime/shard.h"

namespace rockdove::admin {

// Queues that have series of their own, by name; the others are in the sums only.
inline constexpr std::size_t kMetricsQueues = 500;

// The shard's part of /metrics.
std::string shard_metrics(const runtime::ShardSnapshot& snapshot);
// Version, and what the operating system says about the process.
void add_process_metrics(metrics::Registry& registry);

}  // namespace rockdove::admin

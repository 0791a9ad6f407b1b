// What /metrics says: the shards' numbers from one picture of each, the process's from the registry.
#pragma once

#include <string>
#include <vector>

#include "server/metrics/registry.h"
#include "server/runtime/snapshot.h"

namespace rockdove::admin {

// Queues that have series of their own, by name; the others are in the sums only.
inline constexpr std::size_t kMetricsQueues = 500;

// The shards' part of /metrics: sums over all, and what differs by shard under its label.
std::string shard_metrics(std::vector<runtime::ShardSnapshot> shards);
// Version, and what the operating system says about the process.
void add_process_metrics(metrics::Registry& registry);

}  // namespace rockdove::admin

// W4: one publisher, several subscribers.
#pragma once

#include "tools/bench/workload.h"

namespace rockdove::bench {

// Mode "none": a topic in memory, ephemeral subscriptions, nothing acknowledged. "strict", "relaxed": a durable topic and
// durable subscriptions; every message is confirmed, and every delivery acknowledged. Publisher and subscribers speak the
// protocol themselves, each on a connection and a thread of its own. Blocks for the whole run; the topic must be new. Returns
// the result line; a message in it is a delivery. Throws std::runtime_error.
ctl::Json fan_out(const Run& run);

}  // namespace rockdove::bench

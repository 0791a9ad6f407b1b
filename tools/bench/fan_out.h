// W4: one publisher, several subscribers. W4-behind: one of them was away.
#pragma once

#include "tools/bench/workload.h"

namespace rockdove::bench {

// Mode "none": a topic in memory, ephemeral subscriptions, nothing acknowledged. "strict", "relaxed": a durable topic and
// durable subscriptions; every message is confirmed, and every delivery acknowledged. Both block for the whole run, want a
// new topic, return the result line, in which a message is a delivery, and throw std::runtime_error.
ctl::Json fan_out(const Run& run);

// run.count messages are published while one subscription has no consumer. Then run.rate a second: first for run.seconds,
// then until that subscription has been delivered what it missed, which is what the line's rate and costs are about.
// live_before and live_during: how late the other subscribers were. Not in mode "none". Throws Error, too.
ctl::Json catch_up(const Run& run, const ClientOptions& options);

}  // namespace rockdove::bench

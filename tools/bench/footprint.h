// W7: memory of the broker with nothing, with many idle connections, with many empty queues.
#pragma once

#include "tools/bench/workload.h"

namespace rockdove::bench {

// run.connections or run.queues, or both. Needs run.pid. The queues are deleted afterwards. Throws Error.
ctl::Json footprint(const Run& run, const ClientOptions& options);

}  // namespace rockdove::bench

// W6: a deep queue is filled; the broker is killed, or stopped, and started again by the caller; the first message is
// waited for; everything is taken. Each part is a run of its own.
#pragma once

#include "tools/bench/workload.h"

namespace rockdove::bench {

// All block until done and return the result line. Throw Error, std::runtime_error.
ctl::Json fill(const Run& run, const ClientOptions& options);
// Waits for the broker, takes one message and gives it back. first_s counts from run.since_ns.
ctl::Json first(const Run& run, const ClientOptions& options);
// Waits for the broker and takes run.count messages, or what there is.
ctl::Json drain(const Run& run, const ClientOptions& options);

}  // namespace rockdove::bench

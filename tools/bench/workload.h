// The workloads: W1, durable enqueue; W2, a work queue end to end.
#pragma once

#include <cstdint>
#include <string>

#include "client/include/rockdove/client.h"
#include "tools/ctl/text/view.h"

namespace rockdove::bench {

struct Run {
    std::string workload;  // W1, W2
    std::string mode;      // strict: confirmed when on disk; relaxed: when handed to the operating system
    std::string ack;       // W2: multi, each
    std::string queue;
    std::size_t body_bytes = 100;
    std::size_t producers = 1;
    std::uint64_t window = 1000;
    double warm_up_s = 1;
    double seconds = 10;
    int pid = 0;                       // the broker's, for its costs; 0: none
    std::string endpoint, name_space;  // of the broker, for the raw consumer of `each`
    std::string disk;                  // below /sys/class/block; empty: no flush figures
};

// Blocks for the whole run. The queue must be new. Returns the result line. Throws Error, std::runtime_error.
ctl::Json measure(const Run& run, const ClientOptions& options);

}  // namespace rockdove::bench

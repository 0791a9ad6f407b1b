// The workloads: W1, durable enqueue; W2, a work queue end to end; W3, latency at a fixed rate. W6 and W7: backlog.h,
// footprint.h.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "client/include/rockdove/client.h"
#include "tools/ctl/text/view.h"

namespace rockdove::bench {

struct Run {
    std::string workload;  // W1, W2, W3, W4, W4-behind, W6-fill, W6-first, W6-drain, W7
    std::string
        mode;  // strict: confirmed when on disk; relaxed: when handed to the operating system; none: W4 in memory
    std::string ack;  // W2: multi, each
    std::string queue;
    std::size_t body_bytes = 100;
    std::size_t producers = 1;
    std::uint64_t window = 1000;
    std::size_t subscribers = 5;  // W4
    std::size_t subjects = 0;     // W4: subjects to use in turn; 0: messages without one
    std::uint64_t pace = 0;       // W4-behind: messages a second that the late one takes; 0: all it gets
    std::size_t others = 0;       // W4: further subscriptions, with patterns that match nothing
    std::size_t consumers = 1;    // W2: workers of one connection, each with the whole window
    std::size_t keys = 0;         // W1, W2: ordering keys, used in turn; 0: messages without keys
    double warm_up_s = 1;
    double seconds = 10;
    int pid = 0;                      // the broker's, for its costs; 0: none
    std::uint64_t rate = 1000;        // W3, W4-behind: messages per second
    std::size_t flood = 0;            // W3: bytes of the messages that flood another queue meanwhile; 0: none
    std::uint64_t count = 1'000'000;  // W6, W4-behind
    std::int64_t since_ns = 0;        // W6: when the broker was started, nanoseconds since 1970; 0: first_s is left out
    std::size_t connections = 0;      // W7
    std::size_t queues = 0;           // W7; W6-fill: numbered queues to fill in turn; 0: one
    std::string after;                // W6: how the broker was stopped
    std::map<std::string, ctl::Json> remarks;  // go into the result line as they are
    std::string endpoint, name_space;          // of the broker, for the raw consumer of `each`
    std::string disk;                          // below /sys/class/block; empty: no flush figures
};

// The queue that W3 floods, beside its own.
std::string flood_queue(const Run& run);

// What names a run in its result line.
ctl::Json identity(const Run& run);

// W1 to W3. Blocks for the whole run. The queue must be new. Returns the result line. Throws Error, std::runtime_error.
ctl::Json measure(const Run& run, const ClientOptions& options);

}  // namespace rockdove::bench

// What a run costs: processor time of broker and generator, disk flushes, time stolen by the hypervisor. From /proc.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/ctl/text/view.h"

namespace rockdove::bench {

// One reading; two of them make a cost. Zero where the system does not tell.
struct Usage {
    double wall_s = 0;
    double broker_cpu_s = 0;     // user and system time of the broker and its children
    double generator_cpu_s = 0;  // of this process, all threads
    std::uint64_t broker_write_bytes = 0;
    std::uint64_t broker_rss_kb = 0;
    std::uint64_t flushes = 0;  // requests that reached the disk, whoever made them
    std::uint64_t ticks = 0, stolen_ticks = 0;

    // `pid` 0: no broker figures. `disk` is a name below /sys/class/block, or empty.
    static Usage read(int pid, const std::string& disk);
};

// Adds messages, seconds, rate and all costs of `count` messages between two readings.
void add_costs(ctl::Json& out, const Usage& begin, const Usage& end, std::uint64_t count);

// NAME_p50_us, _p99_us, _p999_us and _max_us, if there are any. Sorts `micros`.
void add_percentiles(ctl::Json& out, const std::string& name, std::vector<std::uint32_t>& micros);

}  // namespace rockdove::bench

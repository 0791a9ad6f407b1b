// What the operating system says about this process.
// Runs on: any thread. Reads /proc; what cannot be read is 0.
#pragma once

#include <cstdint>

namespace rockdove::metrics {

struct ProcessStats {
    std::uint64_t resident_bytes = 0;
    double cpu_seconds = 0;  // user and system
    std::uint64_t open_files = 0;
    std::uint64_t open_files_limit = 0;
    std::uint64_t threads = 0;
    double start_time_seconds = 0;  // since the Unix epoch
};

ProcessStats read_process_stats();

}  // namespace rockdove::metrics

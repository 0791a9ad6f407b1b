// The logs of the modules below the daemon: "core" and "net". server/app makes them; where nobody did, as in unit tests,
// lines go to the process's default log. Text that comes from outside is written with {:?}, which quotes and escapes it.
//
// Runs on: any thread.
#pragma once

#include <spdlog/spdlog.h>

namespace rockdove::runtime {

inline spdlog::logger& log(const char* module) {
    const auto found = spdlog::get(module);  // the registry keeps it while the process runs
    return found ? *found : *spdlog::default_logger_raw();
}

}  // namespace rockdove::runtime

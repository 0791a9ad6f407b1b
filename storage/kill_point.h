// Places where a test kills the process. RD_KILL_POINT("wal_write") dies there with SIGKILL when the environment says
// RD_KILL_POINT=wal_write:3, the third time the place is passed. Compiled in only with -DRD_KILL_POINTS.
#pragma once

#ifdef RD_KILL_POINTS

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <string_view>

namespace rockdove::storage {

inline void kill_point(std::string_view name) {
    static const char* const order = std::getenv("RD_KILL_POINT");
    if (order == nullptr) return;
    const std::string_view text(order);
    const std::size_t colon = text.find(':');
    if (text.substr(0, colon) != name) return;
    static const long wanted = colon == std::string_view::npos ? 1 : std::strtol(order + colon + 1, nullptr, 10);
    static std::atomic<long> passed{0};
    if (++passed == wanted) std::raise(SIGKILL);
}

}  // namespace rockdove::storage

#define RD_KILL_POINT(name) ::rockdove::storage::kill_point(name)
#else
#define RD_KILL_POINT(name) void(0)
#endif

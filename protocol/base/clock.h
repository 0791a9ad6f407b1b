// The broker's time: milliseconds since the Unix epoch, never going back (SEMANTICS section 1). The
// monotonic clock that drives timers stays in server/runtime; the core gets time as an argument.
#pragma once

#include <chrono>
#include <cstdint>

namespace rockdove::base {

using Millis = std::chrono::milliseconds;
using TimePoint = std::chrono::sys_time<Millis>;

inline std::int64_t to_unix_ms(TimePoint time) { return time.time_since_epoch().count(); }
inline TimePoint from_unix_ms(std::int64_t ms) { return TimePoint(Millis(ms)); }

}  // namespace rockdove::base

// The broker's clock (SEMANTICS section 1): starts at the later of wall time and the last time on disk, then follows
// the monotonic clock. So it never goes back, and a wall clock that jumps moves no timer; a jump is seen at the next
// start.
#pragma once

#include <algorithm>
#include <chrono>

#include "protocol/base/clock.h"
#include "protocol/base/error.h"

namespace rockdove::runtime {

class BrokerClock {
public:
    // `persisted_ms`: the latest time in the store.
    explicit BrokerClock(std::int64_t persisted_ms)
        : start_(std::max(std::chrono::time_point_cast<Millis>(std::chrono::system_clock::now()),
                          from_unix_ms(persisted_ms))),
          steady_start_(std::chrono::steady_clock::now()) {}

    [[nodiscard]] TimePoint now() const {
        return start_ + std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - steady_start_);
    }

private:
    const TimePoint start_;
    const std::chrono::steady_clock::time_point steady_start_;
};

}  // namespace rockdove::runtime

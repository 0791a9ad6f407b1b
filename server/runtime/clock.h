// The broker's clock (SEMANTICS section 1): starts at the later of wall time and the last time on disk, then follows
// the monotonic clock. So it never goes back, and a wall clock that jumps moves no timer; a jump is seen at the next
// start. A test clock (section 15) stands still instead, and is moved.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "protocol/base/check.h"
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
    // Stands at `frozen_at`.
    explicit BrokerClock(TimePoint frozen_at) : start_(frozen_at), frozen_(frozen_at) {}

    [[nodiscard]] TimePoint now() const {
        if (frozen_) return *frozen_;
        return start_ + std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - steady_start_);
    }
    [[nodiscard]] bool frozen() const { return frozen_.has_value(); }
    // Of a test clock; never back.
    void move_to(TimePoint time) {
        RD_CHECK(frozen_ && time >= *frozen_);
        frozen_ = time;
    }

private:
    const TimePoint start_;
    const std::chrono::steady_clock::time_point steady_start_;
    std::optional<TimePoint> frozen_;
};

}  // namespace rockdove::runtime

// What a message asks of the broker, read from its properties once, when it is published.
#pragma once

#include <cstdint>

namespace rockdove::base {

inline constexpr std::uint8_t kDefaultPriority = 4;

// What a message asks of the broker; default: nothing, as most.
struct MessageTraits {
    std::uint8_t priority = kDefaultPriority;  // 0 to 9, 9 is the most urgent
    std::int64_t delay_ms = 0;                 // from the commit on; not together with not_before_ms
    std::int64_t not_before_ms = 0;            // Unix time

    // Not to be delivered before; at or before the commit: no delay.
    [[nodiscard]] std::int64_t due_ms(std::int64_t commit_time_ms) const {
        return delay_ms != 0 ? commit_time_ms + delay_ms : not_before_ms;
    }
    [[nodiscard]] bool plain() const { return *this == MessageTraits(); }
    friend bool operator==(const MessageTraits&, const MessageTraits&) = default;
};

}  // namespace rockdove::base

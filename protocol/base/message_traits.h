// What a message asks of the broker, read from its properties once, when it is published.
#pragma once

#include <algorithm>
#include <cstdint>

namespace rockdove::base {

inline constexpr std::uint8_t kDefaultPriority = 4;

// A dedup id and the body it came with, by their hashes.
struct DedupId {
    std::uint64_t high = 0;  // of the id: 128 bits that nobody can aim at
    std::uint64_t low = 0;
    std::uint64_t body = 0;

    [[nodiscard]] bool empty() const { return high == 0 && low == 0; }
    [[nodiscard]] bool same_id(const DedupId& other) const { return high == other.high && low == other.low; }
    friend bool operator==(const DedupId&, const DedupId&) = default;
};

// What a message asks of the broker; default: nothing, as most.
struct MessageTraits {
    std::uint8_t priority = kDefaultPriority;  // 0 to 9, 9 is the most urgent
    std::int64_t delay_ms = 0;                 // from the commit on; not together with not_before_ms
    std::int64_t not_before_ms = 0;            // Unix time
    std::int64_t ttl_ms = 0;                   // from the commit or, if that is later, from when it is due; 0: none
    std::int64_t expires_at_ms = 0;            // Unix time; 0: none; not together with ttl_ms
    std::int64_t deadline_ms = 0;              // Unix time; 0: none
    std::uint32_t max_attempts = 0;            // 0: the queue's
    std::uint64_t key = 0;                     // hash of its ordering key; 0: it has none

    DedupId dedup = {};  // empty: none

    // Not to be delivered before; at or before the commit: no delay.
    [[nodiscard]] std::int64_t due_ms(std::int64_t commit_time_ms) const {
        return delay_ms != 0 ? commit_time_ms + delay_ms : not_before_ms;
    }
    // When it expires by what it asked for itself, if it is committed at this time; 0: never.
    [[nodiscard]] std::int64_t expiry_ms(std::int64_t commit_time_ms) const {
        const std::int64_t asked =
            ttl_ms != 0 ? std::max(commit_time_ms, due_ms(commit_time_ms)) + ttl_ms : expires_at_ms;
        return asked != 0 && deadline_ms != 0 ? std::min(asked, deadline_ms) : asked + deadline_ms;
    }
    [[nodiscard]] bool plain() const { return *this == MessageTraits(); }
    friend bool operator==(const MessageTraits&, const MessageTraits&) = default;
};

}  // namespace rockdove::base

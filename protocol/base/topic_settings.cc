#include "protocol/base/topic_settings.h"

#include <string>

namespace rockdove::base {

namespace {

constexpr std::int64_t kDayMs = 86'400'000;

Result<void> in_range_ms(const char* name, Millis value, std::int64_t low, std::int64_t high) {
    if (value.count() >= low && value.count() <= high) return {};
    return Error(ErrorCode::kInvalid, std::string(name) + " = " + std::to_string(value.count()) +
                                          " is out of range: " + std::to_string(low) + " to " + std::to_string(high));
}

}  // namespace

Result<void> check_settings(const TopicSettings& s) {
    if (s.durability < Durability::kSync || s.durability > Durability::kMemory) {
        return Error(ErrorCode::kInvalid, "durability must be sync, async or memory");
    }
    if (s.retain_age.count() != 0) {
        if (Result<void> ok = in_range_ms("retain_age_ms", s.retain_age, 1'000, 3650 * kDayMs); !ok) return ok;
    }
    if (Result<void> ok = in_range_ms("ttl_ms", s.ttl, 0, 3650 * kDayMs); !ok) return ok;
    return in_range_ms("dedup_window_ms", s.dedup_window, 1'000, 7 * kDayMs);
}

}  // namespace rockdove::base

#include "protocol/base/queue_settings.h"

#include <string>

namespace rockdove::base {

namespace {

constexpr Millis kDay{86'400'000};

template <class T>
Result<void> in_range(const char* name, T value, T low, T high) {
    if (value >= low && value <= high) return {};
    return Error(ErrorCode::kInvalid, std::string(name) + " = " + std::to_string(value) +
                                          " is out of range: " + std::to_string(low) + " to " + std::to_string(high));
}

Result<void> in_range_ms(const char* name, Millis value, Millis low, Millis high) {
    return in_range<std::int64_t>(name, value.count(), low.count(), high.count());
}

}  // namespace

Result<void> check_settings(const QueueSettings& s) {
    if (s.durability < Durability::kSync || s.durability > Durability::kMemory) {
        return Error(ErrorCode::kInvalid, "durability must be sync, async or memory");
    }
    if (s.on_expire < OnExpire::kDead || s.on_expire > OnExpire::kDrop) {
        return Error(ErrorCode::kInvalid, "on_expire must be dead or drop");
    }
    if (s.key_on_retry < KeyOnRetry::kHold || s.key_on_retry > KeyOnRetry::kPass) {
        return Error(ErrorCode::kInvalid, "key_on_retry must be hold or pass");
    }
    if (s.key_on_dead < KeyOnDead::kSkip || s.key_on_dead > KeyOnDead::kPause) {
        return Error(ErrorCode::kInvalid, "key_on_dead must be skip or pause");
    }
    if (s.overflow < Overflow::kReject || s.overflow > Overflow::kDropOldest) {
        return Error(ErrorCode::kInvalid, "overflow must be reject or drop_oldest");
    }
    if (s.dedup_mode < DedupMode::kWindow || s.dedup_mode > DedupMode::kUntilDone) {
        return Error(ErrorCode::kInvalid, "dedup_mode must be window or until_done");
    }
    const Result<void> checks[] = {
        in_range_ms("lease_ms", s.lease, Millis(100), kDay),
        in_range<std::uint32_t>("max_attempts", s.max_attempts, 1, 1000),
        in_range<std::uint32_t>("max_releases", s.max_releases, 0, 1'000'000),
        in_range_ms("backoff_first_ms", s.backoff_first, Millis(0), 7 * kDay),
        in_range<double>("backoff_factor", s.backoff_factor, 1.0, 100.0),
        in_range_ms("backoff_longest_ms", s.backoff_longest, s.backoff_first, 7 * kDay),
        in_range<double>("backoff_jitter", s.backoff_jitter, 0.0, 1.0),
        in_range_ms("max_retry_delay_ms", s.max_retry_delay, Millis(0), 365 * kDay),
        in_range<std::uint64_t>("dead_max", s.dead_max, 1, 10'000'000),
        in_range_ms("reconnect_grace_ms", s.reconnect_grace, Millis(0), Millis(600'000)),
        in_range_ms("dedup_window_ms", s.dedup_window, Millis(1'000), 7 * kDay),
        in_range_ms("ttl_ms", s.ttl, Millis(0), 3650 * kDay),
        in_range<std::uint32_t>("oldest_every", s.oldest_every, 0, 1000),
    };
    for (const Result<void>& check : checks) {
        if (!check) return check.error();
    }
    return {};
}

}  // namespace rockdove::base

// The settings of a queue as flags of `queue create` and `queue update`.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "rockdove/v1/admin.pb.h"

namespace rockdove::ctl {

// Filled by CLI11, checked by it; what was not given stays unset, so that the broker's default or present value holds.
struct QueueSettingFlags {
    std::string durability, overflow, on_expire, key_on_retry, key_on_dead, dedup_mode;
    std::string lease, backoff_first, backoff_longest, reconnect_grace, ttl, dedup_window;  // durations
    std::string max_bytes;                                                                  // a size
    std::string max_messages, dead_max;
    std::optional<std::uint32_t> max_attempts, max_releases, oldest_every;
    std::optional<std::string> dead_letter_to;
    std::optional<double> backoff_factor, backoff_jitter;
};

void add_setting_flags(CLI::App& command, QueueSettingFlags& flags);
v1::QueueSettings to_settings(const QueueSettingFlags& flags);

}  // namespace rockdove::ctl

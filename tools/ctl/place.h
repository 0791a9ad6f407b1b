// Places in a topic, as people write them: start, end, a sequence, a time, or how long ago.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "rockdove/v1/admin.pb.h"

namespace rockdove::ctl {

// "start", "end", "4711" (a sequence), "2027-03-01T08:00:00Z", "1h" (an hour before `now_ms`). Empty: none of these.
std::optional<v1::Position> parse_place(const std::string& text, std::int64_t now_ms);
CLI::Validator place_check();

// TOPIC/NAME. Empty: no slash, or nothing beside it.
std::optional<std::pair<std::string, std::string>> split_subscription(const std::string& text);
CLI::Option* add_subscription_argument(CLI::App& command, std::string& subscription);
CLI::Option* add_topic_argument(CLI::App& command, std::string& topic);

}  // namespace rockdove::ctl

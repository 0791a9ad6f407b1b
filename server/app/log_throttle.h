// Holds back a sentence that is logged again and again.
// Runs on: one thread at a time. Time comes in. Memory is bounded by kMostSentences.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace rockdove::app {

class LogThrottle {
public:
    using Time = std::chrono::system_clock::time_point;
    static constexpr std::size_t kMostSentences = 1024;

    LogThrottle(int burst, std::chrono::seconds window) : burst_(burst), window_(window) {}

    // Empty: hold this one back. Else: how many of the same were held back since the last that was let through.
    std::optional<std::uint64_t> admit(std::string_view sentence, Time now);

private:
    struct Seen {
        Time since;
        int passed = 0;
        std::uint64_t held_back = 0;
    };
    const int burst_;
    const std::chrono::seconds window_;
    std::unordered_map<std::string, Seen> seen_;
};

}  // namespace rockdove::app

// What health and metrics need to know about the broker around them.
// Runs on: any thread; written by the main thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>
#include <vector>

namespace rockdove::runtime {
class Shard;
}

namespace rockdove::admin {

enum class Phase : std::uint8_t { kStarting, kReady, kDraining, kFailed };

constexpr std::string_view phase_name(Phase phase) {
    switch (phase) {
        case Phase::kStarting:
            return "starting";
        case Phase::kReady:
            return "ready";
        case Phase::kDraining:
            return "draining";
        case Phase::kFailed:
            return "failed";
    }
    return "unknown";
}

struct BrokerStatus {
    std::atomic<Phase> phase{Phase::kStarting};
    // By id; set while their loops turn. They outlive the HTTP server that asks them.
    std::atomic<const std::vector<runtime::Shard*>*> shards{nullptr};
};

}  // namespace rockdove::admin

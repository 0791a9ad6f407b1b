// The judgements of `rockdove doctor`: numbers in, findings out, so that each threshold can be tested.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rockdove/v1/admin.pb.h"

namespace rockdove::ctl {

// In the order of monitoring's exit codes.
enum class Verdict : int { kOk = 0, kWarning = 1, kCritical = 2, kUnknown = 3 };

const char* verdict_word(Verdict verdict);  // "ok", "warning", "critical", "unknown"

struct Finding {
    std::string check;  // short name: "disk"
    Verdict verdict = Verdict::kOk;
    std::string text;
};

Finding check_latency(std::uint64_t micros, const std::string& broker_version, std::uint32_t protocol);
Finding check_versions(const std::string& broker, const std::string& client);
Finding check_disk(const v1::Stats& stats);
Finding check_commits(const v1::Stats& stats);
Finding check_files(const v1::Stats& stats);
// `offset_ms`: the broker's clock minus ours; `uncertain_ms`: how long the answer took.
Finding check_clock(std::int64_t offset_ms, std::int64_t uncertain_ms);
Finding check_queue(const v1::QueueInfo& info, std::int64_t now_ms);

// The worst of all; unknown only counts if nothing is worse than ok.
Verdict worst(const std::vector<Finding>& findings);

}  // namespace rockdove::ctl

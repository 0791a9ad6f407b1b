#include "tools/ctl/checks.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "tools/ctl/text/units.h"

namespace rockdove::ctl {
namespace {

constexpr std::uint64_t kSlowAnswerUs = 100'000;
constexpr std::uint64_t kSlowCommitUs = 20'000, kTooSlowCommitUs = 500'000;
constexpr double kLowDisk = 0.15, kNoDisk = 0.05;
constexpr double kManyFiles = 0.8;
constexpr std::uint64_t kFewFiles = 4096;
constexpr std::int64_t kSkewMs = 2'000;
constexpr std::int64_t kWaitingMs = 60'000;

std::string ms_text(std::uint64_t micros) {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, micros < 10'000 ? "%.1f ms" : "%.0f ms", static_cast<double>(micros) / 1000);
    return buffer;
}

// "0.3" of "0.3.1": versions that promise to work together.
std::string series(const std::string& version) {
    const std::size_t first = version.find('.');
    const std::size_t second = first == std::string::npos ? first : version.find('.', first + 1);
    return version.substr(0, second);
}

}  // namespace

const char* verdict_word(Verdict verdict) {
    switch (verdict) {
        case Verdict::kOk:
            return "ok";
        case Verdict::kWarning:
            return "warning";
        case Verdict::kCritical:
            return "critical";
        case Verdict::kUnknown:
            break;
    }
    return "unknown";
}

Finding check_latency(std::uint64_t micros, const std::string& broker_version, std::uint32_t protocol) {
    return {
        "broker", micros < kSlowAnswerUs ? Verdict::kOk : Verdict::kWarning,
        "broker " + broker_version + " answers in " + ms_text(micros) + " (protocol " + std::to_string(protocol) + ")"};
}

Finding check_versions(const std::string& broker, const std::string& client) {
    if (broker == client) return {"version", Verdict::kOk, "broker and command line are both " + client};
    return {"version", series(broker) == series(client) ? Verdict::kOk : Verdict::kWarning,
            "broker is " + broker + ", command line is " + client};
}

Finding check_disk(const v1::Stats& stats) {
    if (stats.disk_total_bytes() == 0) return {"disk", Verdict::kUnknown, "the broker does not tell its disk's size"};
    const double free = static_cast<double>(stats.disk_free_bytes()) / static_cast<double>(stats.disk_total_bytes());
    char percent[16];
    std::snprintf(percent, sizeof percent, "%.0f%%", free * 100);
    return {"disk",
            free < kNoDisk    ? Verdict::kCritical
            : free < kLowDisk ? Verdict::kWarning
                              : Verdict::kOk,
            format_size(stats.disk_free_bytes()) + " (" + percent + ") free" +
                (stats.data_dir().empty() ? "" : " under " + stats.data_dir())};
}

Finding check_commits(const v1::Stats& stats) {
    if (stats.commits() == 0) return {"commit", Verdict::kOk, "nothing was written since the broker started"};
    const std::uint64_t p99 = stats.commit_p99_us();
    const Verdict verdict = p99 >= kTooSlowCommitUs ? Verdict::kCritical
                            : p99 >= kSlowCommitUs  ? Verdict::kWarning
                                                    : Verdict::kOk;
    return {"commit", verdict,
            "commit p99 is " + ms_text(p99) + (verdict == Verdict::kOk ? "" : "; confirms are slow, look at the disk")};
}

Finding check_files(const v1::Stats& stats) {
    if (stats.open_files_limit() == 0)
        return {"files", Verdict::kUnknown, "the broker does not tell its open file limit"};
    const double used = static_cast<double>(stats.open_files()) / static_cast<double>(stats.open_files_limit());
    const bool bad = used > kManyFiles || stats.open_files_limit() < kFewFiles;
    return {"files", bad ? Verdict::kWarning : Verdict::kOk,
            format_count(stats.open_files()) + " of " + format_count(stats.open_files_limit()) + " files open" +
                (bad ? "; raise LimitNOFILE" : "")};
}

Finding check_clock(std::int64_t offset_ms, std::int64_t uncertain_ms) {
    const std::int64_t off = std::max<std::int64_t>(0, std::abs(offset_ms) - uncertain_ms);
    if (off < kSkewMs) return {"clock", Verdict::kOk, "clocks of broker and this machine agree"};
    return {"clock", Verdict::kWarning,
            "the broker's clock is " + format_duration(Millis(off)) + (offset_ms > 0 ? " ahead" : " behind")};
}

Finding check_queue(const v1::QueueInfo& info, std::int64_t now_ms) {
    const std::string check = "queue " + info.name();
    if (info.damaged() > 0) {
        return {check, Verdict::kCritical, format_count(info.damaged()) + " messages failed their checksum"};
    }
    const std::int64_t age = info.oldest_commit_time_ms() == 0 ? 0 : now_ms - info.oldest_commit_time_ms();
    if (info.ready() > 0 && info.consumers() == 0 && !info.paused() && age > kWaitingMs) {
        return {check, Verdict::kWarning,
                "nobody is receiving; " + format_count(info.ready()) + " messages, the oldest waits " +
                    format_duration(Millis(age))};
    }
    return {check, Verdict::kOk, format_count(info.ready()) + " ready"};
}

Verdict worst(const std::vector<Finding>& findings) {
    Verdict out = Verdict::kOk;
    for (const Finding& finding : findings) {
        if (finding.verdict == Verdict::kUnknown) {
            if (out == Verdict::kOk) out = Verdict::kUnknown;
        } else if (out == Verdict::kUnknown ? finding.verdict != Verdict::kOk : finding.verdict > out) {
            out = finding.verdict;
        }
    }
    return out;
}

}  // namespace rockdove::ctl

#include "tools/ctl/checks.h"

#include <catch2/catch.hpp>

using namespace rockdove;
using namespace rockdove::ctl;

namespace {

v1::Stats disk(std::uint64_t free, std::uint64_t total) {
    v1::Stats stats;
    stats.set_disk_free_bytes(free);
    stats.set_disk_total_bytes(total);
    return stats;
}

v1::Stats commits(std::uint64_t p99_us) {
    v1::Stats stats;
    stats.set_commits(1);
    stats.set_commit_p99_us(p99_us);
    return stats;
}

v1::Stats files(std::uint64_t open, std::uint64_t limit) {
    v1::Stats stats;
    stats.set_open_files(open);
    stats.set_open_files_limit(limit);
    return stats;
}

}  // namespace

TEST_CASE("free space below 15 percent is a warning, below 5 critical", "[ctl][doctor]") {
    CHECK(check_disk(disk(50, 100)).verdict == Verdict::kOk);
    CHECK(check_disk(disk(15, 100)).verdict == Verdict::kOk);
    CHECK(check_disk(disk(14, 100)).verdict == Verdict::kWarning);
    CHECK(check_disk(disk(4, 100)).verdict == Verdict::kCritical);
    CHECK(check_disk(disk(0, 0)).verdict == Verdict::kUnknown);
}

TEST_CASE("slow commits are named with their time", "[ctl][doctor]") {
    CHECK(check_commits(commits(900)).text == "commit p99 is 0.9 ms");
    CHECK(check_commits(commits(41'000)).verdict == Verdict::kWarning);
    CHECK(check_commits(commits(41'000)).text.find("41 ms") != std::string::npos);
    CHECK(check_commits(commits(900'000)).verdict == Verdict::kCritical);
    CHECK(check_commits(v1::Stats()).verdict == Verdict::kOk);
}

TEST_CASE("few or almost used up file descriptors are a warning", "[ctl][doctor]") {
    CHECK(check_files(files(100, 65'536)).verdict == Verdict::kOk);
    CHECK(check_files(files(60'000, 65'536)).verdict == Verdict::kWarning);
    CHECK(check_files(files(10, 1024)).verdict == Verdict::kWarning);
    CHECK(check_files(files(10, 0)).verdict == Verdict::kUnknown);
}

TEST_CASE("only a skew larger than the answer took counts", "[ctl][doctor]") {
    CHECK(check_clock(500, 1).verdict == Verdict::kOk);
    CHECK(check_clock(2500, 1000).verdict == Verdict::kOk);
    CHECK(check_clock(-60'000, 5).verdict == Verdict::kWarning);
    CHECK(check_clock(-60'000, 0).text == "the broker's clock is 1m behind");
}

TEST_CASE("another series of versions is a warning, another patch is not", "[ctl][doctor]") {
    CHECK(check_versions("0.1.0", "0.1.0").verdict == Verdict::kOk);
    CHECK(check_versions("0.1.2", "0.1.0").verdict == Verdict::kOk);
    CHECK(check_versions("0.2.0", "0.1.0").verdict == Verdict::kWarning);
}

TEST_CASE("a queue without receivers is a warning once a message waits for a minute", "[ctl][doctor]") {
    v1::QueueInfo info;
    info.set_name("emails");
    info.set_ready(5);
    info.set_oldest_commit_time_ms(1'000'000);
    CHECK(check_queue(info, 1'030'000).verdict == Verdict::kOk);
    CHECK(check_queue(info, 1'061'000).verdict == Verdict::kWarning);
    info.set_consumers(1);
    CHECK(check_queue(info, 1'061'000).verdict == Verdict::kOk);
    info.set_damaged(1);
    CHECK(check_queue(info, 1'061'000).verdict == Verdict::kCritical);
}

TEST_CASE("the worst finding decides; unknown only where all else is well", "[ctl][doctor]") {
    const auto of = [](std::vector<Verdict> verdicts) {
        std::vector<Finding> findings;
        for (const Verdict verdict : verdicts) findings.push_back({"x", verdict, ""});
        return worst(findings);
    };
    CHECK(of({}) == Verdict::kOk);
    CHECK(of({Verdict::kOk, Verdict::kUnknown}) == Verdict::kUnknown);
    CHECK(of({Verdict::kUnknown, Verdict::kWarning}) == Verdict::kWarning);
    CHECK(of({Verdict::kCritical, Verdict::kWarning, Verdict::kUnknown}) == Verdict::kCritical);
    CHECK(of({Verdict::kUnknown, Verdict::kOk}) == Verdict::kUnknown);
}

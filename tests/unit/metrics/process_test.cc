#include "server/metrics/process.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <ctime>
#include <memory>
#include <vector>

using rockdove::metrics::ProcessStats;
using rockdove::metrics::read_process_stats;

TEST_CASE("the process knows its memory, files, threads and age", "[metrics][process]") {
    const ProcessStats before = read_process_stats();
    CHECK(before.resident_bytes > 1'000'000);
    CHECK(before.open_files >= 3);
    CHECK(before.open_files_limit >= before.open_files);
    CHECK(before.threads >= 1);
    const auto now = static_cast<double>(std::time(nullptr));
    CHECK(before.start_time_seconds <= now + 2);
    CHECK(before.start_time_seconds > now - 3600);

    const int copy = ::dup(1);
    const std::vector<char> touched(32 << 20, 'x');
    const ProcessStats after = read_process_stats();
    CHECK(after.open_files == before.open_files + 1);
    CHECK(after.resident_bytes > before.resident_bytes + (24u << 20));
    CHECK(touched.back() == 'x');
    ::close(copy);
}

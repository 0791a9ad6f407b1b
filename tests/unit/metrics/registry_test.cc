#include "server/metrics/registry.h"

#include <catch2/catch.hpp>

using rockdove::metrics::Kind;
using rockdove::metrics::Labels;
using rockdove::metrics::Registry;
using rockdove::metrics::TextWriter;

TEST_CASE("counters and gauges appear with help, type and labels", "[metrics][registry]") {
    Registry registry;
    registry.counter("rockdove_acked_total", "Messages acked.").add(3);
    registry.counter("rockdove_acked_total", "Messages acked.").add(4);
    registry.gauge("rockdove_ready", "1 if ready.", {{"shard", "0"}}).set(-1);
    CHECK(registry.text() ==
          "# HELP rockdove_acked_total Messages acked.\n"
          "# TYPE rockdove_acked_total counter\n"
          "rockdove_acked_total 7\n"
          "# HELP rockdove_ready 1 if ready.\n"
          "# TYPE rockdove_ready gauge\n"
          "rockdove_ready{shard=\"0\"} -1\n");
}

TEST_CASE("label values and help cannot break out of their line", "[metrics][registry]") {
    TextWriter writer;
    writer.family("x", Kind::kGauge, "two\nlines \\");
    writer.sample(Labels{{"queue", "a\"b\\c\nd"}}, std::uint64_t{1});
    CHECK(writer.text() ==
          "# HELP x two\\nlines \\\\\n"
          "# TYPE x gauge\n"
          "x{queue=\"a\\\"b\\\\c\\nd\"} 1\n");
}

TEST_CASE("a duration is shown in seconds with cumulative buckets", "[metrics][registry]") {
    Registry registry;
    auto& histogram = registry.duration("rockdove_commit_duration_seconds", "Time of a commit.");
    histogram.record(63);
    histogram.record(1000);
    histogram.record(100'000'000);
    const std::string text = registry.text();
    CHECK_THAT(text, Catch::Contains("_bucket{le=\"6.4e-05\"} 1\n"));
    CHECK_THAT(text, Catch::Contains("_bucket{le=\"0.001024\"} 2\n"));
    CHECK_THAT(text, Catch::Contains("_bucket{le=\"67.108864\"} 2\n"));
    CHECK_THAT(text, Catch::Contains("_bucket{le=\"+Inf\"} 3\n"));
    CHECK_THAT(text, Catch::Contains("rockdove_commit_duration_seconds_sum 100.001063\n"));
    CHECK_THAT(text, Catch::Contains("rockdove_commit_duration_seconds_count 3\n"));
}

TEST_CASE("callbacks and collectors are asked at each reading", "[metrics][registry]") {
    Registry registry;
    double value = 1.5;
    registry.gauge_callback("rockdove_disk_free_bytes", "Free.", [&value] { return value; });
    registry.collector([&value](TextWriter& writer) {
        writer.family("rockdove_queue_messages", Kind::kGauge, "Messages.");
        writer.sample({{"queue", "emails"}}, value * 2);
    });
    CHECK_THAT(registry.text(), Catch::Contains("rockdove_disk_free_bytes 1.5\n"));
    value = 2;
    const std::string text = registry.text();
    CHECK_THAT(text, Catch::Contains("rockdove_disk_free_bytes 2\n"));
    CHECK_THAT(text, Catch::Contains("rockdove_queue_messages{queue=\"emails\"} 4\n"));
}

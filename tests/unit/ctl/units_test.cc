#include "tools/ctl/text/units.h"

#include <catch2/catch.hpp>

using namespace rockdove::ctl;
using namespace std::chrono_literals;

TEST_CASE("durations are read with units, and a bare number is seconds", "[ctl][units]") {
    CHECK(parse_duration("250ms") == 250ms);
    CHECK(parse_duration("30s") == 30s);
    CHECK(parse_duration("5") == 5s);
    CHECK(parse_duration("0") == 0ms);
    CHECK(parse_duration("1h30m") == 90min);
    CHECK(parse_duration("1.5h") == 90min);
    CHECK(parse_duration("2d") == 48h);
    CHECK(parse_duration("1w") == 168h);
}

TEST_CASE("what is not a duration is refused", "[ctl][units]") {
    const char* text = GENERATE("", "s", "5x", "-5s", "1h30", "5 s", "1e3s", "..s", "1.2.3s", "200000d", "inf");
    CAPTURE(text);
    CHECK_FALSE(parse_duration(text).has_value());
}

TEST_CASE("sizes count KiB by 1024 and kB by 1000", "[ctl][units]") {
    CHECK(parse_size("0") == 0u);
    CHECK(parse_size("1024") == 1024u);
    CHECK(parse_size("10kB") == 10'000u);
    CHECK(parse_size("512MiB") == 512u << 20);
    CHECK(parse_size("1.5 GiB") == 1610612736u);
    const char* wrong = GENERATE("", "MiB", "5k", "-1", "5 apples", "99999999TiB");
    CAPTURE(wrong);
    CHECK_FALSE(parse_size(wrong).has_value());
}

TEST_CASE("rates are per second unless they say otherwise", "[ctl][units]") {
    CHECK(parse_rate("500") == 500.0);
    CHECK(parse_rate("500/s") == 500.0);
    CHECK(parse_rate("30/m") == 0.5);
    CHECK(parse_rate("7200/h") == 2.0);
    CHECK_FALSE(parse_rate("0/s"));
    CHECK_FALSE(parse_rate("/s"));
    CHECK_FALSE(parse_rate("5/x"));
}

TEST_CASE("durations are shown with their two largest units", "[ctl][units]") {
    CHECK(format_duration(0ms) == "0ms");
    CHECK(format_duration(450ms) == "450ms");
    CHECK(format_duration(1500ms) == "1.5s");
    CHECK(format_duration(12s) == "12s");
    CHECK(format_duration(12'345ms) == "12s");
    CHECK(format_duration(3h + 2min + 5s) == "3h 2m");
    CHECK(format_duration(10min) == "10m");
    CHECK(format_duration(49h) == "2d 1h");
}

TEST_CASE("counts and sizes are shown for people", "[ctl][units]") {
    CHECK(format_count(0) == "0");
    CHECK(format_count(999) == "999");
    CHECK(format_count(1204) == "1,204");
    CHECK(format_count(12'345'678) == "12,345,678");
    CHECK(format_size(0) == "0 B");
    CHECK(format_size(1023) == "1023 B");
    CHECK(format_size(1536) == "1.5 KiB");
    CHECK(format_size(512ull << 20) == "512 MiB");
}

TEST_CASE("counts are read with or without commas", "[ctl][units]") {
    CHECK(parse_count("88,310") == 88'310u);
    CHECK(parse_count("7") == 7u);
    CHECK_FALSE(parse_count(""));
    CHECK_FALSE(parse_count("7x"));
    CHECK_FALSE(parse_count("-7"));
}

TEST_CASE("times are RFC 3339 in UTC, both ways", "[ctl][units]") {
    CHECK(format_time(0) == "1970-01-01T00:00:00.000Z");
    CHECK(format_time(1'709'210'096'789) == "2024-02-29T12:34:56.789Z");
    CHECK(format_time(-1) == "1969-12-31T23:59:59.999Z");
    CHECK(parse_time("2024-02-29T12:34:56.789Z") == 1'709'210'096'789);
    CHECK(parse_time("2024-02-29T12:34:56Z") == 1'709'210'096'000);
    CHECK_FALSE(parse_time("2023-02-29T12:34:56Z"));
    CHECK_FALSE(parse_time("2024-02-29 12:34"));
    CHECK_FALSE(parse_time("2024-02-29T12:34:56Zx"));
}

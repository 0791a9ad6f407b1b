#include "server/app/units.h"

#include <catch2/catch.hpp>

using namespace rockdove::app;
using namespace std::chrono_literals;

TEST_CASE("durations need a unit and may have several", "[app][units]") {
    CHECK(*parse_duration("500ms") == 500ms);
    CHECK(*parse_duration("30s") == 30s);
    CHECK(*parse_duration("1h30m") == 90min);
    CHECK(*parse_duration("7d") == 168h);
    CHECK(*parse_duration("0") == 0ms);
    const std::string bad = GENERATE("", "30", "s", "30 s", "-1s", "1.5s", "5y", "1h30", "99999999999999999999s",
                                     "9999999999999d9999999999999d");
    CAPTURE(bad);
    CHECK_FALSE(parse_duration(bad));
}

TEST_CASE("sizes are powers of two with an i, of ten without", "[app][units]") {
    CHECK(*parse_size("0") == 0);
    CHECK(*parse_size("4096") == 4096);
    CHECK(*parse_size("16MiB") == 16u << 20);
    CHECK(*parse_size("2GB") == 2'000'000'000);
    CHECK(*parse_size("1kB") == 1000);
    const std::string bad = GENERATE("", "MiB", "16 MiB", "16mb", "-1", "1.5GiB", "16MiB3", "99999999TiB");
    CAPTURE(bad);
    CHECK_FALSE(parse_size(bad));
}

TEST_CASE("what is printed reads back as the same value", "[app][units]") {
    const auto ms = GENERATE(0, 1, 999, 1000, 61'000, 3'600'000, 86'400'000, 86'400'001);
    CHECK(parse_duration(format_duration(Millis(ms)))->count() == ms);
    const auto bytes = GENERATE(as<std::uint64_t>(), 0, 1, 1023, 1024, 1u << 20, 5'000'000'000);
    CHECK(*parse_size(format_size(bytes)) == bytes);
    CHECK(format_duration(90s) == "90s");
    CHECK(format_size(16u << 20) == "16MiB");
}

TEST_CASE("the nearest word is found, or none if nothing is near", "[app][units]") {
    const std::vector<std::string> words{"server.data_dir", "listen.client", "listen.http"};
    CHECK(nearest("server.datadir", words) == "server.data_dir");
    CHECK(nearest("listen.htp", words) == "listen.http");
    CHECK(nearest("zzz", words).empty());
    CHECK(nearest("x", {}).empty());
}

#include "server/app/logging.h"

#include <spdlog/spdlog.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "server/app/log_throttle.h"
#include "temp_dir.h"

using namespace rockdove::app;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

const auto kTime = std::chrono::system_clock::time_point(1'700'000'000'123ms);

std::string text_line(std::string_view message) { return format_line(kTime, "info", "net", message, 0, false); }
std::string json_line(std::string_view message) { return format_line(kTime, "info", "net", message, 0, true); }

std::string slurp(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

}  // namespace

TEST_CASE("a line has time, level, component, sentence and fields", "[app][logging]") {
    CHECK(text_line("connection closed conn=7 reason=\"idle for 60 s\"") ==
          "ts=\"2023-11-14T22:13:20.123Z\" level=\"info\" comp=\"net\" msg=\"connection closed\" conn=\"7\" "
          "reason=\"idle for 60 s\"");
    CHECK(
        json_line("connection closed conn=7 reason=\"idle\"") ==
        R"({"ts":"2023-11-14T22:13:20.123Z","level":"info","comp":"net","msg":"connection closed","conn":"7","reason":"idle"})");
}

TEST_CASE("the sentence may be written as a field", "[app][logging]") {
    CHECK_THAT(text_line("msg=\"listening at\" addr=x"), Contains("comp=\"net\" msg=\"listening at\" addr=\"x\""));
}

TEST_CASE("a sentence that contains an equals sign stays whole", "[app][logging]") {
    CHECK_THAT(text_line("with a=1 in the middle"), Contains("msg=\"with a=1 in the middle\""));
    CHECK_THAT(text_line("only words"), Contains("msg=\"only words\""));
    CHECK_THAT(text_line("a=1"), Contains("msg=\"\" a=\"1\""));
}

TEST_CASE("nothing in a value can end its line or forge a field", "[app][logging]") {
    const std::string evil = "x\" level=\"critical\"\n\x1b[31mred\x7f\xff\xc2\x9b";
    const std::string text = text_line("hello from name=" + field(evil));
    CHECK(text.find('\n') == std::string::npos);
    CHECK(text.find('\x1b') == std::string::npos);
    CHECK_THAT(text, Contains(R"(name="x\" level=\"critical\"\n\x1b[31mred\x7f\xff)"));
    CHECK(json_line("got a=\"\xff\x01\"") ==
          R"({"ts":"2023-11-14T22:13:20.123Z","level":"info","comp":"net","msg":"got","a":"\u00ff\u0001"})");
    CHECK_THAT(text_line("caf\xc3\xa9"), Contains("caf\xc3\xa9"));
}

TEST_CASE("a sentence repeated too often is held back and counted", "[app][logging]") {
    LogThrottle throttle(3, 10s);
    const auto at = [](std::chrono::seconds s) { return LogThrottle::Time(1000s + s); };
    for (int i = 0; i < 3; ++i) CHECK(throttle.admit("a", at(0s)) == std::uint64_t{0});
    for (int i = 0; i < 5; ++i) CHECK_FALSE(throttle.admit("a", at(9s)));
    CHECK(throttle.admit("b", at(9s)) == std::uint64_t{0});
    CHECK(throttle.admit("a", at(10s)) == std::uint64_t{5});
    CHECK(throttle.admit("a", at(10s)) == std::uint64_t{0});
    // The clock goes back by an hour: not silenced until it has caught up.
    CHECK(throttle.admit("a", at(-3600s)) == std::uint64_t{0});
}

TEST_CASE("the throttle forgets rather than grows", "[app][logging]") {
    LogThrottle throttle(1, 10s);
    CHECK(throttle.admit("first", LogThrottle::Time(0s)));
    CHECK_FALSE(throttle.admit("first", LogThrottle::Time(1s)));
    for (std::size_t i = 0; i < LogThrottle::kMostSentences; ++i)
        throttle.admit(std::to_string(i), LogThrottle::Time(1s));
    CHECK(throttle.admit("first", LogThrottle::Time(2s)));
}

TEST_CASE("modules log into the file, which may be moved away and opened again", "[app][logging]") {
    const TempDir dir;
    LogOptions options;
    options.file = dir.path("rockdove.log");
    options.level = "warning";
    REQUIRE(start_logging(options));
    spdlog::get("net")->info("hidden");
    spdlog::get("net")->warn("seen conn={}", 1);
    spdlog::get("store")->flush();
    set_log_level("info");
    for (int i = 0; i < 25; ++i) spdlog::get("core")->info("again number={}", i);
    stop_logging();
    const std::string first = slurp(options.file);
    CHECK_THAT(first, Contains("comp=\"net\" msg=\"seen\" conn=\"1\"") && !Contains("hidden"));
    CHECK_THAT(first, Contains("number=\"9\"") && !Contains("number=\"10\""));

    REQUIRE(start_logging(options));
    std::filesystem::rename(options.file, dir.path("old.log"));
    REQUIRE(reopen_log());
    spdlog::get("app")->error("after the move");
    stop_logging();
    CHECK_THAT(slurp(options.file), Contains("after the move"));
    CHECK_THAT(slurp(dir.path("old.log")), !Contains("after the move"));
}

TEST_CASE("a log file that cannot be opened is an error", "[app][logging]") {
    LogOptions options;
    options.file = "/nonexistent/rockdove.log";
    CHECK_THAT(start_logging(options).error().text, Contains("/nonexistent/rockdove.log: No such file"));
}

#include "server/app/command_line.h"

#include <catch2/catch.hpp>

using namespace rockdove::app;
using Catch::Contains;

namespace {

rockdove::base::Result<CommandLine> parse(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "rockdoved");
    return parse_command_line(static_cast<int>(arguments.size()), arguments.data());
}

std::string value_of(const CommandLine& line, const std::string& key) {
    std::string text = "absent";
    for (const FlagValue& flag : line.config.flags) {
        if (flag.key == key) text = flag.text;
    }
    return text;
}

}  // namespace

TEST_CASE("no arguments run the daemon", "[app][command_line]") {
    const auto line = parse({});
    REQUIRE(line);
    CHECK(line->action == Action::kRun);
    CHECK(line->config.flags.empty());
}

TEST_CASE("flags become settings", "[app][command_line]") {
    const auto line =
        parse({"--data-dir", "/d", "--listen=127.0.0.1:0", "--http", "off", "--log-level", "debug", "--create-on-use",
               "--set", "limits.heartbeat=10s", "--set", "storage.disk_low=1MiB", "--config", "/c.toml"});
    REQUIRE(line);
    CHECK(value_of(*line, "server.data_dir") == "/d");
    CHECK(value_of(*line, "listen.client") == "127.0.0.1:0");
    CHECK(value_of(*line, "listen.http") == "off");
    CHECK(value_of(*line, "log.level") == "debug");
    CHECK(value_of(*line, "namespaces.create_on_use") == "true");
    CHECK(value_of(*line, "limits.heartbeat") == "10s");
    CHECK(value_of(*line, "storage.disk_low") == "1MiB");
    CHECK(line->config.file == "/c.toml");
    CHECK_FALSE(line->config.dev);
}

TEST_CASE("sub-commands of config take the same flags, before or after", "[app][command_line]") {
    CHECK(parse({"config", "check"})->action == Action::kConfigCheck);
    CHECK(parse({"config", "show", "--listen", "x"})->action == Action::kConfigShow);
    CHECK(value_of(*parse({"config", "show", "--listen", "x"}), "listen.client") == "x");
    CHECK(parse({"--config", "/c", "config", "check"})->config.file == "/c");
    CHECK(parse({"--print-config"})->action == Action::kConfigShow);
    CHECK(parse({"config", "example"})->action == Action::kConfigExample);
}

TEST_CASE("help and version are text to print", "[app][command_line]") {
    CHECK(parse({"--help"})->action == Action::kPrint);
    CHECK_THAT(parse({"--help"})->text, Contains("--data-dir") && Contains("Exit codes"));
    CHECK_THAT(parse({"--version"})->text, Contains("rockdoved "));
}

TEST_CASE("what is not understood is refused", "[app][command_line]") {
    CHECK_THAT(parse({"--nonsense"}).error().text, Contains("--nonsense") && Contains("--help"));
    CHECK_FALSE(parse({"stray"}));
    CHECK_FALSE(parse({"config"}));
    CHECK_FALSE(parse({"--set", "no_equals"}));
    CHECK_FALSE(parse({"--listen"}));
}

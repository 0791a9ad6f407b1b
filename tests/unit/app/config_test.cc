#include "server/app/config.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "temp_dir.h"

using namespace rockdove::app;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

ConfigSources sources_with_file(const std::string& path) {
    ConfigSources sources;
    sources.file = path;
    return sources;
}

// The text of the error that loading `toml` gives; empty if there is none.
std::string error_of(const std::string& toml) {
    const TempDir dir;
    const auto config = load_config(sources_with_file(dir.write("rockdove.toml", toml)));
    return config ? "" : config.error().text;
}

std::string error_of_flag(const std::string& key, const std::string& text) {
    const TempDir dir;
    ConfigSources sources = sources_with_file(dir.write("empty.toml", ""));
    sources.flags = {{key, text, "--set"}};
    const auto config = load_config(sources);
    return config ? "" : config.error().text;
}

}  // namespace

TEST_CASE("an empty file is a working broker on loopback", "[app][config]") {
    const TempDir dir;
    const auto config = load_config(sources_with_file(dir.write("rockdove.toml", "")));
    REQUIRE(config);
    CHECK(config->settings().data_dir == "/var/lib/rockdove");
    CHECK(format_address(config->settings().listen_client) == "127.0.0.1:7625");
    CHECK(format_address(config->settings().listen_http) == "127.0.0.1:8625");
    CHECK(config->settings().max_message.value == 16u << 20);
    CHECK(config->settings().lease == 30s);
    CHECK_FALSE(config->settings().create_on_use);
    CHECK(config->origin("server.data_dir") == "default");
}

TEST_CASE("flags win over the environment, the environment over the file, the file over defaults", "[app][config]") {
    const TempDir dir;
    ConfigSources sources = sources_with_file(dir.write("rockdove.toml",
                                                        "[limits]\n"
                                                        "heartbeat = \"11s\"\n"
                                                        "max_connections = 11\n"
                                                        "max_message = 11000\n"));
    sources.environment = {"ROCKDOVE_LIMITS__MAX_CONNECTIONS=12", "ROCKDOVE_LIMITS__MAX_MESSAGE=12000", "HOME=/"};
    sources.flags = {{"limits.max_message", "13000", "--set"}};
    const auto config = load_config(sources);
    REQUIRE(config);
    CHECK(config->settings().heartbeat == 11s);
    CHECK(config->settings().max_connections == 12);
    CHECK(config->settings().max_message.value == 13000);
    CHECK(config->origin("limits.heartbeat") == dir.path("rockdove.toml") + ":2:13");
    CHECK(config->origin("limits.max_connections") == "environment ROCKDOVE_LIMITS__MAX_CONNECTIONS");
    CHECK(config->origin("limits.max_message") == "flag --set");
}

TEST_CASE("every type is read from a file", "[app][config]") {
    const TempDir dir;
    const auto config = load_config(sources_with_file(
        dir.write("rockdove.toml",
                  "listen = { client = \"[::1]:0\", http = \"off\", http_hosts = [\"a.example\", \"b\"] }\n"
                  "namespaces.create_on_use = true\n"
                  "storage.disk_low = \"7%\"\n"
                  "[queue_defaults]\n"
                  "durability = \"async\"\n"
                  "backoff = { first = \"2s\", factor = 3, longest = \"1h\", jitter = 0.25 }\n")));
    REQUIRE(config);
    const Settings& settings = config->settings();
    CHECK(settings.listen_client.host == "::1");
    CHECK(settings.listen_client.port == 0);
    CHECK(settings.listen_http.off());
    CHECK(settings.http_hosts == std::vector<std::string>{"a.example", "b"});
    CHECK(settings.create_on_use);
    CHECK(settings.disk_low.of(1000) == 70);
    CHECK(settings.durability == "async");
    CHECK(settings.backoff_first == 2s);
    CHECK(settings.backoff_factor == 3.0);
    CHECK(settings.backoff_longest == 1h);
    CHECK(settings.backoff_jitter == 0.25);
}

TEST_CASE("an unknown key is an error with line, column and a guess", "[app][config]") {
    CHECK_THAT(error_of("[server]\ndata_dri = \"/x\"\n"),
               Contains("rockdove.toml:2:1: unknown key \"server.data_dri\"; did you mean \"server.data_dir\"?"));
    CHECK_THAT(error_of("\n[sever]\ndata_dir = \"/x\"\n"),
               Contains(":2:2: unknown key \"sever\"; did you mean \"server\"?"));
    CHECK_THAT(error_of("[queue_defaults]\nbackoff = { fist = \"1s\" }\n"),
               Contains("did you mean \"queue_defaults.backoff.first\"?"));
    CHECK_THAT(error_of("colour = 1\n"), Contains("unknown key \"colour\"") && !Contains("did you mean"));
}

TEST_CASE("wrong values are errors that say what is expected", "[app][config]") {
    CHECK_THAT(error_of("[limits]\nheartbeat = 30\n"),
               Contains(":2:13: limits.heartbeat: expected a duration in quotes"));
    CHECK_THAT(error_of("[limits]\nheartbeat = \"30\"\n"), Contains("is not a duration"));
    CHECK_THAT(error_of("[limits]\nheartbeat = \"1ms\"\n"), Contains("out of range, allowed is 1s to 1h"));
    CHECK_THAT(error_of("[limits]\nmax_connections = \"9\"\n"), Contains("expected a whole number"));
    CHECK_THAT(error_of("[limits]\nmax_connections = -1\n"), Contains("is not a whole number"));
    CHECK_THAT(error_of("[namespaces]\ncreate_on_use = 1\n"), Contains("expected true or false"));
    CHECK_THAT(error_of("[queue_defaults]\ndurability = \"fast\"\n"), Contains("is none of sync|async|memory"));
    CHECK_THAT(error_of("server = 3\n"), Contains("\"server\" is a section"));
    CHECK_THAT(error_of("[server\n"), Contains("rockdove.toml:1:"));
    CHECK_THAT(error_of("[server]\ndata_dir = \"\"\n"), Contains("must not be empty"));
    CHECK_THAT(error_of("[queue_defaults.backoff]\nfirst = \"1h\"\n"), Contains("longer than"));
}

TEST_CASE("all mistakes are told at once", "[app][config]") {
    const std::string text = error_of("[limits]\nheartbeat = 30\nmax_conections = 3\n");
    CHECK_THAT(text, Contains("heartbeat") && Contains("max_conections") && Contains("\n"));
}

TEST_CASE("a file that cannot be read is an error, not an empty configuration", "[app][config]") {
    CHECK_THAT(load_config(sources_with_file("/nonexistent/rockdove.toml")).error().text,
               Contains("/nonexistent/rockdove.toml: No such file"));
    const TempDir dir;
    CHECK_THAT(load_config(sources_with_file(dir.path())).error().text, Contains("is a directory"));
}

TEST_CASE("unknown variables and flags are errors with a guess", "[app][config]") {
    const TempDir dir;
    ConfigSources sources = sources_with_file(dir.write("rockdove.toml", ""));
    sources.environment = {"ROCKDOVE_LISTN__CLIENT=127.0.0.1:1", "ROCKDOVE_URL=rockdove://x"};
    CHECK_THAT(load_config(sources).error().text,
               Contains("unknown variable ROCKDOVE_LISTN__CLIENT; did you mean ROCKDOVE_LISTEN__CLIENT?"));
    CHECK_THAT(error_of_flag("limits.hearbeat", "1s"),
               Contains("flag --set: unknown setting \"limits.hearbeat\"; did you mean \"limits.heartbeat\"?"));
}

TEST_CASE("includes come after the file that names them, in order", "[app][config]") {
    const TempDir dir;
    dir.write("conf.d/10.toml", "[limits]\nmax_connections = 10\nheartbeat = \"10s\"\n");
    dir.write("conf.d/20.toml", "[limits]\nmax_connections = 20\n");
    const std::string main = dir.write(
        "rockdove.toml",
        "include = [\"conf.d/*.toml\", \"none.d/*.toml\"]\n[limits]\nmax_connections = 1\nmax_message = 2000\n");
    const auto config = load_config(sources_with_file(main));
    REQUIRE(config);
    CHECK(config->settings().max_connections == 20);
    CHECK(config->settings().heartbeat == 10s);
    CHECK(config->settings().max_message.value == 2000);
    CHECK(config->origin("limits.max_connections") == dir.path("conf.d/20.toml") + ":2:19");
}

TEST_CASE("includes go one level deep, and a plain name must exist", "[app][config]") {
    const TempDir dir;
    dir.write("a.toml", "include = [\"b.toml\"]\n");
    CHECK_THAT(load_config(sources_with_file(dir.write("x.toml", "include = [\"a.toml\"]\n"))).error().text,
               Contains("a.toml:1:1: an included file may not include others"));
    CHECK_THAT(load_config(sources_with_file(dir.write("y.toml", "include = [\"c.toml\"]\n"))).error().text,
               Contains("c.toml: included by") && Contains("does not exist"));
}

TEST_CASE("an address beyond loopback needs a word of consent", "[app][config]") {
    CHECK_THAT(error_of_flag("listen.client", "0.0.0.0:7625"), Contains("insecure_allow_plaintext"));
    CHECK_THAT(error_of_flag("listen.http", "[::]:8625"), Contains("insecure_allow_plaintext"));
    CHECK_THAT(error_of_flag("listen.client", "192.168.1.1:7625"), Contains("insecure_allow_plaintext"));
    CHECK(error_of_flag("listen.client", "127.9.9.9:7625").empty());
    CHECK(error_of_flag("listen.client", "[::1]:7625").empty());
    CHECK(error_of_flag("listen.client", "localhost:7625").empty());
    CHECK(error_of("[listen]\nclient = \"0.0.0.0:7625\"\ninsecure_allow_plaintext = true\n").empty());
    const std::string bad =
        GENERATE("localhost", "7625", ":7625", "1.2.3:1", "127.0.0.1:65536", "::1:7625", "[x]:1", "off");
    CAPTURE(bad);
    CHECK_FALSE(error_of_flag("listen.client", bad).empty());
}

TEST_CASE("--dev has its own defaults and refuses a lasting directory", "[app][config]") {
    ConfigSources sources;
    sources.dev = true;
    const auto config = load_config(sources);
    REQUIRE(config);
    CHECK(config->settings().create_on_use);
    CHECK(config->origin("namespaces.create_on_use") == "flag --dev");
    CHECK(config->file().empty());
    sources.flags = {{"namespaces.create_on_use", "false", "--set"}};
    CHECK_FALSE(load_config(sources)->settings().create_on_use);
    sources.flags = {{"server.data_dir", "/var/lib/rockdove", "--data-dir"}};
    CHECK_THAT(load_config(sources).error().text, Contains("--dev keeps messages in a temporary directory"));
    sources.flags = {{"listen.client", "0.0.0.0:1", "--listen"}, {"listen.insecure_allow_plaintext", "true", "--set"}};
    CHECK_THAT(load_config(sources).error().text, Contains("loopback only"));
}

TEST_CASE("the free-space limit is the larger of a size and a share", "[app][config]") {
    Settings settings;
    const Setting& setting = *find_setting("storage.disk_low");
    REQUIRE(assign(setting, "auto", settings));
    CHECK(settings.disk_low.of(1'000'000'000'000) == 50'000'000'000);
    CHECK(settings.disk_low.of(1'000'000'000) == std::uint64_t{2} << 30);
    REQUIRE(assign(setting, "8MiB", settings));
    CHECK(settings.disk_low.of(1'000'000'000'000) == 8u << 20);
    CHECK_FALSE(assign(setting, "100%", settings));
    CHECK_FALSE(assign(setting, "much", settings));
}

TEST_CASE("a newer reading changes reloadable settings only", "[app][config]") {
    const TempDir dir;
    auto config =
        load_config(sources_with_file(dir.write("a.toml", "log.level = \"info\"\nlimits.max_connections = 1\n")));
    const auto newer =
        load_config(sources_with_file(dir.write("b.toml", "limits.max_connections = 2\nlog.level = \"debug\"\n")));
    REQUIRE((config && newer));
    CHECK(config->take_reloadable(*newer) == "log.level");
    CHECK(config->settings().log_level == "debug");
    CHECK(config->settings().max_connections == 1);
    CHECK_THAT(config->origin("log.level"), Contains("b.toml:2"));
    CHECK(config->take_reloadable(*newer).empty());
}

TEST_CASE("what is shown can be read back and shows the same", "[app][config]") {
    const TempDir dir;
    ConfigSources sources = sources_with_file(dir.write(
        "rockdove.toml", "storage.disk_low = \"7%\"\nlisten.http_hosts = [\"a\"]\nlog.file = \"/tmp/a\\\\b\"\n"));
    const auto first = load_config(sources);
    REQUIRE(first);
    const auto second = load_config(sources_with_file(dir.write("shown.toml", first->show())));
    REQUIRE(second);
    for (const Setting& setting : all_settings()) {
        CAPTURE(setting.key);
        CHECK(literal(setting, second->settings()) == literal(setting, first->settings()));
    }
    CHECK_THAT(first->show(), Contains("rockdove.toml:1:20") && Contains("# default, reloadable"));
}

TEST_CASE("the example with every comment sign removed says what the defaults say", "[app][config]") {
    std::istringstream example(example_config());
    std::string active;
    for (std::string line; std::getline(example, line);) {
        // Comments are sentences; settings are "# name = value".
        const bool setting =
            line.starts_with("# ") && line.find(" = ") != std::string::npos && line.find("include") != 2;
        active += (setting ? line.substr(2) : line) + "\n";
    }
    const TempDir dir;
    const auto config = load_config(sources_with_file(dir.write("example.toml", active)));
    CAPTURE(active);
    REQUIRE(config);
    for (const Setting& setting : all_settings()) {
        CAPTURE(setting.key);
        Settings defaults;
        REQUIRE(assign(setting, setting.initial, defaults));
        CHECK(literal(setting, config->settings()) == literal(setting, defaults));
        CHECK_THAT(config->origin(setting.key), Contains("example.toml"));
    }
}

namespace {

std::string read_source(const std::string& name) {
    std::ifstream in(std::string(ROCKDOVE_SOURCE_DIR) + "/" + name);
    REQUIRE(in);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

}  // namespace

TEST_CASE("the example file and the reference page say what the table says", "[app][config]") {
    // Repair: rockdoved config example > docker/rockdove.toml; rockdoved config table gives the page's table.
    CHECK(read_source("docker/rockdove.toml") == example_config());
    CHECK_THAT(read_source("docs/operations.md"), Contains(settings_table()));
}

// A daemon from its start to its end, as whoever runs it sees it.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "http_get.h"
#include "process.h"
#include "tests/support/temp_dir.h"
#include "wire.h"

using namespace std::chrono_literals;
using Catch::Contains;
using Catch::StartsWith;
using rockdove::test::TempDir;

namespace {

std::vector<std::string> flags(const std::string& data_dir, std::vector<std::string> more = {}) {
    std::vector<std::string> out{"--data-dir", data_dir,
                                 "--listen",   "127.0.0.1:0",
                                 "--http",     "127.0.0.1:0",
                                 "--set",      "storage.disk_low=16MiB",
                                 "--set",      "server.drain_timeout=1s"};
    out.insert(out.end(), more.begin(), more.end());
    return out;
}

// Starts, expects the end, and returns what stderr has.
std::string refusal(const std::vector<std::string>& arguments, int code, const ProcessOptions& options = {}) {
    const TempDir dir;
    Process process(arguments, dir.path("log"), options);
    CHECK(process.wait_exit() == code);
    CHECK(process.rest_of_output().empty());
    return process.log();
}

}  // namespace

TEST_CASE("a daemon says when it is ready, answers, and ends cleanly on TERM", "[daemon]") {
    const TempDir dir;
    Process daemon(flags(dir.path("data")), dir.path("log"));
    daemon.wait_ready();
    CHECK(daemon.port() != 0);
    CHECK(daemon.http_port() != 0);
    CHECK_THAT(http_get(daemon.http_port(), "/readyz"), StartsWith("HTTP/1.1 200"));
    CHECK_THAT(http_get(daemon.http_port(), "/healthz"), StartsWith("HTTP/1.1 200"));
    struct stat status {};
    REQUIRE(::stat(dir.path("data").c_str(), &status) == 0);
    CHECK((status.st_mode & 0077) == 0);
    daemon.signal(GENERATE(SIGTERM, SIGINT));
    CHECK(daemon.wait_exit() == 0);
    CHECK(daemon.rest_of_output().empty());
    CHECK_THAT(daemon.log(), Contains("msg=\"stopped\""));
}

TEST_CASE("without HTTP the ready line has one address", "[daemon]") {
    const TempDir dir;
    Process daemon({"--data-dir", dir.path("data"), "--listen", "[::1]:0", "--http", "off"}, dir.path("log"));
    CHECK_THAT(daemon.read_line(), Catch::Matches("ready rockdove://\\[::1\\]:[0-9]+"));
    daemon.signal(SIGTERM);
    CHECK(daemon.wait_exit() == 0);
}

TEST_CASE("what was confirmed is there after a stop, and after a kill", "[daemon]") {
    const TempDir dir;
    for (const int signal : {SIGTERM, SIGKILL, 0}) {
        Process daemon(flags(dir.path("data"), {"--create-on-use"}), dir.path("log"));
        daemon.wait_ready();
        Wire wire(daemon.port());
        wire.hello();
        const auto confirm = wire.publish("jobs", "x");
        REQUIRE(confirm.has_confirm());
        CHECK(confirm.confirm().first_seq() == (signal == SIGTERM ? 1u : signal == SIGKILL ? 2u : 3u));
        if (signal == 0) break;
        daemon.signal(signal);
        CHECK(daemon.wait_exit() == (signal == SIGTERM ? 0 : -SIGKILL));
    }
}

TEST_CASE("R11 a second daemon on the same directory is refused, the first works on", "[daemon]") {
    const TempDir dir;
    Process first(flags(dir.path("data")), dir.path("log"));
    first.wait_ready();
    // It asks for the first one's port as well: the directory's lock comes before the port.
    std::vector<std::string> again = flags(dir.path("data"));
    again[3] = "127.0.0.1:" + std::to_string(first.port());
    Process second(again, dir.path("second.log"));
    CHECK(second.wait_exit(5s) == 73);
    CHECK_THAT(second.log(), Contains("process " + std::to_string(first.pid())) && Contains(dir.path("data")));
    SECTION("even if it is stopped") {
        first.signal(SIGSTOP);
        Process third(again, dir.path("third.log"));
        CHECK(third.wait_exit(5s) == 73);
        first.signal(SIGCONT);
    }
    CHECK_THAT(http_get(first.http_port(), "/readyz"), StartsWith("HTTP/1.1 200"));
    first.signal(SIGTERM);
    CHECK(first.wait_exit() == 0);
}

TEST_CASE("R12 an unusable data directory is refused in one line, and nothing is made", "[daemon]") {
    const TempDir dir;
    const auto refused = [&](const std::string& name, const std::string& why) {
        const TempDir log;
        Process daemon(flags(dir.path(name)), log.path("log"));
        const int code = daemon.wait_exit();
        CHECK((code == 73 || code == 77 || code == 78));
        const std::string text = daemon.log();
        const std::string last = text.substr(text.rfind("rockdoved: "));
        CHECK(std::count(last.begin(), last.end(), '\n') == 1);
        CHECK_THAT(last, Contains(dir.path(name)) && Contains(why));
        return code;
    };
    SECTION("a missing parent") {
        CHECK(refused("no/data", "parent") == 73);
        CHECK_FALSE(std::filesystem::exists(dir.path("no")));
    }
    SECTION("a file") {
        std::ofstream(dir.path("file")) << "x";
        CHECK(refused("file", "not a directory") == 73);
    }
    SECTION("a symbolic link") {
        std::filesystem::create_directory(dir.path("real"));
        std::filesystem::create_directory_symlink(dir.path("real"), dir.path("link"));
        refused("link", "symbolic link");
        CHECK(std::filesystem::is_empty(dir.path("real")));
    }
    SECTION("writable for others") {
        std::filesystem::create_directory(dir.path("open"));
        REQUIRE(::chmod(dir.path("open").c_str(), 0777) == 0);
        CHECK(refused("open", "other users") == 77);
        CHECK(std::filesystem::is_empty(dir.path("open")));
    }
    SECTION("somebody else's files") {
        std::filesystem::create_directory(dir.path("home"));
        REQUIRE(::chmod(dir.path("home").c_str(), 0700) == 0);
        std::ofstream(dir.path("home/letter.txt")) << "dear";
        CHECK(refused("home", "letter.txt") == 73);
        CHECK(std::distance(std::filesystem::directory_iterator(dir.path("home")), {}) == 1);
    }
    SECTION("another owner") {
        if (::geteuid() != 0) return;
        std::filesystem::create_directory(dir.path("theirs"));
        REQUIRE(::chmod(dir.path("theirs").c_str(), 0700) == 0);
        REQUIRE(::chown(dir.path("theirs").c_str(), 12345, 12345) == 0);
        CHECK(refused("theirs", "belongs to") == 77);
        CHECK(std::filesystem::is_empty(dir.path("theirs")));
    }
}

TEST_CASE("--dev is a whole broker that leaves nothing behind", "[daemon]") {
    const TempDir dir;
    std::filesystem::create_directory(dir.path("tmp"));
    ProcessOptions options;
    options.environment = {"TMPDIR=" + dir.path("tmp")};
    // Two of them: the second finds the usual ports taken.
    Process first({"--dev"}, dir.path("first.log"), options);
    first.wait_ready();
    Process second({"--dev"}, dir.path("second.log"), options);
    second.wait_ready();
    CHECK(first.port() != second.port());
    CHECK(first.http_port() != second.http_port());
    CHECK(std::distance(std::filesystem::directory_iterator(dir.path("tmp")), {}) == 2);
    for (Process* daemon : {&first, &second}) {
        Wire wire(daemon->port());
        wire.hello();
        CHECK(wire.publish("emails", "hello").has_confirm());
        daemon->signal(SIGTERM);
        CHECK(daemon->wait_exit() == 0);
    }
    CHECK(std::filesystem::is_empty(dir.path("tmp")));
}

TEST_CASE("an address that is taken ends the start with 69, and the directory is free again", "[daemon]") {
    const TempDir dir;
    Process first(flags(dir.path("one")), dir.path("log"));
    first.wait_ready();
    std::vector<std::string> taken = flags(dir.path("two"));
    taken[3] = "127.0.0.1:" + std::to_string(first.port());
    CHECK_THAT(refusal(taken, 69), Contains("listen.client") && Contains(taken[3]));
    taken = flags(dir.path("two"));
    taken[5] = "127.0.0.1:" + std::to_string(first.http_port());
    CHECK_THAT(refusal(taken, 69), Contains("listen.http") && Contains(taken[5]));
    Process third(flags(dir.path("two")), dir.path("third.log"));
    third.wait_ready();
}

TEST_CASE("mistakes in configuration and command line have their codes and say where", "[daemon]") {
    const TempDir dir;
    std::ofstream(dir.path("bad.toml")) << "[server]\ndata_dri = \"/x\"\n";
    CHECK_THAT(refusal({"--config", dir.path("bad.toml")}, 78),
               Contains("bad.toml:2:1") && Contains("did you mean \"server.data_dir\"?"));
    CHECK_THAT(refusal({"config", "check", "--config", dir.path("bad.toml")}, 78), Contains("bad.toml:2:1"));
    CHECK_THAT(refusal({"--config", dir.path("none.toml")}, 78), Contains("No such file"));
    CHECK_THAT(refusal({"--listen", "0.0.0.0:0"}, 78), Contains("insecure_allow_plaintext"));
    CHECK_THAT(refusal(flags(dir.path("data"), {"--set", "log.file=/nonexistent/x"}), 78), Contains("/nonexistent/x"));
    CHECK_THAT(refusal({"--nonsense"}, 64), Contains("--nonsense"));
    ProcessOptions options;
    options.environment = {"ROCKDOVE_LISTEN__HTP=off"};
    CHECK_THAT(refusal(flags(dir.path("data")), 78, options), Contains("did you mean ROCKDOVE_LISTEN__HTTP?"));
}

TEST_CASE("the configuration can be checked, shown and explained", "[daemon]") {
    const TempDir dir;
    std::ofstream(dir.path("good.toml")) << "[limits]\nheartbeat = \"10s\"\n";
    const auto output = [&](std::vector<std::string> arguments) {
        Process process(arguments, dir.path("log"));
        CHECK(process.wait_exit() == 0);
        return process.rest_of_output();
    };
    CHECK(output({"config", "check", "--config", dir.path("good.toml")}) == "ok\n");
    CHECK_THAT(output({"--print-config", "--config", dir.path("good.toml")}),
               Contains("limits.heartbeat = \"10s\"") && Contains("good.toml:2:13"));
    CHECK_THAT(output({"config", "example"}), Contains("# heartbeat = \"30s\""));
    CHECK_THAT(output({"--version"}), StartsWith("rockdoved "));
    CHECK_THAT(output({"--help"}), Contains("--data-dir"));
}

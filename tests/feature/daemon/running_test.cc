// A daemon while it runs: health, metrics, signals, drain, and a disk that fails.
#include <signal.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "http_get.h"
#include "process.h"
#include "tests/support/temp_dir.h"
#include "wire.h"

using namespace std::chrono_literals;
using Catch::Contains;
using Catch::StartsWith;
using rockdove::test::TempDir;

namespace {

std::vector<std::string> flags(const TempDir& dir, std::vector<std::string> more = {}) {
    std::vector<std::string> out{"--data-dir", dir.path("data"), "--listen",       "127.0.0.1:0",
                                 "--http",     "127.0.0.1:0",    "--create-on-use"};
    const bool low =
        std::any_of(more.begin(), more.end(), [](const auto& m) { return m.starts_with("storage.disk_low"); });
    if (!low) out.insert(out.end(), {"--set", "storage.disk_low=16MiB"});
    out.insert(out.end(), more.begin(), more.end());
    return out;
}

std::string slurp(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

rockdove::v1::Deliver hold_a_message(Wire& wire) {
    REQUIRE(wire.publish("emails", "hello").has_confirm());
    rockdove::v1::Frame frame;
    frame.mutable_consume()->set_queue("emails");
    frame.mutable_consume()->set_consumer(1);
    frame.mutable_consume()->set_name("holder");
    frame.mutable_consume()->set_credit_messages(1);
    REQUIRE(wire.ask(frame).has_consume_ok());
    const rockdove::v1::Frame delivered = wire.receive();
    REQUIRE(delivered.has_deliver());
    return delivered.deliver();
}

}  // namespace

TEST_CASE("metrics tell what happened", "[daemon][metrics]") {
    const TempDir dir;
    Process daemon(flags(dir), dir.path("log"));
    daemon.wait_ready();
    Wire wire(daemon.port());
    wire.hello();
    for (int i = 0; i < 3; ++i) REQUIRE(wire.publish("emails", "hello").has_confirm());
    rockdove::v1::Frame subscribe;
    subscribe.mutable_subscription_create()->set_topic("news");
    subscribe.mutable_subscription_create()->set_name("all");
    REQUIRE(wire.ask(subscribe).has_subscription_info());
    rockdove::v1::Frame publish;
    publish.mutable_publish()->set_topic("news");
    publish.mutable_publish()->add_messages()->set_body("hello");
    REQUIRE(wire.ask(publish).has_confirm());
    const std::string text = http_get(daemon.http_port(), "/metrics");
    CHECK_THAT(text, StartsWith("HTTP/1.1 200") && Contains("Content-Type: text/plain; version=0.0.4"));
    CHECK_THAT(text, Contains("\nrockdove_messages_accepted_total 4\n"));
    CHECK_THAT(text, Contains("\nrockdove_topic_messages{namespace=\"default\",topic=\"news\"} 1\n"));
    const std::string all = "{namespace=\"default\",topic=\"news\",subscription=\"all\"} ";
    CHECK_THAT(text, Contains("\nrockdove_subscription_lag_messages" + all + "1\n"));
    CHECK_THAT(text, Contains("\nrockdove_subscription_missed_total" + all + "0\n"));
    CHECK_THAT(text, Contains("\nrockdove_queue_messages{namespace=\"default\",queue=\"emails\",state=\"ready\"} 3\n"));
    CHECK_THAT(text, Contains("\nrockdove_connections 1\n"));
    CHECK_THAT(text, Contains("\nrockdove_queues 1\n"));
    CHECK_THAT(text, Contains("\nrockdove_ready 1\n"));
    CHECK_THAT(text, Contains("\nrockdove_build_info{version=\""));
    CHECK_THAT(text, Contains("\nprocess_resident_memory_bytes "));
    // Every sample belongs to a family that was announced, and each family is announced once.
    std::istringstream lines(text.substr(text.find("\r\n\r\n") + 4));
    std::vector<std::string> families;
    for (std::string line; std::getline(lines, line);) {
        CAPTURE(line);
        if (line.starts_with("# TYPE ")) {
            const std::string name = line.substr(7, line.find(' ', 7) - 7);
            CHECK(std::find(families.begin(), families.end(), name) == families.end());
            families.push_back(name);
        } else if (!line.starts_with("#")) {
            CHECK(families.back() == line.substr(0, line.find_first_of("{ ")));
        }
    }
    CHECK(families.size() > 30);
}

TEST_CASE("below the free-space limit publishes are refused and readiness says so", "[daemon][health]") {
    const TempDir dir;
    Process daemon(flags(dir, {"--set", "storage.disk_low=1000TiB"}), dir.path("log"));
    daemon.wait_ready();
    CHECK_THAT(http_get(daemon.http_port(), "/readyz"), StartsWith("HTTP/1.1 503") && Contains("disk low"));
    CHECK_THAT(http_get(daemon.http_port(), "/healthz"), StartsWith("HTTP/1.1 200"));
    CHECK_THAT(http_get(daemon.http_port(), "/metrics"), Contains("\nrockdove_publishes_refused 1\n"));
    Wire wire(daemon.port());
    wire.hello();
    const auto answer = wire.publish("emails", "hello");
    REQUIRE(answer.has_error());
    CHECK(answer.error().retryable());
}

TEST_CASE("TERM drains: not ready, clients are told, those who stay are cut off in time", "[daemon][drain]") {
    const TempDir dir;
    Process daemon(flags(dir, {"--set", "server.drain_timeout=2s"}), dir.path("log"));
    daemon.wait_ready();
    Wire wire(daemon.port());
    wire.hello();
    hold_a_message(wire);
    HttpPeer probe(daemon.http_port());
    daemon.signal(SIGTERM);
    CHECK(wire.receive().has_go_away());
    probe.send("GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    CHECK_THAT(probe.read_to_end(), StartsWith("HTTP/1.1 503") && Contains("draining"));
    CHECK_THROWS(Wire(daemon.port()).hello());  // nobody new is let in
    CHECK(daemon.wait_exit(10s) == 0);
    CHECK_THAT(daemon.log(), Contains("comp=\"core\"") && Contains("clients still hold messages"));
}

TEST_CASE("TERM does not wait for clients that hold nothing", "[daemon][drain]") {
    const TempDir dir;
    Process daemon(flags(dir, {"--set", "server.drain_timeout=1h"}), dir.path("log"));
    daemon.wait_ready();
    Wire silent(daemon.port());
    Wire idle(daemon.port());
    idle.hello();
    REQUIRE(idle.publish("emails", "hello").has_confirm());
    daemon.signal(SIGTERM);
    CHECK(idle.receive().has_go_away());
    CHECK(daemon.wait_exit(10s) == 0);
}

TEST_CASE("after GoAway nothing more is delivered", "[daemon][drain]") {
    const TempDir dir;
    Process daemon(flags(dir, {"--set", "server.drain_timeout=1h"}), dir.path("log"));
    daemon.wait_ready();
    Wire wire(daemon.port());
    wire.hello();
    for (int i = 0; i < 3; ++i) REQUIRE(wire.publish("emails", "more").has_confirm());
    const rockdove::v1::Deliver held = hold_a_message(wire);
    daemon.signal(SIGTERM);
    CHECK(wire.receive().has_go_away());
    rockdove::v1::Frame ack;
    ack.mutable_settle()->set_consumer(1);
    ack.mutable_settle()->set_outcome(rockdove::v1::ACK);
    auto* range = ack.mutable_settle()->add_ranges();
    range->set_first_seq(held.first_seq());
    range->set_last_seq(held.first_seq());
    range->set_epoch(held.epoch());
    range->set_lease(held.lease());
    CHECK(wire.ask(ack).has_settled());
    CHECK_THROWS(wire.receive());  // the end, not the next message
    CHECK(daemon.wait_exit(10s) == 0);
}

TEST_CASE("a second TERM ends the wait for clients", "[daemon][drain]") {
    const TempDir dir;
    Process daemon(flags(dir, {"--set", "server.drain_timeout=1h"}), dir.path("log"));
    daemon.wait_ready();
    Wire wire(daemon.port());
    wire.hello();
    hold_a_message(wire);
    daemon.signal(SIGTERM);
    CHECK(wire.receive().has_go_away());
    daemon.signal(SIGTERM);
    CHECK(daemon.wait_exit(10s) == 0);
}

TEST_CASE("HUP reloads the log level; a bad file changes nothing; the rest needs a restart", "[daemon][reload]") {
    const TempDir dir;
    const auto write = [&](const std::string& text) { std::ofstream(dir.path("c.toml")) << text; };
    write("log.level = \"info\"\n");
    Process daemon(flags(dir, {"--config", dir.path("c.toml")}), dir.path("log"));
    daemon.wait_ready();
    const auto logged = [&](const std::string& text) {
        return wait_for([&] { return daemon.log().find(text) != std::string::npos; });
    };
    write("log.level = \"nonsense\"\n");
    daemon.signal(SIGHUP);
    CHECK(logged("the old one stays"));
    CHECK_THAT(daemon.log(), Contains("nonsense") && Contains("c.toml:1"));
    write("log.level = \"debug\"\nlimits.max_connections = 5\n");
    daemon.signal(SIGHUP);
    CHECK(logged("changed=\"log.level\""));
    CHECK(logged("needs a restart\" setting=\"limits.max_connections\""));
    write("log.level = \"warning\"\nlimits.max_connections = 5\n");
    daemon.signal(SIGHUP);
    CHECK(wait_for([&] {
        return http_get(daemon.http_port(), "/metrics").find("reloads_total{result=\"ok\"} 2\n") != std::string::npos;
    }));
    CHECK_THAT(http_get(daemon.http_port(), "/metrics"), Contains("reloads_total{result=\"failed\"} 1\n"));
    daemon.signal(SIGTERM);
    CHECK(daemon.wait_exit() == 0);
    CHECK_THAT(daemon.log(), !Contains("msg=\"stopped\""));  // an info line
}

TEST_CASE("USR1 opens the log anew, lines are JSON if asked for", "[daemon][log]") {
    const TempDir dir;
    Process daemon(flags(dir, {"--set", "log.file=" + dir.path("rockdove.log"), "--log-format", "json"}),
                   dir.path("err"));
    daemon.wait_ready();
    CHECK(wait_for([&] { return slurp(dir.path("rockdove.log")).find("\"msg\":\"ready\"") != std::string::npos; }));
    std::filesystem::rename(dir.path("rockdove.log"), dir.path("old.log"));
    daemon.signal(SIGUSR1);
    CHECK(wait_for([&] { return std::filesystem::exists(dir.path("rockdove.log")); }));
    daemon.signal(SIGTERM);
    CHECK(daemon.wait_exit() == 0);
    CHECK_THAT(slurp(dir.path("rockdove.log")), Contains("\"msg\":\"stopped\"") && StartsWith("{\"ts\":\""));
    CHECK(daemon.log().empty());
}

TEST_CASE("R5 after a failed write nothing is confirmed and the process ends with 74", "[daemon][failure]") {
    const TempDir dir;
    ProcessOptions options;
    options.file_size_limit = 8 << 20;  // the store's log cannot grow past it
    Process daemon(flags(dir), dir.path("log"), options);
    daemon.wait_ready();
    Wire wire(daemon.port());
    wire.hello();
    int confirmed = 0;
    std::string code;
    try {
        for (; confirmed < 64 && code.empty();) {
            const auto answer = wire.publish("bulk", std::string(1 << 20, 'x'));
            if (answer.has_confirm()) {
                ++confirmed;
            } else {
                code = rockdove::v1::ErrorCode_Name(answer.error().code());
            }
        }
    } catch (const boost::system::system_error&) {
        // It hung up first; that confirms nothing either.
    }
    CHECK(confirmed < 64);
    CHECK((code.empty() || code == "OUTCOME_UNKNOWN" || code == "UNAVAILABLE"));
    CHECK(daemon.wait_exit(4s) == 74);
    const std::string log = daemon.log();
    const std::string last = log.substr(log.rfind('\n', log.size() - 2) + 1);
    CHECK_THAT(last, Contains("level=\"critical\"") && Contains(dir.path("data")) && Contains("File too large"));

    Process again(flags(dir), dir.path("log"));
    again.wait_ready();
    const std::string text = http_get(again.http_port(), "/metrics");
    const std::string series = "rockdove_queue_messages{namespace=\"default\",queue=\"bulk\",state=\"ready\"} ";
    const std::size_t at = text.find(series);
    REQUIRE(at != std::string::npos);
    CHECK(std::stoi(text.substr(at + series.size())) >= confirmed);
}

TEST_CASE("consent to plaintext is asked for, and remembered in the log", "[daemon]") {
    const TempDir dir;
    Process daemon(flags(dir, {"--set", "listen.insecure_allow_plaintext=true", "--listen", "0.0.0.0:0"}),
                   dir.path("log"));
    daemon.wait_ready();
    CHECK_THAT(daemon.log(), Contains("level=\"warning\"") && Contains("without encryption and login"));
}

// A daemon with several shards: where namespaces live, what a start makes of the directories, limits over all shards.
#include <signal.h>

#include <catch2/catch.hpp>
#include <deque>
#include <filesystem>

#include "http_get.h"
#include "process.h"
#include "tests/support/temp_dir.h"
#include "wire.h"

using namespace std::chrono_literals;
using Catch::Contains;
using Catch::StartsWith;
using rockdove::test::TempDir;

namespace {

namespace fs = std::filesystem;

std::vector<std::string> flags(const TempDir& dir, const std::string& shards, std::vector<std::string> more = {}) {
    std::vector<std::string> out{"--data-dir",     dir.path("data"),
                                 "--listen",       "127.0.0.1:0",
                                 "--http",         "127.0.0.1:0",
                                 "--set",          "storage.disk_low=16MiB",
                                 "--set",          "server.drain_timeout=5s",
                                 "--create-on-use"};
    if (!shards.empty()) out.insert(out.end(), {"--shards", shards});
    out.insert(out.end(), more.begin(), more.end());
    return out;
}

// Runs while `work` does, and ends in good order.
template <class Work>
void with_daemon(const std::vector<std::string>& flags, const TempDir& dir, Work&& work) {
    Process daemon(flags, dir.path("log"));
    daemon.wait_ready();
    work(daemon);
    daemon.signal(SIGTERM);
    REQUIRE(daemon.wait_exit() == 0);
}

void send_one(Process& daemon, const std::string& ns, std::uint32_t shard) {
    Wire wire(daemon.port());
    CHECK(wire.hello(ns).shard() == shard);
    REQUIRE(wire.publish("emails", "hello").has_confirm());
}

void expect(Process& daemon, const std::string& ns, std::uint32_t shard, std::uint64_t ready) {
    CAPTURE(ns);
    Wire wire(daemon.port());
    CHECK(wire.hello(ns).shard() == shard);
    CHECK(wire.ready("emails") == ready);
}

std::string refusal(const std::vector<std::string>& flags, const TempDir& dir, int code) {
    Process daemon(flags, dir.path("log"));
    CHECK(daemon.wait_exit() == code);
    return daemon.log();
}

}  // namespace

TEST_CASE("namespaces share out the shards, and all is there after kill -9", "[daemon][shards]") {
    const TempDir dir;
    {
        Process daemon(flags(dir, "2"), dir.path("log"));
        daemon.wait_ready();
        Wire first(daemon.port());
        Wire second(daemon.port());
        const auto welcome_first = first.hello("first");
        const auto welcome_second = second.hello("second");
        CHECK(welcome_first.shard() == 1);  // shard 0 has the default namespace
        CHECK(welcome_second.shard() == 0);
        CHECK(welcome_first.connection_id() != welcome_second.connection_id());
        CHECK(welcome_first.cluster_id() == welcome_second.cluster_id());
        for (int i = 0; i < 10; ++i) REQUIRE(first.publish("emails", "hello").has_confirm());
        for (int i = 0; i < 20; ++i) REQUIRE(second.publish("emails", "hello").has_confirm());
        // What is asked of one shard tells about the broker.
        CHECK(first.stats().accepted() == 30);
        CHECK(second.stats().connections() == 2);
        const std::string text = http_get(daemon.http_port(), "/metrics");
        CHECK_THAT(text, Contains("\nrockdove_messages_accepted_total 30\n") && Contains("\nrockdove_connections 2\n"));
        CHECK_THAT(text, Contains("\nrockdove_shards 2\n") && Contains("rockdove_shard_connections{shard=\"1\"} 1\n"));
        CHECK_THAT(text, Contains("{namespace=\"first\",queue=\"emails\",state=\"ready\"} 10\n") &&
                             Contains("{namespace=\"second\",queue=\"emails\",state=\"ready\"} 20\n"));
        CHECK_THAT(http_get(daemon.http_port(), "/readyz"), StartsWith("HTTP/1.1 200"));
        CHECK_THAT(http_get(daemon.http_port(), "/healthz"), StartsWith("HTTP/1.1 200"));
        daemon.signal(SIGKILL);
        CHECK(daemon.wait_exit() == -SIGKILL);
    }
    with_daemon(flags(dir, ""), dir, [](Process& daemon) {
        expect(daemon, "first", 1, 10);
        expect(daemon, "second", 0, 20);
    });
}

TEST_CASE("shards can be added, and namespaces stay where they are", "[daemon][shards]") {
    const TempDir dir;
    with_daemon(flags(dir, "1"), dir, [](Process& daemon) {
        send_one(daemon, "", 0);
        send_one(daemon, "old", 0);
    });
    CHECK_FALSE(fs::exists(dir.path("data/shard-1")));
    with_daemon(flags(dir, "3"), dir, [](Process& daemon) {
        expect(daemon, "", 0, 1);
        expect(daemon, "old", 0, 1);
        send_one(daemon, "new", 1);
        send_one(daemon, "newer", 2);
    });
    CHECK_THAT(refusal(flags(dir, "2"), dir, 78), Contains("server.shards") && Contains("2 shards asked for") &&
                                                      Contains("shard-2") && Contains("ask for 3 or more"));
    CHECK_THAT(refusal(flags(dir, "1"), dir, 78), Contains("1 shard asked for"));
    CHECK_THAT(refusal(flags(dir, "65"), dir, 78), Contains("0 to 64"));
    with_daemon(flags(dir, ""), dir, [](Process& daemon) { expect(daemon, "newer", 2, 1); });
}

TEST_CASE("a shard's directory that is lost or another broker's is refused", "[daemon][shards]") {
    const TempDir dir;
    const auto nothing = [](Process&) {};
    with_daemon(flags(dir, "3"), dir, [](Process& daemon) { send_one(daemon, "mine", 1); });
    const std::string shards = GENERATE("", "3", "4");
    for (const char* name : {"data/shard-1", "data/shard-2"}) {
        CAPTURE(name);
        fs::rename(dir.path(name), dir.path("away"));
        CHECK_THAT(refusal(flags(dir, shards), dir, 65), Contains(name) && Contains("missing") && Contains("a copy"));
        fs::create_directory(dir.path(name));  // empty is as good as missing
        fs::permissions(dir.path(name), fs::perms::owner_all);
        CHECK_THAT(refusal(flags(dir, shards), dir, 65), Contains(name) && Contains("missing"));
        fs::remove(dir.path(name));
        fs::rename(dir.path("away"), dir.path(name));
    }
    const TempDir other;
    with_daemon(flags(other, "2"), other, nothing);
    fs::rename(dir.path("data/shard-1"), dir.path("away"));
    fs::rename(other.path("data/shard-1"), dir.path("data/shard-1"));
    CHECK_THAT(refusal(flags(dir, shards), dir, 65), Contains("data/shard-1 belongs to another broker"));
    fs::remove_all(dir.path("data/shard-1"));
    fs::rename(dir.path("away"), dir.path("data/shard-1"));
    with_daemon(flags(dir, shards), dir, [](Process& daemon) { expect(daemon, "mine", 1, 1); });
}

TEST_CASE("a Hello in pieces, and frames behind it, go along to the shard of their namespace", "[daemon][shards]") {
    const TempDir dir;
    with_daemon(flags(dir, "2"), dir, [](Process& daemon) {
        // The first time the placement has to become durable in between, later it is known.
        std::uint64_t before = 0;
        for (const std::size_t piece : {100'000, 3, 20, 1'000}) {
            Wire wire(daemon.port());
            rockdove::v1::Frame publish = Wire::publish_frame("emails", std::string(3'000, 'x'));
            publish.set_request_id(7);
            const std::string bytes = Wire::encode(Wire::hello_frame("away")) + Wire::encode(publish);
            for (std::size_t at = 0; at < bytes.size(); at += piece) wire.write(bytes.substr(at, piece));
            const rockdove::v1::Frame welcome = wire.receive();
            REQUIRE(welcome.has_welcome());
            CHECK(welcome.welcome().shard() == 1);
            const rockdove::v1::Frame confirm = wire.receive();
            CHECK(confirm.has_confirm());
            CHECK(confirm.request_id() == 7);
            CHECK(wire.ready("emails") == ++before);
        }
    });
}

TEST_CASE("the limit of connections holds over all shards", "[daemon][shards]") {
    const TempDir dir;
    with_daemon(flags(dir, "2", {"--set", "limits.max_connections=4"}), dir, [](Process& daemon) {
        std::deque<Wire> wires;
        for (const char* ns : {"", "away", "here", "away"}) wires.emplace_back(daemon.port()).hello(ns);
        CHECK_THROWS(Wire(daemon.port()).hello());
        CHECK_THROWS(Wire(daemon.port()).hello("away"));
        wires.pop_back();  // of the other shard
        CHECK(wait_for([&] {
            try {
                Wire(daemon.port()).hello("away");
                return true;
            } catch (const std::exception&) {
                return false;
            }
        }));
        CHECK(wait_for([&] {
            return http_get(daemon.http_port(), "/metrics").find("\nrockdove_connections 3\n") != std::string::npos;
        }));
    });
}

TEST_CASE("TERM says goodbye on every shard", "[daemon][shards][drain]") {
    const TempDir dir;
    Process daemon(flags(dir, "2"), dir.path("log"));
    daemon.wait_ready();
    Wire here(daemon.port());
    Wire away(daemon.port());
    here.hello();
    away.hello("away");
    daemon.signal(SIGTERM);
    CHECK(here.receive().has_go_away());
    CHECK(away.receive().has_go_away());
    CHECK(daemon.wait_exit(10s) == 0);
}

TEST_CASE("a request for statistics is refused, not piled up, past sixteen at a time", "[daemon][shards]") {
    const TempDir dir;
    with_daemon(flags(dir, "2"), dir, [](Process& daemon) {
        Wire wire(daemon.port());
        wire.hello("away");
        std::string burst;
        constexpr int kAsked = 1'000;
        for (int i = 1; i <= kAsked; ++i) {
            rockdove::v1::Frame frame;
            frame.set_request_id(static_cast<std::uint64_t>(100 + i));
            frame.mutable_stats_request();
            burst += Wire::encode(frame);
        }
        wire.write(burst);
        int answered = 0;
        for (int i = 0; i < kAsked; ++i) {
            const rockdove::v1::Frame answer = wire.receive();
            if (answer.has_error()) {
                CHECK(answer.error().retryable());
            } else {
                CHECK(answer.has_stats());
                ++answered;
            }
        }
        CHECK(answered >= 16);
        CHECK(wire.stats().connections() == 1);
    });
}

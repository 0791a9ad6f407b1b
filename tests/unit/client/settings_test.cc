#include "client/src/settings.h"

#include <catch2/catch.hpp>

#include "client/src/access.h"
#include "tests/unit/client/fake_broker.h"

using namespace rockdove;
using namespace std::chrono_literals;
using detail::Endpoint;
using detail::parse_url;

TEST_CASE("a URL is split into its parts", "[client][url]") {
    const auto url = parse_url("rockdove://host1:7000,host2,[::1]:9/orders?name=bill%20ing&operation_timeout=10s");
    CHECK(url.endpoints == std::vector<Endpoint>{{"host1", 7000}, {"host2", 7625}, {"::1", 9}});
    CHECK(url.name_space == "orders");
    CHECK(url.name == "bill ing");
    CHECK(url.operation_timeout == 10s);
    CHECK_FALSE(url.tls);
    CHECK_FALSE(url.user);
}

TEST_CASE("user and password of a URL are percent-decoded, after the host list was split off", "[client][url]") {
    const auto url = parse_url("rockdoves://a%40b:p%3A%2F%40%2C%25@host:1/ns");
    CHECK(url.tls);
    CHECK(url.user == "a@b");
    CHECK(url.password == "p:/@,%");
    CHECK(url.endpoints == std::vector<Endpoint>{{"host", 1}});
}

TEST_CASE("a malformed URL is refused with a reason", "[client][url]") {
    const auto [url, reason] = GENERATE(table<std::string, std::string>({
        {"http://x", "rockdove://"},
        {"localhost:7625", "rockdove://"},
        {"rockdove://", "host is empty"},
        {"rockdove://a,,b", "host is empty"},
        {"rockdove://a:", "port"},
        {"rockdove://a:0", "port 0"},
        {"rockdove://a:65536", "port"},
        {"rockdove://a:12x", "port"},
        {"rockdove://::1", "brackets"},
        {"rockdove://[::1", "]"},
        {"rockdove://[::1]7", ":port"},
        {"rockdove://a?nam=x", "unknown key \"nam\""},
        {"rockdove://a?name", "key=value"},
        {"rockdove://a?operation_timeout=10", "duration"},
        {"rockdove://a?operation_timeout=-1s", "duration"},
        {"rockdove://a?wait_for_broker=maybe", "true or false"},
        {"rockdove://a?when_full=drop", "block or fail"},
        {"rockdove://a/x%2", "%-encoding"},
        {"rockdove://a/x%zz", "%-encoding"},
        {"rockdove://a/x%00", "%00"},
        {"rockdove://a#b", "fragment"},
    }));
    CAPTURE(url);
    const Error error = test::error_of([&, url = url] { parse_url(url); });
    CHECK(error.code() == ErrorCode::kInvalid);
    CHECK_THAT(error.what(), Catch::Contains(reason));
}

TEST_CASE("code wins over the URL, the URL over the environment, that over the default", "[client][url]") {
    const auto resolved = [](const ClientOptions& options, std::string_view environment) {
        return resolve(detail::Access::settings(options), environment);
    };
    CHECK(resolved(ClientOptions(), "").endpoints == std::vector<Endpoint>{{"localhost", 7625}});
    CHECK(resolved(ClientOptions(), "rockdove://e:1/n").endpoints == std::vector<Endpoint>{{"e", 1}});
    CHECK(resolved(ClientOptions(), "rockdove://e:1/n").name_space == "n");
    CHECK(resolved(ClientOptions("rockdove://u:2"), "rockdove://e:1/n").endpoints == std::vector<Endpoint>{{"u", 2}});
    CHECK(resolved(ClientOptions("rockdove://u:2"), "rockdove://e:1/n").name_space.empty());
    CHECK(resolved(ClientOptions("rockdove://u:2?name=x").name("y"), "").name == "y");
    CHECK(resolved(ClientOptions("rockdove://u:2").endpoint("c", 3), "").endpoints == std::vector<Endpoint>{{"c", 3}});
}

TEST_CASE("TLS and login are refused, never left out", "[client][url]") {
    const std::string url =
        GENERATE("rockdoves://localhost", "rockdove://ada:secret@localhost", "rockdove://ada@localhost");
    const Error error = test::error_of([&] { Client client{ClientOptions(url)}; });
    CHECK(error.code() == ErrorCode::kUnsupported);
    CHECK_THAT(error.what(), !Catch::Contains("secret"));
}

TEST_CASE("settings out of range are refused", "[client]") {
    const auto refused = [](const ClientOptions& options) {
        return test::error_of([&] { resolve(detail::Access::settings(options), ""); }).code() == ErrorCode::kInvalid;
    };
    CHECK(refused(ClientOptions().connect_timeout(0ms)));
    CHECK(refused(ClientOptions().operation_timeout(-1ms)));
    CHECK(refused(ClientOptions().backoff(10ms, 5ms)));
    CHECK(refused(ClientOptions().pending_limit(0, 1)));
    CHECK(refused(ClientOptions().handler_threads(0)));
    CHECK(refused(ClientOptions().producer_id("no spaces")));
    CHECK(refused(ClientOptions().name_space(".hidden")));
    CHECK(refused(ClientOptions().name(std::string(101, 'x'))));
}

TEST_CASE("advice compares with error codes", "[client]") {
    CHECK(make_error_code(ErrorCode::kFull) == Advice::kTryAgain);
    CHECK(make_error_code(ErrorCode::kNotFound) == Advice::kFixFirst);
    CHECK(make_error_code(ErrorCode::kFenced) == Advice::kGiveUp);
    CHECK(make_error_code(ErrorCode::kFenced) != Advice::kTryAgain);
    CHECK(make_error_code(ErrorCode::kStaleLease).message() == "stale_lease");
}

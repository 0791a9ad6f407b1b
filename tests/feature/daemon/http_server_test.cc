#include "server/admin/http_server.h"

#include <catch2/catch.hpp>
#include <future>
#include <memory>
#include <vector>

#include "http_get.h"

using namespace rockdove::admin;
using namespace std::chrono_literals;
using Catch::Contains;
using Catch::StartsWith;

namespace {

class Server {
public:
    explicit Server(HttpOptions options = {}) : http_(std::move(options)) {
        http_.route("/hello", [](const HttpAnswer& answer) { answer(HttpResponse{200, "hello\n"}); });
        http_.route("/silent", [](const HttpAnswer&) {});
        http_.route("/late", [this](HttpAnswer answer) { late_.set_value(std::move(answer)); });
        REQUIRE(http_.start());
    }
    std::uint16_t port() { return http_.port(); }
    std::string ask(const std::string& request) {
        HttpPeer peer(port());
        peer.send(request);
        return peer.read_to_end();
    }
    HttpServer http_;
    std::promise<HttpAnswer> late_;
};

std::string request(const std::string& line, const std::string& headers = "Host: localhost\r\n") {
    return line + " HTTP/1.1\r\n" + headers + "Connection: close\r\n\r\n";
}

}  // namespace

TEST_CASE("a route answers with its body and security headers", "[admin][http]") {
    Server server;
    const std::string response = http_get(server.port(), "/hello?x=1");
    CHECK_THAT(response, StartsWith("HTTP/1.1 200 OK\r\n") && Catch::EndsWith("\r\n\r\nhello\n"));
    CHECK_THAT(response, Contains("X-Content-Type-Options: nosniff") && Contains("Cache-Control: no-store") &&
                             Contains("Content-Security-Policy: default-src 'none'") &&
                             Contains("Referrer-Policy: no-referrer") && !Contains("Server:") &&
                             !Contains("Access-Control"));
}

TEST_CASE("HEAD gives the length without the body", "[admin][http]") {
    Server server;
    CHECK_THAT(server.ask(request("HEAD /hello")), Contains("Content-Length: 6\r\n") && Catch::EndsWith("\r\n\r\n"));
}

TEST_CASE("a connection is kept for several questions, even sent at once", "[admin][http]") {
    Server server;
    HttpPeer peer(server.port());
    const std::string one = "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n";
    peer.send(one + one);
    CHECK_THAT(peer.read_response(), Contains("hello"));
    CHECK_THAT(peer.read_response(), Contains("hello"));
    peer.send(request("GET /nothing"));
    CHECK_THAT(peer.read_to_end(), StartsWith("HTTP/1.1 404"));
}

TEST_CASE("what is not allowed is refused by its status", "[admin][http]") {
    Server server;
    CHECK_THAT(server.ask(request("POST /hello")), StartsWith("HTTP/1.1 405") && Contains("Allow: GET, HEAD"));
    CHECK_THAT(server.ask(request("DELETE /hello")), StartsWith("HTTP/1.1 405"));
    CHECK_THAT(server.ask(request("GET /hello", "Host: evil.example\r\n")), StartsWith("HTTP/1.1 421"));
    CHECK_THAT(server.ask(request("GET /hello", "Host: localhost.evil.example:8625\r\n")), StartsWith("HTTP/1.1 421"));
    CHECK_THAT(server.ask(request("GET /hello", "")), StartsWith("HTTP/1.1 400"));
    CHECK_THAT(server.ask(request("GET /hello", "Host: localhost\r\nHost: localhost\r\n")), StartsWith("HTTP/1.1 400"));
    CHECK_THAT(server.ask(request("POST /hello", "Host: localhost\r\nContent-Length: 3\r\n")),
               StartsWith("HTTP/1.1 413"));
    CHECK_THAT(server.ask(request("GET /hello", "Host: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n")),
               StartsWith("HTTP/1.1 400"));
    CHECK_THAT(
        server.ask(request("GET /hello", "Host: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n")),
        StartsWith("HTTP/1.1 4"));
    CHECK_THAT(server.ask("no http at all\r\n\r\n"), StartsWith("HTTP/1.1 400"));
    CHECK_THAT(server.ask(request("GET /hello", "Host: localhost\r\nX: " + std::string(9000, 'x') + "\r\n")),
               StartsWith("HTTP/1.1 431"));
}

TEST_CASE("it answers under loopback names and those that are configured", "[admin][http]") {
    HttpOptions options;
    options.allowed_hosts = {"Broker.example"};
    Server server(options);
    const std::string host = GENERATE("LOCALHOST", "127.0.0.1:8625", "[::1]:8625", "[::1]", "broker.example:80");
    CHECK_THAT(server.ask(request("GET /hello", "Host: " + host + "\r\n")), StartsWith("HTTP/1.1 200"));
}

TEST_CASE("a route that does not answer in time is answered for", "[admin][http]") {
    HttpOptions options;
    options.answer_timeout = 50ms;
    Server server(options);
    CHECK_THAT(http_get(server.port(), "/silent"), StartsWith("HTTP/1.1 503"));
    CHECK_THAT(http_get(server.port(), "/late"), StartsWith("HTTP/1.1 503"));
    // Too late is not too bad: neither this connection nor the next is disturbed.
    server.late_.get_future().get()(HttpResponse{200, "late\n"});
    CHECK_THAT(http_get(server.port(), "/hello"), StartsWith("HTTP/1.1 200"));
}

TEST_CASE("an answer may come from another thread, and after the server is gone", "[admin][http]") {
    auto server = std::make_unique<Server>();
    HttpPeer peer(server->port());
    peer.send(request("GET /late"));
    const HttpAnswer answer = server->late_.get_future().get();
    SECTION("while it waits") {
        answer(HttpResponse{200, "late\n"});
        CHECK_THAT(peer.read_to_end(), Catch::EndsWith("late\n"));
    }
    SECTION("too late") {
        server.reset();
        answer(HttpResponse{200, "late\n"});
        CHECK(peer.read_to_end().empty());
    }
}

TEST_CASE("a header that does not come is not waited for", "[admin][http]") {
    HttpOptions options;
    options.header_timeout = 100ms;
    Server server(options);
    HttpPeer silent(server.port());
    HttpPeer slow(server.port());
    slow.send("GET /hello HTTP/1.1\r\nHost:");
    CHECK(silent.read_to_end().empty());
    CHECK(slow.read_to_end().empty());
}

TEST_CASE("connections beyond the limit are closed, and there is room again afterwards", "[admin][http]") {
    HttpOptions options;
    options.max_connections = 3;
    Server server(options);
    std::vector<std::unique_ptr<HttpPeer>> peers;
    for (int i = 0; i < 3; ++i) {
        peers.push_back(std::make_unique<HttpPeer>(server.port()));
        peers.back()->send("GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n");
        CHECK_THAT(peers.back()->read_response(), Contains("hello"));
    }
    CHECK(HttpPeer(server.port()).read_to_end().empty());
    peers[0]->send(request("GET /hello"));
    CHECK_THAT(peers[0]->read_to_end(), Contains("hello"));
    peers[0].reset();
    // The server notices the end of the first a moment later; until then newcomers are closed.
    const auto until = std::chrono::steady_clock::now() + 10s;
    std::string response;
    while (response.empty() && std::chrono::steady_clock::now() < until) {
        try {
            response = http_get(server.port(), "/hello");
        } catch (const boost::system::system_error&) {
            // Closed before the question was sent.
        }
    }
    CHECK_THAT(response, Contains("hello"));
}

TEST_CASE("an address that cannot be had is an error that names it", "[admin][http]") {
    Server first;
    HttpOptions options;
    options.port = first.port();
    HttpServer second(options);
    const auto started = second.start();
    REQUIRE_FALSE(started);
    CHECK(started.error().code == rockdove::base::ErrorCode::kConflict);
    CHECK_THAT(started.error().text, Contains("127.0.0.1:" + std::to_string(first.port())));
}

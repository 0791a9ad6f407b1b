#include "server/admin/http_server.h"

#include <pthread.h>

#include <algorithm>
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <map>
#include <optional>
#include <thread>

namespace rockdove::admin {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::uint32_t kHeaderBytes = 8 * 1024;
constexpr std::chrono::milliseconds kAcceptRetry{100};

// "localhost" of "LOCALHOST:8625", "[::1]" of "[::1]:8625".
std::string host_of(std::string_view header) {
    const std::size_t bracket = header.rfind(']');
    const std::size_t colon = header.rfind(':');
    if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
        header = header.substr(0, colon);
    }
    std::string host(header);
    std::transform(host.begin(), host.end(), host.begin(), [](unsigned char c) { return std::tolower(c); });
    return host;
}

HttpResponse plain(unsigned status, std::string text) { return HttpResponse{status, std::move(text) + "\n"}; }

}  // namespace

// What the connections share. All but `io` is touched on the server's thread only, once it runs.
class HttpServer::State : public std::enable_shared_from_this<State> {
public:
    explicit State(HttpOptions o) : options(std::move(o)) {
        hosts = options.allowed_hosts;
        for (const char* host : {"localhost", "127.0.0.1", "[::1]"}) hosts.emplace_back(host);
        hosts.push_back(options.host.find(':') == std::string::npos ? options.host : "[" + options.host + "]");
        for (std::string& host : hosts) host = host_of(host);
    }

    base::Result<void> listen();
    void accept();

    HttpOptions options;
    std::vector<std::string> hosts;
    std::map<std::string, HttpRoute, std::less<>> routes;
    std::size_t connections = 0;
    std::uint16_t port = 0;
    std::thread thread;
    asio::io_context io{1};
    tcp::acceptor acceptor{io};
    asio::steady_timer retry{io};
};

// One connection: reads a header, answers, and again if the client keeps it open.
class HttpServer::Connection : public std::enable_shared_from_this<Connection> {
public:
    Connection(tcp::socket socket, State& state) : state_(state), stream_(std::move(socket)), answer_timer_(state_.io) {
        ++state_.connections;
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() { --state_.connections; }

    void read() {
        head_ = false;
        parser_.emplace();
        parser_->header_limit(kHeaderBytes);
        parser_->body_limit(0);
        stream_.expires_after(state_.options.header_timeout);  // of all reads until the header is complete
        http::async_read_header(stream_, buffer_, *parser_,
                                [self = shared_from_this()](error_code error, std::size_t) { self->on_header(error); });
    }

private:
    void on_header(error_code error) {
        if (error == http::error::header_limit || error == http::error::buffer_overflow) {
            return send(plain(431, "header too large"), false);
        }
        if (error == http::error::body_limit) return send(plain(413, "no request body is accepted"), false);
        if (error == http::error::end_of_stream || error == http::error::partial_message) return;
        if (error.category() == make_error_code(http::error::end_of_stream).category()) {
            return send(plain(400, "bad request"), false);
        }
        if (error) return;  // closed, or too slow
        const auto& request = parser_->get();
        head_ = request.method() == http::verb::head;
        if (parser_->chunked() || parser_->content_length().value_or(0) > 0) {
            return send(plain(413, "no request body is accepted"), false);
        }
        if (request.count(http::field::host) != 1) return send(plain(400, "one Host header is needed"), false);
        const std::string host = host_of({request[http::field::host].data(), request[http::field::host].size()});
        if (std::find(state_.hosts.begin(), state_.hosts.end(), host) == state_.hosts.end()) {
            return send(plain(421, "not served under this name; see listen.http_hosts"), false);
        }
        const std::string_view target(request.target().data(), request.target().size());
        const auto route = state_.routes.find(target.substr(0, target.find('?')));
        if (route == state_.routes.end()) return send(plain(404, "not found"), request.keep_alive());
        if (!head_ && request.method() != http::verb::get) return send(plain(405, "only GET and HEAD"), false);
        ask(route->second, request.keep_alive());
    }

    // Waits for the route's answer, but not for ever.
    void ask(const HttpRoute& route, bool keep_alive) {
        const std::uint64_t turn = ++turn_;
        stream_.expires_never();
        answer_timer_.expires_after(state_.options.answer_timeout);
        answer_timer_.async_wait([self = shared_from_this(), turn, keep_alive](error_code error) {
            if (!error && self->turn_ == turn) self->send(plain(503, "no answer in time"), keep_alive);
        });
        route([weak_state = state_.weak_from_this(), weak = weak_from_this(), turn, keep_alive](HttpResponse response) {
            const auto state = weak_state.lock();
            if (!state) return;
            asio::post(state->io, [weak, turn, keep_alive, response = std::move(response)]() mutable {
                const auto self = weak.lock();
                if (self && self->turn_ == turn) self->send(std::move(response), keep_alive);
            });
        });
    }

    void send(HttpResponse answer, bool keep_alive) {
        ++turn_;  // later answers to the same request are too late
        answer_timer_.cancel();
        response_ = {};
        response_.version(11);
        response_.result(answer.status);
        response_.keep_alive(keep_alive);
        response_.set(http::field::content_type, answer.content_type);
        response_.set(http::field::cache_control, "no-store");
        response_.set("X-Content-Type-Options", "nosniff");
        response_.set("Referrer-Policy", "no-referrer");
        response_.set("Content-Security-Policy",
                      "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'");
        if (answer.status == 405) response_.set(http::field::allow, "GET, HEAD");
        response_.content_length(answer.body.size());
        if (!head_) response_.body() = std::move(answer.body);
        stream_.expires_after(state_.options.header_timeout);
        const auto sent = [self = shared_from_this(), keep_alive](error_code error, std::size_t) {
            if (error) return;
            if (keep_alive) return self->read();
            error_code ignored;
            self->stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
        };
        serializer_.emplace(response_);
        if (head_) {
            http::async_write_header(stream_, *serializer_, sent);
        } else {
            http::async_write(stream_, *serializer_, sent);
        }
    }

    State& state_;  // owns the io_context, and with it all handlers that keep this connection alive
    beast::tcp_stream stream_;
    asio::steady_timer answer_timer_;
    beast::flat_buffer buffer_{2 * kHeaderBytes};
    std::optional<http::request_parser<http::empty_body>> parser_;
    http::response<http::string_body> response_;
    std::optional<http::response_serializer<http::string_body>> serializer_;
    std::uint64_t turn_ = 0;  // grows with each question and each answer
    bool head_ = false;
};

base::Result<void> HttpServer::State::listen() {
    error_code error;
    const auto address = asio::ip::make_address(options.host, error);
    const tcp::endpoint endpoint(address, options.port);
    if (!error) acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (!error) {
        port = acceptor.local_endpoint(error).port();
        if (!error) return {};
    }
    const auto code = error == asio::error::address_in_use  ? base::ErrorCode::kConflict
                      : error == asio::error::access_denied ? base::ErrorCode::kForbidden
                                                            : base::ErrorCode::kUnavailable;
    error_code ignored;
    acceptor.close(ignored);
    return base::Error(code, options.host + ":" + std::to_string(options.port) + ": " + error.message());
}

void HttpServer::State::accept() {
    acceptor.async_accept([self = this](error_code error, tcp::socket socket) {
        if (error == asio::error::operation_aborted) return;
        if (error) {
            // Out of file descriptors, most likely: others must close first.
            self->retry.expires_after(kAcceptRetry);
            self->retry.async_wait([self](error_code stopped) {
                if (!stopped) self->accept();
            });
            return;
        }
        if (self->connections < self->options.max_connections) {
            std::make_shared<Connection>(std::move(socket), *self)->read();
        }
        self->accept();
    });
}

HttpServer::HttpServer(HttpOptions options) : state_(std::make_shared<State>(std::move(options))) {}

HttpServer::~HttpServer() { stop(); }

void HttpServer::route(std::string path, HttpRoute handler) {
    state_->routes.insert_or_assign(std::move(path), std::move(handler));
}

base::Result<void> HttpServer::start() {
    if (auto listening = state_->listen(); !listening) return listening;
    state_->accept();
    state_->thread = std::thread([state = state_.get()] {
        ::pthread_setname_np(::pthread_self(), "http");
        state->io.run();
    });
    return {};
}

std::uint16_t HttpServer::port() const { return state_->port; }

void HttpServer::post(std::function<void()> work) { asio::post(state_->io, std::move(work)); }

void HttpServer::stop() {
    state_->io.stop();
    if (state_->thread.joinable()) state_->thread.join();
    error_code ignored;
    state_->acceptor.close(ignored);
}

}  // namespace rockdove::admin

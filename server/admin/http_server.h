// Health and metrics over HTTP/1.1: a small server on a thread of its own, so that it answers while a shard is busy.
//
// Routes are callbacks; the server knows nothing of the broker. A route gets a function to call with its answer, from
// any thread, once; if that does not happen within answer_timeout the server answers 503 by itself. That is how
// /healthz finds a loop that no longer turns.
// Runs on: its own thread; route(), start(), stop() and the destructor from one other thread.
// Owns:    the listening socket and its connections.
// Limits:  header <= 8 KiB and complete within header_timeout, no request bodies, max_connections (more are closed at
//          once), GET and HEAD only, Host must be in the allow-list (else 421).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "protocol/base/result.h"

namespace rockdove::admin {

struct HttpOptions {
    std::string host = "127.0.0.1";          // an IP address
    std::uint16_t port = 0;                  // 0: a free one
    std::vector<std::string> allowed_hosts;  // beside localhost, 127.0.0.1, [::1] and `host`; names without port
    std::chrono::milliseconds header_timeout{10'000};
    std::chrono::milliseconds answer_timeout{2'000};
    std::size_t max_connections = 64;
};

struct HttpResponse {
    unsigned status = 200;
    std::string body;
    std::string content_type = "text/plain; charset=utf-8";
};

using HttpAnswer = std::function<void(HttpResponse)>;
using HttpRoute = std::function<void(HttpAnswer)>;

class HttpServer {
public:
    explicit HttpServer(HttpOptions options);
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;
    ~HttpServer();  // stop()

    // Before start(). `path` is exact, without query.
    void route(std::string path, HttpRoute handler);
    // Binds, listens, starts the thread. Error: kConflict if the address is in use, kForbidden if it may not be bound,
    // kUnavailable else; the text names the address.
    base::Result<void> start();
    // After start().
    [[nodiscard]] std::uint16_t port() const;
    // From any thread: runs `work` on the server's thread, unless it is stopped before.
    void post(std::function<void()> work);
    // Closes everything and joins the thread. Answers that come later are dropped.
    void stop();

private:
    class State;
    class Connection;
    std::shared_ptr<State> state_;  // answers may outlive the server; they find it through a weak_ptr
};

}  // namespace rockdove::admin

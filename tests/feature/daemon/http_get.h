// A blocking HTTP client for tests: sends bytes, reads until the server closes or the body is complete.
#pragma once

#include <boost/asio.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

class HttpPeer {
public:
    explicit HttpPeer(std::uint16_t port) : socket_(io_) {
        socket_.connect({boost::asio::ip::make_address("127.0.0.1"), port});
        // A test that waits for an answer that never comes must fail, not hang.
        const timeval limit{20, 0};
        ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    }
    void send(const std::string& bytes) { boost::asio::write(socket_, boost::asio::buffer(bytes)); }
    // All that comes until the server closes; throws if it does not.
    std::string read_to_end() {
        boost::system::error_code error;
        std::string text;
        boost::asio::read(socket_, boost::asio::dynamic_buffer(text), error);
        if (error != boost::asio::error::eof && error != boost::asio::error::connection_reset) {
            throw std::runtime_error("the server did not close: " + error.message());
        }
        return text;
    }
    // One response without closing; the body must have a Content-Length.
    std::string read_response() {
        const std::size_t head = boost::asio::read_until(socket_, boost::asio::dynamic_buffer(pending_), "\r\n\r\n");
        const std::size_t at = pending_.find("Content-Length: ");
        if (at >= head) throw std::runtime_error("no Content-Length");
        const std::size_t length = std::stoul(pending_.substr(at + 16));
        if (pending_.size() < head + length) {
            boost::asio::read(socket_, boost::asio::dynamic_buffer(pending_),
                              boost::asio::transfer_exactly(head + length - pending_.size()));
        }
        std::string response = pending_.substr(0, head + length);
        pending_.erase(0, head + length);
        return response;
    }

private:
    boost::asio::io_context io_;
    boost::asio::ip::tcp::socket socket_;
    std::string pending_;
};

// The whole response to one GET.
inline std::string http_get(std::uint16_t port, const std::string& path) {
    HttpPeer peer(port);
    peer.send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    return peer.read_to_end();
}

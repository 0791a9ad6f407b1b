// A bare client: one frame out, one frame in, blocking.
#pragma once

#include <boost/asio.hpp>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "rockdove/v1/frame.pb.h"

class Wire {
public:
    explicit Wire(std::uint16_t port) : socket_(io_) {
        socket_.connect({boost::asio::ip::make_address("127.0.0.1"), port});
        socket_.set_option(boost::asio::ip::tcp::no_delay(true));
        const timeval limit{20, 0};
        ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    }
    static std::string encode(const rockdove::v1::Frame& frame) {
        const std::string body = frame.SerializeAsString();
        const auto size = static_cast<std::uint32_t>(body.size());
        return std::string(reinterpret_cast<const char*>(&size), 4) + body;
    }
    void write(const std::string& bytes) { boost::asio::write(socket_, boost::asio::buffer(bytes)); }
    void send(const rockdove::v1::Frame& frame) { write(encode(frame)); }
    // Throws boost::system::system_error (eof) when the broker has hung up.
    rockdove::v1::Frame receive() {
        std::uint32_t size = 0;
        boost::asio::read(socket_, boost::asio::buffer(&size, 4));
        std::string body(size, '\0');
        boost::asio::read(socket_, boost::asio::buffer(body));
        rockdove::v1::Frame frame;
        if (!frame.ParseFromString(body)) throw std::runtime_error("not a frame");
        return frame;
    }
    rockdove::v1::Frame ask(rockdove::v1::Frame frame) {
        frame.set_request_id(++last_request_);
        send(frame);
        return receive();
    }
    static rockdove::v1::Frame hello_frame(const std::string& ns) {
        rockdove::v1::Frame frame;
        frame.mutable_hello()->set_version_min(1);
        frame.mutable_hello()->set_version_max(1);
        frame.mutable_hello()->set_client_name("daemon-test");
        frame.mutable_hello()->set_namespace_(ns);
        return frame;
    }
    rockdove::v1::Welcome hello(const std::string& ns = {}) {
        const rockdove::v1::Frame answer = ask(hello_frame(ns));
        if (!answer.has_welcome()) throw std::runtime_error("no welcome");
        return answer.welcome();
    }
    static rockdove::v1::Frame publish_frame(const std::string& queue, const std::string& body) {
        rockdove::v1::Frame frame;
        frame.mutable_publish()->set_queue(queue);
        frame.mutable_publish()->add_messages()->set_body(body);
        return frame;
    }
    rockdove::v1::Frame publish(const std::string& queue, const std::string& body) {
        return ask(publish_frame(queue, body));
    }
    std::uint64_t ready(const std::string& queue) {
        rockdove::v1::Frame frame;
        frame.mutable_queue_show()->set_name(queue);
        return ask(frame).queue_info().ready();
    }
    rockdove::v1::Stats stats() {
        rockdove::v1::Frame frame;
        frame.mutable_stats_request();
        return ask(frame).stats();
    }
    rockdove::v1::Frame create_queue(const std::string& name) {
        rockdove::v1::Frame frame;
        frame.mutable_queue_create()->set_name(name);
        return ask(frame);
    }

private:
    boost::asio::io_context io_;
    boost::asio::ip::tcp::socket socket_;
    std::uint64_t last_request_ = 0;
};

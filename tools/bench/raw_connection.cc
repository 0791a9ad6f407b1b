#include "tools/bench/raw_connection.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <stdexcept>

namespace rockdove::bench {
namespace {

constexpr std::size_t kReadBytes = 256 * 1024;

int connect_to(const std::string& endpoint) {
    const std::size_t colon = endpoint.rfind(':');
    std::string host = endpoint.substr(0, colon);
    if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (colon == std::string::npos || ::getaddrinfo(host.c_str(), endpoint.c_str() + colon + 1, &hints, &found) != 0) {
        throw std::runtime_error("cannot resolve " + endpoint);
    }
    int fd = -1;
    for (const addrinfo* at = found; at != nullptr && fd < 0; at = at->ai_next) {
        fd = ::socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && ::connect(fd, at->ai_addr, at->ai_addrlen) != 0) ::close(fd), fd = -1;
    }
    ::freeaddrinfo(found);
    if (fd < 0) throw std::runtime_error("cannot connect to " + endpoint + ": " + std::strerror(errno));
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

}  // namespace

void append_frame(const v1::Frame& frame, std::string& out) {
    const auto size = static_cast<std::uint32_t>(frame.ByteSizeLong());
    out.append(reinterpret_cast<const char*>(&size), sizeof size);
    frame.AppendToString(&out);
}

RawConnection::RawConnection(const std::string& endpoint, const std::string& name_space) : fd_(connect_to(endpoint)) {
    try {
        v1::Frame hello;
        hello.mutable_hello()->set_version_min(1);
        hello.mutable_hello()->set_version_max(1);
        hello.mutable_hello()->set_namespace_(name_space);
        hello.mutable_hello()->set_client_name("bench");
        ask(std::move(hello));
    } catch (...) {
        ::close(fd_);
        throw;
    }
}

RawConnection::~RawConnection() { ::close(fd_); }

void RawConnection::shut_down() { ::shutdown(fd_, SHUT_RDWR); }

bool RawConnection::read_more() {
    if (begin_ != 0) {
        std::memmove(input_.data(), input_.data() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    if (input_.size() < end_ + kReadBytes) input_.resize(end_ + kReadBytes);
    const ssize_t got = ::recv(fd_, input_.data() + end_, input_.size() - end_, 0);
    if (got <= 0) return false;
    end_ += static_cast<std::size_t>(got);
    return true;
}

std::optional<std::string_view> RawConnection::take_frame() {
    std::uint32_t size = 0;
    if (end_ - begin_ < sizeof size) return std::nullopt;
    std::memcpy(&size, input_.data() + begin_, sizeof size);
    if (end_ - begin_ - sizeof size < size) return std::nullopt;
    const std::string_view frame(input_.data() + begin_ + sizeof size, size);
    begin_ += sizeof size + size;
    return frame;
}

void RawConnection::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) throw std::runtime_error("the connection broke");
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
}

v1::Frame RawConnection::ask(v1::Frame request) {
    request.set_request_id(1);
    std::string out;
    append_frame(request, out);
    send(out);
    for (;;) {
        while (const auto bytes = take_frame()) {
            v1::Frame frame;
            if (!frame.ParseFromArray(bytes->data(), static_cast<int>(bytes->size()))) {
                throw std::runtime_error("the broker sent a malformed frame");
            }
            if (frame.request_id() != 1) continue;
            if (frame.kind_case() == v1::Frame::kError) throw std::runtime_error(frame.error().text());
            return frame;
        }
        if (!read_more()) throw std::runtime_error("the broker closed the connection");
    }
}

}  // namespace rockdove::bench

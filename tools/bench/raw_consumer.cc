#include "tools/bench/raw_consumer.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace rockdove::bench {
namespace {

constexpr std::uint64_t kConsumer = 1;
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

void append_frame(const v1::Frame& frame, std::string& out) {
    const auto size = static_cast<std::uint32_t>(frame.ByteSizeLong());
    out.append(reinterpret_cast<const char*>(&size), sizeof size);
    frame.AppendToString(&out);
}

}  // namespace

RawConsumer::RawConsumer(const std::string& endpoint, const std::string& name_space, const std::string& queue,
                         std::uint32_t credit)
    : fd_(connect_to(endpoint)) {
    try {
        v1::Frame hello;
        hello.mutable_hello()->set_version_min(1);
        hello.mutable_hello()->set_version_max(1);
        hello.mutable_hello()->set_namespace_(name_space);
        hello.mutable_hello()->set_client_name("bench");
        answer_to(std::move(hello));
        v1::Frame consume;
        consume.mutable_consume()->set_queue(queue);
        consume.mutable_consume()->set_consumer(kConsumer);
        consume.mutable_consume()->set_name("bench");
        consume.mutable_consume()->set_credit_messages(credit);
        answer_to(std::move(consume));
    } catch (...) {
        ::close(fd_);
        throw;
    }
    thread_ = std::thread([this] { run(); });
}

RawConsumer::~RawConsumer() {
    ending_ = true;
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
}

bool RawConsumer::read_more() {
    if (begin_ > 0) {
        input_.erase(0, begin_);
        begin_ = 0;
    }
    const std::size_t had = input_.size();
    input_.resize(had + kReadBytes);
    const ssize_t got = ::recv(fd_, input_.data() + had, kReadBytes, 0);
    input_.resize(had + static_cast<std::size_t>(std::max<ssize_t>(0, got)));
    return got > 0;
}

std::optional<v1::Frame> RawConsumer::take_frame() {
    std::uint32_t size = 0;
    if (input_.size() - begin_ < sizeof size) return std::nullopt;
    std::memcpy(&size, input_.data() + begin_, sizeof size);
    if (input_.size() - begin_ - sizeof size < size) return std::nullopt;
    std::optional<v1::Frame> frame(std::in_place);
    if (!frame->ParseFromArray(input_.data() + begin_ + sizeof size, static_cast<int>(size))) {
        throw std::runtime_error("the broker sent a malformed frame");
    }
    begin_ += sizeof size + size;
    return frame;
}

void RawConsumer::send_all(const std::string& bytes) {
    for (std::size_t at = 0; at < bytes.size();) {
        const ssize_t sent = ::send(fd_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
        if (sent <= 0) throw std::runtime_error("the connection broke");
        at += static_cast<std::size_t>(sent);
    }
}

v1::Frame RawConsumer::answer_to(v1::Frame request) {
    request.set_request_id(1);
    std::string out;
    append_frame(request, out);
    send_all(out);
    for (;;) {
        while (auto frame = take_frame()) {
            if (frame->request_id() != 1) continue;
            if (frame->kind_case() == v1::Frame::kError) throw std::runtime_error(frame->error().text());
            return *std::move(frame);
        }
        if (!read_more()) throw std::runtime_error("the broker closed the connection");
    }
}

// Appends what `frame` asks for: a settle for each message of a delivery.
void RawConsumer::answer(const v1::Frame& frame, std::string& out) {
    if (frame.kind_case() == v1::Frame::kPing) {
        v1::Frame pong;
        pong.set_request_id(frame.request_id());
        pong.mutable_pong();
        append_frame(pong, out);
    }
    if (frame.kind_case() != v1::Frame::kDeliver) return;
    const v1::Deliver& run = frame.deliver();
    v1::Frame ack;
    v1::Settle& settle = *ack.mutable_settle();
    settle.set_consumer(kConsumer);
    settle.set_outcome(v1::ACK);
    v1::SeqRange& range = *settle.add_ranges();
    range.set_epoch(run.epoch());
    range.set_lease(run.lease());
    for (int i = 0; i < run.messages_size(); ++i) {
        const std::uint64_t sequence = run.first_seq() + static_cast<std::uint64_t>(i);
        range.set_first_seq(sequence);
        range.set_last_seq(sequence);
        append_frame(ack, out);
    }
    consumed_.fetch_add(static_cast<std::uint64_t>(run.messages_size()), std::memory_order_relaxed);
}

void RawConsumer::run() {
    std::string out;
    try {
        do {
            out.clear();
            while (auto frame = take_frame()) answer(*frame, out);
            if (!out.empty()) send_all(out);
        } while (read_more());
    } catch (const std::runtime_error&) {
        // The same as a closed connection: broken() tells.
    }
    if (!ending_) broken_ = true;
}

}  // namespace rockdove::bench

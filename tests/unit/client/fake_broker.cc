#include "tests/unit/client/fake_broker.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <stdexcept>

namespace rockdove::test {

namespace {

constexpr int kPatienceMs = 10'000;

bool readable(int socket, int wait_ms) {
    pollfd poll_fd{socket, POLLIN, 0};
    return ::poll(&poll_fd, 1, wait_ms) == 1;
}

const std::string kPrefix("\x01\x8b\x3c\x1a\x2b\x3c\x00\x00\x00\x07", 10);

}  // namespace

FakeConnection::FakeConnection(FakeConnection&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
FakeConnection& FakeConnection::operator=(FakeConnection&& other) noexcept {
    close();
    socket_ = std::exchange(other.socket_, -1);
    return *this;
}
FakeConnection::~FakeConnection() { close(); }

void FakeConnection::close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
}

std::string FakeConnection::read_bytes(std::size_t size) {
    std::string bytes(size, '\0');
    for (std::size_t at = 0; at < size;) {
        if (!readable(socket_, kPatienceMs)) throw std::runtime_error("the client sent nothing");
        const ssize_t got = ::recv(socket_, bytes.data() + at, size - at, 0);
        if (got <= 0) throw std::runtime_error("the client closed the connection");
        at += static_cast<std::size_t>(got);
    }
    return bytes;
}

v1::Frame FakeConnection::read() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
    while (std::chrono::steady_clock::now() < deadline) {  // pings must not keep it waiting for ever
        std::uint32_t size = 0;
        const std::string prefix = read_bytes(sizeof size);
        std::memcpy(&size, prefix.data(), sizeof size);
        v1::Frame frame;
        if (!frame.ParseFromString(read_bytes(size))) throw std::runtime_error("the client sent a broken frame");
        if (!frame.has_ping()) return frame;
        v1::Frame pong;
        pong.set_request_id(frame.request_id());
        pong.mutable_pong();
        write(pong);
    }
    throw std::runtime_error("the client sent nothing but pings");
}

v1::Frame FakeConnection::read(v1::Frame::KindCase kind) {
    v1::Frame frame = read();
    if (frame.kind_case() != kind) throw std::runtime_error("not the frame expected: " + frame.ShortDebugString());
    return frame;
}

void FakeConnection::write(const v1::Frame& frame) {
    const std::string bytes = frame.SerializeAsString();
    const auto size = static_cast<std::uint32_t>(bytes.size());
    const std::string all = std::string(reinterpret_cast<const char*>(&size), sizeof size) + bytes;
    for (std::size_t at = 0; at < all.size();) {
        const ssize_t sent = ::send(socket_, all.data() + at, all.size() - at, MSG_NOSIGNAL);
        if (sent <= 0) throw std::runtime_error("the client does not read");
        at += static_cast<std::size_t>(sent);
    }
}

v1::Hello FakeConnection::greet(const std::function<void(v1::Welcome&)>& change) {
    const v1::Frame hello = read(v1::Frame::kHello);
    v1::Frame answer;
    answer.set_request_id(hello.request_id());
    v1::Welcome& welcome = *answer.mutable_welcome();
    welcome.set_version(1);
    welcome.set_broker_version("fake");
    welcome.set_cluster_id("fake-cluster");
    welcome.set_producer_epoch(hello.hello().producer_epoch() == 0 ? 5 : hello.hello().producer_epoch());
    welcome.mutable_limits()->set_max_frame_bytes(1 << 20);
    welcome.mutable_limits()->set_max_message_bytes(1 << 19);
    welcome.mutable_limits()->set_max_messages_per_frame(4096);
    welcome.set_heartbeat_ms(10'000);
    welcome.set_connection_id(77);
    if (change) change(welcome);
    write(answer);
    return hello.hello();
}

void FakeConnection::refuse_greeting(v1::ErrorCode code, const std::string& text) {
    fail(read(v1::Frame::kHello), code, text, true);
    close();
}

void FakeConnection::fail(const v1::Frame& request, v1::ErrorCode code, const std::string& text, bool closes) {
    v1::Frame answer;
    answer.set_request_id(request.request_id());
    answer.mutable_error()->set_code(code);
    answer.mutable_error()->set_text(text);
    answer.mutable_error()->set_closes(closes);
    write(answer);
}

void FakeConnection::confirm(const v1::Frame& publish, std::uint64_t first_seq,
                             const std::function<void(v1::Confirm&)>& change) {
    v1::Frame answer;
    answer.set_request_id(publish.request_id());
    v1::Confirm& confirm = *answer.mutable_confirm();
    confirm.set_first_seq(first_seq);
    confirm.set_count(static_cast<std::uint32_t>(publish.publish().messages_size()));
    confirm.set_id_prefix(kPrefix);
    confirm.set_durability(v1::SYNC);
    confirm.set_room_messages(UINT64_MAX);
    if (change) change(confirm);
    write(answer);
}

v1::Consume FakeConnection::attach(const std::function<void(v1::ConsumeOk&)>& change) {
    const v1::Frame request = read(v1::Frame::kConsume);
    v1::Frame answer;
    answer.set_request_id(request.request_id());
    v1::ConsumeOk& ok = *answer.mutable_consume_ok();
    ok.set_consumer(request.consume().consumer());
    ok.set_lease_ms(request.consume().lease_ms() == 0 ? 30'000 : request.consume().lease_ms());
    *ok.mutable_held() = request.consume().held();
    if (change) change(ok);
    write(answer);
    return request.consume();
}

v1::SubscriptionCreate FakeConnection::subscribed() {
    const v1::Frame request = read(v1::Frame::kSubscriptionCreate);
    v1::Frame answer;
    answer.set_request_id(request.request_id());
    v1::SubscriptionInfo& info = *answer.mutable_subscription_info();
    info.set_topic(request.subscription_create().topic());
    info.set_name(request.subscription_create().name());
    info.set_ephemeral(request.subscription_create().ephemeral());
    write(answer);
    return request.subscription_create();
}

void FakeConnection::deliver(std::uint64_t consumer, std::uint64_t first_seq, const std::vector<std::string>& bodies,
                             std::uint32_t lease, std::uint64_t lease_ms, std::uint32_t attempt,
                             const std::function<void(v1::Deliver&)>& change) {
    v1::Frame frame;
    v1::Deliver& deliver = *frame.mutable_deliver();
    deliver.set_consumer(consumer);
    deliver.set_first_seq(first_seq);
    deliver.set_epoch(3);
    deliver.set_lease(lease);
    deliver.set_attempt(attempt);
    deliver.set_lease_ms(lease_ms);
    deliver.set_commit_time_ms(1'700'000'000'000);
    deliver.set_id_prefix(kPrefix);
    for (const std::string& body : bodies) deliver.add_messages()->set_body(body);
    if (change) change(deliver);
    write(frame);
}

v1::Settle FakeConnection::settled(const std::function<void(v1::Settled&)>& change) {
    const v1::Frame request = read(v1::Frame::kSettle);
    v1::Frame answer;
    answer.set_request_id(request.request_id());
    answer.mutable_settled()->set_count(1);
    if (change) change(*answer.mutable_settled());
    write(answer);
    return request.settle();
}

bool FakeConnection::reads_end() {
    char byte = 0;
    while (readable(socket_, kPatienceMs)) {
        if (::recv(socket_, &byte, 1, 0) <= 0) return true;
    }
    return false;
}

FakeBroker::FakeBroker() {
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(socket_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(socket_, 16) != 0 ||
        ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        throw std::runtime_error("no port for the fake broker");
    }
    port_ = ntohs(address.sin_port);
}
FakeBroker::~FakeBroker() { ::close(socket_); }

ClientOptions FakeBroker::options() const {
    return ClientOptions(url()).wait_for_broker().backoff(Millis{1}, Millis{5}).name("test");
}

FakeConnection FakeBroker::accept() {
    if (!readable(socket_, kPatienceMs)) throw std::runtime_error("nobody connected");
    const int socket = ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return FakeConnection(socket);
}

bool FakeBroker::nobody_comes(std::chrono::milliseconds time) {
    return !readable(socket_, static_cast<int>(time.count()));
}

void States::watch(Client& client) {
    client.on_state([this](ConnectionState state, std::error_code reason) {
        const std::lock_guard lock(mutex_);
        states_.emplace_back(state, reason);
        changed_.notify_all();
    });
}

std::error_code States::wait_for(ConnectionState state) {
    std::unique_lock lock(mutex_);
    const auto find = [&] {
        return std::find_if(states_.begin(), states_.end(), [&](const auto& entry) { return entry.first == state; });
    };
    const bool seen =
        changed_.wait_for(lock, std::chrono::milliseconds(kPatienceMs), [&] { return find() != states_.end(); });
    if (!seen) throw std::runtime_error("the state did not come");
    return find()->second;
}

Error error_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const Error& error) {
        return error;
    }
    FAIL("no error was thrown");
    return Error(make_error_code(ErrorCode::kInternal), "");
}

}  // namespace rockdove::test

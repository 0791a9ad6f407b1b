// A broker that does what a test says, step by step, on the test's own thread: the client under test has its own.
// Every wait is bounded; a step that does not happen throws.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "client/include/rockdove/client.h"
#include "rockdove/v1/frame.pb.h"

namespace rockdove::test {

class FakeConnection {
public:
    explicit FakeConnection(int socket) : socket_(socket) {}
    FakeConnection(FakeConnection&& other) noexcept;
    FakeConnection& operator=(FakeConnection&& other) noexcept;
    ~FakeConnection();

    // The next frame but for pings, which are answered.
    v1::Frame read();
    // The next frame, which must be of this kind.
    v1::Frame read(v1::Frame::KindCase kind);
    void write(const v1::Frame& frame);
    // Reads Hello and answers Welcome.
    v1::Hello greet(const std::function<void(v1::Welcome&)>& change = {});
    void refuse_greeting(v1::ErrorCode code, const std::string& text);
    // Answers a publish: all stored, from `first_seq` on.
    void confirm(const v1::Frame& publish, std::uint64_t first_seq,
                 const std::function<void(v1::Confirm&)>& change = {});
    void fail(const v1::Frame& request, v1::ErrorCode code, const std::string& text, bool closes = false);
    // Reads Consume and answers ConsumeOk; keeps what `keep` says of what is held (default: all).
    v1::Consume attach(const std::function<void(v1::ConsumeOk&)>& change = {});
    // Reads SubscriptionCreate and answers it; Consume follows.
    v1::SubscriptionCreate subscribed();
    // Messages first_seq, first_seq + 1, ... with these bodies.
    void deliver(std::uint64_t consumer, std::uint64_t first_seq, const std::vector<std::string>& bodies,
                 std::uint32_t lease = 1, std::uint64_t lease_ms = 30'000, std::uint32_t attempt = 1,
                 const std::function<void(v1::Deliver&)>& change = {});
    // Reads Settle and answers it: nothing stale, unless told.
    v1::Settle settled(const std::function<void(v1::Settled&)>& change = {});
    bool reads_end();  // the client has closed the connection, or does within the time
    void close();

private:
    std::string read_bytes(std::size_t size);

    int socket_;
};

class FakeBroker {
public:
    FakeBroker();
    ~FakeBroker();
    [[nodiscard]] std::uint16_t port() const { return port_; }
    [[nodiscard]] std::string url() const { return "rockdove://127.0.0.1:" + std::to_string(port_); }
    // Options that make tests quick: the constructor does not wait, and reconnecting comes at once.
    [[nodiscard]] ClientOptions options() const;
    FakeConnection accept();
    // True if nobody connects within `time`.
    bool nobody_comes(std::chrono::milliseconds time);

private:
    int socket_ = -1;
    std::uint16_t port_ = 0;
};

// The error of a future or call that must fail.
Error error_of(const std::function<void()>& call);

// Waits for a state, which comes through on_state. Must outlive the client.
class States {
public:
    void watch(Client& client);
    // The reason that came with it.
    std::error_code wait_for(ConnectionState state);

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::pair<ConnectionState, std::error_code>> states_;
};

}  // namespace rockdove::test

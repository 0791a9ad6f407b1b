// Accepts connections and makes sessions of them (session.h is the next step of a message's way).
//
// Runs on: shard 0's thread, but for the constructor and port(). A session of another shard's namespace moves there with
//          its Hello (session.h).
// Limits:  connections in all, on whatever shard, and connections that have not logged in: past the latter the oldest of
//          them is closed, so that silent connections cannot keep a client out (RELIABILITY R28). All of these are on
//          shard 0: who moves has said a good Hello.
// Errors:  the constructor throws boost::system::system_error if the address cannot be bound.
#pragma once

#include <atomic>
#include <boost/asio.hpp>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "protocol/limits.h"
#include "server/runtime/placement.h"
#include "server/runtime/shard.h"

namespace rockdove::net {

namespace asio = boost::asio;

struct ListenerOptions {
    std::string host = "127.0.0.1";  // an address, or "localhost"
    std::uint16_t port = 7625;       // 0: any free one
    std::size_t max_connections = 10'000;
    std::size_t max_pending = 512;  // not logged in yet
    std::size_t max_message_bytes = protocol::kMaxMessageBytes;
    Millis heartbeat{30'000};
    Millis login_deadline{10'000};
    std::string broker_version;
    std::string data_dir;  // told to administrators by Stats
};

// What all sessions share, whatever thread they are on.
struct SessionContext {
    const ListenerOptions options;
    const std::vector<runtime::Shard*> shards;  // by id
    runtime::Placement& placement;              // for shard 0's thread only
    // Atomic, because a connection begins on one shard's thread and may end on another's.
    std::atomic<std::size_t> connections{0};
};

// Counted over all connections since the start.
struct ListenerCounters {
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;  // over a limit
};

class Session;

class Listener {
public:
    // `shards`: by id; connections are accepted on the first one. All must outlive the listener and its sessions.
    Listener(std::vector<runtime::Shard*> shards, runtime::Placement& placement, ListenerOptions options);
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    ~Listener();

    [[nodiscard]] std::uint16_t port() const { return port_; }
    [[nodiscard]] std::string address() const;  // "127.0.0.1"

    // Starts accepting. Until then connects wait in the kernel.
    void start();
    void stop_accepting();
    [[nodiscard]] const ListenerCounters& counters() const { return counters_; }

private:
    asio::awaitable<void> accept_loop();
    void admit(asio::ip::tcp::socket socket);

    runtime::Shard& shard_;
    const std::shared_ptr<SessionContext> context_;
    asio::ip::tcp::acceptor acceptor_;
    std::uint16_t port_ = 0;
    std::deque<std::weak_ptr<Session>> pending_;  // oldest first; those logged in or gone are skipped
    ListenerCounters counters_;
    std::uint64_t next_session_ = 1;
    bool stopping_ = false;
};

}  // namespace rockdove::net

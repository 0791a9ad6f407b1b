// One client's connection: reads frames, hands them to a handler (handlers/publish.cc is the next step of a message's
// way), and sends what the core answers.
//
// Runs on: the shard's thread. Kept alive by its read loop and its write in flight; the shard holds a weak_ptr.
// Moves:   a connection is accepted on shard 0. If its Hello names a namespace of another shard, this session ends and
//          gives socket, id and all bytes read, the Hello included, to a new one there, which goes on as if it had
//          accepted the connection itself.
// Memory:  frames are parsed where they were read, in a buffer that all sessions of the thread share; only an
//          unfinished frame is kept, in a buffer that grows by bytes received, never by bytes announced.
// Ends on: end of stream, a protocol error, silence of two heartbeats, a frame unfinished for 30 s, no login within the
//          deadline, an outbox beyond its limit, stop.
#pragma once

#include <boost/asio.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/frame.h"
#include "protocol/message_view.h"
#include "rockdove/v1/frame.pb.h"
#include "server/net/listener.h"
#include "server/net/outbox.h"
#include "server/runtime/shard.h"

namespace rockdove::net {

class Session final : public runtime::SessionPort, public std::enable_shared_from_this<Session> {
public:
    using Steady = std::chrono::steady_clock;

    // `read`: what was read from the socket before.
    Session(SessionId id, asio::ip::tcp::socket socket, runtime::Shard& shard, std::shared_ptr<SessionContext> context,
            std::string read = {});
    ~Session() override;

    void start();
    [[nodiscard]] bool logged_in() const { return ns_ != nullptr; }
    [[nodiscard]] bool open() const { return !closing_; }

    // runtime::SessionPort
    void confirm(const core::Confirmation& confirmation) override;
    void deliver(const core::Delivery& delivery) override;
    void settled(const core::SettleReply& reply) override;
    void started(const core::StartReply& reply) override;
    void recall(const core::Recall& recall) override;
    void fail(SessionId session, std::uint64_t request_id, const Error& error) override;
    void consumer_closed(SessionId session, std::uint64_t consumer, const Error& error) override;
    void reserve(SessionId session, std::size_t bytes) override;
    [[nodiscard]] bool has_room(SessionId session) const override;
    void flush() override;
    void close(const Error& why) override;
    void hang_up() override { stop_reading(); }
    [[nodiscard]] bool idle(Steady::time_point since) const override;
    void say_goodbye(const std::string& reason, Millis reconnect_after) override;
    void check_deadlines(Steady::time_point now) override;

    // For the handlers.
    [[nodiscard]] SessionId id() const { return id_; }
    runtime::Shard& shard() { return shard_; }
    core::Namespace& ns() { return *ns_; }
    [[nodiscard]] const ListenerOptions& options() const { return context_->options; }
    [[nodiscard]] const std::vector<runtime::Shard*>& shards() const { return context_->shards; }
    runtime::Placement& placement() { return context_->placement; }  // on shard 0's thread
    protocol::PublishView& publish_view() { return publish_view_; }
    void send(const v1::Frame& frame);
    void send_error(std::uint64_t request_id, const Error& error);
    void login(core::Namespace& ns, std::string client_name);
    void say_farewell();  // the client said GoAway: answer what is open, then hang up
    void stop_reading();  // hang up once the outbox is empty
    [[nodiscard]] bool login_started() const { return login_started_; }
    void set_login_started() { login_started_ = true; }
    // The Hello that is being handled is for `home`, which goes on with it once its placement is durable.
    void move_to(runtime::Shard& home, std::string ns);
    // An answer of up to `bytes` that is read from the disk. False if that is too much beside what waits already: a client
    // that asks faster than it reads. One answer of any size is fine. Ends with end_answer(), which sends it.
    [[nodiscard]] bool begin_answer(std::size_t bytes);
    void end_answer(std::size_t bytes, const v1::Frame& frame);
    // Requests that all shards have a part in; a client cannot pile up more than a few.
    [[nodiscard]] bool begin_round() { return rounds_ < kMaxRounds && ++rounds_ > 0; }
    void end_round() { --rounds_; }

private:
    static constexpr int kMaxRounds = 16;

    asio::awaitable<void> read_loop();
    asio::awaitable<bool> move_over();
    bool read_available();
    void take_partial();
    // Handles the complete frames of `bytes`; returns how many bytes they took.
    std::size_t take_frames(std::string_view bytes);
    bool handle_frame(std::string_view frame);
    [[nodiscard]] std::size_t max_frame() const;
    std::string& out();
    void write_done(boost::system::error_code error);
    void end_core_session(bool clean);
    void uncount();
    void shut_down();  // when everything is sent, or cannot be

    const SessionId id_;
    asio::ip::tcp::socket socket_;
    runtime::Shard& shard_;
    const std::shared_ptr<SessionContext> context_;
    core::Namespace* ns_ = nullptr;
    runtime::Shard* home_ = nullptr;  // where this connection is to move
    std::string home_ns_;
    std::string client_name_;
    protocol::PublishView publish_view_;
    std::string partial_;           // an unfinished frame
    std::size_t largest_read_ = 0;  // since the last check_deadlines()
    Outbox outbox_;
    Steady::time_point login_by_;
    Steady::time_point heard_at_;
    Steady::time_point partial_since_;
    int rounds_ = 0;
    bool counted_ = true;  // in the number of connections
    bool login_started_ = false;
    bool closing_ = false;   // nothing more is read; closed once the outbox is empty
    bool leaving_ = false;   // GoAway was said
    bool farewell_ = false;  // the client said goodbye; what it asked before is still answered
    bool flush_requested_ = false;
    std::size_t reserved_ = 0;  // bytes of deliveries that wait for their commit
    std::size_t answers_ = 0;   // bytes of answers that are being read from the disk
    bool starved_ = false;      // deliveries wait for the outbox to empty
};

// Chooses the handler; false if the session is to stop reading. Implemented in handlers/dispatch.cc.
bool dispatch(Session& session, const protocol::FrameView& frame);

}  // namespace rockdove::net

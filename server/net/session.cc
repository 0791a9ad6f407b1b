#include "server/net/session.h"

#include <unistd.h>

#include <algorithm>

#include "protocol/base/bytes.h"
#include "server/net/encode.h"
#include "server/runtime/log.h"

namespace rockdove::net {

namespace {

constexpr std::size_t kReadBytes = 256 * 1024;
constexpr std::size_t kStepBeforeLogin = 16 * 1024;
constexpr int kReadsPerWake = 4;  // so that one busy connection does not keep the others waiting
constexpr std::chrono::seconds kPartialFrame{30};
constexpr std::size_t kOutboxBeforeLogin = 1024;

// One per thread: what a session reads is handled before the next one reads.
char* read_buffer() {
    thread_local const std::unique_ptr<char[]> buffer(new char[kReadBytes]);
    return buffer.get();
}

Error protocol_error(std::string text) {
    Error error(ErrorCode::kProtocol, std::move(text));
    error.closes = true;
    return error;
}

}  // namespace

Session::Session(SessionId id, asio::ip::tcp::socket socket, runtime::Shard& shard,
                 std::shared_ptr<SessionContext> context, std::string read)
    : id_(id),
      socket_(std::move(socket)),
      shard_(shard),
      context_(std::move(context)),
      partial_(std::move(read)),
      login_by_(Steady::now() + context_->options.login_deadline),
      heard_at_(Steady::now()),
      partial_since_(heard_at_) {
    ++context_->connections;
}

Session::~Session() { uncount(); }

void Session::uncount() {
    if (counted_) --context_->connections;
    counted_ = false;
}

void Session::start() {
    boost::system::error_code ignored;
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
    socket_.non_blocking(true, ignored);
    shard_.add_session(id_, weak_from_this());
    shard_.tasks().spawn("read_loop", socket_.get_executor(), read_loop());
}

// --- reading ----------------------------------------------------------------------------------------------------

asio::awaitable<void> Session::read_loop() {
    const auto self = shared_from_this();  // until the loop ends
    if (!partial_.empty()) {
        take_partial();
        shard_.request_turn();
    }
    while (!closing_ && home_ == nullptr) {
        const auto [error] =
            co_await socket_.async_wait(asio::ip::tcp::socket::wait_read, asio::as_tuple(asio::use_awaitable));
        if (error || !read_available()) break;
        while (shard_.stage_full() && !closing_) co_await shard_.wait_for_room();
    }
    if (home_ != nullptr && co_await move_over()) co_return;
    closing_ = true;
    end_core_session(false);
    shard_.request_turn();
    // Nobody else keeps the session alive until what it has to say is on its way.
    if (farewell_) co_return;
    flush();
    if (!outbox_.sending()) shut_down();
}

void Session::end_core_session(bool clean) {
    if (ns_ == nullptr) return;
    ns_->close_session(id_, clean, shard_.now());
    ns_ = nullptr;
}

// Reads what the kernel has. False at the end of the connection.
bool Session::read_available() {
    for (int i = 0; i < kReadsPerWake; ++i) {
        const std::size_t step = logged_in() ? kReadBytes : kStepBeforeLogin;
        boost::system::error_code error;
        const std::size_t got = socket_.read_some(asio::buffer(read_buffer(), step), error);
        if (error == asio::error::would_block) return true;
        if (error) return false;
        heard_at_ = Steady::now();
        const std::string_view fresh(read_buffer(), got);
        largest_read_ = std::max(largest_read_, got);
        if (partial_.empty()) {
            const std::size_t used = take_frames(fresh);
            if (used < got && !closing_) {
                partial_.assign(fresh.substr(used));
                partial_since_ = heard_at_;
            }
        } else {
            partial_.append(fresh);
            take_partial();
        }
        shard_.request_turn();
        if (closing_ || home_ != nullptr) return false;
        if (got < step || shard_.stage_full()) return true;
    }
    return true;
}

// Handles the frames that have become complete.
void Session::take_partial() {
    const std::size_t used = take_frames(partial_);
    if (used == partial_.size()) {
        if (partial_.capacity() > 2 * kReadBytes) {
            std::string().swap(partial_);  // of a large message
        } else {
            partial_.clear();  // kept while it is used, see check_deadlines()
        }
    } else if (used != 0) {
        partial_.erase(0, used);
        partial_since_ = heard_at_;
    }
}

std::size_t Session::max_frame() const {
    return logged_in() ? context_->options.max_message_bytes + protocol::kControlBytes : protocol::kMaxFrameBeforeLogin;
}

std::size_t Session::take_frames(std::string_view bytes) {
    std::size_t used = 0;
    while (!closing_) {
        base::ByteReader in(bytes.substr(used));
        const std::size_t size = in.fixed32();
        if (!in.ok()) break;
        if (size > max_frame()) {
            close(Error(ErrorCode::kTooLarge, "a frame of " + std::to_string(size) + " bytes; at most " +
                                                  std::to_string(max_frame()) + " are allowed" +
                                                  (logged_in() ? "" : " before Welcome")));
            break;
        }
        if (size == 0) {
            close(protocol_error("an empty frame"));
            break;
        }
        if (size > in.left()) break;
        used += protocol::kFramePrefixBytes + size;
        if (!handle_frame(in.raw(size))) {
            if (home_ != nullptr) used -= protocol::kFramePrefixBytes + size;  // read again where it belongs
            break;
        }
        if (outbox_.overflows(Outbox::kHardLimit)) {  // many small requests with larger answers, sent together
            runtime::log("net").warn("client asks for more than it reads, connection closed conn={} client={:?}",
                                     id_.value, client_name_);
            closing_ = true;
            shut_down();
            break;
        }
    }
    return used;
}

bool Session::handle_frame(std::string_view bytes) {
    Result<protocol::FrameView> frame = protocol::read_frame(bytes);
    if (!frame) {
        close(protocol_error(frame.error().text));
        return false;
    }
    return dispatch(*this, *frame);
}

// --- moving -----------------------------------------------------------------------------------------------------

void Session::move_to(runtime::Shard& home, std::string ns) {
    home_ = &home;
    home_ns_ = std::move(ns);
}

// False if the connection is to end here instead: it was closed while it waited, or told to go elsewhere.
asio::awaitable<bool> Session::move_over() {
    while (!closing_ && !placement().durable(home_ns_)) co_await placement().wait();
    if (closing_ || leaving_ || !outbox_.empty() || outbox_.sending()) co_return false;
    boost::system::error_code error;
    const asio::ip::tcp protocol = socket_.local_endpoint(error).protocol();
    if (error) co_return false;
    const int handle = socket_.release(error);  // from this thread's epoll to the other's
    if (error) co_return false;
    asio::ip::tcp::socket socket(home_->context());
    socket.assign(protocol, handle, error);
    if (error) {
        ::close(handle);
        co_return false;
    }
    auto next = std::make_shared<Session>(id_, std::move(socket), *home_, context_, std::move(partial_));
    closing_ = true;
    uncount();
    shard_.remove_session(id_);
    asio::post(home_->context(), [next = std::move(next)] { next->start(); });
    co_return true;
}

// --- sending ----------------------------------------------------------------------------------------------------

std::string& Session::out() {
    if (!flush_requested_) {
        flush_requested_ = true;
        shard_.request_flush(id_);
    }
    return outbox_.pending();
}

void Session::confirm(const core::Confirmation& confirmation) { append_confirm(out(), confirmation); }

void Session::deliver(const core::Delivery& delivery) {
    reserved_ -= std::min(reserved_, delivery.bytes.size());
    append_delivery(out(), delivery);
    outbox_.note_item(delivery.bytes.size());
}

void Session::reserve(SessionId, std::size_t bytes) { reserved_ += bytes; }

void Session::settled(const core::SettleReply& reply) { append_settled(out(), reply); }

void Session::started(const core::StartReply& reply) { append_started(out(), reply); }

void Session::recall(const core::Recall& recall) { append_recall(out(), recall); }

void Session::fail(SessionId, std::uint64_t request_id, const Error& error) { send_error(request_id, error); }

void Session::consumer_closed(SessionId, std::uint64_t consumer, const Error& error) {
    v1::Frame frame;
    frame.mutable_consumer_closed()->set_consumer(consumer);
    to_proto(error, *frame.mutable_consumer_closed()->mutable_error());
    send(frame);
}

void Session::send(const v1::Frame& frame) { append_frame(out(), frame); }

void Session::send_error(std::uint64_t request_id, const Error& error) { append_error(out(), request_id, error); }

bool Session::begin_answer(std::size_t bytes) {
    const bool first = answers_ == 0 && !outbox_.above_high_water();
    if (!first && outbox_.bytes() + answers_ + bytes > Outbox::kHardLimit) return false;
    answers_ += bytes;
    return true;
}

void Session::end_answer(std::size_t bytes, const v1::Frame& frame) {
    answers_ -= bytes;
    const std::size_t before = outbox_.pending().size();
    send(frame);
    outbox_.note_item(outbox_.pending().size() - before);
}

bool Session::has_room(SessionId) const {
    if (closing_ || leaving_) return false;
    const bool room = outbox_.bytes() + reserved_ <= Outbox::kHighWater;
    if (!room) const_cast<Session*>(this)->starved_ = true;
    return room;
}

void Session::flush() {
    flush_requested_ = false;
    if (outbox_.empty() || !socket_.is_open()) return;
    if (outbox_.sending()) {
        // Deliveries stop at the high-water mark; what grows beyond it are answers that the client does not read.
        const std::size_t limit = logged_in() || closing_ ? Outbox::kHardLimit : kOutboxBeforeLogin;
        if (!outbox_.overflows(limit) || closing_) return;
        runtime::log("net").warn("client does not read, connection closed conn={} client={:?} waiting_bytes={}",
                                 id_.value, client_name_, outbox_.bytes());
        closing_ = true;
        shut_down();
        return;
    }
    const std::string& bytes = outbox_.take();
    asio::async_write(
        socket_, asio::buffer(bytes),
        [self = shared_from_this()](boost::system::error_code error, std::size_t) { self->write_done(error); });
}

void Session::write_done(boost::system::error_code error) {
    outbox_.sent();
    if (error) {
        closing_ = true;
        shut_down();
        return;
    }
    if (!outbox_.empty()) {
        flush();
    } else if (closing_ && !farewell_) {
        shut_down();
    }
    if (starved_ && outbox_.bytes() + reserved_ <= Outbox::kHighWater && ns_ != nullptr) {
        starved_ = false;
        ns_->on_session_room(id_);
        shard_.request_turn();
    }
}

// --- end --------------------------------------------------------------------------------------------------------

void Session::login(core::Namespace& ns, std::string client_name) {
    ns_ = &ns;
    client_name_ = std::move(client_name);
    runtime::log("net").debug("client connected conn={} client={:?} ns={:?}", id_.value, client_name_, ns.name());
}

void Session::say_farewell() {
    closing_ = true;
    farewell_ = true;
    core::Namespace& ns = *ns_;
    end_core_session(true);
    // Answers to earlier requests may wait for a commit; the end waits behind them.
    ns.when_settled([self = shared_from_this()](const Error*) {
        self->farewell_ = false;
        self->flush();
        if (!self->outbox_.sending()) self->shut_down();
    });
}

void Session::stop_reading() {
    if (closing_) return;
    closing_ = true;
    // The read loop waits in the kernel: end its wait, but let what is in the outbox leave.
    boost::system::error_code ignored;
    socket_.shutdown(asio::ip::tcp::socket::shutdown_receive, ignored);
}

void Session::close(const Error& why) {
    if (closing_) return;
    Error last = why;
    last.closes = true;
    send_error(0, last);
    stop_reading();
}

void Session::shut_down() {
    boost::system::error_code ignored;
    socket_.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
    socket_.close(ignored);
    uncount();
    shard_.remove_session(id_);
}

void Session::say_goodbye(const std::string& reason, Millis reconnect_after) {
    if (closing_) return;
    v1::Frame frame;
    frame.mutable_go_away()->set_reason(reason);
    frame.mutable_go_away()->set_reconnect_after_ms(static_cast<std::uint64_t>(reconnect_after.count()));
    send(frame);
    leaving_ = true;  // nothing more is delivered here
}

bool Session::idle(Steady::time_point since) const {
    if (closing_) return false;  // about to end by itself
    return heard_at_ <= since && outbox_.empty() && reserved_ == 0 && (!logged_in() || !ns_->holds_deliveries(id_));
}

void Session::check_deadlines(Steady::time_point now) {
    outbox_.trim();
    // Pings alone do not keep a buffer that a burst has left.
    if (partial_.empty() && partial_.capacity() > std::max(4 * largest_read_, kStepBeforeLogin)) {
        std::string().swap(partial_);
    }
    largest_read_ = 0;
    if (closing_) {
        // Said everything there was to say, but the client does not take it.
        if (now > heard_at_ + kPartialFrame) shut_down();
        return;
    }
    if (!logged_in() && now > login_by_) {
        close(protocol_error("no login within " + std::to_string(context_->options.login_deadline.count()) + " ms"));
    } else if (!partial_.empty() && now > partial_since_ + kPartialFrame) {
        close(protocol_error("a frame was not finished within 30 s"));
    } else if (logged_in() && now > heard_at_ + 2 * context_->options.heartbeat) {
        close(protocol_error("nothing heard for two heartbeats of " +
                             std::to_string(context_->options.heartbeat.count()) + " ms"));
    }
}

}  // namespace rockdove::net

#include "server/net/listener.h"

#include "server/net/session.h"
#include "server/runtime/log.h"

namespace rockdove::net {

namespace {

asio::ip::tcp::endpoint endpoint_of(const ListenerOptions& options) {
    const std::string host = options.host == "localhost" ? "127.0.0.1" : options.host;
    return {asio::ip::make_address(host), options.port};
}

constexpr std::chrono::milliseconds kPauseWithoutFiles{100};
constexpr std::chrono::seconds kLogEvery{10};

}  // namespace

Listener::Listener(std::vector<runtime::Shard*> shards, runtime::Placement& placement, ListenerOptions options)
    : shard_(*shards.front()),
      context_(new SessionContext{std::move(options), std::move(shards), placement}),
      acceptor_(shard_.context()) {
    const asio::ip::tcp::endpoint endpoint = endpoint_of(context_->options);
    acceptor_.open(endpoint.protocol());
    acceptor_.set_option(asio::socket_base::reuse_address(true));
    acceptor_.bind(endpoint);
    acceptor_.listen();
    port_ = acceptor_.local_endpoint().port();
}

Listener::~Listener() = default;

std::string Listener::address() const { return endpoint_of(context_->options).address().to_string(); }

void Listener::start() { shard_.tasks().spawn("accept_loop", shard_.context().get_executor(), accept_loop()); }

void Listener::stop_accepting() {
    stopping_ = true;
    boost::system::error_code ignored;
    acceptor_.close(ignored);
}

asio::awaitable<void> Listener::accept_loop() {
    asio::steady_timer pause(shard_.context());
    std::chrono::steady_clock::time_point logged{};
    while (!stopping_) {
        auto [error, socket] = co_await acceptor_.async_accept(asio::as_tuple(asio::use_awaitable));
        if (stopping_) co_return;
        if (!error) {
            admit(std::move(socket));
            continue;
        }
        // Out of file descriptors, most likely: do not spin.
        if (std::chrono::steady_clock::now() > logged + kLogEvery) {
            runtime::log("net").warn("cannot accept connections err={:?}", error.message());
            logged = std::chrono::steady_clock::now();
        }
        pause.expires_after(kPauseWithoutFiles);
        co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
    }
}

void Listener::admit(asio::ip::tcp::socket socket) {
    if (context_->connections >= context_->options.max_connections) {
        ++counters_.refused;
        return;  // closes it
    }
    ++counters_.accepted;
    // Those that have logged in or gone need no watching; the oldest of too many silent ones makes room.
    std::erase_if(pending_, [](const std::weak_ptr<Session>& weak) {
        const auto session = weak.lock();
        return !session || session->logged_in() || !session->open();
    });
    if (pending_.size() >= context_->options.max_pending) {
        ++counters_.refused;
        Error error(ErrorCode::kRateLimited, "too many connections that do not log in");
        if (const auto oldest = pending_.front().lock()) oldest->close(error);
        pending_.pop_front();
    }
    const auto session = std::make_shared<Session>(SessionId(next_session_++), std::move(socket), shard_, context_);
    pending_.push_back(session);
    session->start();
}

}  // namespace rockdove::net

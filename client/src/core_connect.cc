// Finding a broker, greeting it, and what happens when it is lost. One coroutine, supervise(), does it all in a loop.
// Operands of co_await are named first (g++ 12).
#include <fcntl.h>

#include <algorithm>
#include <cstring>

#include "client/src/core.h"
#include "client/src/trace.h"
#include "protocol/limits.h"

namespace rockdove::detail {

namespace {

constexpr Millis kHealthy{10'000};  // after so long, the backoff begins anew
constexpr std::size_t kReadBytes = 256 * 1024;
constexpr int kMaxRedirects = 4;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

using Tcp = asio::ip::tcp;

base::Error unavailable(std::string text) { return base::Error(base::ErrorCode::kUnavailable, std::move(text)); }

// Refusals that trying again does not cure.
bool is_terminal(base::ErrorCode code) {
    using base::ErrorCode;
    switch (code) {
        case ErrorCode::kUnsupported:
        case ErrorCode::kAuthFailed:
        case ErrorCode::kForbidden:
        case ErrorCode::kInvalid:
        case ErrorCode::kNotFound:
        case ErrorCode::kFenced:
        case ErrorCode::kProtocol:
            return true;
        default:
            return false;
    }
}

std::optional<Endpoint> parse_redirect(const std::string& text) {
    try {
        const Layer layer = parse_url("rockdove://" + text);
        return layer.endpoints.front();
    } catch (const Error&) {
        return std::nullopt;
    }
}

}  // namespace

asio::awaitable<void> Core::supervise() {
    const SteadyTime first_deadline = std::chrono::steady_clock::now() + config_.connect_timeout;
    int failures = 0;
    while (!finishing_) {
        const bool first = !announced_ && !config_.wait_for_broker;
        attempt_.emplace();
        std::vector<Endpoint> endpoints = config_.endpoints;
        std::shuffle(endpoints.begin(), endpoints.end(), random_);
        const SteadyTime now = std::chrono::steady_clock::now();
        const SteadyTime deadline =
            first ? first_deadline : now + config_.connect_timeout * static_cast<int>(endpoints.size());
        const bool found = co_await connect_round(endpoints, deadline);
        Millis wait{0};
        if (found) {
            base::Error reason = co_await read_loop();
            if (drop_reason_) reason = *drop_reason_;
            if (std::chrono::steady_clock::now() - healthy_since_ >= kHealthy) failures = 0;
            wait = come_back_after_;
            disconnected(reason);
        } else if (attempt_->terminal) {
            terminal(*attempt_->terminal);
            co_return;
        } else if (first && std::chrono::steady_clock::now() >= first_deadline) {
            std::string text = "no broker within " + std::to_string(config_.connect_timeout.count()) + " ms:";
            for (const auto& [endpoint, why] : attempt_->reasons) text += " " + endpoint + ": " + why + ";";
            text.pop_back();
            terminal(unavailable(text));
            co_return;
        }
        if (finishing_) break;
        // Full jitter.
        const int shift = std::min(failures++, 20);
        const Millis longest = std::min(config_.backoff_longest, Millis{config_.backoff_first.count() << shift});
        wait += Millis{std::uniform_int_distribution<std::int64_t>(0, longest.count())(random_)};
        if (first) {
            const auto left = std::chrono::duration_cast<Millis>(first_deadline - std::chrono::steady_clock::now());
            wait = std::clamp(wait, Millis{0}, std::max(left, Millis{0}));
        }
        co_await pause_for(wait);
    }
}

asio::awaitable<void> Core::pause_for(Millis time) {
    if (finishing_) co_return;
    pause_.expires_after(time);
    co_await pause_.async_wait(kTuple);
}

asio::awaitable<bool> Core::connect_round(std::vector<Endpoint> endpoints, SteadyTime deadline) {
    int redirects = 0;
    while (!endpoints.empty() && !finishing_) {
        const Endpoint endpoint = endpoints.front();
        endpoints.erase(endpoints.begin());
        // The others get their share of the time, should this one be silent.
        const SteadyTime now = std::chrono::steady_clock::now();
        const auto share =
            std::max<SteadyTime::duration>((deadline - now) / static_cast<int>(endpoints.size() + 1), Millis{1});
        const SteadyTime until = now + share;
        base::Result<void> opened = co_await open(endpoint, until);
        if (opened) co_return true;
        std::string& reason = attempt_->reasons[to_string(endpoint)];
        reason = opened.error().text;
        if (is_terminal(opened.error().code)) {
            attempt_->terminal = base::Error(opened.error().code, to_string(endpoint) + ": " + opened.error().text);
            co_return false;
        }
        for (Endpoint& redirect : redirects_) {
            if (redirects++ < kMaxRedirects) endpoints.insert(endpoints.begin(), redirect);
        }
        redirects_.clear();
    }
    co_return false;
}

// Opens socket_ to one of the endpoint's addresses.
asio::awaitable<base::Result<void>> Core::connect_socket(Endpoint endpoint) {
    boost::system::error_code error;
    boost::system::error_code ignored;
    socket_.close(ignored);
    socket_ = Tcp::socket(io_);
    const asio::ip::address address = asio::ip::make_address(endpoint.host, error);
    if (!error) {
        const Tcp::endpoint target(address, endpoint.port);
        std::tie(error) = co_await socket_.async_connect(target, kTuple);
    } else {
        const std::string port = std::to_string(endpoint.port);
        Tcp::resolver::results_type found;
        std::tie(error, found) = co_await resolver_.async_resolve(endpoint.host, port, kTuple);
        if (!error && finishing_) error = asio::error::operation_aborted;
        if (error) co_return unavailable("looking up the name: " + error.message());
        Tcp::endpoint used;
        std::tie(error, used) = co_await asio::async_connect(socket_, found, kTuple);
    }
    if (!error && socket_.local_endpoint(ignored) == socket_.remote_endpoint(ignored)) {
        // On loopback, with nobody listening, the kernel may connect a socket to itself, and so keep the port from the
        // broker that is about to start.
        error = asio::error::connection_refused;
        socket_.close(ignored);
    }
    if (error) co_return unavailable("connecting: " + error.message());
    ::fcntl(socket_.native_handle(), F_SETFD, FD_CLOEXEC);  // not for programs that are started meanwhile
    const Tcp::no_delay no_delay(true);
    socket_.set_option(no_delay, ignored);
    co_return base::Result<void>();
}

asio::awaitable<base::Result<void>> Core::open(Endpoint endpoint, SteadyTime deadline) {
    // The watchdog may fire when everything is over already, so it asks first.
    auto watching = std::make_shared<bool>(true);
    bool late = false;
    asio::steady_timer watchdog(io_, deadline);
    watchdog.async_wait([this, watching, &late](boost::system::error_code error) {
        if (error || !*watching) return;
        late = true;
        resolver_.cancel();
        boost::system::error_code ignored;
        socket_.close(ignored);
    });
    struct Unwatch {
        std::shared_ptr<bool> watching;
        ~Unwatch() { *watching = false; }
    };
    const Unwatch unwatch{watching};

    const char* doing = "connecting";
    base::Result<void> opened = co_await connect_socket(endpoint);
    if (opened) {
        doing = "greeting";
        opened = co_await greet(producer_epoch_);
    }
    bool new_life = producer_epoch_ == 0;
    if (!opened && opened.error().code == base::ErrorCode::kNotFound && producer_epoch_ != 0) {
        // The broker has forgotten this producer: its old life ends here, and the connection with it.
        producer_epoch_ = 0;
        new_life = true;
        opened = co_await connect_socket(endpoint);
        if (opened) opened = co_await greet(0);
    }
    if (opened && !late) {
        connected(to_string(endpoint), new_life);
        co_return base::Result<void>();
    }
    boost::system::error_code ignored;
    socket_.close(ignored);
    if (late) co_return unavailable(std::string(doing) + ": no answer in time");
    co_return opened;
}

v1::Hello Core::hello(std::uint64_t epoch) const {
    v1::Hello hello;
    hello.set_version_min(protocol::kVersion);
    hello.set_version_max(protocol::kVersion);
    hello.set_namespace_(config_.name_space);
    hello.set_client_name(config_.name);
    hello.set_client_library("rockdove-cpp/" ROCKDOVE_VERSION);
    if (!producer_.fenced()) {
        hello.set_producer_id(config_.producer_id.empty() ? random_name_ : config_.producer_id);
        hello.set_producer_epoch(epoch);
    }
    return hello;
}

// Sends Hello and reads its answer. Frame by frame, since more may follow Welcome at once.
asio::awaitable<base::Result<void>> Core::greet(std::uint64_t epoch) {
    v1::Frame frame;
    frame.set_request_id(next_request_++);
    *frame.mutable_hello() = hello(epoch);
    const std::string bytes = frame.SerializeAsString();
    const auto size = static_cast<std::uint32_t>(bytes.size());
    std::string out(reinterpret_cast<const char*>(&size), sizeof size);
    out += bytes;
    trace_frame('>', bytes);
    const auto buffer = asio::buffer(out);
    auto [write_error, written] = co_await asio::async_write(socket_, buffer, kTuple);
    if (write_error) co_return unavailable("greeting: " + write_error.message());

    std::uint32_t answer_size = 0;
    const auto prefix = asio::buffer(&answer_size, sizeof answer_size);
    auto [prefix_error, prefix_read] = co_await asio::async_read(socket_, prefix, kTuple);
    if (prefix_error) co_return unavailable("greeting: " + prefix_error.message());
    if (answer_size == 0 || answer_size > protocol::kControlBytes) {
        co_return base::Error(base::ErrorCode::kProtocol, "what answers there does not speak Rockdove's protocol");
    }
    std::string answer_bytes(answer_size, '\0');
    const auto rest = asio::buffer(answer_bytes);
    auto [error, read] = co_await asio::async_read(socket_, rest, kTuple);
    if (error) co_return unavailable("greeting: " + error.message());
    trace_frame('<', answer_bytes);
    v1::Frame answer;
    if (!answer.ParseFromString(answer_bytes)) {
        co_return base::Error(base::ErrorCode::kProtocol, "what answers there does not speak Rockdove's protocol");
    }
    if (answer.kind_case() == v1::Frame::kError) {
        const v1::Error& refusal = answer.error();
        if (refusal.code() == v1::NOT_OWNER) {
            if (auto redirect = parse_redirect(refusal.endpoint())) redirects_.push_back(std::move(*redirect));
        }
        co_return base::Error(static_cast<base::ErrorCode>(refusal.code()), refusal.text());
    }
    if (answer.kind_case() != v1::Frame::kWelcome) {
        co_return base::Error(base::ErrorCode::kProtocol, "the broker did not answer Hello with Welcome");
    }
    base::Result<void> checked = check_welcome(answer.welcome());
    co_return checked;
}

base::Result<void> Core::check_welcome(const v1::Welcome& welcome) {
    if (welcome.version() != protocol::kVersion) {
        return base::Error(base::ErrorCode::kUnsupported, "the broker speaks protocol version " +
                                                              std::to_string(welcome.version()) + ", this client " +
                                                              std::to_string(protocol::kVersion));
    }
    if (!cluster_id_.empty() && !welcome.cluster_id().empty() && welcome.cluster_id() != cluster_id_) {
        return base::Error(base::ErrorCode::kConflict, "this broker is of another cluster (" + welcome.cluster_id() +
                                                           ") than the one connected before (" + cluster_id_ + ")");
    }
    welcome_ = welcome;
    v1::Limits& limits = *welcome_.mutable_limits();
    if (limits.max_frame_bytes() == 0) limits.set_max_frame_bytes(protocol::kMaxMessageBytes + protocol::kControlBytes);
    if (limits.max_message_bytes() == 0) limits.set_max_message_bytes(protocol::kMaxMessageBytes);
    if (limits.max_messages_per_frame() == 0) limits.set_max_messages_per_frame(protocol::kMaxMessagesPerFrame);
    if (welcome_.heartbeat_ms() == 0 ||
        welcome_.heartbeat_ms() > static_cast<std::uint64_t>(config_.heartbeat.count())) {
        welcome_.set_heartbeat_ms(static_cast<std::uint64_t>(config_.heartbeat.count()));
    }
    return {};
}

void Core::connected(const std::string& endpoint, bool new_life) {
    const SteadyTime now = std::chrono::steady_clock::now();
    cluster_id_ = welcome_.cluster_id();
    producer_epoch_ = welcome_.producer_epoch();
    connected_ = true;
    ++connections_;
    writing_ = leaving_ = false;
    come_back_after_ = Millis{0};
    drop_reason_.reset();
    last_sent_ = last_heard_ = healthy_since_ = now;
    in_begin_ = in_end_ = 0;
    control_.clear();
    {
        const std::lock_guard lock(mutex_);
        welcome_shared_ = welcome_;
        endpoint_shared_ = endpoint;
    }
    producer_.on_connected(new_life);
    attaching_ = 0;
    attach_again_.clear();
    const auto consumers = consumers_;
    for (const auto& [number, consumer] : consumers) attach_now(consumer);
    for (auto& [id, request] : requests_) {
        if (!request.on_wire) put_request(id, request);
    }
    if (attaching_ == 0) set_state(ConnectionState::kReady);
    arm(now);
    pump();
}

void Core::disconnected(const base::Error& reason) {
    connected_ = false;
    boost::system::error_code ignored;
    socket_.close(ignored);
    {
        const std::lock_guard lock(mutex_);
        welcome_shared_.reset();
        endpoint_shared_.clear();
    }
    producer_.on_disconnected();
    auto settling = std::move(settling_);
    settling_.clear();
    for (auto& [id, settle] : settling) put_off(settle);
    // Consumers first: the answers below may make them look at themselves.
    const auto consumers = consumers_;
    for (const auto& [number, consumer] : consumers) consumer->on_detached();
    std::vector<Answer> lost, unknown;
    for (auto at = requests_.begin(); at != requests_.end();) {
        Request& request = at->second;
        if (request.bound) {
            lost.push_back(std::move(request.done));
        } else if (request.on_wire && !request.again) {
            unknown.push_back(std::move(request.done));
        } else {
            request.on_wire = false;
            ++at;
            continue;
        }
        at = requests_.erase(at);
    }
    for (auto& done : lost) done(unavailable("the connection broke: " + reason.text));
    for (auto& done : unknown) {
        done(base::Error(base::ErrorCode::kOutcomeUnknown,
                         "the connection broke before the answer came: " + reason.text));
    }
    for (const auto& [number, consumer] : consumers) {
        if (consumer->detach_wanted) detach_now(consumer);
    }
    if (!finishing_) set_state(ConnectionState::kReconnecting, reason);
    pump();
}

// Nothing more will be tried.
void Core::terminal(const base::Error& reason) {
    {
        const std::lock_guard lock(mutex_);
        if (!closed_) closed_ = reason;
    }
    producer_.refuse(reason);
    producer_.fail_all(reason,
                       base::Error(base::ErrorCode::kOutcomeUnknown, "sent, but not answered before: " + reason.text));
    auto requests = std::move(requests_);
    requests_.clear();
    for (auto& [id, request] : requests) request.done(reason);
    const auto consumers = consumers_;
    for (const auto& [number, consumer] : consumers) end_consumer(consumer, reason);
    set_state(ConnectionState::kClosed, reason);
    first_outcome(reason);
}

void Core::set_state(ConnectionState state, const std::optional<base::Error>& reason) {
    const ConnectionState before = state_.load();
    if (before == state || before == ConnectionState::kClosed) return;
    if (before == ConnectionState::kDraining && state != ConnectionState::kClosed) return;
    state_.store(state);
    if (state == ConnectionState::kReady) {
        announced_ = true;
        first_outcome(std::nullopt);
    }
    std::shared_ptr<std::function<void(ConnectionState, std::error_code)>> callback;
    {
        const std::lock_guard lock(mutex_);
        callback = state_callback_;
    }
    if (callback && *callback) (*callback)(state, reason ? to_public(*reason).code() : std::error_code{});
}

void Core::first_outcome(std::optional<base::Error> error) {
    const std::lock_guard lock(mutex_);
    if (!first_outcome_) first_outcome_.emplace(std::move(error));
    changed_.notify_all();
}

// The read loop notices and returns.
void Core::drop_connection(const base::Error& reason) {
    if (!drop_reason_) drop_reason_ = reason;
    boost::system::error_code ignored;
    socket_.close(ignored);
}

asio::awaitable<base::Error> Core::read_loop() {
    for (;;) {
        if (in_.size() - in_end_ < kReadBytes / 4) {
            if (in_begin_ > 0) {
                in_.erase(0, in_begin_);
                in_end_ -= in_begin_;
                in_begin_ = 0;
            }
            if (in_.size() - in_end_ < kReadBytes / 4) in_.resize(in_end_ + kReadBytes);
        }
        const auto space = asio::buffer(in_.data() + in_end_, in_.size() - in_end_);
        auto [error, read] = co_await socket_.async_read_some(space, kTuple);
        enter();
        if (error) {
            co_return unavailable(error == asio::error::eof ? std::string("the broker closed the connection")
                                                            : "reading: " + error.message());
        }
        last_heard_ = std::chrono::steady_clock::now();
        in_end_ += read;
        while (in_end_ - in_begin_ >= protocol::kFramePrefixBytes) {
            std::uint32_t size = 0;
            std::memcpy(&size, in_.data() + in_begin_, sizeof size);
            if (size == 0 || size > welcome_.limits().max_frame_bytes()) {
                co_return base::Error(base::ErrorCode::kProtocol, "a frame of " + std::to_string(size) + " bytes came");
            }
            const std::size_t whole = protocol::kFramePrefixBytes + size;
            if (in_end_ - in_begin_ < whole) {
                if (in_begin_ + whole > in_.size()) {
                    in_.erase(0, in_begin_);
                    in_end_ -= in_begin_;
                    in_begin_ = 0;
                    in_.resize(std::max(in_.size(), whole + kReadBytes));
                }
                break;
            }
            const std::string_view frame(in_.data() + in_begin_ + protocol::kFramePrefixBytes, size);
            in_begin_ += whole;
            if (!dispatch(frame)) {
                if (drop_reason_) co_return *drop_reason_;
                co_return unavailable("the connection ended");
            }
        }
        if (in_begin_ == in_end_) {
            in_begin_ = in_end_ = 0;
            if (in_.size() > 4 * kReadBytes) {  // a large frame is over
                in_.resize(kReadBytes);
                in_.shrink_to_fit();
            }
        }
        pump();
    }
}

}  // namespace rockdove::detail

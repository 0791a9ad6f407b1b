// The heart of the client: one I/O thread, one connection at a time, and everything that waits for it.
//
// Threads: the public part any thread; the rest runs on the I/O thread, which start() begins and close() ends. What
// other threads have for it they put into a guarded queue (messages, settles) or post.
// Lives as long as the I/O thread runs, or anybody holds it; consumers hold it, and let it go when they end.
#pragma once

#include <atomic>
#include <boost/asio.hpp>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "client/src/consumer.h"
#include "client/src/handler_pool.h"
#include "client/src/producer.h"
#include "protocol/frame.h"

namespace rockdove::detail {

namespace asio = boost::asio;

class Core : public std::enable_shared_from_this<Core> {
public:
    explicit Core(Config config);
    ~Core();

    // --- any thread ---
    void start();  // throws unless connected, or wait_for_broker
    void close(Millis grace);
    void abandon();  // close, from where one must not block
    void send(Target to, const Message& message, SendWaiter waiter, AtLimit at_limit = AtLimit::kBlock);
    void flush();
    base::Result<v1::Frame> call(v1::Frame request, Millis timeout);
    // Pipelined. `done` is called once: on the I/O thread, or at once if the client is closed.
    void call(v1::Frame request, Millis timeout, std::function<void(base::Result<v1::Frame>)> done);
    std::shared_ptr<Consumer> attach(std::string queue, Access::WorkerSettings settings, Handler handler);
    // As Access::subscription() makes it.
    std::shared_ptr<Consumer> subscribe(v1::SubscriptionCreate subscription, Access::WorkerSettings settings,
                                        Handler handler);
    void settle(std::vector<SettleEntry> entries);
    void submit(std::shared_ptr<Consumer> consumer) { pool_.submit(std::move(consumer)); }
    void detach(std::shared_ptr<Consumer> consumer);     // says goodbye for it, then ends it
    void force_end(std::shared_ptr<Consumer> consumer);  // ends it now
    void update_credit(std::shared_ptr<Consumer> consumer);
    void start(std::shared_ptr<Consumer> consumer, std::vector<std::shared_ptr<Delivery>> deliveries);
    void extend(std::shared_ptr<Consumer> consumer, std::shared_ptr<Delivery> delivery, Millis time,
                std::function<void(std::optional<base::Error>)> done);
    void on_state(std::function<void(ConnectionState, std::error_code)> callback);
    [[nodiscard]] ConnectionState state() const { return state_.load(); }
    [[nodiscard]] std::optional<v1::Welcome> welcome() const;
    [[nodiscard]] std::string endpoint() const;
    [[nodiscard]] bool on_io_thread() const { return std::this_thread::get_id() == io_thread_id_.load(); }
    void check_may_block(std::string_view what) const;  // throws kWouldDeadlock on the I/O thread
    [[nodiscard]] const Config& config() const { return config_; }

    // --- I/O thread ---
    using Answer = std::function<void(base::Result<v1::Frame>)>;
    // `bound`: it means nothing on another connection, whose loss answers it with kUnavailable.
    void request(v1::Frame frame, SteadyTime deadline, bool bound, Answer done);
    void arm(SteadyTime when);  // a tick then, or earlier

private:
    struct Request {
        v1::Frame frame;
        SteadyTime deadline;
        bool on_wire = false;
        bool again = false;  // safe to ask again on another connection
        bool bound = false;  // means nothing on another connection
        Answer done;
    };
    struct Settling {
        std::shared_ptr<Consumer> consumer;
        std::vector<SettleEntry> entries;
    };
    struct Attempt {
        std::map<std::string, std::string> reasons;  // by endpoint
        std::optional<base::Error> terminal;
    };

    std::string made_up_name(std::uint64_t consumer) const;
    std::shared_ptr<Consumer> add(std::shared_ptr<Consumer> consumer);
    void wake(bool may_write = false);
    bool write_here();
    void run();
    void enter();  // first in every handler that may run while connected: takes io_mutex_
    void rest();   // behind every handler: gives it back, so that a sender may write meanwhile
    // Posts it; a pump follows. False: the I/O thread has ended.
    bool on_io(std::function<void()> work);

    // core_connect.cc: finding a broker, and the life of a connection
    asio::awaitable<void> supervise();
    asio::awaitable<bool> connect_round(std::vector<Endpoint> endpoints, SteadyTime deadline);
    asio::awaitable<base::Result<void>> open(Endpoint endpoint, SteadyTime deadline);
    asio::awaitable<base::Result<void>> connect_socket(Endpoint endpoint);
    asio::awaitable<base::Result<void>> greet(std::uint64_t epoch);
    asio::awaitable<base::Error> read_loop();
    asio::awaitable<void> pause_for(Millis time);
    void connected(const std::string& endpoint, bool new_life);
    void disconnected(const base::Error& reason);
    void terminal(const base::Error& reason);
    [[nodiscard]] v1::Hello hello(std::uint64_t epoch) const;
    base::Result<void> check_welcome(const v1::Welcome& welcome);
    void set_state(ConnectionState state, const std::optional<base::Error>& reason = {});
    void first_outcome(std::optional<base::Error> error);
    void drop_connection(const base::Error& reason);

    // core_io.cc: frames in and out
    bool dispatch(std::string_view frame);  // false: the connection is over, drop_reason_ says why
    void on_answer(std::uint64_t id, base::Result<v1::Frame> answer);
    void on_settled(std::uint64_t id, const base::Result<v1::Frame>& answer);
    void on_go_away(const v1::GoAway& go_away);
    void pump();
    void write();
    void put(const v1::Frame& frame);
    void put_request(std::uint64_t id, Request& request);
    void put_off(Settling& settle);
    void take_settles();
    void put_settles(const std::shared_ptr<Consumer>& consumer, std::vector<SettleEntry> entries);
    void put_one_settle(const std::shared_ptr<Consumer>& consumer, std::vector<SettleEntry> entries);
    void gather(std::vector<asio::const_buffer>& buffers);
    void put_credit(Consumer& consumer);
    void attach_now(const std::shared_ptr<Consumer>& consumer);
    void consume(const std::shared_ptr<Consumer>& consumer);
    void on_subscribe_answer(const std::shared_ptr<Consumer>& consumer, const base::Result<v1::Frame>& answer);
    void on_attach_answer(const std::shared_ptr<Consumer>& consumer, const base::Result<v1::Frame>& answer);
    void detach_now(const std::shared_ptr<Consumer>& consumer);
    void end_consumer(const std::shared_ptr<Consumer>& consumer, std::optional<base::Error> error);
    void expire_settles(SteadyTime now, SteadyTime& next);
    void tick();
    void expire_requests(SteadyTime now, SteadyTime& next);
    void finish();   // goodbye
    void wrap_up();  // fails what is left; the I/O thread ends

    const Config config_;
    const std::string random_name_;

    // Shared.
    Producer producer_;
    HandlerPool pool_;
    std::atomic<bool> awake_{false};  // the I/O thread is going to look at what is queued
    std::atomic<ConnectionState> state_{ConnectionState::kConnecting};
    std::atomic<std::thread::id> io_thread_id_{};
    std::atomic<std::uint64_t> next_consumer_{1};
    mutable std::mutex mutex_;
    std::vector<SettleEntry> settles_;
    std::shared_ptr<std::function<void(ConnectionState, std::error_code)>> state_callback_;
    std::optional<v1::Welcome> welcome_shared_;
    std::string endpoint_shared_;
    std::optional<std::optional<base::Error>> first_outcome_;
    std::optional<base::Error> closed_;  // why every call fails
    std::condition_variable changed_;
    std::vector<std::weak_ptr<Consumer>> all_consumers_;
    bool closing_ = false;
    bool finished_ = false;  // the I/O thread is gone
    std::mutex close_mutex_;
    std::thread thread_;

    // The I/O thread's: io_mutex_ is its own but for the time it waits for something to happen on a connection that
    // stands. Whoever gets it then may do the I/O thread's work on what follows (write_here()).
    std::mutex io_mutex_;
    bool here_ = false;    // in write_here()
    bool inside_ = false;  // the I/O thread has io_mutex_; only that thread asks
    asio::io_context io_{1};
    std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work_;
    asio::ip::tcp::socket socket_{io_};
    asio::ip::tcp::resolver resolver_{io_};
    asio::steady_timer timer_{io_};
    asio::steady_timer pause_{io_};
    SteadyTime armed_ = SteadyTime::max();
    std::mt19937_64 random_;
    bool connected_ = false;
    bool writing_ = false;
    bool leaving_ = false;    // the broker said GoAway
    bool finishing_ = false;  // we did
    bool supervisor_done_ = false;
    SteadyTime goodbye_until_ = SteadyTime::max();
    bool announced_ = false;  // kReady
    Millis come_back_after_{0};
    std::optional<base::Error> drop_reason_;
    std::optional<Attempt> attempt_;
    std::vector<Endpoint> redirects_;
    v1::Welcome welcome_;
    std::string cluster_id_;
    std::uint64_t producer_epoch_ = 0;
    std::string control_, control_writing_;
    std::vector<std::shared_ptr<Batch>> batches_writing_;
    SteadyTime last_sent_, last_heard_, healthy_since_;
    std::string in_;
    std::size_t in_begin_ = 0, in_end_ = 0;
    std::uint64_t next_request_ = 1;
    std::map<std::uint64_t, Request> requests_;
    std::map<std::uint64_t, Settling> settling_;
    std::map<std::uint64_t, std::shared_ptr<Consumer>> consumers_;
    std::map<std::uint64_t, SteadyTime> attach_again_;  // consumers to which the broker said "not now"
    std::size_t attaching_ = 0;
    std::uint64_t connections_ = 0;  // so far: the number of the present one
};

}  // namespace rockdove::detail

// The client's side of a consumer: what Worker, Receiver and Job stand on.
//
// Threads: the public part any thread; the I/O part the I/O thread. One mutex guards buffer and phases; it is never
// held while user code runs or Core is called. Lives as long as anybody holds it: the core while attached, its Worker
// or Receiver, its jobs.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "client/src/access.h"
#include "client/src/delivery.h"

namespace rockdove::detail {

// What a settle of a lost delivery fails with.
base::Error stale_lease(const Delivery& delivery, const std::string& queue);

class Consumer : public std::enable_shared_from_this<Consumer> {
public:
    // Without a handler it is a Receiver's. With a subscription that is its source, made on each connection; then `queue` is
    // TOPIC/NAME. NAME of an ephemeral one is only the beginning: each connection's has a name of its own, since the broker
    // may still keep the one of a connection that has broken.
    Consumer(std::shared_ptr<Core> core, std::uint64_t number, std::string queue, Access::WorkerSettings settings,
             Handler handler, std::optional<v1::SubscriptionCreate> subscription = {});

    const std::uint64_t number;
    const std::string queue;
    const Access::WorkerSettings settings;

    // --- any thread ---
    void pause();
    void resume();
    void begin_stop();         // the part of stop() that does not wait
    void stop(Millis within);  // as Worker::stop()
    void abandon();            // begins stop() and goodbye without waiting
    void wait();               // as Worker::wait()
    // Empty: not within the time. Throws when ended.
    std::shared_ptr<Delivery> next(SteadyTime deadline);
    // Calls back once with a delivery or an error, perhaps before it returns. Cancelled by cancel_next with the same
    // key.
    using NextCallback = std::function<void(std::shared_ptr<Delivery>, std::optional<base::Error>)>;
    void next_async(const void* key, NextCallback callback);
    bool cancel_next(const void* key);
    void on_end(std::function<void(std::optional<base::Error>)> callback);  // once; at once if ended already

    // Of a job: settles, blocking until answered. Throws.
    void settle_and_wait(const std::shared_ptr<Delivery>& delivery, Outcome outcome);
    void release_quietly(const std::shared_ptr<Delivery>& delivery);
    void extend(const std::shared_ptr<Delivery>& delivery, Millis time);
    std::stop_token stop_token(Delivery& delivery);

    // --- handler threads ---
    // Runs handlers for what is buffered. True: there is more, but others wait for the thread; submit again.
    bool run_handlers(const std::function<bool()>& others_wait);

    // --- I/O thread ---
    void on_deliver(std::string_view deliver);
    void on_recall(const v1::Recall& recall);
    void on_started(const std::vector<std::shared_ptr<Delivery>>& asked, const base::Result<v1::Frame>& answer);
    void fill(v1::Consume& consume);
    [[nodiscard]] bool subscribes() const { return subscription_.has_value(); }
    // Before Consume, on each connection; they are told apart by their numbers.
    void fill(v1::SubscriptionCreate& create, std::uint64_t connection);
    void on_subscribed() { subscribed_ = true; }
    // It came from an ephemeral subscription that is gone. The one made in its place uses the same numbers, so the broker
    // must not hear of it.
    [[nodiscard]] bool is_of_the_past(const Delivery& delivery) const { return delivery.run->source != source_; }
    // The broker has something of ours that goes only with this connection: true, and it is named.
    bool fill(v1::SubscriptionDelete& remove, std::uint64_t connection) const;
    void on_attached(const v1::ConsumeOk& answer);
    void on_detached() { attached_ = false; }
    SteadyTime tick(SteadyTime now);  // renews leases; when to look again
    void on_extended(const std::shared_ptr<Delivery>& delivery, SteadyTime since, Millis time);
    void lose(const std::vector<std::shared_ptr<Delivery>>& deliveries);
    void settled(const std::shared_ptr<Delivery>& delivery);  // forgets it
    void end(std::optional<base::Error> error);
    [[nodiscard]] bool attached() const { return attached_; }
    [[nodiscard]] bool holds_anything();
    [[nodiscard]] std::uint32_t credit();                     // what it should know
    std::vector<SettleEntry>& backlog() { return backlog_; }  // settles that wait for the connection
    bool detach_wanted = false;
    std::uint32_t credit_told = 0;  // what the broker knows

private:
    // Stop sources to fire: declared before the lock is taken, so that it fires them after the lock is given up.
    struct Stops {
        std::vector<std::stop_source> sources;
        ~Stops() {
            for (auto& source : sources) source.request_stop();
        }
    };

    bool take_buffered(std::vector<SettleEntry>& entries);
    void start_more();
    void hand_out(std::shared_ptr<Delivery> delivery, SteadyTime now, std::vector<std::shared_ptr<Delivery>>& for_nexts,
                  std::vector<NextCallback>& nexts);
    [[nodiscard]] bool keeps_what_waits() const { return settings.ack_on_delivery && !stopping_; }
    SettleEntry make_entry(const std::shared_ptr<Delivery>& delivery, Outcome& outcome);
    void request_stop(Delivery& delivery, Stops& stops);
    void run_one(const std::shared_ptr<Delivery>& delivery);
    void finish(const std::shared_ptr<Delivery>& delivery, Outcome outcome);
    void dispatch(std::unique_lock<std::mutex>& lock);
    void start_work(Delivery& delivery, SteadyTime now);
    base::Error ended_error() const;

    const std::shared_ptr<Core> core_;
    const Handler handler_;
    const std::optional<v1::SubscriptionCreate> subscription_;

    std::mutex mutex_;
    std::condition_variable arrived_;                                           // buffer, or the end
    std::condition_variable idle_;                                              // busy_, or the end
    std::deque<std::shared_ptr<Delivery>> buffer_;                              // for a handler, or for next()
    std::deque<std::shared_ptr<Delivery>> unstarted_;                           // with explicit_start: to be begun
    std::size_t starting_ = 0;                                                  // of which the broker has been asked
    std::size_t waiting_ = 0;                                                   // threads in next()
    boost::unordered_flat_map<std::uint64_t, std::shared_ptr<Delivery>> held_;  // by place: all but kGone
    std::deque<std::pair<const void*, NextCallback>> nexts_;
    std::vector<std::function<void(std::optional<base::Error>)>> end_callbacks_;
    std::size_t tokens_ = 0;  // places in the pool's queue, or threads of it
    std::size_t busy_ = 0;    // handlers that run
    bool paused_ = false;
    bool stopping_ = false;
    bool ended_ = false;
    bool detach_after_handler_ = false;
    std::optional<base::Error> error_;

    // The I/O thread's.
    bool attached_ = false;
    Millis lease_{0};                            // in force
    std::shared_ptr<const std::string> source_;  // what the broker knows as our queue
    std::uint64_t subscribed_on_ = 0;            // connection for which source_ is
    bool subscribed_ = false;                    // once at least
    std::uint64_t next_place_ = 1;
    SteadyTime look_at_ = SteadyTime::max();
    std::vector<SettleEntry> backlog_;
};

}  // namespace rockdove::detail

// The client's handler threads, shared by its workers. A thread starts when there is work and all others are busy, up
// to what the workers together want, and up to ClientOptions::handler_threads.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "client/src/consumer.h"

namespace rockdove::detail {

class HandlerPool {
public:
    explicit HandlerPool(std::size_t most) : shared_(std::make_shared<Shared>()), most_(most) {}
    ~HandlerPool() { stop(); }

    // Any thread. One turn of Consumer::run_handlers.
    void submit(std::shared_ptr<Consumer> consumer);
    // No new turns; joins the idle threads. A thread in a handler ends by itself afterwards.
    void stop();

private:
    struct Shared {
        std::mutex mutex;
        std::condition_variable work;
        std::deque<std::shared_ptr<Consumer>> queue;
        std::size_t idle = 0;
        bool stopping = false;
    };
    struct Thread {
        std::thread thread;
        std::shared_ptr<std::atomic<bool>> in_handler;
    };
    static void loop(std::shared_ptr<Shared> shared, std::shared_ptr<std::atomic<bool>> in_handler);

    const std::shared_ptr<Shared> shared_;
    const std::size_t most_;
    std::vector<Thread> threads_;  // guarded by shared_->mutex
};

}  // namespace rockdove::detail

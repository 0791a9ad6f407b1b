#include "client/src/handler_pool.h"

#include <atomic>

namespace rockdove::detail {

void HandlerPool::submit(std::shared_ptr<Consumer> consumer) {
    const std::lock_guard lock(shared_->mutex);
    if (shared_->stopping) return;
    shared_->queue.push_back(std::move(consumer));
    if (shared_->idle >= shared_->queue.size()) {
        shared_->work.notify_one();
    } else if (threads_.size() < most_) {
        auto in_handler = std::make_shared<std::atomic<bool>>(false);
        threads_.push_back(Thread{std::thread(&HandlerPool::loop, shared_, in_handler), in_handler});
    } else {
        shared_->work.notify_one();
    }
}

void HandlerPool::loop(std::shared_ptr<Shared> shared, std::shared_ptr<std::atomic<bool>> in_handler) {
    std::unique_lock lock(shared->mutex);
    for (;;) {
        ++shared->idle;
        shared->work.wait(lock, [&] { return shared->stopping || !shared->queue.empty(); });
        --shared->idle;
        if (shared->stopping) return;
        std::shared_ptr<Consumer> consumer = std::move(shared->queue.front());
        shared->queue.pop_front();
        in_handler->store(true);
        lock.unlock();
        const bool more = consumer->run_handlers([&] {
            const std::lock_guard peek(shared->mutex);
            return shared->stopping || !shared->queue.empty();
        });
        if (more) {
            const std::lock_guard again(shared->mutex);
            if (!shared->stopping) shared->queue.push_back(consumer);
        }
        consumer.reset();  // perhaps the last to hold the core, whose end must not wait for this thread
        lock.lock();
        in_handler->store(false);
    }
}

void HandlerPool::stop() {
    std::vector<Thread> threads;
    std::deque<std::shared_ptr<Consumer>> queue;
    {
        const std::lock_guard lock(shared_->mutex);
        shared_->stopping = true;
        threads.swap(threads_);
        queue.swap(shared_->queue);
        shared_->work.notify_all();
        // Decided under the lock: whoever is in a handler now must not be waited for.
        for (Thread& thread : threads) {
            if (thread.in_handler->load()) thread.thread.detach();
        }
    }
    for (Thread& thread : threads) {
        if (thread.thread.joinable()) thread.thread.join();
    }
}

}  // namespace rockdove::detail

// The end of the load, on which its threads wait.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace rdload {

class Stop {
public:
    void request() {
        const std::lock_guard lock(mutex_);
        requested_ = true;
        changed_.notify_all();
    }
    // Waits at most so long; true if stopped.
    bool wait_for(std::chrono::microseconds time) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, time, [this] { return requested_; });
    }
    bool requested() { return wait_for(std::chrono::microseconds(0)); }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool requested_ = false;
};

}  // namespace rdload

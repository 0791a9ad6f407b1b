// What has become of the messages of one `send`: counted by the client's I/O thread, waited for by the command.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>

#include "tools/ctl/text/errors.h"

namespace rockdove::ctl {

// Any thread.
class SentCount {
public:
    void sent() {
        const std::lock_guard lock(mutex_);
        ++sent_;
    }
    void confirmed(bool duplicate) {
        const std::lock_guard lock(mutex_);
        ++confirmed_;
        if (duplicate) ++duplicates_;
        if (confirmed_ + refused_ == sent_) all_answered_.notify_all();
    }
    // Keeps the first failure.
    void refused(Failure failure) {
        const std::lock_guard lock(mutex_);
        ++refused_;
        if (!failure_) failure_ = std::move(failure);
        if (confirmed_ + refused_ == sent_) all_answered_.notify_all();
    }
    [[nodiscard]] bool any_refused() const {
        const std::lock_guard lock(mutex_);
        return refused_ > 0;
    }
    // Every message has a deadline of its own, so this ends.
    void wait_for_answers() {
        std::unique_lock lock(mutex_);
        all_answered_.wait(lock, [&] { return confirmed_ + refused_ == sent_; });
    }

    // After wait_for_answers():
    [[nodiscard]] std::uint64_t total_confirmed() const { return confirmed_; }
    [[nodiscard]] std::uint64_t total_duplicates() const { return duplicates_; }
    [[nodiscard]] std::uint64_t total_refused() const { return refused_; }
    [[nodiscard]] const std::optional<Failure>& first_failure() const { return failure_; }

private:
    mutable std::mutex mutex_;
    std::condition_variable all_answered_;
    std::uint64_t sent_ = 0, confirmed_ = 0, duplicates_ = 0, refused_ = 0;
    std::optional<Failure> failure_;
};

}  // namespace rockdove::ctl

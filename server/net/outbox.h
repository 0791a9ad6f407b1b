// Bytes on their way to one client: filled during a turn, sent by one write at its end. Bounded.
//
// Runs on: the shard's thread.
// Limits:  past kHighWater the client gets no deliveries until half of it has left; past kHardLimit the session closes,
//          items that are large by themselves not counted: they are bounded before they are made.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>

namespace rockdove::net {

class Outbox {
public:
    static constexpr std::size_t kHighWater = 1 << 20;
    static constexpr std::size_t kHardLimit = 8 << 20;

    // What is put here leaves with the next take().
    std::string& pending() { return pending_; }
    [[nodiscard]] std::size_t bytes() const { return pending_.size() + sending_.size(); }
    [[nodiscard]] bool empty() const { return pending_.empty(); }
    [[nodiscard]] bool sending() const { return !sending_.empty(); }
    [[nodiscard]] bool above_high_water() const { return bytes() > kHighWater; }
    // One message or answer of `bytes` was put into pending().
    void note_item(std::size_t bytes) {
        if (bytes > kHighWater) large_ += bytes;
    }
    // More than `limit` bytes of small things wait behind the write in flight.
    [[nodiscard]] bool overflows(std::size_t limit) const { return pending_.size() - large_ > limit; }

    // Moves what is pending into flight; must not be called while sending().
    const std::string& take() {
        sending_.swap(pending_);
        large_ = 0;
        return sending_;
    }
    // The write has ended. A large buffer is kept for the next one: growing it anew costs as much as the write.
    void sent() {
        largest_ = std::max(largest_, sending_.size());
        if (sending_.capacity() > 2 * kHighWater) {
            std::string().swap(sending_);
        } else {
            sending_.clear();
        }
    }
    // About once a second: gives back buffers larger than what was sent since the last call.
    void trim() {
        trim(sending_);
        trim(pending_);
        largest_ = 0;
    }

private:
    static constexpr std::size_t kSmall = 4 * 1024;  // not worth giving back

    void trim(std::string& buffer) const {
        if (buffer.empty() && buffer.capacity() > std::max(2 * largest_, kSmall)) std::string().swap(buffer);
    }

    std::string pending_;
    std::string sending_;
    std::size_t large_ = 0;    // bytes of large items in pending_
    std::size_t largest_ = 0;  // sent in one write since the last trim()
};

}  // namespace rockdove::net

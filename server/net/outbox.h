// Bytes on their way to one client: filled during a turn, sent by one write at its end. Bounded.
//
// Runs on: the shard's thread.
// Limits:  past kHighWater the client gets no deliveries until half of it has left; past kHardLimit the session closes.
#pragma once

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

    // Moves what is pending into flight; must not be called while sending().
    const std::string& take() {
        sending_.swap(pending_);
        return sending_;
    }
    // The write has ended.
    void sent() {
        // A burst's buffer is not kept for a connection that is idle most of the time.
        if (sending_.capacity() > kKeepCapacity) {
            std::string().swap(sending_);
        } else {
            sending_.clear();
        }
    }

private:
    static constexpr std::size_t kKeepCapacity = 256 * 1024;

    std::string pending_;
    std::string sending_;
};

}  // namespace rockdove::net

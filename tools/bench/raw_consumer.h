// A consumer that speaks the protocol itself and acknowledges each message by a frame of its own: what the client
// library, which always gathers acknowledgements, does not do. For `bench W2 --ack each`.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include "tools/bench/raw_connection.h"

namespace rockdove::bench {

// Owns its socket and one thread: everything that one read brought is answered by one write.
class RawConsumer {
public:
    // `endpoint` is "host:port". Connects, greets and attaches; throws std::runtime_error.
    RawConsumer(const std::string& endpoint, const std::string& name_space, const std::string& queue,
                std::uint32_t credit);
    // Closes the connection; what is held becomes ready again.
    ~RawConsumer();
    RawConsumer(const RawConsumer&) = delete;
    RawConsumer& operator=(const RawConsumer&) = delete;

    [[nodiscard]] std::uint64_t consumed() const { return consumed_.load(std::memory_order_relaxed); }
    // The connection ended before it was told to.
    [[nodiscard]] bool broken() const { return broken_; }

private:
    void run();
    void answer(const v1::Frame& frame, std::string& out);

    RawConnection connection_;
    std::atomic<std::uint64_t> consumed_{0};
    std::atomic<bool> broken_{false};
    std::atomic<bool> ending_{false};
    std::thread thread_;
};

}  // namespace rockdove::bench

// A consumer that speaks the protocol itself and acknowledges each message by a frame of its own: what the client
// library, which always gathers acknowledgements, does not do. For `bench W2 --ack each`.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>

#include "protocol/base/result.h"
#include "rockdove/v1/frame.pb.h"

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
    bool read_more();
    std::optional<v1::Frame> take_frame();
    v1::Frame answer_to(v1::Frame request);
    void answer(const v1::Frame& frame, std::string& out);
    void send_all(const std::string& bytes);

    int fd_ = -1;
    std::string input_;
    std::size_t begin_ = 0;
    std::atomic<std::uint64_t> consumed_{0};
    std::atomic<bool> broken_{false};
    std::atomic<bool> ending_{false};
    std::thread thread_;
};

}  // namespace rockdove::bench

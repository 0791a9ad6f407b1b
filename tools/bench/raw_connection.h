// A connection that speaks the protocol itself: for measurements in which the client library's own costs would count.
// Throws std::runtime_error when the connection breaks or the broker says no. One thread at a time.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "rockdove/v1/frame.pb.h"

namespace rockdove::bench {

class RawConnection {
public:
    // `endpoint` is "host:port". Connects and greets.
    RawConnection(const std::string& endpoint, const std::string& name_space);
    ~RawConnection();
    RawConnection(const RawConnection&) = delete;
    RawConnection& operator=(const RawConnection&) = delete;

    // The next frame that is here already, without its length; valid until read_more().
    std::optional<std::string_view> take_frame();
    // Waits for more. False at the connection's end.
    bool read_more();
    void send(std::string_view bytes);
    // Waits for the answer, and drops what comes before it.
    v1::Frame ask(v1::Frame request);
    // Any thread: whoever waits in read_more() comes back.
    void shut_down();

private:
    int fd_ = -1;
    std::string input_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

void append_frame(const v1::Frame& frame, std::string& out);

}  // namespace rockdove::bench

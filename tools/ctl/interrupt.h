// Ctrl-C and TERM as something to ask about and to wait for, instead of something that happens in between.
//
// Make one before the client library starts its threads: it blocks the two signals for all of them. The first signal
// asks the command to come to an end; from then on a second one ends the program at once.
#pragma once

#include <chrono>

namespace rockdove::ctl {

class Interrupt {
public:
    Interrupt();
    ~Interrupt();
    Interrupt(const Interrupt&) = delete;
    Interrupt& operator=(const Interrupt&) = delete;

    // One system call: ask once per batch, not per message.
    bool raised();
    // Waits until a signal comes (true) or the time is over.
    bool wait_until(std::chrono::steady_clock::time_point time);
    // Waits until `fd` can be read or has ended (true), or a signal comes (false).
    bool wait_readable(int fd);

private:
    bool take();

    int fd_;
    bool raised_ = false;
};

}  // namespace rockdove::ctl

#include "tools/ctl/interrupt.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace rockdove::ctl {
namespace {

sigset_t both() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

}  // namespace

Interrupt::Interrupt() {
    const sigset_t set = both();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    fd_ = ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd_ < 0) throw std::runtime_error("cannot watch for signals");
}

Interrupt::~Interrupt() { ::close(fd_); }

bool Interrupt::take() {
    signalfd_siginfo info{};
    if (::read(fd_, &info, sizeof info) == sizeof info) {
        raised_ = true;
        const sigset_t set = both();
        pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
    }
    return raised_;
}

bool Interrupt::raised() { return raised_ || take(); }

bool Interrupt::wait_until(std::chrono::steady_clock::time_point time) {
    while (!raised()) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(time - std::chrono::steady_clock::now());
        if (left.count() <= 0) return false;
        pollfd watched{fd_, POLLIN, 0};
        ::poll(&watched, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 60'000)));
    }
    return true;
}

bool Interrupt::wait_readable(int fd) {
    while (!raised()) {
        std::array<pollfd, 2> watched = {{{fd, POLLIN, 0}, {fd_, POLLIN, 0}}};
        if (::poll(watched.data(), watched.size(), -1) > 0 && watched[0].revents != 0) return !raised();
    }
    return false;
}

}  // namespace rockdove::ctl

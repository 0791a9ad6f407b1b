#include "server/app/signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <utility>

#include "server/app/exit_code.h"

namespace rockdove::app {
namespace {

sigset_t awaited() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&set, signal);
    return set;
}

}  // namespace

Signals::Signals() {
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGXFSZ, SIG_IGN);  // a write past the limit is an error to report, like any other
    ::signal(SIGUSR2, SIG_IGN);
    const sigset_t set = awaited();
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    thread_ = std::thread([this] { run(); });
}

Signals::~Signals() {
    ending_ = true;
    ::pthread_kill(thread_.native_handle(), SIGUSR1);
    thread_.join();
}

void Signals::run() {
    ::pthread_setname_np(::pthread_self(), "signals");
    const sigset_t set = awaited();
    int stops = 0;
    while (true) {
        int signal = 0;
        if (::sigwait(&set, &signal) != 0) continue;
        if (ending_) return;
        switch (signal) {
            case SIGHUP:
                post(&Signals::reload_);
                break;
            case SIGUSR1:
                post(&Signals::reopen_);
                break;
            default:
                if (++stops > 1 && impatient_) ::_exit(kExitInternal);
                post(&Signals::stop_);
        }
    }
}

void Signals::post(bool Signals::*flag) {
    {
        const std::lock_guard lock(mutex_);
        this->*flag = true;
    }
    changed_.notify_one();
}

void Signals::post_failure() { post(&Signals::failed_); }

Event Signals::take() {
    if (std::exchange(failed_, false)) return Event::kFailed;
    if (std::exchange(stop_, false)) return Event::kStop;
    if (std::exchange(reload_, false)) return Event::kReload;
    if (std::exchange(reopen_, false)) return Event::kReopen;
    return Event::kNone;
}

Event Signals::wait_until(std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    Event event = Event::kNone;
    changed_.wait_until(lock, deadline, [&] { return (event = take()) != Event::kNone; });
    return event;
}

Event Signals::wait() {
    std::unique_lock lock(mutex_);
    Event event = Event::kNone;
    changed_.wait(lock, [&] { return (event = take()) != Event::kNone; });
    return event;
}

}  // namespace rockdove::app

#include "tools/ctl/receiving.h"

namespace rockdove::ctl {
namespace {

// How often the command looks for Ctrl-C while messages flow; everything else wakes it at once.
constexpr std::chrono::milliseconds kLook{50};

}  // namespace

bool Receiving::begin_one() {
    const std::lock_guard lock(mutex_);
    if (ending_ || begun_ >= most_) return false;
    ++begun_;
    last_ = Steady::now();
    return true;
}

void Receiving::finish_one(bool good) {
    const std::lock_guard lock(mutex_);
    ++(good ? good_ : bad_);
    last_ = Steady::now();
    if (good_ + bad_ >= most_) end(Ending::kEnough);
    if (ending_ && good_ + bad_ == begun_) changed_.notify_all();
}

void Receiving::end(Ending ending) {
    if (!ending_) ending_ = ending;
    changed_.notify_all();
}

void Receiving::give_up(Ending ending) {
    const std::lock_guard lock(mutex_);
    end(ending);
}

void Receiving::fail(Failure failure) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(failure);
    end(Ending::kFailed);
}

bool Receiving::interrupted() const {
    const std::lock_guard lock(mutex_);
    return ending_ == Ending::kInterrupted;
}

void Receiving::start_waiting() {
    const std::lock_guard lock(mutex_);
    last_ = Steady::now();
}

Ending Receiving::wait_for_end(Interrupt& interrupt) {
    std::unique_lock lock(mutex_);
    while (!ending_) {
        changed_.wait_for(lock, kLook);
        if (interrupt.raised()) end(Ending::kInterrupted);
        const bool idle = good_ + bad_ == begun_;
        if (wait_ && idle && Steady::now() - last_ >= *wait_) end(Ending::kIdle);
    }
    return *ending_;
}

void Receiving::wait_for_handlers() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return good_ + bad_ == begun_; });
}

}  // namespace rockdove::ctl

// The common part of `receive` with and without --exec: how many, how long, and when it is over.
//
// Handlers run on the client's threads and report here; the command's thread waits here.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <limits>
#include <mutex>
#include <optional>

#include "tools/ctl/interrupt.h"
#include "tools/ctl/text/errors.h"

namespace rockdove::ctl {

enum class Ending { kEnough, kIdle, kInterrupted, kOutputClosed, kFailed };

class Receiving {
public:
    using Steady = std::chrono::steady_clock;

    // `most` messages, waiting at most `wait` for the next one; empty: without limit.
    Receiving(std::optional<std::uint64_t> most, std::optional<std::chrono::milliseconds> wait)
        : most_(most.value_or(std::numeric_limits<std::uint64_t>::max())), wait_(wait), last_(Steady::now()) {}

    // --- handlers
    // A place for one more message; false: give it back, this is over.
    bool begin_one();
    void finish_one(bool good);
    void give_up(Ending ending);  // no more begin_one()
    void fail(Failure failure);
    [[nodiscard]] bool interrupted() const;

    // --- the command
    // The waiting begins now, not when the connection was still to be made.
    void start_waiting();
    // Returns when no more messages are wanted; handlers may still run.
    Ending wait_for_end(Interrupt& interrupt);
    // Until every message begun is finished.
    void wait_for_handlers();

    // After both:
    [[nodiscard]] std::uint64_t good() const { return good_; }
    [[nodiscard]] std::uint64_t bad() const { return bad_; }
    [[nodiscard]] const std::optional<Failure>& failure() const { return failure_; }

private:
    void end(Ending ending);

    const std::uint64_t most_;
    const std::optional<std::chrono::milliseconds> wait_;

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::uint64_t begun_ = 0, good_ = 0, bad_ = 0;
    Steady::time_point last_;  // a message began or finished
    std::optional<Ending> ending_;
    std::optional<Failure> failure_;
};

}  // namespace rockdove::ctl

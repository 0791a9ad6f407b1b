// Turns signals into events for the main thread.
//
// Runs on: its own thread, which waits for TERM, INT, HUP and USR1; they are blocked in the thread that makes this
//          object, so make it before any other thread. PIPE, XFSZ and USR2 are ignored.
// Limits:  one of a kind is kept while nobody looks.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

namespace rockdove::app {

enum class Event : std::uint8_t {
    kNone,    // the time was up
    kFailed,  // post_failure(): the broker cannot go on
    kStop,    // TERM or INT
    kReload,  // HUP
    kReopen,  // USR1
};

class Signals {
public:
    Signals();
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;
    ~Signals();

    // The next event, most urgent first; waits at most until `deadline`.
    Event wait_until(std::chrono::steady_clock::time_point deadline);
    Event wait();
    // From any thread.
    void post_failure();
    // While the main thread cannot look (it is starting, or closing): a second TERM or INT ends the process at once.
    // Nothing confirmed is lost by that; the next start has to recover.
    void set_impatient(bool impatient) { impatient_ = impatient; }

private:
    void run();
    void post(bool Signals::*flag);
    Event take();

    std::atomic<bool> impatient_{true};
    std::atomic<bool> ending_{false};
    std::mutex mutex_;  // signal thread and others write the flags, the main thread takes them
    std::condition_variable changed_;
    bool failed_ = false;
    bool stop_ = false;
    bool reload_ = false;
    bool reopen_ = false;
    std::thread thread_;
};

}  // namespace rockdove::app

#include "server/app/log_throttle.h"

namespace rockdove::app {

std::optional<std::uint64_t> LogThrottle::admit(std::string_view sentence, Time now) {
    // Forgetting all of them once in a while costs a few repeated lines, and no bookkeeping.
    if (seen_.size() >= kMostSentences) seen_.clear();
    Seen& seen = seen_[std::string(sentence)];
    // A clock that went back starts a new window, too: it must not silence a line for hours.
    if (seen.passed == 0 || now - seen.since >= window_ || now < seen.since) {
        seen.since = now;
        seen.passed = 0;
    }
    if (seen.passed >= burst_) {
        ++seen.held_back;
        return std::nullopt;
    }
    ++seen.passed;
    return std::exchange(seen.held_back, 0);
}

}  // namespace rockdove::app

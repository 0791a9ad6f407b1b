// What the broker knows of a message beside the message itself: what a filter may ask for (protocol/filter.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace rockdove::base {

// What is absent or empty is not known, or does not apply. Views are valid during the call that they are given to.
struct MessageFacts {
    std::string_view state;     // "ready", as on the command line
    std::string_view reason;    // of the last retry, loss or death
    std::string_view consumer;  // who holds it
    std::optional<std::int64_t> attempts;
    std::optional<std::int64_t> sequence;
    std::optional<std::int64_t> commit_time_ms;
    std::optional<std::int64_t> visible_at_ms;  // when it is due, tried again, or its lease ends
    std::optional<std::int64_t> now_ms;         // the broker's time, for its age
};

}  // namespace rockdove::base

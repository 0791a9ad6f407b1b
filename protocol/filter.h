// Filter expressions: one small language over a message's headers and properties (docs/features/filters.md).
//
//     priority >= 7 AND header.region IN ('eu', 'us') AND NOT reason LIKE '%timeout%' AND age > 5m
//
// A comparison with something that the message does not have is neither true nor false but unknown, as in SQL: so is its NOT,
// and a message matches only where the whole is true. No scripts, no regular expressions; all that a text can ask for is
// bounded, and matching takes time proportional to the message.
//
// Any thread. Copies are cheap and share the program, which never changes.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "protocol/base/message_facts.h"
#include "protocol/base/result.h"

namespace rockdove::protocol {

using base::MessageFacts;

inline constexpr std::size_t kMaxFilterBytes = 4096;
inline constexpr std::size_t kMaxFilterTerms = 100;  // comparisons
inline constexpr std::size_t kMaxFilterDepth = 20;   // of parentheses and NOT
inline constexpr std::size_t kMaxFilterList = 100;   // values of one IN

struct FilterProgram;

class Filter {
public:
    Filter() = default;  // matches every message

    // Error: kInvalid, with the position (bytes, from 1) and what was expected there.
    static Result<Filter> parse(std::string_view text);

    // Whether what it matches changes while time passes.
    [[nodiscard]] bool asks_for_age() const;

    // `encoded`: a Message, as on the wire and on disk. What cannot be read as one does not match.
    [[nodiscard]] bool matches(std::string_view encoded, const MessageFacts& facts) const;

private:
    std::shared_ptr<const FilterProgram> program_;
};

}  // namespace rockdove::protocol

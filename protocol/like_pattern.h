// A LIKE pattern: % for any text, _ for one character, \ before either for itself. Matches in time proportional to the text,
// whatever the pattern: all ways to match are followed at once, a bit each, so nothing is tried twice.
//
// A character is one of UTF-8; other bytes match % only, or themselves.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "protocol/base/result.h"

namespace rockdove::protocol {

inline constexpr std::size_t kMaxLikeBytes = 255;  // of a pattern, without % and escapes

class LikePattern {
public:
    // Errors: kInvalid (too long, or a \ before nothing that it could be for).
    static Result<LikePattern> parse(std::string_view pattern);
    [[nodiscard]] bool matches(std::string_view text) const;

private:
    static constexpr std::size_t kWords = (kMaxLikeBytes + 1 + 63) / 64;
    // Bit i: the first i elements of the pattern (bytes, and _) have matched.
    using States = std::array<std::uint64_t, kWords>;

    std::size_t words_ = 1;                 // in use
    std::array<std::uint16_t, 256> row_{};  // of each byte in steps_
    std::vector<States> steps_;             // from which states a byte leads on to the next
    States stay_{};                         // before a %: any byte
    States tail_{};                         // behind a _: the other bytes of its character
    std::size_t last_ = 0;                  // the state in which all has matched
};

}  // namespace rockdove::protocol

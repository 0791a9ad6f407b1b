// A filter's text and a message that it is asked about: text, a zero byte, message. What is accepted keeps its limits, gives
// the same answer twice, and any way of matching a pattern agrees with the plain one.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/filter.h"
#include "protocol/like_pattern.h"
#include "tests/fuzz/require.h"

using namespace rockdove::protocol;

namespace {

// Tries everything; for short patterns and texts.
bool plain_like(std::string_view pattern, std::string_view text) {
    if (pattern.empty()) return text.empty();
    if (pattern[0] == '%') {
        return plain_like(pattern.substr(1), text) || (!text.empty() && plain_like(pattern, text.substr(1)));
    }
    if (text.empty()) return false;
    return (pattern[0] == '_' || pattern[0] == text[0]) && plain_like(pattern.substr(1), text.substr(1));
}

void try_like(std::string_view pattern, std::string_view text) {
    const auto like = LikePattern::parse(pattern);
    if (!like) return;
    const bool matches = like->matches(text);
    const auto is_plain = [](unsigned char c) { return c < 0x80 && c != '\\'; };
    for (const char c : pattern) {
        if (!is_plain(static_cast<unsigned char>(c))) return;
    }
    for (const char c : text) {
        if (!is_plain(static_cast<unsigned char>(c))) return;
    }
    if (pattern.size() <= 8 && text.size() <= 12) FUZZ_REQUIRE(matches == plain_like(pattern, text));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const std::string_view text = input.substr(0, input.find('\0'));
    const std::string_view message = input.substr(std::min(size, text.size() + 1));
    try_like(text, message);
    const auto filter = Filter::parse(text);
    if (!filter) {
        FUZZ_REQUIRE(!filter.error().text.empty() && filter.error().text.size() < 400);
        return 0;
    }
    FUZZ_REQUIRE(text.size() <= kMaxFilterBytes);
    MessageFacts facts;
    facts.state = "ready";
    facts.attempts = 3;
    facts.commit_time_ms = 1'700'000'000'000;
    facts.now_ms = 1'700'000'060'000;
    const bool matches = filter->matches(message, facts);
    FUZZ_REQUIRE(filter->matches(message, facts) == matches);
    // What a message matches, it does not match the contrary of; unknown is neither.
    const auto contrary = Filter::parse("NOT (" + std::string(text) + ")");
    if (contrary && matches) FUZZ_REQUIRE(!contrary->matches(message, facts));
    return 0;
}

// The words of a filter's text, for filter_parser.cc: names, texts, numbers, durations and symbols, each with its place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/base/result.h"

namespace rockdove::protocol {

struct Token {
    enum class Kind : std::uint8_t { kEnd, kWord, kText, kNumber, kDuration, kSymbol };
    Kind kind = Kind::kEnd;
    std::size_t at = 0;
    std::string_view source;  // as it was written
    std::string text;         // kText: without quotes
    std::int64_t number = 0;  // kNumber; kDuration: milliseconds
};

class Lexer {
public:
    explicit Lexer(std::string_view text) : text_(text) {}

    // Error: kInvalid, with the position.
    Result<Token> next();
    // The rest of a name, right behind what was read last: "x-id.part". It may hold what no word may.
    std::string_view header_name();
    [[nodiscard]] std::size_t position() const { return at_; }

private:
    template <class Is>
    void take_while(Is is) {
        while (at_ < text_.size() && is(text_[at_])) ++at_;
    }
    Result<void> take_text(Token& token);
    Result<void> take_number(Token& token);
    Result<void> take_duration(Token& token);
    Result<void> take_symbol(Token& token);

    const std::string_view text_;
    std::size_t at_ = 0;
};

// "filter, position 10: ..."; positions are bytes, shown from 1.
Error filter_error(std::size_t position, const std::string& text);
// For an error text: short, and no control characters.
std::string printable(std::string_view source);

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace rockdove::protocol

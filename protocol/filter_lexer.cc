#include "protocol/filter_lexer.h"

#include <algorithm>
#include <charconv>

namespace rockdove::protocol {

namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

}  // namespace

std::string printable(std::string_view source) {
    constexpr std::size_t kShown = 32;
    std::string out;
    for (const char c : source.substr(0, kShown)) {
        const auto byte = static_cast<unsigned char>(c);
        out += byte >= 0x20 && byte < 0x7F ? c : '?';
    }
    return source.size() > kShown ? out + "..." : out;
}

Error filter_error(std::size_t position, const std::string& text) {
    return {ErrorCode::kInvalid, "filter, position " + std::to_string(position + 1) + ": " + text};
}

Result<Token> Lexer::next() {
    while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
    Token token;
    token.at = at_;
    if (at_ == text_.size()) return token;
    const char c = text_[at_];
    Result<void> ok;
    if (is_letter(c)) {
        token.kind = Token::Kind::kWord;
        take_while([](char d) { return is_letter(d) || is_digit(d); });
    } else if (is_digit(c) || (c == '-' && at_ + 1 < text_.size() && is_digit(text_[at_ + 1]))) {
        ok = take_number(token);
    } else if (c == '\'') {
        ok = take_text(token);
    } else {
        ok = take_symbol(token);
    }
    if (!ok) return ok.error();
    token.source = text_.substr(token.at, at_ - token.at);
    return token;
}

std::string_view Lexer::header_name() {
    const std::size_t start = at_;
    take_while([](char c) { return is_letter(c) || is_digit(c) || c == '-' || c == '.'; });
    return text_.substr(start, at_ - start);
}

// '' within is one '.
Result<void> Lexer::take_text(Token& token) {
    token.kind = Token::Kind::kText;
    for (++at_; at_ < text_.size(); ++at_) {
        if (text_[at_] == '\'') {
            if (at_ + 1 == text_.size() || text_[at_ + 1] != '\'') {
                ++at_;
                return {};
            }
            ++at_;
        }
        token.text += text_[at_];
    }
    return filter_error(token.at, "a text without its closing '");
}

Result<void> Lexer::take_number(Token& token) {
    token.kind = Token::Kind::kNumber;
    const char* end = text_.data() + text_.size();
    const auto [stop, error] = std::from_chars(text_.data() + at_, end, token.number);
    at_ = static_cast<std::size_t>(stop - text_.data());
    if (error != std::errc()) return filter_error(token.at, "a number that is too large");
    if (stop != end && *stop == '.') return filter_error(token.at, "numbers are whole numbers");
    if (stop != end && is_letter(*stop)) return take_duration(token);
    return {};
}

// From its first unit on: the number before it is read.
Result<void> Lexer::take_duration(Token& token) {
    struct Unit {
        std::string_view name;
        std::int64_t ms;
    };
    static constexpr Unit kUnits[] = {{"ms", 1},        {"s", 1'000},      {"m", 60'000},
                                      {"h", 3'600'000}, {"d", 86'400'000}, {"w", 604'800'000}};
    token.kind = Token::Kind::kDuration;
    const auto bad = [&] { return filter_error(token.at, "not a duration such as 250ms, 30s, 5m, 1h30m or 3d"); };
    std::int64_t number = token.number;
    std::int64_t total = 0;
    if (number < 0) return bad();
    for (;;) {
        const std::size_t start = at_;
        take_while(is_letter);
        const std::string_view name = text_.substr(start, at_ - start);
        const Unit* unit =
            std::find_if(std::begin(kUnits), std::end(kUnits), [&](const Unit& known) { return known.name == name; });
        std::int64_t part = 0;
        if (unit == std::end(kUnits) || __builtin_mul_overflow(number, unit->ms, &part) ||
            __builtin_add_overflow(total, part, &total)) {
            return bad();
        }
        if (at_ == text_.size() || !is_digit(text_[at_])) break;
        const char* end = text_.data() + text_.size();
        const auto [stop, error] = std::from_chars(text_.data() + at_, end, number);
        at_ = static_cast<std::size_t>(stop - text_.data());
        if (error != std::errc()) return bad();
    }
    token.number = total;
    return {};
}

Result<void> Lexer::take_symbol(Token& token) {
    token.kind = Token::Kind::kSymbol;
    static constexpr std::string_view kSymbols[] = {"!=", "<>", "<=", ">=", "=", "<", ">",
                                                    "(",  ")",  ",",  ".",  "[", "]"};
    for (const std::string_view symbol : kSymbols) {
        if (text_.substr(at_).starts_with(symbol)) {
            at_ += symbol.size();
            return {};
        }
    }
    if (text_[at_] == '"') return filter_error(at_, "text stands in single quotes: 'eu'");
    return filter_error(at_, "\"" + printable(text_.substr(at_, 1)) + "\" means nothing here");
}

}  // namespace rockdove::protocol

#include "tools/ctl/text/splitter.h"

#include <nlohmann/json.hpp>

namespace rockdove::ctl {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool opens(char c) { return c == '{' || c == '['; }
bool closes(char c) { return c == '}' || c == ']'; }

}  // namespace

std::optional<Each> parse_each(std::string_view name) {
    if (name == "line") return Each::kLine;
    if (name == "json") return Each::kJson;
    if (name == "nul") return Each::kNul;
    if (name == "eof") return Each::kEof;
    return std::nullopt;
}

void Splitter::feed(std::string_view bytes) {
    if (begin_ > 0) {
        buffer_.erase(0, begin_);
        begin_ = 0;
    }
    buffer_.append(bytes);
}

std::optional<std::string_view> Splitter::next() {
    if (failed()) return std::nullopt;
    std::optional<std::string_view> body;
    switch (each_) {
        case Each::kLine:
            body = next_until('\n');
            break;
        case Each::kNul:
            body = next_until('\0');
            break;
        case Each::kJson:
            body = next_json();
            break;
        case Each::kEof:
            body = next_whole();
            break;
    }
    if (!body && !failed() && buffer_.size() - begin_ > kLongestBody) {
        error_ = "message " + std::to_string(taken_ + 1) + " is longer than 64 MiB; is this the right --each?";
    }
    return body;
}

std::string_view Splitter::take(std::size_t length, std::size_t skip) {
    const std::string_view body = std::string_view(buffer_).substr(begin_, length);
    begin_ += length + skip;
    scanned_ = 0;
    ++taken_;
    return body;
}

std::optional<std::string_view> Splitter::next_until(char end) {
    const std::size_t found = buffer_.find(end, begin_ + scanned_);
    if (found != std::string::npos) return take(found - begin_, 1);
    scanned_ = buffer_.size() - begin_;
    if (finished_ && scanned_ > 0) return take(scanned_, 0);  // the last one needs no end mark
    return std::nullopt;
}

std::optional<std::string_view> Splitter::next_whole() {
    if (!finished_ || gave_whole_) return std::nullopt;
    gave_whole_ = true;
    return take(buffer_.size() - begin_, 0);
}

// Values follow each other with or without white space, as jq writes them. Brackets and strings are
// enough to find where a value ends; check_json() then looks whether it is one.
std::optional<std::string_view> Splitter::next_json() {
    while (scanned_ == 0 && begin_ < buffer_.size() && is_space(buffer_[begin_])) ++begin_;
    for (; begin_ + scanned_ < buffer_.size(); ++scanned_) {
        const char c = buffer_[begin_ + scanned_];
        if (in_string_) {
            if (escaped_) {
                escaped_ = false;
            } else if (c == '\\') {
                escaped_ = true;
            } else if (c == '"') {
                in_string_ = false;
                if (depth_ == 0) return check_json(take(scanned_ + 1, 0));
            }
        } else if (c == '"' || opens(c)) {
            // At the top level these begin a new value: a number before them has ended.
            if (depth_ == 0 && scanned_ > 0) return check_json(take(scanned_, 0));
            if (c == '"') in_string_ = true;
            if (opens(c)) ++depth_;
        } else if (closes(c)) {
            if (--depth_ <= 0) return depth_ = 0, check_json(take(scanned_ + 1, 0));
        } else if (is_space(c) && depth_ == 0) {
            return check_json(take(scanned_, 1));
        }
    }
    if (finished_ && scanned_ > 0) return check_json(take(scanned_, 0));
    return std::nullopt;
}

std::optional<std::string_view> Splitter::check_json(std::string_view value) {
    if (nlohmann::json::accept(value)) return value;
    error_ = "value " + std::to_string(taken_) + " of the input is not valid JSON: " + std::string(value.substr(0, 60));
    return std::nullopt;
}

}  // namespace rockdove::ctl

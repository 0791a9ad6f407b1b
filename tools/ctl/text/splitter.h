// Cuts a stream of bytes into message bodies, for `send --each`.
//
// Feed it what was read, take bodies until there is none, feed again; say finish() at the end of input.
// Holds one incomplete body at most, bounded by kLongestBody.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace rockdove::ctl {

enum class Each { kLine, kJson, kNul, kEof };
std::optional<Each> parse_each(std::string_view name);

inline constexpr std::size_t kLongestBody = std::size_t{64} << 20;

class Splitter {
public:
    explicit Splitter(Each each) : each_(each) {}

    void feed(std::string_view bytes);
    void finish() { finished_ = true; }
    // The next body, valid until the next call of feed(). Empty: feed more, or failed(), or all is taken.
    std::optional<std::string_view> next();
    [[nodiscard]] bool failed() const { return !error_.empty(); }
    [[nodiscard]] const std::string& error() const { return error_; }

private:
    std::optional<std::string_view> next_until(char end);
    std::optional<std::string_view> next_json();
    std::optional<std::string_view> next_whole();
    std::optional<std::string_view> check_json(std::string_view value);
    std::string_view take(std::size_t length, std::size_t skip);

    Each each_;
    std::string buffer_;
    std::size_t begin_ = 0;    // of what has not been taken
    std::size_t scanned_ = 0;  // looked at already, from begin_ on
    std::size_t taken_ = 0;    // bodies so far, for error texts
    int depth_ = 0;            // JSON: open brackets
    bool in_string_ = false;
    bool escaped_ = false;
    bool finished_ = false;
    bool gave_whole_ = false;
    std::string error_;
};

}  // namespace rockdove::ctl

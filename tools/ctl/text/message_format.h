// The --format of `receive`: text with % codes and backslash escapes, compiled once, applied per message.
//
//   %i id  %b body  %s sequence  %a attempt  %k key  %t commit time (RFC 3339)  %q queue  %h{name} header  %%
//   \n \t \r \0 \\ and \xHH
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace rockdove::ctl {

// What the codes may ask for; views borrow from the delivery.
struct MessageView {
    std::string_view id;
    std::string_view body;
    std::string_view key;
    std::string_view queue;
    std::uint64_t sequence = 0;
    int attempt = 0;
    std::int64_t commit_time_ms = 0;
    std::function<std::string_view(std::string_view)> header;  // empty view if there is none
};

class MessageFormat {
public:
    // On failure ok() is false and error() says which code at which place.
    explicit MessageFormat(std::string_view text);

    [[nodiscard]] bool ok() const { return error_.empty(); }
    [[nodiscard]] const std::string& error() const { return error_; }
    void append(std::string& out, const MessageView& message) const;

private:
    struct Part {
        char code;         // 0: literal text
        std::string text;  // the literal, or the header's name
    };
    void compile(std::string_view text);
    std::size_t percent(std::string_view text, std::size_t at);
    std::size_t escape(std::string_view text, std::size_t at);
    void literal(char c);

    std::vector<Part> parts_;
    std::string error_;
};

}  // namespace rockdove::ctl

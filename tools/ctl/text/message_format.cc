#include "tools/ctl/text/message_format.h"

#include <charconv>

#include "tools/ctl/text/units.h"

namespace rockdove::ctl {

MessageFormat::MessageFormat(std::string_view text) { compile(text); }

void MessageFormat::compile(std::string_view text) {
    for (std::size_t at = 0; at < text.size() && ok();) {
        if (text[at] == '%') {
            at = percent(text, at);
        } else if (text[at] == '\\') {
            at = escape(text, at);
        } else {
            literal(text[at++]);
        }
    }
}

void MessageFormat::literal(char c) {
    if (parts_.empty() || parts_.back().code != 0) parts_.push_back({0, ""});
    parts_.back().text.push_back(c);
}

// Handles the code at `at`; returns where to go on.
std::size_t MessageFormat::percent(std::string_view text, std::size_t at) {
    const char code = at + 1 < text.size() ? text[at + 1] : '\0';
    if (code == '%') return literal('%'), at + 2;
    if (code == 'h') {
        const std::size_t close = text.find('}', at);
        if (at + 2 < text.size() && text[at + 2] == '{' && close != std::string_view::npos && close > at + 3) {
            parts_.push_back({'h', std::string(text.substr(at + 3, close - at - 3))});
            return close + 1;
        }
        error_ = "%h at position " + std::to_string(at + 1) + " needs a header name: %h{name}";
        return at;
    }
    if (code != '\0' && std::string_view("ibsaktq").find(code) != std::string_view::npos) {
        parts_.push_back({code, ""});
        return at + 2;
    }
    error_ = code == '\0' ? std::string("a single % at the end; write %% for a percent sign")
                          : std::string("unknown code %") + code + " at position " + std::to_string(at + 1) +
                                "; known are %i %b %s %a %k %t %q %h{name} %%";
    return at;
}

std::size_t MessageFormat::escape(std::string_view text, std::size_t at) {
    const char code = at + 1 < text.size() ? text[at + 1] : '\0';
    switch (code) {
        case 'n':
            return literal('\n'), at + 2;
        case 't':
            return literal('\t'), at + 2;
        case 'r':
            return literal('\r'), at + 2;
        case '0':
            return literal('\0'), at + 2;
        case '\\':
            return literal('\\'), at + 2;
        case 'x': {
            unsigned value = 0;
            const std::string_view digits = text.substr(at + 2, 2);
            const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
            if (error == std::errc() && digits.size() == 2 && end == digits.data() + 2) {
                return literal(static_cast<char>(value)), at + 4;
            }
            break;
        }
        default:
            break;
    }
    error_ = "unknown escape at position " + std::to_string(at + 1) + "; known are \\n \\t \\r \\0 \\\\ \\xHH";
    return at;
}

void MessageFormat::append(std::string& out, const MessageView& message) const {
    for (const Part& part : parts_) {
        switch (part.code) {
            case 0:
                out += part.text;
                break;
            case 'i':
                out += message.id;
                break;
            case 'b':
                out += message.body;
                break;
            case 's':
                out += std::to_string(message.sequence);
                break;
            case 'a':
                out += std::to_string(message.attempt);
                break;
            case 'k':
                out += message.key;
                break;
            case 't':
                out += format_time(message.commit_time_ms);
                break;
            case 'q':
                out += message.queue;
                break;
            case 'h':
                if (message.header) out += message.header(part.text);
                break;
            default:
                break;
        }
    }
}

}  // namespace rockdove::ctl

#include "server/app/logging.h"

#include <fcntl.h>
#include <spdlog/async.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <mutex>
#include <vector>

#include "server/app/log_throttle.h"

namespace rockdove::app {
namespace {

struct Field {
    std::string_view key;
    std::string value;
};

bool key_char(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.'; }

// The character that the escape at `at` (a backslash) stands for; moves `at` to its last character.
char unescape(std::string_view text, std::size_t& at) {
    if (at + 1 >= text.size()) return '\\';
    const char c = text[++at];
    if (c == 'n') return '\n';
    if (c == 't') return '\t';
    if (c != 'x' || at + 2 >= text.size()) return c;
    unsigned byte = 0;
    const char* const digits = text.data() + at + 1;
    if (std::from_chars(digits, digits + 2, byte, 16).ptr != digits + 2) return c;
    at += 2;
    return static_cast<char>(byte);
}

// Reads `key=word` or `key="text"` from the front; false if there is none.
bool take_field(std::string_view& rest, Field& out) {
    std::size_t at = 0;
    while (at < rest.size() && key_char(rest[at])) ++at;
    if (at == 0 || at >= rest.size() || rest[at] != '=') return false;
    out.key = rest.substr(0, at++);
    out.value.clear();
    if (at < rest.size() && rest[at] == '"') {
        for (++at; at < rest.size() && rest[at] != '"'; ++at) {
            out.value.push_back(rest[at] == '\\' ? unescape(rest, at) : rest[at]);
        }
        if (at >= rest.size()) return false;  // no closing quote
        ++at;
        if (at < rest.size() && rest[at] != ' ') return false;
    } else {
        const std::size_t end = std::min(rest.find(' ', at), rest.size());
        out.value = rest.substr(at, end - at);
        at = end;
    }
    rest.remove_prefix(std::min(rest.size(), at + 1));
    return true;
}

// Splits a message into its sentence and the fields that end it.
std::string_view split(std::string_view message, std::vector<Field>& fields) {
    for (std::size_t start = 0; start < message.size(); ++start) {
        if (start > 0 && message[start - 1] != ' ') continue;
        std::string_view rest = message.substr(start);
        fields.clear();
        Field field;
        while (!rest.empty() && take_field(rest, field)) fields.push_back(field);
        if (rest.empty() && !fields.empty()) return message.substr(0, start == 0 ? 0 : start - 1);
    }
    fields.clear();
    return message;
}

// The sentence may come as a field, too: `msg="connection closed" conn=7`. Takes it out of the fields.
std::string take_sentence(std::string_view sentence, std::vector<Field>& fields) {
    if (!sentence.empty() || fields.empty() || fields.front().key != "msg") return {};
    std::string named = std::move(fields.front().value);
    fields.erase(fields.begin());
    return named;
}

// Length of the UTF-8 character at `at`; 0 if it is none.
std::size_t utf8_length(std::string_view text, std::size_t at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const std::size_t length = byte < 0x80                   ? 1
                               : byte >= 0xC2 && byte < 0xE0 ? 2
                               : byte >= 0xE0 && byte < 0xF0 ? 3
                               : byte >= 0xF0 && byte < 0xF5 ? 4
                                                             : 0;
    if (length == 0 || at + length > text.size()) return 0;
    for (std::size_t i = 1; i < length; ++i) {
        if ((static_cast<unsigned char>(text[at + i]) & 0xC0) != 0x80) return 0;
    }
    return length;
}

void append_quoted(std::string& out, std::string_view text, bool json) {
    out.push_back('"');
    for (std::size_t i = 0; i < text.size();) {
        const char c = text[i];
        const auto byte = static_cast<unsigned char>(c);
        const std::size_t length = utf8_length(text, i);
        if (c == '"' || c == '\\') {
            out.push_back('\\');
            out.push_back(c);
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\t') {
            out += "\\t";
        } else if (byte < 0x20 || byte == 0x7F || length == 0 ||
                   (length == 2 && byte == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0)) {
            // Control characters (C1 as well: terminals obey them) and what is not UTF-8.
            out += fmt::format(fmt::runtime(json ? "\\u{:04x}" : "\\x{:02x}"),
                               length == 2 ? static_cast<unsigned char>(text[i + 1]) : byte);
        } else {
            out.append(text.substr(i, length));
        }
        i += std::max<std::size_t>(length, 1);
    }
    out.push_back('"');
}

std::string_view level_name(spdlog::level::level_enum level) {
    const auto name = spdlog::level::to_string_view(level);
    return {name.data(), name.size()};
}

// Formats, throttles, writes each line with one write().
class LineSink : public spdlog::sinks::base_sink<std::mutex> {
public:
    LineSink(bool json, std::string file) : json_(json), file_(std::move(file)) {}
    ~LineSink() override {
        if (fd_ > STDERR_FILENO) ::close(fd_);
    }

    base::Result<void> open() {
        if (file_.empty()) return {};
        const int fd = ::open(file_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        if (fd < 0) {
            return base::Error(base::ErrorCode::kUnavailable, "log.file: " + file_ + ": " + std::strerror(errno));
        }
        const std::lock_guard lock(mutex_);
        if (fd_ > STDERR_FILENO) ::close(fd_);
        fd_ = fd;
        return {};
    }

protected:
    void sink_it_(const spdlog::details::log_msg& msg) override {
        const std::string_view message(msg.payload.data(), msg.payload.size());
        std::uint64_t repeated = 0;
        if (msg.level >= spdlog::level::info && msg.level != spdlog::level::critical) {
            std::vector<Field> fields;
            const std::string_view sentence = split(message, fields);
            const std::string named = take_sentence(sentence, fields);
            const auto admitted = throttle_.admit(named.empty() ? sentence : std::string_view(named), msg.time);
            if (!admitted) return;
            repeated = *admitted;
        }
        std::string line =
            format_line(msg.time, level_name(msg.level),
                        std::string_view(msg.logger_name.data(), msg.logger_name.size()), message, repeated, json_);
        line.push_back('\n');
        write_all(line);
    }
    void flush_() override {}

private:
    void write_all(std::string_view text) {
        while (!text.empty()) {
            const ssize_t written = ::write(fd_, text.data(), text.size());
            if (written < 0 && errno == EINTR) continue;
            if (written <= 0) return;  // nobody to tell
            text.remove_prefix(static_cast<std::size_t>(written));
        }
    }

    const bool json_;
    const std::string file_;
    int fd_ = STDERR_FILENO;
    LogThrottle throttle_{kLogBurst, kLogWindow};
};

std::shared_ptr<LineSink> g_sink;  // set by start_logging() and stop_logging(), on the main thread

}  // namespace

std::string field(std::string_view value) {
    std::string out;
    append_quoted(out, value, false);
    return out;
}

std::string format_line(std::chrono::system_clock::time_point time, std::string_view level, std::string_view component,
                        std::string_view message, std::uint64_t repeated, bool json) {
    std::vector<Field> fields;
    std::string_view sentence = split(message, fields);
    const std::string named = take_sentence(sentence, fields);
    if (!named.empty()) sentence = named;
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
    const std::time_t seconds = static_cast<std::time_t>(ms / 1000);
    std::tm utc{};
    ::gmtime_r(&seconds, &utc);
    const std::string ts = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                                       utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, ms % 1000);
    std::string out = json ? "{" : "";
    const auto add = [&](std::string_view key, std::string_view value) {
        if (out.size() > 1) out += json ? "," : " ";
        if (json) {
            append_quoted(out, key, true);
        } else {
            out += key;
        }
        out += json ? ":" : "=";
        append_quoted(out, value, json);
    };
    add("ts", ts);
    add("level", level);
    add("comp", component);
    add("msg", sentence);
    for (const Field& one : fields) add(one.key, one.value);
    if (repeated > 0) add("repeated", std::to_string(repeated));
    if (json) out += "}";
    return out;
}

base::Result<void> start_logging(const LogOptions& options) {
    auto sink = std::make_shared<LineSink>(options.json, options.file);
    if (auto opened = sink->open(); !opened) return opened;
    spdlog::init_thread_pool(kLogQueue, 1);
    for (const char* name : {"app", "net", "core", "store"}) {
        spdlog::register_logger(std::make_shared<spdlog::async_logger>(name, sink, spdlog::thread_pool(),
                                                                       spdlog::async_overflow_policy::overrun_oldest));
    }
    spdlog::set_default_logger(spdlog::get("app"));
    set_log_level(options.level);
    g_sink = std::move(sink);
    return {};
}

void set_log_level(const std::string& level) { spdlog::set_level(spdlog::level::from_str(level)); }

base::Result<void> reopen_log() { return g_sink ? g_sink->open() : base::Result<void>(); }

void stop_logging() {
    spdlog::shutdown();
    g_sink.reset();
}

}  // namespace rockdove::app

#include "history.h"

#include <chrono>
#include <cstdio>
#include <stdexcept>

namespace rdload {

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\' || byte < 0x20 || byte >= 0x7F) {
            char escape[8];
            std::snprintf(escape, sizeof escape, "\\u%04x", byte);
            out += escape;
        } else {
            out += c;
        }
    }
    return out + "\"";
}

History::History(const std::string& folder, std::string process)
    : process_(std::move(process)), out_(folder + "/" + process_ + ".jsonl") {
    if (!out_) throw std::runtime_error("cannot write the history in " + folder);
}

void History::put(std::string_view type, std::string_view f, std::uint64_t op, Fields fields) {
    // steady_clock is CLOCK_MONOTONIC here, as Python's monotonic_ns().
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    std::string line = "{\"t\":" + std::to_string(std::chrono::nanoseconds(now).count()) +
                       ",\"p\":" + quoted(process_) + ",\"type\":" + quoted(type) + ",\"f\":" + quoted(f);
    if (op != 0) line += ",\"op\":" + std::to_string(op);
    for (const auto& [name, value] : fields) line += "," + quoted(name) + ":" + value;
    line += "}\n";
    const std::lock_guard lock(mutex_);
    out_ << line;
}

void History::write(std::string_view type, std::string_view f, Fields fields) { put(type, f, 0, fields); }

std::uint64_t History::invoke(std::string_view f, Fields fields) {
    const std::uint64_t op = ++op_;
    put("invoke", f, op, fields);
    return op;
}

void History::close() {
    const std::lock_guard lock(mutex_);
    out_.close();
}

}  // namespace rdload

// The daemon's log: one line per event, key="value" text or JSON, on standard error or in a file.
//
// Modules log through spdlog: spdlog::get("app"), "net", "core", "store". A message is a sentence, then fields:
//
//     log->warn("connection closed conn={} reason={}", id, field(text));
//
// The sentence may also come first as a field msg="...". Fields may be bare words or quoted; in the output all are
// quoted, and control characters are escaped, so that nobody's name or text can add a line. The same sentence (fields
// aside) more than kBurst times within kWindow is held back and counted; the next one says how many with repeated="N".
// Debug, trace and critical are never held back.
//
// Runs on: any thread. Callers hand lines to one writer thread over a bounded queue; when standard error is stuck the
// oldest lines go, callers never wait.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "protocol/base/result.h"

namespace rockdove::app {

inline constexpr int kLogBurst = 10;
inline constexpr std::chrono::seconds kLogWindow{10};
inline constexpr std::size_t kLogQueue = 8192;

struct LogOptions {
    std::string level = "info";  // as log.level
    bool json = false;
    std::string file;  // empty: standard error
};

// Makes the loggers. Error: kUnavailable if the file cannot be opened. May be called again, after stop_logging().
base::Result<void> start_logging(const LogOptions& options);
void set_log_level(const std::string& level);
// Opens the log's file anew (after it was moved away). On failure the old one stays in use. Nothing without a file.
base::Result<void> reopen_log();
// Waits until all lines are written, then drops the loggers.
void stop_logging();

// "value with spaces", quoted and escaped, to be put behind `key=`.
std::string field(std::string_view value);

// One line without its end, from a module's message as described above. `repeated` > 0 adds that field.
std::string format_line(std::chrono::system_clock::time_point time, std::string_view level, std::string_view component,
                        std::string_view message, std::uint64_t repeated, bool json);

}  // namespace rockdove::app

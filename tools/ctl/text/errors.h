// The one text about every error code: what `rockdove errors` prints and what an error on the terminal advises.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>

namespace rockdove::ctl {

// What the program exits with. Scripts rely on these.
enum Exit : int {
    kOk = 0,
    kFailed = 1,
    kUsage = 2,  // wrong call, or would have to ask and has nobody to ask
    kNotFound = 3,
    kForbidden = 4,    // login failed, or not allowed
    kConflict = 5,     // exists already, or somebody else was first
    kTimedOut = 6,     // or no message came
    kUnreachable = 7,  // no broker
    kPartly = 8,       // some of it was done
    kInterrupted = 130,
};

struct ErrorEntry {
    int code;  // the wire's number
    std::string_view name;
    bool retryable;
    Exit exit;
    std::string_view meaning;
    std::string_view cause;
    std::string_view advice;
    std::string_view look;  // a command or page that shows more
};

std::span<const ErrorEntry> error_catalog();
// By name ("stale_lease", any case) or number; null if there is none.
const ErrorEntry* find_error(std::string_view name);
const ErrorEntry* find_error(int code);

// A failed command: what the user reads, and how the program ends. `code` is the wire's number, 0 if it
// never came to one (a wrong flag, a file that cannot be read).
struct [[nodiscard]] Failure {
    int code = 0;
    Exit exit = kFailed;
    std::string text;
    std::string advice;  // what to try; empty: the catalogue's
};

Failure usage_failure(std::string text, std::string advice = "");
Failure local_failure(std::string text, std::string advice = "");
Failure coded_failure(int code, std::string text);

// "error: ...\n  try: ...\n  code: ...", each line ending with a line feed.
std::string describe(const Failure& failure);

}  // namespace rockdove::ctl

// Invariants. RD_CHECK is on in every build: it writes one line to stderr and aborts. Never use it
// for input that comes from a client or a disk (STYLE: errors are values).
#pragma once

namespace rockdove::base {
[[noreturn]] void check_failed(const char* condition, const char* file, int line);
}  // namespace rockdove::base

#define RD_CHECK(condition) \
    (static_cast<bool>(condition) ? void(0) : ::rockdove::base::check_failed(#condition, __FILE__, __LINE__))

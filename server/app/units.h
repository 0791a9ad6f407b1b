// Durations and sizes as people write them, and the nearest word to a misspelt one.
// Standard library only, no state.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/result.h"

namespace rockdove::app {

using base::Error;
using base::ErrorCode;
using base::Result;
using Millis = std::chrono::milliseconds;

// "30s", "1500ms", "1h30m", "7d"; units ms s m h d, whole numbers, no blanks. "0" needs no unit. Error: kInvalid.
Result<Millis> parse_duration(std::string_view text);
// The same in the other direction, in the largest unit that fits: 90 s is "90s", 120 s is "2m".
std::string format_duration(Millis duration);

// "512MiB", "2GB", "4096"; units B KiB MiB GiB TiB (powers of 1024), kB MB GB TB (of 1000). Error: kInvalid.
Result<std::uint64_t> parse_size(std::string_view text);
std::string format_size(std::uint64_t bytes);

// The candidate closest to `word`, if it is close enough to be what was meant; else empty.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace rockdove::app

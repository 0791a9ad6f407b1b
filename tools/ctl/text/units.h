// Durations, sizes, rates, counts and times, as people write and read them on the command line.
// Pure functions; nothing here throws or knows a locale.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rockdove::ctl {

using Millis = std::chrono::milliseconds;

// "250ms", "30s", "1.5h", "1h30m", "2d", "1w"; a bare number is seconds. Empty if it is none of these,
// negative, or more than 100 years.
std::optional<Millis> parse_duration(std::string_view text);

// "512MiB", "10kB", "1.5GB", a bare number is bytes. MiB counts by 1,024, MB by 1,000.
std::optional<std::uint64_t> parse_size(std::string_view text);

// "500/s", "30/m", "10/h", a bare number is per second. Messages per second, more than 0.
std::optional<double> parse_rate(std::string_view text);

std::optional<std::uint64_t> parse_count(std::string_view text);  // "88310" or "88,310"
std::optional<double> parse_number(std::string_view text);        // finite, whole text

std::string format_duration(Millis duration);   // at most two units: "3h 2m", "12s", "450ms"
std::string format_size(std::uint64_t bytes);   // "1.2 MiB"
std::string format_count(std::uint64_t count);  // "88,310"
std::string format_decimal(double value);       // shortest text that reads back as the same number

// RFC 3339 in UTC with milliseconds: "2026-03-01T10:41:07.120Z".
std::string format_time(std::int64_t unix_ms);
// The other way; the fraction may be missing. Empty if malformed.
std::optional<std::int64_t> parse_time(std::string_view text);

}  // namespace rockdove::ctl

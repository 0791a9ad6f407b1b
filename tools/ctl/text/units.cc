#include "tools/ctl/text/units.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace rockdove::ctl {
namespace {

constexpr double kLongestMs = 100.0 * 365 * 24 * 3600 * 1000;

struct Unit {
    std::string_view name;
    double factor;
};

constexpr std::array<Unit, 6> kDurationUnits = {
    {{"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}, {"w", 604800e3}}};

constexpr std::array<Unit, 10> kSizeUnits = {{{"B", 1},
                                              {"kB", 1e3},
                                              {"KB", 1e3},
                                              {"MB", 1e6},
                                              {"GB", 1e9},
                                              {"TB", 1e12},
                                              {"KiB", 1024.0},
                                              {"MiB", 1048576.0},
                                              {"GiB", 1073741824.0},
                                              {"TiB", 1099511627776.0}}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Takes digits with at most one point from the front of `text`.
std::optional<double> take_number(std::string_view& text) {
    std::size_t end = 0;
    while (end < text.size() && (is_digit(text[end]) || text[end] == '.')) ++end;
    const std::optional<double> value = parse_number(text.substr(0, end));
    text.remove_prefix(end);
    return value;
}

std::string_view take_word(std::string_view& text) {
    std::size_t end = 0;
    while (end < text.size() && !is_digit(text[end])) ++end;
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(end);
    return word;
}

template <class Units>
std::optional<double> factor_of(const Units& units, std::string_view name) {
    for (const Unit& unit : units) {
        if (unit.name == name) return unit.factor;
    }
    return std::nullopt;
}

std::string with(std::uint64_t value, const char* unit) { return std::to_string(value) + unit; }

}  // namespace

std::optional<double> parse_number(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
    if (text.empty() || error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
        return std::nullopt;
    }
    return value;
}

std::optional<Millis> parse_duration(std::string_view text) {
    if (text.empty()) return std::nullopt;
    double total = 0;
    for (bool first = true; !text.empty(); first = false) {
        const std::optional<double> number = take_number(text);
        const std::string_view name = take_word(text);
        // Only a number that stands alone may go without its unit.
        const auto factor = name.empty() && first && text.empty() ? 1e3 : factor_of(kDurationUnits, name);
        if (!number || !factor) return std::nullopt;
        total += *number * *factor;
    }
    if (total > kLongestMs) return std::nullopt;
    return Millis(std::llround(total));
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
    const std::optional<double> number = take_number(text);
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    const auto factor = text.empty() ? 1.0 : factor_of(kSizeUnits, text);
    if (!number || !factor || *number * *factor > 9e18) return std::nullopt;
    return static_cast<std::uint64_t>(std::llround(*number * *factor));
}

std::optional<double> parse_rate(std::string_view text) {
    const std::optional<double> number = take_number(text);
    if (!number || *number <= 0) return std::nullopt;
    if (text.empty() || text == "/s") return number;
    if (text == "/m" || text == "/min") return *number / 60;
    if (text == "/h") return *number / 3600;
    return std::nullopt;
}

std::optional<std::uint64_t> parse_count(std::string_view text) {
    std::string digits;
    for (char c : text) {
        if (c != ',') digits.push_back(c);
    }
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    return value;
}

std::string format_duration(Millis duration) {
    const auto ms = static_cast<std::uint64_t>(std::max<Millis::rep>(0, duration.count()));
    if (ms < 1000) return with(ms, "ms");
    if (ms < 10'000 && ms % 1000 != 0) return format_decimal(std::round(static_cast<double>(ms) / 100) / 10) + "s";
    constexpr std::array<std::pair<std::uint64_t, const char*>, 4> kUnits = {
        {{86'400'000, "d"}, {3'600'000, "h"}, {60'000, "m"}, {1'000, "s"}}};
    for (std::size_t i = 0; i < kUnits.size(); ++i) {
        const std::uint64_t big = ms / kUnits[i].first;
        if (big == 0) continue;
        const bool last = i + 1 == kUnits.size();
        const std::uint64_t small = last ? 0 : ms % kUnits[i].first / kUnits[i + 1].first;
        const std::string text = with(big, kUnits[i].second);
        return small == 0 ? text : text + " " + with(small, kUnits[i + 1].second);
    }
    return "0s";
}

std::string format_size(std::uint64_t bytes) {
    constexpr std::array<const char*, 6> kNames = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    for (; value >= 1024 && unit + 1 < kNames.size(); ++unit) value /= 1024;
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, unit == 0 || value >= 100 ? "%.0f %s" : "%.1f %s", value, kNames[unit]);
    return buffer;
}

std::string format_count(std::uint64_t count) {
    std::string digits = std::to_string(count);
    for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, ",");
    return digits;
}

std::string format_decimal(double value) {
    char buffer[64];
    const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
    return error == std::errc() ? std::string(buffer, end) : "nan";
}

std::string format_time(std::int64_t unix_ms) {
    using namespace std::chrono;
    const sys_time<milliseconds> time{milliseconds(unix_ms)};
    const sys_days day = floor<days>(time);
    const year_month_day date{day};
    const hh_mm_ss clock{time - day};
    char buffer[64];
    std::snprintf(buffer, sizeof buffer, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                  static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
    return buffer;
}

std::optional<std::int64_t> parse_time(std::string_view text) {
    using namespace std::chrono;
    int y = 0, mo = 0, d = 0, h = 0, mi = 0, used = 0;
    double s = 0;
    const std::string copy(text);
    if (std::sscanf(copy.c_str(), "%4d-%2d-%2dT%2d:%2d:%lfZ%n", &y, &mo, &d, &h, &mi, &s, &used) != 6 ||
        used != static_cast<int>(copy.size())) {
        return std::nullopt;
    }
    const year_month_day date{year(y), month(static_cast<unsigned>(mo)), day(static_cast<unsigned>(d))};
    if (!date.ok() || h < 0 || h > 23 || mi < 0 || mi > 59 || !(s >= 0 && s < 61)) return std::nullopt;
    const auto whole = sys_days(date) + hours(h) + minutes(mi);
    return duration_cast<milliseconds>(whole.time_since_epoch()).count() + std::llround(s * 1000);
}

}  // namespace rockdove::ctl

#include "server/app/units.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <optional>

namespace rockdove::app {
namespace {

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

constexpr std::array<Unit, 5> kTimeUnits{{{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};
constexpr std::array<Unit, 9> kSizeUnits{{{"TiB", std::uint64_t{1} << 40},
                                          {"GiB", std::uint64_t{1} << 30},
                                          {"MiB", std::uint64_t{1} << 20},
                                          {"KiB", std::uint64_t{1} << 10},
                                          {"TB", 1'000'000'000'000},
                                          {"GB", 1'000'000'000},
                                          {"MB", 1'000'000},
                                          {"kB", 1000},
                                          {"B", 1}}};
constexpr std::uint64_t kMost = std::uint64_t{1} << 62;

// Takes digits from the front of `text`. Empty if there are none, or too many.
std::optional<std::uint64_t> take_number(std::string_view& text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return number;
}

// Takes a unit, up to the next digit. 0 if it is none of `units`.
template <std::size_t N>
std::uint64_t take_factor(std::string_view& text, const std::array<Unit, N>& units) {
    const std::string_view name = text.substr(0, text.find_first_of("0123456789"));
    text.remove_prefix(name.size());
    const auto found = std::find_if(units.begin(), units.end(), [name](const Unit& u) { return u.name == name; });
    return found == units.end() ? 0 : found->factor;
}

template <std::size_t N>
std::string format(std::uint64_t value, const std::array<Unit, N>& units) {
    for (const Unit& unit : units) {
        if (value != 0 && value % unit.factor == 0) return std::to_string(value / unit.factor) + std::string(unit.name);
    }
    return "0";
}

}  // namespace

Result<Millis> parse_duration(std::string_view text) {
    const auto bad = [text] {
        return Error(ErrorCode::kInvalid, "\"" + std::string(text) +
                                              R"(" is not a duration; write it like "500ms", "30s", "5m" or "1h30m")");
    };
    if (text == "0") return Millis(0);
    std::string_view rest = text;
    std::uint64_t sum = 0;
    if (rest.empty()) return bad();
    while (!rest.empty()) {
        const auto number = take_number(rest);
        const std::uint64_t factor = number ? take_factor(rest, kTimeUnits) : 0;
        if (factor == 0 || *number > kMost / factor || sum > kMost - *number * factor) return bad();
        sum += *number * factor;
    }
    return Millis(sum);
}

std::string format_duration(Millis duration) {
    return format(static_cast<std::uint64_t>(duration.count()), kTimeUnits);
}

Result<std::uint64_t> parse_size(std::string_view text) {
    std::string_view rest = text;
    const auto number = take_number(rest);
    const std::uint64_t factor = !number ? 0 : rest.empty() ? 1 : take_factor(rest, kSizeUnits);
    if (factor == 0 || !rest.empty() || *number > kMost / factor) {
        return Error(ErrorCode::kInvalid,
                     "\"" + std::string(text) + R"(" is not a size; write it like "4096", "512KiB" or "16MiB")");
    }
    return *number * factor;
}

std::string format_size(std::uint64_t bytes) {
    for (std::size_t i = 0; i < 4; ++i) {
        const Unit& unit = kSizeUnits[i];
        if (bytes != 0 && bytes % unit.factor == 0) return std::to_string(bytes / unit.factor) + std::string(unit.name);
    }
    return bytes == 0 ? "0" : std::to_string(bytes) + "B";
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
    std::string best;
    std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
    for (const std::string& candidate : candidates) {
        // Levenshtein's distance, one row at a time.
        std::vector<std::size_t> row(candidate.size() + 1);
        std::iota(row.begin(), row.end(), 0);
        for (std::size_t i = 0; i < word.size(); ++i) {
            std::size_t diagonal = row[0]++;
            for (std::size_t j = 0; j < candidate.size(); ++j) {
                const std::size_t changed = diagonal + (word[i] == candidate[j] ? 0 : 1);
                diagonal = row[j + 1];
                row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
            }
        }
        if (row.back() < best_distance) {
            best_distance = row.back();
            best = candidate;
        }
    }
    return best;
}

}  // namespace rockdove::app

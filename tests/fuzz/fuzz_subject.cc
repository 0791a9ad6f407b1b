// A subject and subscriptions' patterns, a line each: which of them match. The index of all of them agrees with asking one
// by one, and is empty when all are gone.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "server/core/topic_index.h"
#include "tests/fuzz/require.h"

using namespace rockdove::core;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    const auto take_line = [&] {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
        return line;
    };
    const std::string_view subject = take_line();
    const auto checked = check_subject(subject);
    if (!checked) {
        FUZZ_REQUIRE(!checked.error().text.empty() && checked.error().text.size() < 400);
        return 0;
    }
    // The index keeps the addresses and looks at nothing behind them.
    alignas(16) static std::array<char, 1'024> places;
    TopicIndex index;
    std::vector<std::string_view> patterns;
    while (!rest.empty() && patterns.size() < places.size()) {
        const std::string_view pattern = take_line();
        const auto good = check_pattern(pattern);
        if (!good) {
            FUZZ_REQUIRE(!good.error().text.empty() && good.error().text.size() < 400);
            continue;
        }
        index.add(pattern, reinterpret_cast<Subscription*>(&places[patterns.size()]));
        patterns.push_back(pattern);
    }
    for (int round = 0; round < 2; ++round) {  // looked up, and remembered
        const TopicIndex::Matches found = index.match(subject);
        for (std::size_t i = 0; i < patterns.size(); ++i) {
            const auto* place = reinterpret_cast<const Subscription*>(&places[i]);
            FUZZ_REQUIRE(std::count(found.begin(), found.end(), place) == (matches(patterns[i], subject) ? 1 : 0));
        }
    }
    for (std::size_t i = 0; i < patterns.size(); ++i) {
        index.remove(patterns[i], reinterpret_cast<Subscription*>(&places[i]));
    }
    FUZZ_REQUIRE(index.match(subject).empty());
    return 0;
}

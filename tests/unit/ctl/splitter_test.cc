#include "tools/ctl/text/splitter.h"

#include <catch2/catch.hpp>
#include <vector>

using namespace rockdove::ctl;
using namespace std::string_literals;

namespace {

// Feeds `input` in pieces of `step` bytes and gathers what comes out.
std::vector<std::string> split(Each each, const std::string& input, std::size_t step, std::string* error = nullptr) {
    Splitter splitter(each);
    std::vector<std::string> out;
    const auto drain = [&] {
        while (const auto body = splitter.next()) out.emplace_back(*body);
    };
    for (std::size_t at = 0; at < input.size(); at += step) {
        splitter.feed(std::string_view(input).substr(at, step));
        drain();
    }
    splitter.finish();
    drain();
    if (error != nullptr) *error = splitter.error();
    return out;
}

using Bodies = std::vector<std::string>;

}  // namespace

TEST_CASE("lines become bodies, however the input is cut", "[ctl][split]") {
    const std::size_t step = GENERATE(1u, 2u, 3u, 100u);
    CHECK(split(Each::kLine, "a\nbb\n\nccc\n", step) == Bodies{"a", "bb", "", "ccc"});
    CHECK(split(Each::kLine, "a\nlast", step) == Bodies{"a", "last"});
    CHECK(split(Each::kLine, "dos\r\n", step) == Bodies{"dos\r"});
    CHECK(split(Each::kLine, "", step).empty());
}

TEST_CASE("NUL-separated input keeps line ends inside bodies", "[ctl][split]") {
    CHECK(split(Each::kNul, "a\nb\0c\0"s, 2) == Bodies{"a\nb", "c"});
}

TEST_CASE("without splitting the whole input is one body, also an empty one", "[ctl][split]") {
    CHECK(split(Each::kEof, "a\nb\n", 1) == Bodies{"a\nb\n"});
    CHECK(split(Each::kEof, "", 1) == Bodies{""});
}

TEST_CASE("JSON values are cut where they end", "[ctl][split]") {
    const std::size_t step = GENERATE(1u, 4u, 1000u);
    const std::string input = " {\"a\": \"}\\\"{\"}\n[1, [2]]\"x y\" 12 true\n{\n \"b\": 1\n}null";
    CHECK(split(Each::kJson, input, step) ==
          Bodies{"{\"a\": \"}\\\"{\"}", "[1, [2]]", "\"x y\"", "12", "true", "{\n \"b\": 1\n}", "null"});
}

TEST_CASE("what is not JSON stops the input with its number", "[ctl][split]") {
    const std::string input = GENERATE("{} {\"a\" 1}", "{} tru", "{} ]", "{} {\"a\":");
    std::string error;
    CHECK(split(Each::kJson, input, 3, &error) == Bodies{"{}"});
    CHECK(error.find("value 2") != std::string::npos);
}

TEST_CASE("a body without end is refused instead of filling the memory", "[ctl][split]") {
    Splitter splitter(Each::kLine);
    const std::string piece(std::size_t{1} << 20, 'x');
    std::size_t fed = 0;
    while (!splitter.failed() && fed < 2 * kLongestBody) {
        splitter.feed(piece);
        fed += piece.size();
        CHECK_FALSE(splitter.next().has_value());
    }
    CHECK(splitter.failed());
    CHECK(fed == kLongestBody + piece.size());
}

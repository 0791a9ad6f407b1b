#include "protocol/filter.h"

#include <catch2/catch.hpp>

#include "protocol/like_pattern.h"
#include "rockdove/v1/frame.pb.h"

using namespace rockdove::protocol;
using rockdove::base::Error;
using rockdove::base::ErrorCode;
using rockdove::base::Result;
namespace v1 = rockdove::v1;

namespace {

constexpr std::int64_t kNow = 1'800'000'000'000;  // 2027-01-15T08:00:00Z

// A message with something of everything; `facts` beside it.
struct Sample {
    Sample() {
        message.set_body("0123456789");
        message.set_priority(7);
        message.set_key("customer-9");
        message.set_subject("eu.orders.created");
        message.set_content_type("application/json");
        message.set_correlation_id("c-1");
        header("region", "eu");
        header("retries", "12");
        header("x-long name", "it's");
        header("empty", "");
        facts.state = "waiting";
        facts.reason = "decode error: bad JPEG marker";
        facts.attempts = 3;
        facts.sequence = 88'311;
        facts.commit_time_ms = kNow - 600'000;
        facts.visible_at_ms = kNow + 60'000;
        facts.now_ms = kNow;
    }
    void header(const std::string& name, const std::string& value) {
        v1::Header& added = *message.add_headers();
        added.set_name(name);
        added.set_value(value);
    }
    [[nodiscard]] bool matches(const std::string& text) const {
        INFO(text);
        const Result<Filter> filter = Filter::parse(text);
        if (!filter) FAIL(filter.error().text);
        return filter->matches(message.SerializeAsString(), facts);
    }

    v1::Message message;
    MessageFacts facts;
};

std::string refusal(const std::string& text) {
    const Result<Filter> filter = Filter::parse(text);
    INFO(text);
    REQUIRE_FALSE(filter);
    CHECK(filter.error().code == ErrorCode::kInvalid);
    return filter.error().text;
}

std::string repeat(const std::string& part, std::size_t count, const std::string& between = "") {
    std::string out;
    for (std::size_t i = 0; i < count; ++i) out += (i == 0 ? "" : between) + part;
    return out;
}

}  // namespace

TEST_CASE("every property can be asked for", "[protocol][filter]") {
    const Sample sample;
    const char* text = GENERATE(
        "priority = 7", "key = 'customer-9'", "subject = 'eu.orders.created'", "content_type = 'application/json'",
        "correlation_id = 'c-1'", "reply_to IS NULL", "dedup_id IS NULL", "size = 10", "state = 'waiting'",
        "reason LIKE 'decode error%'", "consumer IS NULL", "attempts = 3", "sequence = 88311", "age = 10m",
        "commit_time = '2027-01-15T07:50:00Z'", "visible_at > '2027-01-15T08:00:59.999Z'", "header.region = 'eu'",
        "headers.region = 'eu'", "header['region'] = 'eu'", "header['x-long name'] = 'it''s'", "header.empty = ''");
    CHECK(sample.matches(text));
    CHECK_FALSE(sample.matches(std::string("NOT (") + text + ")"));
}

TEST_CASE("numbers are compared as numbers, text bytewise", "[protocol][filter]") {
    const Sample sample;
    CHECK(sample.matches("priority > 6"));
    CHECK_FALSE(sample.matches("priority > 7"));
    CHECK(sample.matches("priority >= 7"));
    CHECK(sample.matches("priority <= 7"));
    CHECK_FALSE(sample.matches("priority < 7"));
    CHECK(sample.matches("priority != 8"));
    CHECK(sample.matches("priority <> 8"));
    CHECK(sample.matches("priority > -1"));
    CHECK(sample.matches("attempts < 9223372036854775807"));
    CHECK(sample.matches("attempts > -9223372036854775808"));
    CHECK(sample.matches("header.region > 'au'"));
    CHECK(sample.matches("header.region < 'ev'"));
    CHECK_FALSE(sample.matches("header.region = 'EU'"));
}

TEST_CASE("a header that is a number compares with numbers as one, with text as text", "[protocol][filter]") {
    Sample sample;
    CHECK(sample.matches("header.retries > 5"));
    CHECK(sample.matches("header.retries < '5'"));
    CHECK(sample.matches("header.retries IN (11, 12)"));
    // One that is no whole number is neither more nor less, nor unequal.
    for (const char* value : {"twelve", "12x", " 12", "1.5", "", "99999999999999999999"}) {
        sample.message.mutable_headers(1)->set_value(value);
        CHECK_FALSE(sample.matches("header.retries > 5"));
        CHECK_FALSE(sample.matches("header.retries != 5"));
        CHECK_FALSE(sample.matches("NOT header.retries > 5"));
    }
    sample.message.mutable_headers(1)->set_value("-3");
    CHECK(sample.matches("header.retries = -3"));
    sample.message.set_key("007");
    CHECK(sample.matches("key = 7"));
    CHECK_FALSE(sample.matches("key = '7'"));
}

TEST_CASE("what is missing makes a comparison unknown: neither it nor its contrary matches", "[protocol][filter]") {
    const Sample sample;
    for (const char* text : {"header.nope = 'x'", "header.nope != 'x'", "header.nope LIKE '%'", "header.nope IN ('x')",
                             "reply_to > ''", "header.nope NOT IN ('x')", "header.nope NOT LIKE 'x'"}) {
        CHECK_FALSE(sample.matches(text));
        CHECK_FALSE(sample.matches(std::string("NOT ") + text));
        CHECK_FALSE(sample.matches(std::string("priority = 7 AND ") + text));
        CHECK(sample.matches(std::string("priority = 7 OR ") + text));
        CHECK_FALSE(sample.matches(std::string("priority = 8 OR ") + text));
        CHECK(sample.matches(std::string("NOT (priority = 8 AND ") + text + ")"));
    }
    CHECK(sample.matches("header.nope IS NULL"));
    CHECK(sample.matches("header.empty IS NOT NULL"));
    CHECK(sample.matches("header.region IS NOT NULL"));
    CHECK(sample.matches("header.nope IS NULL OR header.nope != 'x'"));
}

TEST_CASE("facts that are not given are missing; priority and size always have a value", "[protocol][filter]") {
    const auto plain = [](const char* text) { return Filter::parse(text)->matches("", MessageFacts()); };
    for (const char* name : {"age", "attempts", "commit_time", "consumer", "content_type", "correlation_id", "dedup_id",
                             "key", "reason", "reply_to", "sequence", "state", "subject", "visible_at"}) {
        CAPTURE(name);
        CHECK(plain((std::string(name) + " IS NULL").c_str()));
    }
    CHECK(plain("priority = 4"));
    CHECK(plain("size = 0"));
    CHECK(Filter().matches("", MessageFacts()));
}

TEST_CASE("AND binds closer than OR, NOT closest, and words may be in small letters", "[protocol][filter]") {
    const Sample sample;
    CHECK(sample.matches("priority = 7 OR priority = 1 AND priority = 2"));
    CHECK_FALSE(sample.matches("(priority = 7 OR priority = 1) AND priority = 2"));
    CHECK_FALSE(sample.matches("NOT priority = 7 OR priority = 1"));
    CHECK(sample.matches("not (priority = 7 and priority = 1)"));
    CHECK(sample.matches("key like 'customer%' and key in ('a','customer-9') and reply_to is null"));
    CHECK(sample.matches("\tpriority=7\nAND\rage>5m "));
}

TEST_CASE("durations and times are understood in all their forms", "[protocol][filter]") {
    const Sample sample;
    for (const char* text :
         {"age = 10m", "age = 600s", "age = 600000ms", "age = 9m60s", "age < 1h30m", "age < 3d", "age < 2w", "age > 0s",
          "commit_time < '2027-01-15T08:00:00Z'", "commit_time >= '2027-01-15T07:50:00.000Z'",
          "commit_time > '2027-01-15'", "commit_time < '2027-01-16'", "commit_time > '1970-01-01'",
          "commit_time < '9999-12-31T23:59:59.999Z'", "commit_time > '2024-02-29'"}) {
        CHECK(sample.matches(text));
    }
    for (const char* text :
         {"age = 5", "age = '5m'", "age = 5x", "age = 5m3", "age = -5m", "age = 5M", "age = 1.5h",
          "age > 99999999999999999999s", "age > 9223372036854775807d", "priority = 5m", "header.region = 5m"}) {
        CAPTURE(text);
        CHECK_FALSE(refusal(text).empty());
    }
    for (const char* time :
         {"soon", "2027-02-29", "2027-13-01", "2027-01-01T24:00:00Z", "2027-01-01T08:00:00", "2027-01-01 08:00:00Z",
          "2027-01-01T08:00:00+01:00", "1969-12-31", "27-01-01", "2027-1-1", "2027-01-0x", "-027-01-01"}) {
        CAPTURE(time);
        CHECK(refusal("commit_time > '" + std::string(time) + "'").find("a time in UTC") != std::string::npos);
    }
}

TEST_CASE("of several headers with one name the first counts, of several fields the last", "[protocol][filter]") {
    Sample sample;
    sample.header("region", "us");
    CHECK(sample.matches("header.region = 'eu'"));
    const std::string twice = "\x52\x01\x61\x52\x01\x62";  // key "a", key "b"
    CHECK(Filter::parse("key = 'b'")->matches(twice, MessageFacts()));
}

TEST_CASE("bytes that are no message match nothing", "[protocol][filter]") {
    for (const char* text : {"priority = 4", "NOT priority = 5", "key IS NULL"}) {
        CHECK_FALSE(Filter::parse(text)->matches("\xff\xff", MessageFacts()));
        CHECK_FALSE(Filter::parse(text)->matches(std::string("\x12\x03\x0a\x7f\x61", 5), MessageFacts()));  // a header
    }
    // Fields of another type than they should have are passed over.
    CHECK(Filter::parse("priority = 4 AND key IS NULL AND size = 0")
              ->matches(std::string("\x4a\x01\x07\x50\x01\x08\x05", 7), MessageFacts()));
}

TEST_CASE("LIKE knows %, _ and \\, and characters are those of UTF-8", "[protocol][filter][like]") {
    struct Case {
        const char* pattern;
        const char* text;
        bool matches;
    };
    const Case c = GENERATE(values<Case>({
        {"", "", true},
        {"", "a", false},
        {"%", "", true},
        {"%", "anything", true},
        {"_", "", false},
        {"_", "a", true},
        {"_", "ab", false},
        {"a%", "abc", true},
        {"a%", "ba", false},
        {"%c", "abc", true},
        {"%c", "abcd", false},
        {"%b%", "abc", true},
        {"a%c", "ac", true},
        {"a%c", "abcbc", true},
        {"a%b%c", "axxbxxbxxc", true},
        {"a__d", "abcd", true},
        {"a__d", "abd", false},
        {"%%", "", true},
        {"%_%", "", false},
        {"%_%", "x", true},
        {"_%_", "x", false},
        {"_%_", "xy", true},
        {"aab%aab", "aabaab", true},
        {"aab%aab", "aabab", false},
        {"%aab", "aaaab", true},
        {"%a_b", "aacb", true},
        {"100\\%", "100%", true},
        {"100\\%", "1000", false},
        {"a\\_b", "a_b", true},
        {"a\\_b", "axb", false},
        {"a\\\\b", "a\\b", true},
        {"_", "\xc3\xa9", true},  // é
        {"__", "\xc3\xa9", false},
        {"a_b",
         "a\xe2\x82\xac"
         "b",
         true},  // €
        {"_%_", "\xc3\xa9", false},
        {"\xc3_", "\xc3\xa9", false},
        {"\xc3\xa9%", "\xc3\xa9t\xc3\xa9", true},
        {"%\xc3\xa9", "\xc3\xa9t\xc3\xa9", true},
        {"_", "\xa9", false},  // no character, but a part of one
        {"%", "\xa9\xff", true},
    }));
    CAPTURE(c.pattern, c.text);
    const auto like = LikePattern::parse(c.pattern);
    REQUIRE(like);
    CHECK(like->matches(c.text) == c.matches);
}

TEST_CASE("a pattern has at most 255 bytes, and \\ only before what it is for", "[protocol][filter][like]") {
    const std::string most(kMaxLikeBytes, 'a');
    for (const std::string& pattern : {most, "%" + most + "%", "\\%" + most.substr(1)}) {
        const auto like = LikePattern::parse(pattern);
        REQUIRE(like);
        CHECK(like->matches(pattern[0] == '\\' ? "%" + most.substr(1) : most));
        CHECK_FALSE(like->matches(most.substr(1)));
    }
    CHECK_FALSE(LikePattern::parse(most + "a"));
    CHECK_FALSE(LikePattern::parse(most + "_"));
    CHECK_FALSE(LikePattern::parse("a\\"));
    CHECK_FALSE(LikePattern::parse("a\\b"));
    // All bytes at once: more kinds of steps than fit a byte.
    std::string all = "_%";
    for (int byte = 1; byte < 256; ++byte) {
        if (byte != '%' && byte != '_' && byte != '\\') all += static_cast<char>(byte);
    }
    CHECK(LikePattern::parse(all)->matches("x" + all.substr(2)));
    CHECK_FALSE(LikePattern::parse(all)->matches(all.substr(2)));
}

// One that tries each way after the other would take longer than the age of the universe.
TEST_CASE("a malicious pattern takes no longer than another", "[protocol][filter][like]") {
    std::string pattern;
    for (int i = 0; i < 100; ++i) pattern += "a%_";
    pattern += "b";
    const std::string text(1 << 20, 'a');
    CHECK_FALSE(LikePattern::parse(pattern)->matches(text));
    CHECK(LikePattern::parse(pattern)->matches(text + "b"));
}

TEST_CASE("an error says where it is and what was expected", "[protocol][filter]") {
    struct Case {
        const char* text;
        const char* error;
    };
    const Case c = GENERATE(values<Case>({
        {"", "position 1: expected a property such as priority, or a header such as header.region, found the end"},
        {"   ", "position 4: expected a property"},
        {"priority", "position 9: expected a comparison (= != < <= > >=, IN, LIKE, IS NULL), found the end"},
        {"priority = ", "position 12: expected a whole number for priority, found the end"},
        {"priority = 'high'", "position 12: expected a whole number for priority, found \"'high'\""},
        {"priorty > 3", "position 1: unknown property \"priorty\"; did you mean \"priority\"?"},
        {"Priority > 3", "did you mean \"priority\"?"},
        {"priority > 3 AND contenttype = 'x'",
         "position 18: unknown property \"contenttype\"; did you mean \"content_type\"?"},
        {"region = 'eu'", "position 1: unknown property \"region\""},
        {"x = 1", "unknown property \"x\""},
        {"state = 'redy'", "position 9: unknown state 'redy'; did you mean \"ready\"?"},
        {"state IN ('ready', 'done')", "position 20: unknown state 'done'"},
        {"state = 5", "position 9: expected a state such as 'ready'"},
        {"priority > 3 priority < 5", "position 14: expected AND, OR or the end, found \"priority\""},
        {"(priority > 3", "position 14: expected AND, OR or \")\", found the end"},
        {"priority > 3)", "position 13: expected AND, OR or the end, found \")\""},
        {"priority IN 3", "position 13: expected \"(\""},
        {"priority IN ()", "position 14: expected a whole number"},
        {"priority IN (3", "position 15: expected \",\" or \")\""},
        {"priority IN (3,)", "position 16: expected a whole number"},
        {"priority NOT 3", "position 14: expected IN or LIKE"},
        {"priority IS 3", "position 13: expected NULL or NOT NULL"},
        {"priority IS NOT 3", "position 17: expected NULL, found"},
        {"priority LIKE '3'", "position 10: LIKE is for text, and priority is none"},
        {"state LIKE 'r%'", "position 7: LIKE is for text"},
        {"key LIKE 3", "position 10: expected a pattern in single quotes"},
        {"key LIKE 'a\\'", "position 10: a \\ stands before"},
        {"key = 'abc", "position 7: a text without its closing '"},
        {"key = \"abc\"", "position 7: text stands in single quotes"},
        {"key == 'abc'", "position 6: expected text in single quotes or a whole number, found \"=\""},
        {"key = abc", "position 7: expected text in single quotes"},
        {"key ~ 'a.*'", "position 5: \"~\" means nothing here"},
        {"header = 'x'", "position 8: expected header.NAME or header['NAME'], found \"=\""},
        {"header. = 'x'", "position 8: expected a header's name"},
        {"header[region] = 'x'", "position 8: expected a header's name in single quotes"},
        {"header[''] = 'x'", "position 8: expected a header's name in single quotes"},
        {"header['a' = 'x'", "position 12: expected \"]\""},
        {"AND priority = 3", "position 1: expected a property"},
        {"priority = 3 AND", "position 17: expected a property"},
        {"priority = 3 OR OR priority = 4", "position 17: expected a property"},
        {"5 < priority", "position 1: expected a property"},
        {"priority = 3.5", "position 12: numbers are whole numbers"},
        {"priority = 9223372036854775808", "position 12: a number that is too large"},
        {"key = '\x01\xc3\xa9'; DROP", "position 12: \";\" means nothing here"},
        {"\x07", "position 1: \"?\" means nothing here"},
    }));
    const std::string error = refusal(c.text);
    CAPTURE(error);
    CHECK(error.find("filter, ") == 0);
    CHECK(error.find(c.error) != std::string::npos);
}

TEST_CASE("a filter's limits hold at the limit and one beyond", "[protocol][filter]") {
    const Sample sample;
    const std::string term = "priority = 7";
    SECTION("text of 4096 bytes") {
        const std::string text = term + std::string(kMaxFilterBytes - term.size(), ' ');
        CHECK(sample.matches(text));
        CHECK(refusal(text + " ").find("at most 4096") != std::string::npos);
    }
    SECTION("100 comparisons") {
        CHECK(sample.matches(repeat(term, kMaxFilterTerms, " AND ")));
        CHECK(sample.matches(repeat("size=0", kMaxFilterTerms - 1, " OR ") + " OR " + term));
        CHECK(refusal(repeat(term, kMaxFilterTerms + 1, " AND ")).find("more than 100 comparisons") !=
              std::string::npos);
        std::string different;
        for (std::size_t i = 0; i < kMaxFilterTerms; ++i) {
            different += (i == 0 ? "" : " AND ") + std::string("header.h") + std::to_string(i) + " IS NULL";
        }
        CHECK(sample.matches(different));
        // The deepest stack: everything waits for what is behind it.
        CHECK(sample.matches(repeat("size=10 AND (", kMaxFilterDepth) + term + repeat(")", kMaxFilterDepth)));
    }
    SECTION("20 deep") {
        const auto nested = [&](const std::string& open, const std::string& close, std::size_t depth) {
            return repeat(open, depth) + term + repeat(close, depth);
        };
        CHECK(sample.matches(nested("(", ")", kMaxFilterDepth)));
        CHECK(sample.matches(nested("NOT ", "", kMaxFilterDepth)));
        CHECK(sample.matches(nested("NOT (", ")", kMaxFilterDepth / 2)));
        for (const std::string& text : {nested("(", ")", kMaxFilterDepth + 1), nested("NOT ", "", kMaxFilterDepth + 1),
                                        nested("(", ")", 1'000)}) {
            CHECK(refusal(text).find("nested more than 20 deep") != std::string::npos);
        }
        CHECK(sample.matches(repeat(nested("(", ")", kMaxFilterDepth), 5, " AND ")));
    }
    SECTION("100 values in one IN") {
        const auto list = [](std::size_t count) { return "priority IN (" + repeat("0", count - 1, ",") + ",7)"; };
        CHECK(sample.matches(list(kMaxFilterList)));
        CHECK(refusal(list(kMaxFilterList + 1)).find("more than 100 values") != std::string::npos);
        CHECK(sample.matches(list(kMaxFilterList) + " AND " + list(kMaxFilterList)));
    }
}

TEST_CASE("a copy of a filter outlives the text and the filter it was made of", "[protocol][filter]") {
    Filter copy;
    {
        const std::string text = "header['region'] IN ('us', 'eu') AND key LIKE '%-9'";
        const Filter filter = *Filter::parse(text);
        copy = filter;
    }
    const Sample sample;
    CHECK(copy.matches(sample.message.SerializeAsString(), sample.facts));
}

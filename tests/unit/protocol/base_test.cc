// Varints, message ids, names, errors, settings: what client and broker share.
#include <catch2/catch.hpp>
#include <random>
#include <set>

#include "protocol/base/bytes.h"
#include "protocol/base/error.h"
#include "protocol/base/ids.h"
#include "protocol/base/queue_settings.h"
#include "protocol/names.h"
#include "rockdove/v1/message.pb.h"

namespace rockdove::base {
namespace {

TEST_CASE("varints round trip at every length", "[base][bytes]") {
    for (unsigned bits = 0; bits <= 64; ++bits) {
        for (const int delta : {-1, 0, 1}) {
            const std::uint64_t power = bits == 64 ? 0 : std::uint64_t{1} << bits;
            const std::uint64_t value = power + static_cast<std::uint64_t>(delta);
            std::string out;
            ByteWriter(out).varint(value);
            CHECK(out.size() == varint_size(value));
            ByteReader in(out);
            CHECK(in.varint() == value);
            CHECK(in.ok());
            CHECK(in.at_end());
            // Cut short it is an error, and stays one.
            ByteReader cut(std::string_view(out).substr(0, out.size() - 1));
            CHECK(cut.varint() == 0);
            CHECK_FALSE(cut.ok());
            CHECK(cut.u8() == 0);
        }
    }
}

TEST_CASE("a varint of more than 64 bits is an error", "[base][bytes]") {
    std::string bytes(9, '\xFF');
    ByteReader most(bytes + '\x01');
    const std::string largest = bytes + '\x01';
    ByteReader in(largest);
    CHECK(in.varint() == UINT64_MAX);
    CHECK(in.ok());
    const std::string more = bytes + '\x02';
    ByteReader over(more);
    CHECK(over.varint() == 0);
    CHECK_FALSE(over.ok());
    const std::string longer = std::string(10, '\x80') + '\x01';
    ByteReader eleven(longer);
    eleven.varint();
    CHECK_FALSE(eleven.ok());
}

TEST_CASE("signed, fixed and big-endian integers round trip", "[base][bytes]") {
    for (const std::int64_t value : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1}, INT64_MIN, INT64_MAX}) {
        std::string out;
        ByteWriter writer(out);
        writer.signed_varint(value);
        writer.fixed64(static_cast<std::uint64_t>(value));
        writer.big64(static_cast<std::uint64_t>(value));
        writer.fixed32(static_cast<std::uint32_t>(value));
        writer.big32(static_cast<std::uint32_t>(value));
        ByteReader in(out);
        CHECK(in.signed_varint() == value);
        CHECK(in.fixed64() == static_cast<std::uint64_t>(value));
        CHECK(in.big64() == static_cast<std::uint64_t>(value));
        CHECK(in.fixed32() == static_cast<std::uint32_t>(value));
        CHECK(in.big32() == static_cast<std::uint32_t>(value));
        CHECK(in.at_end());
    }
    std::string small;
    ByteWriter(small).signed_varint(-3);
    CHECK(small.size() == 1);
}

TEST_CASE("a string longer than what is left is an error, however long it claims to be", "[base][bytes]") {
    std::string out;
    ByteWriter writer(out);
    writer.varint(UINT64_MAX);
    writer.raw("abc");
    ByteReader in(out);
    CHECK(in.string().empty());
    CHECK_FALSE(in.ok());
}

// --- message ids ------------------------------------------------------------------------------------------------

MessageId id(std::int64_t time, std::uint32_t queue, std::uint64_t sequence) {
    MessageId out;
    out.commit_time_ms = time;
    out.queue = QueueId(queue);
    out.sequence = Sequence(sequence);
    return out;
}

TEST_CASE("message ids round trip and sort as their parts do", "[base][ids]") {
    std::mt19937_64 dice(1);
    std::string last_text;
    std::vector<MessageId> ids = {id(0, 0, 0), id((std::int64_t{1} << 48) - 1, UINT32_MAX, kMaxSequence)};
    for (int i = 0; i < 2'000; ++i) {
        ids.push_back(
            id(static_cast<std::int64_t>(dice() >> 16), static_cast<std::uint32_t>(dice()), dice() >> (16 + i % 40)));
    }
    const auto less = [](const MessageId& a, const MessageId& b) {
        return std::tuple(a.commit_time_ms, a.queue, a.sequence) < std::tuple(b.commit_time_ms, b.queue, b.sequence);
    };
    std::sort(ids.begin(), ids.end(), less);
    for (const MessageId& one : ids) {
        const std::string text = format_message_id(one);
        CHECK(text.size() == kMessageIdChars);
        CHECK(last_text <= text);
        last_text = text;
        const Result<MessageId> parsed = parse_message_id(text);
        REQUIRE(parsed);
        CHECK(*parsed == one);
        CHECK(format_message_id(id_prefix(one.commit_time_ms, one.queue), one.sequence) == text);
    }
}

TEST_CASE("the example of the protocol's page", "[base][ids]") {
    const std::string prefix("\x01\x97\xbd\x5a\x1c\x00\x00\x00\x00\x01", 10);
    CHECK(format_message_id(prefix, Sequence(1)) == "01JYYNM7000000008000000001");
    CHECK(format_message_id(prefix, Sequence(2)) == "01JYYNM7000000008000000002");
    CHECK(parse_message_id("o1jyynm7ooooooooboooooooo2").has_value());
    CHECK(*parse_message_id("oIjyynm7oooooooo8oooooooo2") == *parse_message_id("01JYYNM7000000008000000002"));
}

TEST_CASE("what is no message id is refused", "[base][ids]") {
    for (const char* text :
         {"", "1", "01JYYNM700000000800000000", "01JYYNM70000000080000000011", "81JYYNM7000000008000000001",
          "01JYYNM700000000800000000U", "01JYYNM7000000008000 00001"}) {
        INFO(text);
        const Result<MessageId> parsed = parse_message_id(text);
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error().code == ErrorCode::kInvalid);
    }
}

// --- names ------------------------------------------------------------------------------------------------------

TEST_CASE("names have 1 to 128 characters of a fixed alphabet and no leading dot", "[base][names]") {
    for (const std::string& name :
         {std::string("a"), std::string("a.b"), std::string("A-Z_0:9."), std::string("-"), std::string(128, 'x')}) {
        CHECK(check_name("queue name", name));
    }
    for (const std::string& name :
         {std::string(), std::string(".a"), std::string("a b"), std::string("a/b"), std::string("ä"),
          std::string("a\0b", 3), std::string("\x7F"), std::string(129, 'x'), std::string("a\n")}) {
        const Result<void> ok = check_name("queue name", name);
        REQUIRE_FALSE(ok);
        CHECK(ok.error().code == ErrorCode::kInvalid);
        CHECK(ok.error().text.find("queue name") == 0);
        for (const char c : ok.error().text) CHECK((c >= 0x20 && c < 0x7F));  // goes into logs
    }
}

// --- errors -----------------------------------------------------------------------------------------------------

TEST_CASE("the list of errors is the schema's: same names, same numbers", "[base][errors]") {
    const google::protobuf::EnumDescriptor* list = v1::ErrorCode_descriptor();
    CHECK(list->value_count() == kErrorCodes + 1);
    std::set<std::string_view> names;
    for (int i = 0; i < list->value_count(); ++i) {
        const auto* value = list->value(i);
        if (value->number() == 0) continue;
        std::string lower = value->name();
        for (char& c : lower) c = static_cast<char>(std::tolower(c));
        CHECK(error_name(static_cast<ErrorCode>(value->number())) == lower);
        CHECK(names.insert(error_name(static_cast<ErrorCode>(value->number()))).second);
    }
    CHECK(error_name(static_cast<ErrorCode>(0)) == "unknown");
    CHECK(error_name(static_cast<ErrorCode>(kErrorCodes + 1)) == "unknown");
    CHECK(error_name(static_cast<ErrorCode>(255)) == "unknown");
    CHECK_FALSE(error_retryable(static_cast<ErrorCode>(255)));
}

TEST_CASE("those errors are retryable that the protocol's page calls so", "[base][errors]") {
    const std::set<ErrorCode> retryable = {
        ErrorCode::kUnavailable, ErrorCode::kTimedOut,      ErrorCode::kOutcomeUnknown,
        ErrorCode::kFull,        ErrorCode::kStoreBusy,     ErrorCode::kRateLimited,
        ErrorCode::kNoResponder, ErrorCode::kResponderLost, ErrorCode::kNotOwner};
    for (int i = 1; i <= kErrorCodes; ++i) {
        const auto code = static_cast<ErrorCode>(i);
        INFO(error_name(code));
        CHECK(error_retryable(code) == retryable.contains(code));
    }
}

// --- settings ---------------------------------------------------------------------------------------------------

TEST_CASE("each setting of a queue is checked at both ends of its range", "[base][settings]") {
    CHECK(check_settings(QueueSettings()));
    const auto check = [](auto QueueSettings::*field, auto low, auto high, auto below, auto above) {
        QueueSettings s;
        s.backoff_first = Millis(0);
        const auto with = [&](auto value) {
            QueueSettings changed = s;
            changed.*field = value;
            return check_settings(changed).has_value();
        };
        CHECK(with(low));
        CHECK(with(high));
        CHECK_FALSE(with(below));
        CHECK_FALSE(with(above));
    };
    const Millis day(86'400'000);
    check(&QueueSettings::lease, Millis(100), day, Millis(99), day + Millis(1));
    check(&QueueSettings::max_attempts, 1U, 1'000U, 0U, 1'001U);
    check(&QueueSettings::max_releases, 0U, 1'000'000U, 1'000'001U, UINT32_MAX);
    check(&QueueSettings::backoff_longest, Millis(0), 7 * day, Millis(-1), 7 * day + Millis(1));
    check(&QueueSettings::backoff_factor, 1.0, 100.0, 0.99, 100.1);
    check(&QueueSettings::backoff_jitter, 0.0, 1.0, -0.1, std::numeric_limits<double>::quiet_NaN());
    check(&QueueSettings::max_retry_delay, Millis(0), 365 * day, Millis(-1), 365 * day + Millis(1));
    check(&QueueSettings::dead_max, std::uint64_t{1}, std::uint64_t{10'000'000}, std::uint64_t{0},
          std::uint64_t{10'000'001});
    check(&QueueSettings::reconnect_grace, Millis(0), Millis(600'000), Millis(-1), Millis(600'001));
    check(&QueueSettings::ttl, Millis(0), 3'650 * day, Millis(-1), 3'650 * day + Millis(1));
    check(&QueueSettings::oldest_every, 0U, 1'000U, 1'001U, UINT32_MAX);
    check(&QueueSettings::dedup_window, Millis(1'000), 7 * day, Millis(999), 7 * day + Millis(1));
    check(&QueueSettings::dedup_mode, DedupMode::kWindow, DedupMode::kUntilDone, DedupMode{0}, DedupMode{3});
    check(&QueueSettings::overflow, Overflow::kReject, Overflow::kDropOldest, Overflow{0}, Overflow{3});
    check(&QueueSettings::on_expire, OnExpire::kDead, OnExpire::kDrop, OnExpire{0}, OnExpire{3});
    check(&QueueSettings::key_on_retry, KeyOnRetry::kHold, KeyOnRetry::kPass, KeyOnRetry{0}, KeyOnRetry{3});
    check(&QueueSettings::key_on_dead, KeyOnDead::kSkip, KeyOnDead::kPause, KeyOnDead{0}, KeyOnDead{3});
    QueueSettings s;
    s.backoff_first = Millis(2'000);
    s.backoff_longest = Millis(1'999);
    const Result<void> crossed = check_settings(s);
    REQUIRE_FALSE(crossed);
    CHECK(crossed.error().text.find("backoff_longest_ms = 1999") != std::string::npos);
    s.backoff_longest = Millis(2'000);
    CHECK(check_settings(s));
    s.durability = static_cast<Durability>(4);
    CHECK_FALSE(check_settings(s));
    s.durability = static_cast<Durability>(0);
    CHECK_FALSE(check_settings(s));
}

}  // namespace
}  // namespace rockdove::base

// check_message and read_publish against the generated code, and at their limits.
#include "protocol/message_view.h"

#include <google/protobuf/stubs/logging.h>

#include <catch2/catch.hpp>
#include <random>

#include "protocol/base/bytes.h"
#include "protocol/base/key_hash.h"
#include "protocol/limits.h"
#include "rockdove/v1/data.pb.h"

namespace rockdove::protocol {
namespace {

// Protobuf writes a line for each string it refuses; here that is what is looked for.
[[maybe_unused]] google::protobuf::LogHandler* const kSilence = google::protobuf::SetLogHandler(nullptr);

using Dice = std::mt19937_64;

std::uint64_t pick(Dice& dice, std::uint64_t low, std::uint64_t high) {
    return std::uniform_int_distribution<std::uint64_t>(low, high)(dice);
}

std::string text(Dice& dice, std::size_t most) {
    static constexpr const char* kPieces[] = {"a", "Z", "0", ".", " ", "\t", "é", "ß", "漢", "😀", "\x7F"};
    std::string out;
    for (std::uint64_t n = pick(dice, 0, most); n != 0; --n) out += kPieces[pick(dice, 0, std::size(kPieces) - 1)];
    return out;
}

std::string bytes(Dice& dice, std::size_t most) {
    std::string out(pick(dice, 0, most), '\0');
    for (char& c : out) c = static_cast<char>(dice());
    return out;
}

v1::Message random_message(Dice& dice) {
    v1::Message message;
    if (pick(dice, 0, 9) != 0) message.set_body(bytes(dice, 200));
    for (std::uint64_t n = pick(dice, 0, 3); n != 0; --n) {
        v1::Header& header = *message.add_headers();
        header.set_name("h" + text(dice, 10));
        header.set_value(bytes(dice, 30));
    }
    if (pick(dice, 0, 3) == 0) message.set_content_type(text(dice, 20));
    if (pick(dice, 0, 3) == 0) message.set_subject(text(dice, 20));
    if (pick(dice, 0, 5) == 0) message.set_correlation_id(text(dice, 20));
    if (pick(dice, 0, 5) == 0) message.set_reply_to(text(dice, 20));
    if (pick(dice, 0, 5) == 0) message.set_traceparent(text(dice, 20));
    if (pick(dice, 0, 5) == 0) message.set_tracestate(text(dice, 20));
    if (pick(dice, 0, 5) == 0) message.set_priority(static_cast<std::uint32_t>(pick(dice, 3, 10)));
    if (pick(dice, 0, 9) == 0) message.set_delay_ms(dice() >> pick(dice, 0, 63));
    if (pick(dice, 0, 9) == 0) message.set_not_before_ms(static_cast<std::int64_t>(dice() >> pick(dice, 0, 63)));
    if (pick(dice, 0, 19) == 0) message.set_key("k");
    if (pick(dice, 0, 9) == 0) message.set_dedup_id(std::string(pick(dice, 0, 1) == 0 ? 3 : pick(dice, 250, 260), 'd'));
    if (pick(dice, 0, 19) == 0) message.set_ttl_ms(5);
    if (pick(dice, 0, 19) == 0) message.set_max_attempts(2);
    return message;
}

void mutate(Dice& dice, std::string& encoded) {
    for (std::uint64_t n = pick(dice, 1, 3); n != 0 && !encoded.empty(); --n) {
        const std::size_t at = pick(dice, 0, encoded.size() - 1);
        switch (pick(dice, 0, 4)) {
            case 0:
                encoded[at] = static_cast<char>(encoded[at] ^ (1 << pick(dice, 0, 7)));
                break;
            case 1:
                encoded[at] = static_cast<char>(dice());
                break;
            case 2:
                encoded.erase(at, pick(dice, 1, 3));
                break;
            case 3:
                encoded.insert(at, bytes(dice, 4));
                break;
            default:
                encoded.resize(at);
        }
    }
}

// What the broker must say to a message that protobuf has parsed.
std::optional<ErrorCode> expected(const v1::Message& m) {
    std::size_t header_bytes = 0;
    if (m.headers_size() > static_cast<int>(kMaxHeaders)) return ErrorCode::kInvalid;
    for (const v1::Header& header : m.headers()) {
        if (header.name().empty() || header.name().size() > kMaxHeaderName) return ErrorCode::kInvalid;
        for (const char c : header.name()) {
            if (static_cast<unsigned char>(c) < 0x20) return ErrorCode::kInvalid;
        }
        header_bytes += header.name().size() + header.value().size();
    }
    if (header_bytes > kMaxHeaderBytes) return ErrorCode::kInvalid;
    for (const std::string* field :
         {&m.content_type(), &m.subject(), &m.correlation_id(), &m.reply_to(), &m.traceparent(), &m.tracestate()}) {
        if (field->size() > kMaxPropertyBytes) return ErrorCode::kInvalid;
    }
    if (m.has_priority() && m.priority() > 9) return ErrorCode::kInvalid;
    if (m.delay_ms() > static_cast<std::uint64_t>(kMaxTimeMs) || m.not_before_ms() < 0 ||
        m.not_before_ms() > kMaxTimeMs || (m.delay_ms() != 0 && m.not_before_ms() != 0)) {
        return ErrorCode::kInvalid;
    }
    const auto no_time = [](std::int64_t ms) { return ms < 0 || ms > kMaxTimeMs; };
    if (m.ttl_ms() > static_cast<std::uint64_t>(kMaxTimeMs) || no_time(m.expires_at_ms()) || no_time(m.deadline_ms()) ||
        (m.ttl_ms() != 0 && m.expires_at_ms() != 0)) {
        return ErrorCode::kInvalid;
    }
    if (m.max_attempts() > kMaxAttempts || m.key().size() > kMaxKeyBytes) return ErrorCode::kInvalid;
    if (m.dedup_id().size() > kMaxDedupIdBytes) return ErrorCode::kInvalid;
    return std::nullopt;
}

std::optional<ErrorCode> checked(std::string_view encoded) {
    MessageTraits traits;
    const Result<void> ok = check_message(encoded, traits);
    return ok ? std::nullopt : std::optional(ok.error().code);
}

TEST_CASE("what protobuf encodes is judged as the rules say", "[protocol][message]") {
    Dice dice(1);
    for (int i = 0; i < 20'000; ++i) {
        const v1::Message message = random_message(dice);
        const std::optional<ErrorCode> want = expected(message);
        const std::optional<ErrorCode> got = checked(message.SerializeAsString());
        INFO(message.ShortDebugString());
        // With several things wrong, which is told depends on the order of the fields.
        REQUIRE(got.has_value() == want.has_value());
    }
}

TEST_CASE("whatever is accepted can be parsed by every client, and breaks no rule", "[protocol][message]") {
    Dice dice(2);
    int accepted = 0;
    int refused = 0;
    for (int i = 0; i < 200'000; ++i) {
        std::string encoded = random_message(dice).SerializeAsString();
        mutate(dice, encoded);
        v1::Message message;
        const bool parsed = message.ParseFromString(encoded);
        const std::optional<ErrorCode> got = checked(encoded);
        if (!got) {
            ++accepted;
            INFO("iteration " << i);
            REQUIRE(parsed);
            REQUIRE_FALSE(expected(message));
        } else {
            ++refused;
            REQUIRE((got == ErrorCode::kProtocol || got == ErrorCode::kInvalid || got == ErrorCode::kUnsupported));
        }
    }
    CHECK(accepted > 20'000);
    CHECK(refused > 20'000);
}

TEST_CASE("random bytes are judged, whatever they are", "[protocol][message]") {
    Dice dice(3);
    for (int i = 0; i < 100'000; ++i) {
        const std::string encoded = bytes(dice, 40);
        v1::Message message;
        if (checked(encoded)) continue;
        REQUIRE(message.ParseFromString(encoded));
        REQUIRE_FALSE(expected(message));
    }
}

TEST_CASE("text that is not UTF-8 is refused, since the client it is for would refuse the whole frame",
          "[protocol][message]") {
    const auto [name, invalid] = GENERATE(table<std::string, std::string>({
        {"a lone continuation byte", "\x80"},
        {"a sequence cut short", "abc\xC3"},
        {"two of three bytes", "\xE2\x82"},
        {"an overlong slash", "\xC0\xAF"},
        {"an overlong of three bytes", "\xE0\x9F\xBF"},
        {"an overlong of four bytes", "\xF0\x8F\xBF\xBF"},
        {"a surrogate", "\xED\xA0\x80"},
        {"above the last code point", "\xF4\x90\x80\x80"},
        {"a byte that never occurs", "\xFF"},
        {"behind much that is fine", "all of this is plain ASCII text\xC3("},
    }));
    INFO(name);
    const auto with = [&](std::uint32_t field) {
        std::string encoded;
        base::ByteWriter out(encoded);
        out.varint(field << 3 | 2);
        out.string(invalid);
        return encoded;
    };
    for (const std::uint32_t field : {3U, 4U, 5U, 6U, 7U, 8U}) CHECK(checked(with(field)) == ErrorCode::kInvalid);
    CHECK_FALSE(checked(with(1)));  // a body is bytes
    std::string header = with(1);   // its name
    std::string encoded;
    base::ByteWriter out(encoded);
    out.varint(2 << 3 | 2);
    out.string(header);
    CHECK(checked(encoded) == ErrorCode::kInvalid);
}

TEST_CASE("every code point is valid text", "[protocol][message]") {
    std::string all;
    for (std::uint32_t c = 0x20; c <= 0x10FFFF; c += c < 0x1000 ? 1 : 257) {
        if (c >= 0xD800 && c < 0xE000) continue;
        std::string one;
        if (c < 0x80) {
            one = {static_cast<char>(c)};
        } else if (c < 0x800) {
            one = {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 0x3F))};
        } else if (c < 0x10000) {
            one = {static_cast<char>(0xE0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 0x3F)),
                   static_cast<char>(0x80 | (c & 0x3F))};
        } else {
            one = {static_cast<char>(0xF0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 0x3F)),
                   static_cast<char>(0x80 | (c >> 6 & 0x3F)), static_cast<char>(0x80 | (c & 0x3F))};
        }
        v1::Message message;
        message.set_subject("subject " + one);
        REQUIRE_FALSE(checked(message.SerializeAsString()));
    }
}

TEST_CASE("limits of a message hold exactly", "[protocol][limits]") {
    SECTION("number of headers") {
        v1::Message message;
        for (std::uint32_t i = 0; i < kMaxHeaders; ++i) message.add_headers()->set_name("h");
        CHECK_FALSE(checked(message.SerializeAsString()));
        message.add_headers()->set_name("h");
        CHECK(checked(message.SerializeAsString()) == ErrorCode::kInvalid);
    }
    SECTION("bytes of headers") {
        v1::Message message;
        message.add_headers()->set_name("name");
        message.mutable_headers(0)->set_value(std::string(kMaxHeaderBytes - 4, 'x'));
        CHECK_FALSE(checked(message.SerializeAsString()));
        message.mutable_headers(0)->set_name("names");
        CHECK(checked(message.SerializeAsString()) == ErrorCode::kInvalid);
    }
    SECTION("a header's name") {
        v1::Message message;
        v1::Header& header = *message.add_headers();
        header.set_name(std::string(kMaxHeaderName, 'x'));
        CHECK_FALSE(checked(message.SerializeAsString()));
        header.set_name(std::string(kMaxHeaderName + 1, 'x'));
        CHECK(checked(message.SerializeAsString()) == ErrorCode::kInvalid);
        header.set_name("");
        CHECK(checked(message.SerializeAsString()) == ErrorCode::kInvalid);
        header.set_name("a\x1F");
        CHECK(checked(message.SerializeAsString()) == ErrorCode::kInvalid);
        header.set_name("a b");
        CHECK_FALSE(checked(message.SerializeAsString()));
    }
    SECTION("text") {
        v1::Message message;
        message.set_subject(std::string(kMaxPropertyBytes, 'x'));
        CHECK_FALSE(checked(message.SerializeAsString()));
        message.set_subject(std::string(kMaxPropertyBytes + 1, 'x'));
        CHECK(checked(message.SerializeAsString()) == ErrorCode::kInvalid);
    }
    SECTION("A-3 priority") {
        v1::Message message;
        message.set_priority(4);
        CHECK_FALSE(checked(message.SerializeAsString()));
        message.set_priority(9);
        CHECK_FALSE(checked(message.SerializeAsString()));
        message.set_priority(10);
        CHECK(checked(message.SerializeAsString()) == ErrorCode::kInvalid);
    }
}

TEST_CASE("what a message asks for is told, and only if it asks for anything", "[protocol][message]") {
    v1::Publish publish;
    publish.add_messages()->set_body("plain");
    PublishView view;
    REQUIRE(read_publish(publish.SerializeAsString(), 1 << 20, view));
    CHECK(view.traits.empty());
    publish.add_messages()->set_priority(9);
    publish.add_messages()->set_priority(4);
    publish.add_messages()->set_delay_ms(1'500);
    publish.add_messages()->set_not_before_ms(kMaxTimeMs);
    REQUIRE(read_publish(publish.SerializeAsString(), 1 << 20, view));
    CHECK(view.traits ==
          std::vector<MessageTraits>{{}, {9}, {}, {kDefaultPriority, 1'500, 0}, {kDefaultPriority, 0, kMaxTimeMs}});
    CHECK(view.traits[3].due_ms(10'000) == 11'500);
    CHECK(view.traits[4].due_ms(10'000) == kMaxTimeMs);
    CHECK(view.traits[0].due_ms(10'000) <= 10'000);
    publish.clear_messages();
    publish.add_messages()->set_body("plain again");
    REQUIRE(read_publish(publish.SerializeAsString(), 1 << 20, view));
    CHECK(view.traits.empty());
}

TEST_CASE("delays and times are taken to their limits, and exclude each other", "[protocol][message]") {
    const auto check = [](std::uint64_t delay, std::int64_t not_before) {
        v1::Message message;
        message.set_delay_ms(delay);
        message.set_not_before_ms(not_before);
        return checked(message.SerializeAsString());
    };
    CHECK_FALSE(check(kMaxTimeMs, 0));
    CHECK(check(kMaxTimeMs + 1, 0) == ErrorCode::kInvalid);
    CHECK_FALSE(check(0, kMaxTimeMs));
    CHECK(check(0, kMaxTimeMs + 1) == ErrorCode::kInvalid);
    CHECK(check(0, -1) == ErrorCode::kInvalid);
    CHECK(check(UINT64_MAX, 0) == ErrorCode::kInvalid);
    CHECK(check(1, 1) == ErrorCode::kInvalid);
}

TEST_CASE("times, tries and keys are read, each within its bounds", "[protocol][message]") {
    const auto read = [](const v1::Message& message) {
        MessageTraits traits;
        REQUIRE(check_message(message.SerializeAsString(), traits));
        return traits;
    };
    const auto refused = [](const v1::Message& message) {
        MessageTraits traits;
        const Result<void> ok = check_message(message.SerializeAsString(), traits);
        return !ok && ok.error().code == ErrorCode::kInvalid;
    };
    v1::Message m;
    CHECK(read((m.Clear(), m.set_ttl_ms(kMaxTimeMs), m)).ttl_ms == kMaxTimeMs);
    CHECK(refused((m.Clear(), m.set_ttl_ms(kMaxTimeMs + 1), m)));
    CHECK(read((m.Clear(), m.set_expires_at_ms(kMaxTimeMs), m)).expires_at_ms == kMaxTimeMs);
    CHECK(refused((m.Clear(), m.set_expires_at_ms(kMaxTimeMs + 1), m)));
    CHECK(refused((m.Clear(), m.set_expires_at_ms(-1), m)));
    CHECK(read((m.Clear(), m.set_deadline_ms(kMaxTimeMs), m)).deadline_ms == kMaxTimeMs);
    CHECK(refused((m.Clear(), m.set_deadline_ms(kMaxTimeMs + 1), m)));
    CHECK(refused((m.Clear(), m.set_ttl_ms(1), m.set_expires_at_ms(1), m)));
    CHECK(read((m.Clear(), m.set_max_attempts(kMaxAttempts), m)).max_attempts == kMaxAttempts);
    CHECK(refused((m.Clear(), m.set_max_attempts(kMaxAttempts + 1), m)));
    CHECK(read((m.Clear(), m.set_key("customer-7"), m)).key == base::key_hash("customer-7"));
    CHECK(read((m.Clear(), m.set_key(std::string(kMaxKeyBytes, 'k')), m)).key != 0);
    CHECK(refused((m.Clear(), m.set_key(std::string(kMaxKeyBytes + 1, 'k')), m)));
}

TEST_CASE("properties may be given with their default value", "[protocol][message]") {
    CHECK_FALSE(checked(std::string("\x52\x00\x60\x00", 4)));  // an empty key, a delay of 0
    CHECK_FALSE(checked(std::string("\x5A\x00", 2)));          // an empty dedup id
    CHECK_FALSE(checked(""));
}

TEST_CASE("a dedup id has at most 256 bytes of UTF-8, and is told from every other one", "[protocol][message]") {
    const auto hash = [](std::string_view id, std::string_view body) {
        v1::Message message;
        message.set_dedup_id(std::string(id));
        message.set_body(std::string(body));
        MessageTraits traits;
        REQUIRE(check_message(message.SerializeAsString(), traits));
        return traits.dedup;
    };
    CHECK(hash("", "x").empty());
    const base::DedupId first = hash("a", "x");
    CHECK_FALSE(first.empty());
    CHECK(hash("a", "x") == first);
    CHECK_FALSE(hash("b", "x").same_id(first));
    CHECK(hash("a", "y").same_id(first));
    CHECK(hash("a", "y") != first);
    // As on disk: the first 16 bytes of SHA-256("a"), of which one bit is set; XXH3-64("x").
    CHECK(first.high == 0xCABD1BCA128197CAULL);
    v1::Message message;
    message.set_dedup_id(std::string(kMaxDedupIdBytes, 'd'));
    CHECK_FALSE(checked(message.SerializeAsString()));
    message.set_dedup_id(std::string(kMaxDedupIdBytes + 1, 'd'));
    CHECK(checked(message.SerializeAsString()) == ErrorCode::kInvalid);
    CHECK(checked(std::string("\x5A\x02\xC3\x28", 4)) == ErrorCode::kInvalid);
    CHECK_FALSE(checked(std::string("\x58\x01", 2)));  // a number: not the field that it looks like
}

// --- read_publish -----------------------------------------------------------------------------------------------

constexpr std::size_t kMost = 1'000;

std::string record_message(const PublishView& view, std::size_t i) {
    const std::size_t start = i == 0 ? 0 : view.ends[i - 1];
    base::ByteReader in(view.records.substr(start, view.ends[i] - start));
    REQUIRE(in.u8() == 0x7A);
    std::string message(in.string());
    REQUIRE(in.ok());
    REQUIRE(in.at_end());
    return message;
}

TEST_CASE("a publish is read as protobuf reads it, message bytes untouched", "[protocol][publish]") {
    Dice dice(4);
    PublishView view;
    for (int i = 0; i < 5'000; ++i) {
        v1::Publish publish;
        publish.set_queue("jobs");
        publish.set_producer_seq(dice() >> pick(dice, 0, 63));
        publish.set_oldest_unconfirmed(dice() >> pick(dice, 0, 63));
        if (pick(dice, 0, 9) == 0) publish.set_topic("t");
        std::vector<std::string> encoded;
        bool good = true;
        for (std::uint64_t n = pick(dice, 0, 5); n != 0; --n) {
            *publish.add_messages() = random_message(dice);
            encoded.push_back(publish.messages().rbegin()->SerializeAsString());
            good = good && !expected(*publish.messages().rbegin());
        }
        const std::string body = publish.SerializeAsString();
        const Result<void> ok = read_publish(body, kMost, view);
        REQUIRE(ok.has_value() == (good && !encoded.empty()));
        if (!ok) continue;
        CHECK(view.queue == "jobs");
        CHECK(view.topic == publish.topic());
        CHECK(view.producer_seq == publish.producer_seq());
        CHECK(view.oldest_unconfirmed == publish.oldest_unconfirmed());
        REQUIRE(view.ends.size() == encoded.size());
        for (std::size_t k = 0; k < encoded.size(); ++k) REQUIRE(record_message(view, k) == encoded[k]);
        CHECK(view.gathered.empty());  // they stand together: no copy
    }
}

TEST_CASE("messages with other fields in between are gathered in order", "[protocol][publish]") {
    std::string body;
    base::ByteWriter out(body);
    const auto message = [&](const std::string& content) {
        v1::Message m;
        m.set_body(content);
        out.u8(0x7A);
        out.string(m.SerializeAsString());
    };
    message("a");
    message("b");
    out.u8(0x0A);  // queue
    out.string("jobs");
    message("c");
    out.varint(99 << 3);  // unknown
    out.varint(7);
    message("d");
    message("e");
    out.u8(0x0A);  // the last one counts
    out.string("jobs2");
    PublishView view;
    REQUIRE(read_publish(body, kMost, view));
    CHECK(view.queue == "jobs2");
    REQUIRE(view.ends.size() == 5);
    for (std::size_t i = 0; i < 5; ++i) {
        v1::Message m;
        REQUIRE(m.ParseFromString(record_message(view, i)));
        CHECK(m.body() == std::string(1, static_cast<char>('a' + i)));
    }
}

TEST_CASE("whatever publish is accepted, its records can be stored and delivered as they are", "[protocol][publish]") {
    Dice dice(5);
    PublishView view;
    int accepted = 0;
    for (int i = 0; i < 100'000; ++i) {
        v1::Publish publish;
        publish.set_queue("q");
        for (std::uint64_t n = pick(dice, 1, 3); n != 0; --n) publish.add_messages()->set_body(bytes(dice, 20));
        std::string body = publish.SerializeAsString();
        mutate(dice, body);
        if (!read_publish(body, kMost, view)) continue;
        ++accepted;
        // A Deliver frame with these records is what a client will parse.
        v1::Deliver deliver;
        INFO("iteration " << i);
        REQUIRE(deliver.ParseFromArray(view.records.data(), static_cast<int>(view.records.size())));
        REQUIRE(static_cast<std::size_t>(deliver.messages_size()) == view.ends.size());
        for (std::size_t k = 0; k < view.ends.size(); ++k) record_message(view, k);
    }
    CHECK(accepted > 5'000);
}

TEST_CASE("tags and lengths that other parsers do not read are refused", "[protocol][publish]") {
    PublishView view;
    const auto publish = [&](const std::string& record) { return read_publish("\x0A\x01q" + record, kMost, view); };
    using namespace std::string_literals;
    REQUIRE(publish("\x7A\x03\x0A\x01x"s));
    CHECK(publish("\xFA\x00\x03\x0A\x01x"s).error().code == ErrorCode::kProtocol);  // a tag of two bytes
    CHECK(publish("\x7A\x83\x00\x0A\x01x"s));  // a long length is fine as far as protobuf reads it
    CHECK(publish("\x7A\x83\x80\x80\x80\x00\x0A\x01x"s));
    CHECK(publish("\x7A\x83\x80\x80\x80\x80\x00\x0A\x01x"s).error().code == ErrorCode::kProtocol);
    // The same inside a message.
    CHECK(publish("\x7A\x08\x0A\x81\x80\x80\x80\x80\x00x"s).error().code == ErrorCode::kProtocol);
    CHECK(publish("\x7A\x08\x8A\x80\x80\x80\x80\x00\x01x"s).error().code == ErrorCode::kProtocol);
    // Groups.
    CHECK(publish("\x7A\x04\x9B\x06\x9C\x06"s).error().code == ErrorCode::kProtocol);
    CHECK(publish("\x9B\x06\x9C\x06\x7A\x03\x0A\x01x"s).error().code == ErrorCode::kProtocol);
}

TEST_CASE("limits of a publish hold exactly, and the message is named", "[protocol][limits]") {
    PublishView view;
    v1::Publish publish;
    publish.set_queue("q");
    CHECK(read_publish(publish.SerializeAsString(), kMost, view).error().code == ErrorCode::kInvalid);
    for (std::uint32_t i = 0; i < kMaxMessagesPerFrame; ++i) publish.add_messages()->set_body("x");
    CHECK(read_publish(publish.SerializeAsString(), kMost, view));
    publish.add_messages()->set_body("x");
    CHECK(read_publish(publish.SerializeAsString(), kMost, view).error().code == ErrorCode::kInvalid);

    publish.clear_messages();
    publish.add_messages()->set_body("x");
    publish.add_messages()->set_body(std::string(kMost - 3, 'x'));
    REQUIRE(publish.messages(1).ByteSizeLong() == kMost);
    CHECK(read_publish(publish.SerializeAsString(), kMost, view));
    const Result<void> large = read_publish(publish.SerializeAsString(), kMost - 1, view);
    REQUIRE_FALSE(large);
    CHECK(large.error().code == ErrorCode::kTooLarge);
    CHECK(large.error().text.find("message 1 ") != std::string::npos);
    publish.mutable_messages(1)->set_key(std::string(kMaxKeyBytes + 1, 'k'));
    CHECK(read_publish(publish.SerializeAsString(), 2 * kMost, view).error().text.find("message 1 ") !=
          std::string::npos);
}

}  // namespace
}  // namespace rockdove::protocol

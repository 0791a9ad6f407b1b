#include <catch2/catch.hpp>

#include "client/src/access.h"
#include "client/src/fast_id.h"
#include "protocol/wire.h"
#include "rockdove/v1/message.pb.h"
#include "tests/unit/client/fake_broker.h"

using namespace rockdove;
using namespace std::chrono_literals;

namespace {

v1::Message decoded(const Message& message) {
    std::string record;
    detail::Access::encode(message, record);
    protocol::FieldReader in(record);
    REQUIRE(in.next());
    REQUIRE(in.field().number == 15);
    REQUIRE(in.field().bytes.size() == detail::Access::encoded_size(message));
    v1::Message read;
    REQUIRE(read.ParseFromArray(in.field().bytes.data(), static_cast<int>(in.field().bytes.size())));
    REQUIRE_FALSE(in.next());
    REQUIRE(in.ok());
    return read;
}

}  // namespace

TEST_CASE("a message is encoded as the generated code would read it", "[client][message]") {
    const Message message = Message{"body"}
                                .header("a", "1")
                                .header("a", std::string("\0\xff", 2))
                                .content_type("text/plain")
                                .subject("eu.created")
                                .correlation_id("c-1")
                                .reply_to("answers")
                                .trace("00-aa-bb-01", "x=y")
                                .priority(0)
                                .key("customer-9")
                                .dedup_id("d")
                                .delay(15min)
                                .deliver_at(Clock::time_point(1'700'000'000s))
                                .ttl(1h)
                                .max_attempts(3);
    const v1::Message read = decoded(message);
    CHECK(read.body() == "body");
    REQUIRE(read.headers_size() == 2);
    CHECK(read.headers(0).value() == "1");
    CHECK(read.headers(1).name() == "a");
    CHECK(read.headers(1).value() == std::string("\0\xff", 2));
    CHECK(read.content_type() == "text/plain");
    CHECK(read.subject() == "eu.created");
    CHECK(read.correlation_id() == "c-1");
    CHECK(read.reply_to() == "answers");
    CHECK(read.traceparent() == "00-aa-bb-01");
    CHECK(read.tracestate() == "x=y");
    CHECK(read.has_priority());
    CHECK(read.priority() == 0);
    CHECK(read.key() == "customer-9");
    CHECK(read.dedup_id() == "d");
    CHECK(read.delay_ms() == 900'000);
    CHECK(read.not_before_ms() == 1'700'000'000'000);
    CHECK(read.ttl_ms() == 3'600'000);
    CHECK(read.max_attempts() == 3);
}

TEST_CASE("bare bodies of every length class are encoded alike", "[client][message]") {
    const std::size_t size = GENERATE(0, 1, 100, 124, 125, 126, 127, 128, 16'379, 16'384, 300'000);
    const std::string body(size, 'x');
    CHECK(decoded(Message{body}).body() == body);
}

TEST_CASE("a message is a value: copies do not share properties", "[client][message]") {
    Message first = Message{"x"}.header("h", "1");
    Message second = first;
    second.header("i", "2");
    CHECK(first.header("h") == "1");
    CHECK_FALSE(first.header("i"));
    CHECK(second.header("i") == "2");
    first = std::move(second);
    CHECK(first.header("i") == "2");
}

TEST_CASE("what can be seen to be wrong is refused by the setter", "[client][message]") {
    const auto refused = [](const std::function<void()>& call) {
        return test::error_of(call).code() == ErrorCode::kInvalid;
    };
    CHECK(refused([] { Message().priority(10); }));
    CHECK(refused([] { Message().priority(-1); }));
    CHECK(refused([] { Message().delay(-1ms); }));
    CHECK(refused([] { Message().ttl(0ms); }));
    CHECK(refused([] { Message().header("", "x"); }));
    CHECK(refused([] { (void)Outcome::retry("x", -1ms); }));
}

TEST_CASE("ids of a run equal the one formatter's", "[client][message]") {
    for (unsigned last = 0; last < 256; last += 5) {
        std::string prefix("\x01\x8b\x3c\x1a\x2b\x3c\x12\x34\x56\x00", 10);
        prefix.back() = static_cast<char>(last);
        detail::IdRun ids(prefix);
        for (const std::uint64_t sequence : {1ULL, 31ULL, 32ULL, 1'000'000ULL, (1ULL << 48) - 1}) {
            CHECK(ids(sequence) == base::format_message_id(prefix, base::Sequence(sequence)));
        }
    }
    CHECK(detail::IdRun("")(1).empty());
}

#include "tools/ctl/text/message_format.h"

#include <catch2/catch.hpp>

using namespace rockdove::ctl;
using namespace std::string_literals;

namespace {

std::string formatted(std::string_view format) {
    MessageView message;
    message.id = "01JD";
    message.body = "hello";
    message.key = "customer-9";
    message.queue = "emails";
    message.sequence = 42;
    message.attempt = 2;
    message.commit_time_ms = 1'709'210'096'789;
    message.header = [](std::string_view name) -> std::string_view { return name == "colour" ? "grey" : ""; };
    const MessageFormat compiled(format);
    REQUIRE(compiled.ok());
    std::string out;
    compiled.append(out, message);
    return out;
}

}  // namespace

TEST_CASE("every code of --format gives its part of the message", "[ctl][format]") {
    CHECK(formatted("%i\\t%b\\n") == "01JD\thello\n");
    CHECK(formatted("%s %a %k %q") == "42 2 customer-9 emails");
    CHECK(formatted("%t") == "2024-02-29T12:34:56.789Z");
    CHECK(formatted("[%h{colour}][%h{size}]") == "[grey][]");
    CHECK(formatted("100%%") == "100%");
}

TEST_CASE("escapes of --format stand for bytes", "[ctl][format]") {
    CHECK(formatted("%b\\0") == "hello\0"s);
    CHECK(formatted("a\\\\b\\r\\x1F\\x7e") == "a\\b\r\x1f~");
}

TEST_CASE("a mistake in --format is named with its place", "[ctl][format]") {
    CHECK(MessageFormat("ab%z").error().find("%z at position 3") != std::string::npos);
    CHECK(MessageFormat("%").error().find("%%") != std::string::npos);
    CHECK(MessageFormat("%h{").error().find("%h{name}") != std::string::npos);
    CHECK(MessageFormat("%h{}").error().find("%h{name}") != std::string::npos);
    CHECK_FALSE(MessageFormat("\\y").ok());
    CHECK_FALSE(MessageFormat("\\x1").ok());
    CHECK_FALSE(MessageFormat("\\").ok());
}

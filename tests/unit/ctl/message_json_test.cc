#include "tools/ctl/message_json.h"

#include <catch2/catch.hpp>

#include "tools/ctl/queue_info.h"

using namespace rockdove;
using namespace rockdove::ctl;
using namespace std::string_literals;

TEST_CASE("UTF-8 is told from bytes", "[ctl][json]") {
    CHECK(is_utf8(""));
    CHECK(is_utf8("plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x95\x8a"));
    const std::string bytes = GENERATE("\xff"s, "\xc3"s, "\xc0\x80"s, "\xed\xa0\x80"s, "\xf4\x90\x80\x80"s, "a\x80"s);
    CHECK_FALSE(is_utf8(bytes));
}

TEST_CASE("bytes are written in base64", "[ctl][json]") {
    CHECK(to_base64("") == "");
    CHECK(to_base64("f") == "Zg==");
    CHECK(to_base64("fo") == "Zm8=");
    CHECK(to_base64("foo") == "Zm9v");
    CHECK(to_base64("foobar") == "Zm9vYmFy");
    CHECK(to_base64("\xff\xfe\x00"s) == "//4A");
}

TEST_CASE("a message shows what is set and no more", "[ctl][json]") {
    v1::Message message;
    message.set_body("hi");
    CHECK(message_json(message).dump() == R"({"body":"hi"})");
    auto* header = message.add_headers();
    header->set_name("lang");
    header->set_value("en");
    message.set_key("k");
    message.set_priority(9);
    CHECK(message_json(message).dump() ==
          R"({"body":"hi","headers":[{"name":"lang","value":"en"}],"key":"k","priority":9})");
    message.set_body("\xff");
    CHECK(message_json(message)["body_base64"] == "/w==");
    CHECK_FALSE(message_json(message).contains("body"));
}

TEST_CASE("a queue's numbers stay numbers, its durations seconds", "[ctl][json]") {
    v1::QueueInfo info;
    info.set_name("files");
    info.set_ready(18'446'744'073'709'551'615u);
    info.set_oldest_commit_time_ms(1'000);
    info.mutable_settings()->set_durability(v1::ASYNC);
    info.mutable_settings()->set_lease_ms(1'500);
    info.mutable_settings()->set_backoff_longest_ms(600'000);
    const Json json = queue_json(info, 13'000);
    CHECK(json["ready"].is_number_unsigned());
    CHECK(json["ready"].get<std::uint64_t>() == 18'446'744'073'709'551'615u);
    CHECK(json["oldest_seconds"] == 12);
    CHECK(json["oldest_time"] == "1970-01-01T00:00:01.000Z");
    CHECK(json["durability"] == "async");
    CHECK(json["lease_seconds"] == 1.5);
    CHECK(json["backoff_longest_seconds"] == 600);
    CHECK(json["state"] == "ok");
    info.set_oldest_commit_time_ms(0);
    CHECK(queue_json(info, 13'000)["oldest_seconds"].is_null());
}

TEST_CASE("every column of a list and every field of a record is in the JSON", "[ctl][json]") {
    const Json json = queue_json(v1::QueueInfo(), 0);
    for (const Column& column : queue_list_columns()) CHECK(json.contains(column.key));
    for (const Column& column : queue_show_fields()) CHECK(json.contains(column.key));
}

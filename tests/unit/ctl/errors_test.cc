#include "tools/ctl/text/errors.h"

#include <catch2/catch.hpp>
#include <cctype>

#include "rockdove/v1/message.pb.h"

using namespace rockdove;
using namespace rockdove::ctl;

TEST_CASE("the catalogue has every code of the wire under its name", "[ctl][errors]") {
    const auto* codes = v1::ErrorCode_descriptor();
    CHECK(error_catalog().size() + 1 == static_cast<std::size_t>(codes->value_count()));
    for (int i = 0; i < codes->value_count(); ++i) {
        const auto* value = codes->value(i);
        if (value->number() == 0) continue;
        std::string name = value->name();
        for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        CAPTURE(name);
        const ErrorEntry* entry = find_error(value->number());
        REQUIRE(entry != nullptr);
        CHECK(entry->name == name);
        CHECK(find_error(value->name()) == entry);
        CHECK_FALSE(entry->meaning.empty());
        CHECK_FALSE(entry->advice.empty());
        CHECK_FALSE(entry->look.empty());
    }
    CHECK(find_error("nonsense") == nullptr);
    CHECK(find_error(0) == nullptr);
    CHECK(find_error("stale-lease") == find_error(20));
    CHECK(find_error("20") == find_error(20));
}

TEST_CASE("exit codes are those that scripts rely on", "[ctl][errors]") {
    CHECK(find_error("unavailable")->exit == 7);
    CHECK(find_error("timed_out")->exit == 6);
    CHECK(find_error("auth_failed")->exit == 4);
    CHECK(find_error("forbidden")->exit == 4);
    CHECK(find_error("not_found")->exit == 3);
    CHECK(find_error("already_exists")->exit == 5);
    CHECK(find_error("conflict")->exit == 5);
    CHECK(find_error("invalid")->exit == 2);
    CHECK(find_error("full")->exit == 1);
    CHECK(usage_failure("x").exit == 2);
    CHECK(kPartly == 8);
    CHECK(kInterrupted == 130);
}

TEST_CASE("an error says what happened, what to try and where to read on", "[ctl][errors]") {
    CHECK(describe(coded_failure(8, "queue \"email\" not found")) ==
          "error: queue \"email\" not found\n"
          "  try: Look at the list of names, or create it.\n"
          "  code: not_found (rockdove errors show not_found)\n");
    CHECK(describe(usage_failure("no body", "give it as an argument")) ==
          "error: no body\n  try: give it as an argument\n");
    CHECK(describe(local_failure("disk on fire")) == "error: disk on fire\n");
}

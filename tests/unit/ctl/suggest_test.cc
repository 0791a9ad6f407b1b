#include "tools/ctl/text/suggest.h"

#include <catch2/catch.hpp>

using namespace rockdove::ctl;

TEST_CASE("the distance counts inserted, deleted, replaced and swapped letters", "[ctl][suggest]") {
    CHECK(edit_distance("", "abc") == 3);
    CHECK(edit_distance("send", "send") == 0);
    CHECK(edit_distance("sedn", "send") == 1);
    CHECK(edit_distance("sent", "send") == 1);
    CHECK(edit_distance("kitten", "sitting") == 3);
}

TEST_CASE("a near word is suggested, a far one is not", "[ctl][suggest]") {
    const std::vector<std::string> queues = {"emails", "thumbnails", "orders"};
    CHECK(closest("email", queues) == "emails");
    CHECK(closest("ordres", queues) == "orders");
    CHECK(closest("thumb", queues) == "thumbnails");
    CHECK(closest("zzz", queues).empty());
    CHECK(closest("x", {"y"}).empty());
    CHECK(did_you_mean("email", queues) == " Did you mean \"emails\"?");
    CHECK(did_you_mean("zzz", queues).empty());
}

#include "tools/ctl/command_runner.h"

#include <catch2/catch.hpp>
#include <csignal>

using namespace rockdove::ctl;

TEST_CASE("the exit code of a command settles its message", "[ctl][exec]") {
    CHECK(settlement_of({0, 0, ""}, false) == Settlement::kAck);
    CHECK(settlement_of({75, 0, ""}, false) == Settlement::kRelease);
    CHECK(settlement_of({65, 0, ""}, false) == Settlement::kReject);
    CHECK(settlement_of({1, 0, ""}, false) == Settlement::kRetry);
    CHECK(settlement_of({127, 0, ""}, false) == Settlement::kRetry);
    CHECK(settlement_of({-1, SIGSEGV, ""}, false) == Settlement::kRetry);
    CHECK(settlement_of({-1, 0, "no memory"}, false) == Settlement::kRetry);
}

TEST_CASE("a command killed by our Ctrl-C is not to blame", "[ctl][exec]") {
    CHECK(settlement_of({-1, SIGINT, ""}, true) == Settlement::kRelease);
    CHECK(settlement_of({128 + SIGTERM, 0, ""}, true) == Settlement::kRelease);
    CHECK(settlement_of({-1, SIGINT, ""}, false) == Settlement::kRetry);
    CHECK(settlement_of({0, 0, ""}, true) == Settlement::kAck);
    CHECK(settlement_of({1, 0, ""}, true) == Settlement::kRetry);
}

TEST_CASE("the reason of a retry says how the command ended", "[ctl][exec]") {
    CHECK(reason_of({3, 0, ""}) == "the command ended with exit code 3");
    CHECK(reason_of({-1, 9, ""}) == "the command was ended by signal 9");
    CHECK(reason_of({-1, 0, "no memory"}) == "cannot start the command: no memory");
}

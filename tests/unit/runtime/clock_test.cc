#include "server/runtime/clock.h"

#include <catch2/catch.hpp>

#include "shard_fixture.h"

namespace rockdove::runtime {
namespace {

TimePoint wall() { return std::chrono::time_point_cast<Millis>(std::chrono::system_clock::now()); }

TEST_CASE("the broker's clock starts at wall time and never goes back", "[runtime][clock]") {
    const TimePoint before = wall();
    const BrokerClock clock(std::int64_t{0});
    TimePoint last = clock.now();
    CHECK(last >= before);
    CHECK(last <= wall() + Millis(1));
    for (int i = 0; i < 10'000; ++i) {
        const TimePoint now = clock.now();
        REQUIRE(now >= last);
        last = now;
    }
}

TEST_CASE("a clock set back by an hour does not turn the broker's time back over a restart", "[runtime][clock]") {
    const TimePoint future = wall() + Millis(3'600'000);
    const BrokerClock clock(to_unix_ms(future));
    CHECK(clock.now() >= future);
    CHECK(clock.now() < future + Millis(60'000));
}

TEST_CASE("a test clock stands still until it is moved", "[runtime][clock]") {
    const TimePoint start = from_unix_ms(5'000);
    BrokerClock clock(start);
    CHECK(clock.frozen());
    CHECK_FALSE(BrokerClock(std::int64_t{0}).frozen());
    CHECK(clock.now() == start);
    clock.move_to(start);
    clock.move_to(start + Millis(250));
    CHECK(clock.now() == start + Millis(250));
}

TEST_CASE("a shard goes on from the last time in its store", "[runtime][clock]") {
    const auto disk = std::make_shared<storage::MemoryBacking>();
    const TimePoint future = wall() + Millis(3'600'000);
    {
        storage::MemoryStore store(disk);
        storage::WriteSet writes;
        storage::CommitStamp stamp;
        stamp.lsn = Lsn(1);
        stamp.time_ms = to_unix_ms(future);
        REQUIRE(store.commit(writes, stamp).outcome == storage::CommitOutcome::kDurable);
    }
    ShardFixture fixture(disk);
    fixture.publish(1);
    fixture.session->wait([](const Told& told) { return told.confirms.contains(1); });
    CHECK(fixture.session->told().confirms.at(1).commit_time_ms >= to_unix_ms(future));
    fixture.shard.stop();
}

}  // namespace
}  // namespace rockdove::runtime

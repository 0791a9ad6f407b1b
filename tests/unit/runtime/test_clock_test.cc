// The test clock with a shard's real threads: moves wait for what is under way, and are on disk when answered.
#include "server/runtime/test_clock.h"

#include <catch2/catch.hpp>

#include "shard_fixture.h"

namespace rockdove::runtime {
namespace {

constexpr Millis kDay{86'400'000};
constexpr TimePoint kStart{Millis(1'700'000'000'000)};

ShardOptions frozen() {
    ShardOptions options;
    options.frozen_at = kStart;
    return options;
}

std::shared_ptr<storage::MemoryBacking> backing() { return std::make_shared<storage::MemoryBacking>(); }

// An advance and its answer. Any thread.
class Move {
public:
    Move(const std::vector<Shard*>& shards, Millis by, TimePoint latest = kStart + 1'000 * kDay) {
        advance_clock(shards, by, latest,
                      [answer = answer_](const Result<TimePoint>& time) { answer->set_value(time); });
    }
    [[nodiscard]] bool answered() const {
        return future_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    }
    [[nodiscard]] Result<TimePoint> answer() const {
        REQUIRE(future_.wait_for(kDeadline) == std::future_status::ready);
        return future_.get();
    }

private:
    std::shared_ptr<std::promise<Result<TimePoint>>> answer_ = std::make_shared<std::promise<Result<TimePoint>>>();
    std::shared_future<Result<TimePoint>> future_ = answer_->get_future().share();
};

std::int64_t stored_time(const std::shared_ptr<storage::MemoryBacking>& disk) {
    return storage::MemoryStore(disk).opened().time_ms;
}

TEST_CASE("an advance with nothing else to write is on disk when it is answered", "[runtime][test_clock]") {
    const auto disk = backing();
    ShardFixture fixture(disk, {}, frozen());
    fixture.run([&] { CHECK(fixture.shard.now() == kStart); });
    const Move move({&fixture.shard}, 3 * kDay);
    CHECK(*move.answer() == kStart + 3 * kDay);
    fixture.run([&] { CHECK(fixture.shard.now() == kStart + 3 * kDay); });
    CHECK(stored_time(disk) == to_unix_ms(kStart + 3 * kDay));
}

TEST_CASE("K-1 time stands still between moves, and messages are stamped with it", "[runtime][test_clock]") {
    ShardFixture fixture(backing(), {}, frozen());
    fixture.publish(1);
    fixture.session->wait([](const Told& told) { return told.confirms.contains(1); });
    REQUIRE(Move({&fixture.shard}, kDay).answer());
    fixture.publish(2);
    fixture.session->wait([](const Told& told) { return told.confirms.contains(2); });
    const Told told = fixture.session->told();
    CHECK(told.confirms.at(1).commit_time_ms == to_unix_ms(kStart));
    CHECK(told.confirms.at(2).commit_time_ms == to_unix_ms(kStart + kDay));
}

TEST_CASE("an advance is answered when the lease that it ends is stored as ended", "[runtime][test_clock]") {
    const auto disk = backing();
    {
        ShardFixture fixture(disk, {}, frozen());
        fixture.publish(1);
        fixture.consume();
        fixture.session->wait([](const Told& told) { return told.delivered.size() == 1; });
        fixture.run([&] { REQUIRE(fixture.ns().set_credit(SessionId(1), 1, 0, 0)); });
        REQUIRE(Move({&fixture.shard}, Millis(32'000)).answer());
        CHECK(fixture.info().ready == 1);
        CHECK(fixture.session->told().delivered.size() == 1);
    }
    ShardOptions options = frozen();
    options.frozen_at = from_unix_ms(stored_time(disk));
    ShardFixture again(disk, {}, options);
    CHECK(again.info().ready == 1);
    again.consume();
    again.session->wait([](const Told& told) { return told.attempts == std::vector<std::uint32_t>{2}; });
}

TEST_CASE("an advance waits for the commit that is under way, and sessions wait for it", "[runtime][test_clock]") {
    ShardFixture fixture(backing(), {}, frozen());
    fixture.consume();
    fixture.faulty.hold();
    fixture.publish(1);
    fixture.faulty.wait_until_held();
    const Move move({&fixture.shard}, kDay);
    fixture.run([&] {
        CHECK(fixture.shard.stage_full());
        CHECK(fixture.shard.now() == kStart);
        CHECK(fixture.shard.clock_target() == kStart + kDay);
    });
    CHECK_FALSE(move.answered());
    fixture.faulty.release_one();
    fixture.faulty.wait_until_held();  // the delivery's start
    fixture.run([&] { CHECK(fixture.shard.now() == kStart); });
    fixture.faulty.release_one();
    fixture.faulty.wait_until_held();  // the move, with the lease that it ended
    fixture.run([&] {
        CHECK(fixture.shard.now() == kStart + kDay);
        CHECK_FALSE(fixture.shard.stage_full());
    });
    CHECK_FALSE(move.answered());
    fixture.faulty.release();
    CHECK(move.answer());
    fixture.session->wait([](const Told& told) { return told.attempts == std::vector<std::uint32_t>{1, 2}; });
}

TEST_CASE("advances asked for together are made one after the other", "[runtime][test_clock]") {
    ShardFixture fixture(backing(), {}, frozen());
    std::vector<Move> moves;
    for (int i = 0; i < 100; ++i) moves.emplace_back(std::vector<Shard*>{&fixture.shard}, Millis(1));
    for (int i = 0; i < 100; ++i) CHECK(*moves[static_cast<std::size_t>(i)].answer() == kStart + Millis(i + 1));
}

TEST_CASE("the clock goes to its limit and not beyond, in one move or in several", "[runtime][test_clock]") {
    ShardFixture fixture(backing(), {}, frozen());
    const TimePoint latest = kStart + 10 * kDay;
    const std::vector<Shard*> shards{&fixture.shard};
    CHECK(Move(shards, 10 * kDay + Millis(1), latest).answer().error().code == ErrorCode::kInvalid);
    CHECK(*Move(shards, 9 * kDay, latest).answer() == kStart + 9 * kDay);
    CHECK(Move(shards, 2 * kDay, latest).answer().error().code == ErrorCode::kInvalid);
    CHECK(*Move(shards, kDay, latest).answer() == latest);
    CHECK(*Move(shards, Millis(0), latest).answer() == latest);
    CHECK(Move(shards, Millis(1), latest).answer().error().code == ErrorCode::kInvalid);
    CHECK(Move(shards, Millis::max(), latest).answer().error().code == ErrorCode::kInvalid);
    CHECK(Move(shards, Millis(1), kStart).answer().error().code == ErrorCode::kInvalid);  // a machine's clock set back
}

TEST_CASE("a real clock is not moved", "[runtime][test_clock]") {
    ShardFixture fixture;
    const Result<TimePoint> answer = Move({&fixture.shard}, kDay).answer();
    CHECK(answer.error().code == ErrorCode::kUnsupported);
    CHECK(answer.error().text.find("--test-clock") != std::string::npos);
}

TEST_CASE("an advance whose commit fails is answered with the failure, and so are those behind it",
          "[runtime][test_clock]") {
    ShardFixture fixture(backing(), {}, frozen());
    fixture.faulty.hold();
    fixture.faulty.fail_commit(1, storage::Fault::kFailed);
    const Move first({&fixture.shard}, kDay);
    fixture.faulty.wait_until_held();
    const Move second({&fixture.shard}, kDay);
    fixture.faulty.release();
    CHECK(first.answer().error().code == ErrorCode::kUnavailable);
    CHECK(second.answer().error().code == ErrorCode::kUnavailable);
    CHECK(Move({&fixture.shard}, kDay).answer().error().code == ErrorCode::kUnavailable);
}

TEST_CASE("all shards are moved alike, and are answered for together", "[runtime][test_clock]") {
    const std::vector<std::shared_ptr<storage::MemoryBacking>> disks{backing(), backing(), backing()};
    std::vector<std::unique_ptr<storage::MemoryStore>> stores;
    std::vector<std::unique_ptr<Shard>> shards;
    std::vector<Shard*> all;
    for (std::uint16_t id = 0; id < 3; ++id) {
        stores.push_back(std::make_unique<storage::MemoryStore>(disks[id]));
        shards.push_back(std::make_unique<Shard>(ShardId(id), *stores.back(), frozen()));
        all.push_back(shards.back().get());
        REQUIRE(shards.back()->start());
    }
    const Move first(all, kDay);
    const Move second(all, kDay);
    CHECK(*first.answer() == kStart + kDay);
    CHECK(*second.answer() == kStart + 2 * kDay);
    for (const auto& shard : shards) shard->stop();
    for (const auto& disk : disks) CHECK(stored_time(disk) == to_unix_ms(kStart + 2 * kDay));
}

}  // namespace
}  // namespace rockdove::runtime

// Much time that passes at once, as with a test clock (SEMANTICS section 15): what falls due on the way happens at its own
// time, and deliveries are chosen at the end.
#include <catch2/catch.hpp>

#include "tests/support/core_fixture.h"

namespace rockdove::test {
namespace {

using Bodies = std::vector<std::string>;

constexpr Millis kDay{86'400'000};

Answered send_later(NamespaceFixture& queue, const std::string& body, Millis delay) {
    base::MessageTraits traits;
    traits.delay_ms = delay.count();
    Batch batch;
    batch.add(body, traits);
    return queue.publish(batch);
}

TEST_CASE("what became due on the way is delivered at the end, in its order", "[core][test_clock]") {
    QueueFixture queue;
    REQUIRE(send_later(queue, "third", 3 * kDay).confirm);
    REQUIRE(send_later(queue, "first", kDay).confirm);
    REQUIRE(send_later(queue, "never yet", 10 * kDay).confirm);
    REQUIRE(send_later(queue, "second", 2 * kDay).confirm);
    queue.jump(3 * kDay - Millis(1));
    CHECK(queue.info().ready == 2);
    queue.jump(Millis(1));
    CHECK(queue.info().ready == 3);
    CHECK(queue.info().scheduled == 1);
    REQUIRE(queue.consume());
    CHECK(queue.take_bodies() == Bodies{"first", "second", "third"});
}

TEST_CASE("a retry waits from when its lease ended, not from where the clock stops", "[core][test_clock]") {
    QueueFixture queue;  // lease 30 s, then a backoff of 1 s
    REQUIRE(queue.publish({"a"}).confirm);
    REQUIRE(queue.consume(one_at_a_time()));
    const Received first = queue.next();
    CHECK(queue.credit(0));
    queue.jump(Millis(30'999));
    CHECK(queue.info().waiting == 1);
    queue.jump(Millis(1));
    CHECK(queue.info().ready == 1);
    CHECK(queue.credit(1));
    queue.turn();
    const Received second = queue.next();
    CHECK(second.attempt == 2);
    // Both on the way of one jump.
    CHECK(queue.credit(0));
    queue.jump(kDay);
    CHECK(queue.info().ready == 1);
    CHECK(queue.ack(second).settled->stale.size() == 1);
}

TEST_CASE("a consumer gets its message at the end, with a whole lease", "[core][test_clock]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    REQUIRE(send_later(queue, "a", Millis(3'600'000)).confirm);
    queue.jump(3 * kDay);
    const Received message = queue.next();
    CHECK(message.attempt == 1);
    queue.jump(Millis(29'999));
    CHECK(queue.ack(message).settled->count == 1);
}

TEST_CASE("a lease burns at most one attempt in a jump, however far", "[core][test_clock]") {
    QueueFixture queue;
    REQUIRE(queue.publish({"a"}).confirm);
    REQUIRE(queue.consume());
    CHECK(queue.next().attempt == 1);
    for (std::uint32_t attempt = 2; attempt <= 5; ++attempt) {
        queue.jump(365 * kDay);
        CHECK(queue.next().attempt == attempt);
    }
    queue.jump(365 * kDay);
    CHECK(queue.untaken() == 0);
    REQUIRE(queue.dead_letter(Sequence(1)));
    // It died when its lease ended.
    const std::int64_t died = queue.dead_letter(Sequence(1))->record.deaths.back().time_ms;
    CHECK(died == to_unix_ms(queue.now()) - (365 * kDay).count() + 30'000);
}

TEST_CASE("a lost consumer's messages come back when its grace has passed", "[core][test_clock]") {
    QueueFixture queue;
    REQUIRE(queue.publish({"a", "b"}).confirm);
    REQUIRE(queue.consume());
    CHECK(queue.take_bodies() == Bodies{"a", "b"});
    queue.disconnect(SessionId(1));
    queue.jump(Millis(4'999));
    CHECK(queue.info().started == 2);
    queue.jump(Millis(1));
    CHECK(queue.info().ready == 2);
}

TEST_CASE("an idle producer is forgotten after a day of test time", "[core][test_clock]") {
    QueueFixture queue;
    REQUIRE(queue.connect(SessionId(2), "p"));
    PublishOptions options;
    options.session = SessionId(2);
    options.producer_seq = 1;
    REQUIRE(queue.publish({"a"}, options).confirm);
    queue.disconnect(SessionId(2));
    const auto records = [&] {
        std::size_t count = 0;
        const auto [begin, end] = storage::tag_range(queue.ns().id(), storage::Tag::kProducer);
        REQUIRE(queue.store().scan(begin, end, [&](const storage::RecordView&) { return ++count > 0; }));
        return count;
    };
    CHECK(records() == 1);
    queue.jump(2 * kDay);
    CHECK(records() == 0);
}

TEST_CASE("a jump of a hundred years over a full queue takes no step for each lease that could have been",
          "[core][test_clock]") {
    QueueFixture queue;
    REQUIRE(queue.publish(numbered(1'000)).confirm);
    REQUIRE(queue.consume());
    REQUIRE(queue.untaken() == 1'000);
    queue.jump(36'500 * kDay);
    CHECK(queue.untaken() == 2'000);
    CHECK(queue.info().started == 1'000);
}

}  // namespace
}  // namespace rockdove::test

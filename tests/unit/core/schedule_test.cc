// Messages sent with a delay: not before they are due, then at their place.
#include <catch2/catch.hpp>

#include "protocol/limits.h"
#include "tests/support/core_fixture.h"

namespace rockdove::test {
namespace {

using Bodies = std::vector<std::string>;
using base::MessageTraits;

MessageTraits delayed(std::int64_t ms, std::uint8_t priority = base::kDefaultPriority) {
    MessageTraits traits;
    traits.priority = priority;
    traits.delay_ms = ms;
    return traits;
}

Answered send(NamespaceFixture& queue, const std::string& body, MessageTraits traits = {}) {
    Batch batch;
    batch.add(body, traits);
    return queue.publish(batch);
}

TEST_CASE("a scheduled message is delivered when it is due, not a millisecond before", "[core][schedule]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    const bool restarts = GENERATE(false, true);
    const bool by_time = GENERATE(false, true);
    MessageTraits traits = delayed(5'000);
    if (by_time) {
        traits.delay_ms = 0;
        traits.not_before_ms = to_unix_ms(queue.now()) + 5'000;
    }
    REQUIRE(send(queue, "later", traits).confirm);
    CHECK(queue.info().scheduled == 1);
    CHECK(queue.info().ready == 0);
    CHECK(queue.info().bytes == Batch::message_bytes(5));
    if (restarts) {
        queue.restart();
        queue.reconnect();
        REQUIRE(queue.consume());
    }
    queue.advance(Millis(4'999));
    CHECK(queue.untaken() == 0);
    CHECK(queue.info().scheduled == 1);
    queue.advance(Millis(1));
    const Received message = queue.next();
    CHECK(message.body == "later");
    CHECK(message.attempt == 1);
    CHECK(message.lease == 1);
    CHECK(queue.info().scheduled == 0);
    CHECK(queue.info().started == 1);
    CHECK(queue.ack(message).settled->count == 1);
    CHECK(queue.info().bytes == 0);
    queue.restart();
    CHECK(queue.info().next_seq == 2);
    CHECK(queue.info().scheduled == 0);
}

TEST_CASE("a time that has passed delays nothing", "[core][schedule]") {
    QueueFixture queue;
    MessageTraits past;
    past.not_before_ms = to_unix_ms(queue.now());
    send(queue, "past", past);
    send(queue, "next");
    CHECK(queue.info().scheduled == 0);
    REQUIRE(queue.consume(one_at_a_time()));
    CHECK(drain(queue) == Bodies{"past", "next"});
}

TEST_CASE("E-5 what is due takes its place among what was stored at that time", "[core][schedule]") {
    QueueFixture queue;
    send(queue, "due at 1000", delayed(1'000));
    send(queue, "due at 500", delayed(500));
    send(queue, "stored at 0");
    queue.advance(Millis(700));
    send(queue, "stored at 700");
    send(queue, "due at 1000 too", delayed(300));
    queue.advance(Millis(1'000));
    send(queue, "stored at 1700");
    const bool restarts = GENERATE(false, true);
    if (restarts) {
        queue.restart();
        queue.reconnect();
    }
    REQUIRE(queue.consume(one_at_a_time()));
    CHECK(drain(queue) ==
          Bodies{"stored at 0", "due at 500", "stored at 700", "due at 1000", "due at 1000 too", "stored at 1700"});
}

TEST_CASE("E-3 priority comes before place for scheduled messages as well", "[core][schedule]") {
    QueueFixture queue;
    send(queue, "low", delayed(10, 1));
    send(queue, "high", delayed(20, 9));
    send(queue, "normal");
    queue.advance(Millis(20));
    REQUIRE(queue.consume(one_at_a_time()));
    CHECK(drain(queue) == Bodies{"high", "normal", "low"});
}

TEST_CASE("E-6 a scheduled message that failed goes back to its place", "[core][schedule]") {
    QueueFixture queue;
    send(queue, "delayed", delayed(100));
    queue.advance(Millis(200));
    send(queue, "later");
    REQUIRE(queue.consume(one_at_a_time()));
    const Received first = queue.next();
    REQUIRE(first.body == "delayed");
    queue.retry(first, Millis(50));
    const Received second = queue.next();
    CHECK(second.body == "later");
    const bool restarts = GENERATE(false, true);
    if (restarts) {
        queue.restart();
        queue.reconnect();
        queue.advance(Millis(40'000));  // its lease, and the wait after it
        REQUIRE(queue.consume(one_at_a_time()));
    } else {
        queue.advance(Millis(50));
        queue.release(second);
    }
    const Received again = queue.next();
    CHECK(again.body == "delayed");
    CHECK(again.attempt == 2);
    CHECK(queue.info().scheduled == 0);
}

TEST_CASE("scheduled messages of one publish share blocks, and each has its time", "[core][schedule]") {
    QueueFixture queue;
    const bool restarts = GENERATE(false, true);
    const bool mixed = GENERATE(false, true);
    Batch batch;
    for (int i = 0; i < 200; ++i) {
        batch.add(std::to_string(i), mixed && i % 3 == 0 ? MessageTraits() : delayed(1 + (i * 37) % 200));
    }
    REQUIRE(queue.publish(batch).confirm->count == 200);
    const std::uint64_t plain = mixed ? 67 : 0;
    CHECK(queue.info().ready == plain);
    CHECK(queue.info().scheduled == 200 - plain);
    if (restarts) {
        queue.restart();
        queue.reconnect();
    }
    REQUIRE(queue.consume());
    CHECK(queue.take().size() == plain);
    for (int ms = 1; ms <= 200; ++ms) {
        queue.advance(Millis(1));
        for (const Received& message : queue.take()) {
            const int i = std::stoi(message.body);
            CHECK(1 + (i * 37) % 200 == ms);
            CHECK(message.seq == Sequence(static_cast<std::uint64_t>(i) + 1));
            CHECK(queue.ack(message).settled->count == 1);
        }
    }
    CHECK(queue.info().scheduled == 0);
    CHECK(queue.info().started == plain);
}

TEST_CASE("scheduled messages count for the limits of their queue, and a purge takes them", "[core][schedule]") {
    QueueSettings settings;
    settings.max_messages = 3;
    QueueFixture queue(settings);
    send(queue, "a", delayed(100));
    send(queue, "b", delayed(200));
    send(queue, "c");
    CHECK(send(queue, "d", delayed(300)).error->code == ErrorCode::kFull);
    queue.advance(Millis(100));  // a is due, b is not
    CHECK(*queue.purge() == 3);
    CHECK(queue.info().scheduled == 0);
    CHECK(queue.info().bytes == 0);
    REQUIRE(queue.consume());
    queue.advance(Millis(1'000));
    CHECK(queue.untaken() == 0);
    queue.restart();
    CHECK(queue.info().next_seq == 4);
    CHECK(queue.info().scheduled == 0);
}

TEST_CASE("what becomes due while its queue is paused is delivered when it is resumed", "[core][schedule]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    REQUIRE(queue.pause(true));
    send(queue, "x", delayed(100));
    queue.advance(Millis(500));
    CHECK(queue.untaken() == 0);
    CHECK(queue.info().ready == 1);
    REQUIRE(queue.pause(false));
    CHECK(queue.take_bodies() == Bodies{"x"});
}

TEST_CASE("a message that is due before its commit holds waits for the commit only", "[core][schedule]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    queue.hold_commits();
    send(queue, "x", delayed(10));
    queue.advance(Millis(50));
    CHECK(queue.untaken() == 0);
    queue.release_commits();
    CHECK(queue.take_bodies() == Bodies{"x"});
}

TEST_CASE("a memory queue has delays too", "[core][schedule]") {
    QueueSettings settings;
    settings.durability = Durability::kMemory;
    QueueFixture queue(settings);
    REQUIRE(queue.consume());
    send(queue, "later", delayed(10));
    send(queue, "now");
    CHECK(queue.take_bodies() == Bodies{"now"});
    queue.advance(Millis(10));
    CHECK(queue.take_bodies() == Bodies{"later"});
}

TEST_CASE("peek tells when a scheduled message is due", "[core][schedule]") {
    QueueFixture queue;
    send(queue, "x", delayed(1'000));
    send(queue, "y");
    const Result<core::PeekResult> peeked = queue.peek();
    REQUIRE(peeked->items.size() == 2);
    CHECK(peeked->items[0].state == core::PeekState::kScheduled);
    CHECK(peeked->items[0].visible_at_ms == to_unix_ms(queue.now()) + 1'000);
    CHECK(peeked->items[1].state == core::PeekState::kReady);
    queue.advance(Millis(1'000));
    CHECK(queue.peek()->items[0].state == core::PeekState::kReady);
}

TEST_CASE("the longest delay is taken, and the queue still wakes for others", "[core][schedule]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    REQUIRE(send(queue, "never", delayed(protocol::kMaxTimeMs)).confirm);
    send(queue, "soon", delayed(5));
    queue.advance(Millis(5));
    CHECK(queue.take_bodies() == Bodies{"soon"});
    queue.restart();
    CHECK(queue.info().scheduled == 1);
    CHECK(queue.peek()->items[0].visible_at_ms == queue.peek()->items[0].commit_time_ms + protocol::kMaxTimeMs);
}

}  // namespace
}  // namespace rockdove::test

// Full queues that drop what is least urgent, then oldest (SEMANTICS Q-1).
#include <catch2/catch.hpp>

#include "tests/support/core_fixture.h"

namespace rockdove::test {
namespace {

using Bodies = std::vector<std::string>;

QueueSettings dropping(std::uint64_t max_messages, OnExpire on_expire = OnExpire::kDrop) {
    QueueSettings settings;
    settings.overflow = Overflow::kDropOldest;
    settings.max_messages = max_messages;
    settings.on_expire = on_expire;
    return settings;
}

base::MessageTraits priority(int value) {
    base::MessageTraits traits;
    traits.priority = static_cast<std::uint8_t>(value);
    return traits;
}

Bodies what_is_there(NamespaceFixture& queue, const std::string& name = "q") {
    const Result<core::PeekResult> peeked = queue.peek(1, 1'000, 1 << 20, name);
    REQUIRE(peeked);
    Bodies bodies;
    for (const core::PeekItem& item : peeked->items) bodies.push_back(item.message.substr(2));
    return bodies;
}

TEST_CASE("Q-1 drop_oldest: the earliest position goes for the new message, which is stored", "[core][overflow]") {
    QueueSettings settings = dropping(3);
    settings.durability = GENERATE(Durability::kSync, Durability::kMemory);
    QueueFixture queue(settings);
    queue.publish(numbered(3));
    const Answered answer = queue.publish(numbered(2, 4));
    REQUIRE(answer.confirm);
    CHECK(answer.confirm->count == 2);
    CHECK(answer.confirm->exceptions.empty());
    CHECK(what_is_there(queue) == Bodies{"m3", "m4", "m5"});
    CHECK(queue.info().dropped == 2);
    CHECK(queue.info().dead == 0);
    REQUIRE(queue.consume());
    CHECK(queue.take_bodies() == Bodies{"m3", "m4", "m5"});
}

TEST_CASE("Q-1 drop_oldest: of a publish that is larger than the queue the last ones stay", "[core][overflow]") {
    QueueFixture queue(dropping(3));
    CHECK(queue.publish(numbered(10)).confirm->count == 10);
    CHECK(what_is_there(queue) == Bodies{"m8", "m9", "m10"});
    queue.restart();
    CHECK(what_is_there(queue) == Bodies{"m8", "m9", "m10"});
}

TEST_CASE("Q-1 drop_oldest: the least urgent goes first, and nothing goes for what is less urgent",
          "[core][overflow]") {
    QueueFixture queue(dropping(3));
    Batch batch;
    batch.add("high", priority(7));
    batch.add("low1", priority(2));
    batch.add("low2", priority(2));
    queue.publish(batch);
    queue.publish({"m1"});  // 4: low1 goes
    CHECK(what_is_there(queue) == Bodies{"high", "low2", "m1"});
    queue.publish({"m2"});
    queue.publish({"m3"});
    CHECK(what_is_there(queue) == Bodies{"high", "m2", "m3"});
    Batch low;
    low.add("low3", priority(3));
    const Answered refused = queue.publish(low);
    REQUIRE(refused.error);
    CHECK(refused.error->code == ErrorCode::kFull);
    CHECK(queue.info().dropped == 3);
}

TEST_CASE("Q-1 drop_oldest never takes what is started; without anything else it refuses", "[core][overflow]") {
    QueueFixture queue(dropping(3));
    REQUIRE(queue.consume(one_at_a_time()));
    queue.publish(numbered(3));
    const Received started = queue.next();
    queue.publish({"m4"});
    CHECK(what_is_there(queue) == Bodies{"m1", "m3", "m4"});
    queue.ack(started);
    REQUIRE(queue.credit(3));
    CHECK(queue.publish({"m5"}).confirm);
    CHECK(queue.publish({"m6"}).error->code == ErrorCode::kFull);  // all three are started
    CHECK(queue.info().started == 3);
}

TEST_CASE("Q-1 drop_oldest: it becomes a dead letter if that is what on_expire says, also after a restart",
          "[core][overflow]") {
    const bool far = GENERATE(false, true);
    QueueFixture queue(dropping(2, OnExpire::kDead));
    queue.publish(numbered(2));
    if (far) {  // its body has to be read
        queue.ns().drop_payload({NamespaceId(1), queue.info().id, Sequence(1), 0});
        queue.restart();
        queue.reconnect();
        queue.defer_reads();
    }
    queue.publish({"m3"});
    CHECK(queue.info().ready == 2);  // at once
    if (far) {
        queue.restart();
        queue.reconnect();
        queue.serve_reads();
    }
    CHECK(what_is_there(queue) == Bodies{"m2", "m3"});
    const auto dead = queue.dead_letter(Sequence(1));
    REQUIRE(dead);
    CHECK(dead->body == "m1");
    CHECK(dead->record.deaths.at(0).reason == storage::DeathReason::kOverflow);
    CHECK(queue.info().dead == 1);
}

TEST_CASE("Q-1 drop_oldest makes room for bytes too, and refuses what can never fit", "[core][overflow]") {
    QueueSettings settings = dropping(0);
    settings.max_bytes = 10 * Batch::message_bytes(10);
    QueueFixture queue(settings);
    for (int i = 0; i < 10; ++i) queue.publish({std::string(10, static_cast<char>('a' + i))});
    CHECK(queue.publish({std::string(25, 'x')}).confirm);
    CHECK(queue.info().dropped == 3);
    CHECK(queue.publish({std::string(1'000, 'x')}).error->code == ErrorCode::kFull);
    CHECK(queue.info().dropped == 3);  // nothing went for it
}

TEST_CASE("Q-1 drop_oldest: who waits for a retry or a time goes by position, what is scheduled last",
          "[core][overflow]") {
    QueueFixture queue(dropping(4));
    REQUIRE(queue.consume(one_at_a_time()));
    queue.publish({"m1"});
    queue.retry(queue.next(), Millis(3'600'000));
    Batch batch;
    base::MessageTraits later;
    later.delay_ms = 3'600'000;
    batch.add("later", later);
    base::MessageTraits soon;
    soon.delay_ms = 10;
    batch.add("soon", soon);
    queue.publish(batch);
    REQUIRE(queue.cancel());
    queue.advance(Millis(100));
    queue.publish({"m2"});
    for (const char* body : {"m3", "m4", "m5"}) queue.publish({body});
    CHECK(what_is_there(queue) == Bodies{"later", "m3", "m4", "m5"});  // m1, soon, m2 went
    queue.publish(numbered(4, 6));
    CHECK(what_is_there(queue) == Bodies{"later", "m7", "m8", "m9"});
}

TEST_CASE("Q-1 drop_oldest: a key goes on when its first is pushed out, and is not paused", "[core][overflow][key]") {
    QueueSettings settings = dropping(2, OnExpire::kDead);
    settings.key_on_dead = KeyOnDead::kPause;
    QueueFixture queue(settings);
    REQUIRE(queue.consume(one_at_a_time()));
    Batch batch;
    batch.add("a1", {}, "a");
    batch.add("a2", {}, "a");
    queue.publish(batch);
    queue.retry(queue.next(), Millis(3'600'000));  // holds its key
    CHECK(queue.untaken() == 0);
    Batch more;
    more.add("a3", {}, "a");
    queue.publish(more);
    CHECK(drain(queue) == Bodies{"a2", "a3"});
}

TEST_CASE("overflow can be changed while the queue is full", "[core][overflow]") {
    QueueSettings settings = dropping(2);
    settings.overflow = Overflow::kReject;
    QueueFixture queue(settings);
    queue.publish(numbered(2));
    CHECK(queue.publish({"x"}).error->code == ErrorCode::kFull);
    REQUIRE(queue.update("q", dropping(2)));
    CHECK(queue.publish({"y"}).confirm);
    CHECK(what_is_there(queue) == Bodies{"m2", "y"});
    REQUIRE(queue.update("q", dropping(1)));  // what is too much goes with the next message
    CHECK(queue.publish({"z"}).confirm);
    CHECK(what_is_there(queue) == Bodies{"z"});
}

}  // namespace
}  // namespace rockdove::test

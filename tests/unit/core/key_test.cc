// Ordering keys: one message of a key at a time, in their order (SEMANTICS E-1, E-2, E-4, E-6, L-3, T-4).
#include <catch2/catch.hpp>

#include <map>

#include "server/core/key_table.h"
#include "storage/keys.h"
#include "tests/support/core_fixture.h"

namespace rockdove::test {
namespace {

using base::MessageTraits;
using Bodies = std::vector<std::string>;

MessageTraits with(std::uint8_t priority, std::int64_t delay_ms = 0) {
    MessageTraits traits;
    traits.priority = priority;
    traits.delay_ms = delay_ms;
    return traits;
}

// "a1" has the key "a".
Answered send(NamespaceFixture& queue, const Bodies& bodies, MessageTraits traits = {}) {
    Batch batch;
    for (const std::string& body : bodies) batch.add(body, traits, body.substr(0, 1));
    return queue.publish(batch);
}

ConsumeOptions named(const std::string& name, std::uint64_t number, std::uint32_t credit = 100) {
    ConsumeOptions options;
    options.name = name;
    options.number = number;
    options.credit = credit;
    return options;
}

QueueSettings passing() {
    QueueSettings settings;
    settings.key_on_retry = KeyOnRetry::kPass;
    return settings;
}

QueueSettings pausing() {
    QueueSettings settings;
    settings.key_on_dead = KeyOnDead::kPause;
    return settings;
}

TEST_CASE("E-1 one message of a key at a time, whoever has it", "[core][key]") {
    QueueFixture queue;
    REQUIRE(queue.consume(named("x", 1)));
    REQUIRE(queue.consume(named("y", 2)));
    send(queue, {"a1", "a2", "b1", "a3", "b2"});
    const std::vector<Received> first = queue.take();
    REQUIRE(first.size() == 2);
    CHECK(first[0].body == "a1");
    CHECK(first[1].body == "b1");
    queue.ack(first[1]);
    CHECK(queue.take_bodies() == Bodies{"b2"});
    queue.ack(first[0]);
    const Received second = queue.next();
    CHECK(second.body == "a2");
    CHECK(queue.info().ready == 1);
    queue.ack(second);
    CHECK(queue.take_bodies() == Bodies{"a3"});
}

TEST_CASE("E-1 messages without a key are not held up by those with one", "[core][key]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    Batch batch;
    batch.add("a1", {}, "a");
    batch.add("plain 1");
    batch.add("a2", {}, "a");
    batch.add("plain 2");
    queue.publish(batch);
    CHECK(queue.take_bodies() == Bodies{"a1", "plain 1", "plain 2"});
}

TEST_CASE("E-2 a retry wait holds the key, or lets it pass if the queue says so", "[core][key]") {
    const bool pass = GENERATE(false, true);
    const bool restarts = GENERATE(false, true);
    QueueFixture queue(pass ? passing() : QueueSettings());
    REQUIRE(queue.consume());
    send(queue, {"a1", "a2"});
    queue.retry(queue.next(), Millis(60'000));
    if (!pass) CHECK(queue.untaken() == 0);
    if (restarts) {
        queue.restart();
        queue.reconnect();
        REQUIRE(queue.consume());
        queue.advance(Millis(40'000));  // a2 was started if it passed
    }
    if (pass) {
        CHECK(queue.next().body == "a2");
        return;
    }
    CHECK(queue.untaken() == 0);
    queue.advance(Millis(restarts ? 20'000 : 60'000));
    const Received again = queue.next();
    CHECK(again.body == "a1");
    CHECK(again.attempt == 2);
    queue.ack(again);
    CHECK(queue.next().body == "a2");
}

TEST_CASE("E-2 a delay of three days does not hold its key", "[core][key]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    send(queue, {"a1"}, with(4, 3 * 86'400'000LL));
    send(queue, {"a2"});
    const Received second = queue.next();
    CHECK(second.body == "a2");
    queue.ack(second);
    send(queue, {"a3"});
    queue.advance(Millis(3 * 86'400'000LL));  // a3's lease ended long before, and its wait: it holds the key
    const Received third = queue.next();
    CHECK(third.body == "a3");
}

TEST_CASE("E-4 priority never reorders inside a key", "[core][key]") {
    QueueFixture queue;
    send(queue, {"a1"}, with(0));
    send(queue, {"a2"}, with(9));
    send(queue, {"b1"}, with(9));
    const bool restarts = GENERATE(false, true);
    if (restarts) {
        queue.restart();
        queue.reconnect();
    }
    REQUIRE(queue.consume(one_at_a_time()));
    CHECK(drain(queue) == Bodies{"b1", "a1", "a2"});
}

TEST_CASE("E-4 the order of a key holds though what is less urgent was never looked at", "[core][key]") {
    QueueFixture queue;
    for (int i = 0; i < 30; ++i) {
        Batch batch;
        batch.add(std::string(100'000, 'x'), with(1), "k" + std::to_string(i));
        queue.publish(batch);
    }
    send(queue, {"a1"}, with(1));
    for (int i = 0; i < 30; ++i) {
        Batch batch;
        batch.add(std::string(100'000, 'x'), with(1), "l" + std::to_string(i));
        queue.publish(batch);
    }
    queue.advance(Millis(1));
    send(queue, {"a2"}, with(9));
    queue.restart();
    queue.reconnect();
    ConsumeOptions options = one_at_a_time();
    REQUIRE(queue.consume(options));
    const Bodies seen = drain(queue);
    REQUIRE(seen.size() == 62);
    const auto first = std::find(seen.begin(), seen.end(), "a1");
    const auto second = std::find(seen.begin(), seen.end(), "a2");
    CHECK(first < second);
    CHECK(second == first + 1);  // urgent, once nothing of its key stands before it
}

TEST_CASE("E-6 a key's messages start and complete in order, through retries, losses and restarts", "[core][key]") {
    QueueFixture queue;
    std::map<char, Bodies> done;
    Bodies all;
    for (int i = 1; i <= 5; ++i) {
        for (const char key : {'a', 'b', 'c'}) all.push_back(std::string(1, key) + std::to_string(i));
    }
    send(queue, all);
    int step = 0;
    for (int round = 0; round < 100 && queue.info().dead + done['a'].size() + done['b'].size() + done['c'].size() < 15;
         ++round) {
        if (round % 7 == 3) {
            queue.restart();
            queue.reconnect();
        }
        (void)queue.consume(named("x", 1, 2));
        (void)queue.consume(named("y", 2, 2));
        CHECK(queue.info().started <= 3);
        for (const Received& message : queue.take()) {
            if (++step % 3 == 0) {
                queue.release(message, Millis(10));
            } else if (queue.ack(message).settled->count == 1) {
                done[message.body[0]].push_back(message.body);
            }
        }
        queue.advance(Millis(40'000));
    }
    for (const auto& [key, bodies] : done) {
        Bodies sorted = bodies;
        std::sort(sorted.begin(), sorted.end());
        CHECK(bodies == sorted);
        CHECK(bodies.size() == 5);
    }
}

TEST_CASE("E-6 after a restart a started message still holds its key, until its lease ends", "[core][key]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    send(queue, {"a1", "a2", "b1"});
    CHECK(queue.take().size() == 2);
    queue.restart();
    queue.reconnect();
    REQUIRE(queue.consume(named("other", 1)));
    CHECK(queue.untaken() == 0);
    queue.advance(Millis(30'000));
    CHECK(queue.untaken() == 0);
    CHECK(queue.info().waiting == 2);
    queue.advance(Millis(1'000));
    CHECK(queue.take_bodies() == Bodies{"a1", "b1"});
}

TEST_CASE("T-4 an expired head releases its key", "[core][key]") {
    QueueFixture queue(pausing());
    MessageTraits soon;
    soon.ttl_ms = 5'000;
    REQUIRE(queue.consume());
    send(queue, {"a1"}, soon);
    send(queue, {"a2"});
    const bool waits = GENERATE(false, true);
    const Received first = queue.next();
    if (waits) {
        queue.retry(first, Millis(4'000));
        CHECK(queue.untaken() == 0);
        queue.advance(Millis(4'000));
        CHECK(queue.next().body == "a1");
        queue.advance(Millis(1'000));
        CHECK(queue.untaken() == 0);  // it is started: not revoked
        return;
    }
    queue.retry(first, Millis(5'000));  // hopeless
    CHECK(queue.next().body == "a2");
    CHECK(queue.info().dead == 1);
}

TEST_CASE("L-3 the key of a dead message goes on, or stops until it is resumed", "[core][key]") {
    const bool pause = GENERATE(false, true);
    const bool restarts = GENERATE(false, true);
    QueueFixture queue(pause ? pausing() : QueueSettings());
    REQUIRE(queue.consume());
    send(queue, {"a1", "a2", "b1"});
    const Received a1 = queue.next();
    queue.ack(queue.next());
    queue.reject(a1);
    if (!pause) {
        CHECK(queue.next().body == "a2");
        return;
    }
    CHECK(queue.untaken() == 0);
    if (restarts) {
        queue.restart();
        queue.reconnect();
        REQUIRE(queue.consume());
    }
    send(queue, {"a3", "b2"});
    CHECK(queue.take_bodies() == Bodies{"b2"});
    const Result<std::vector<core::PausedKey>> keys = queue.ns().list_keys("q", 10);
    REQUIRE(keys);
    REQUIRE(keys->size() == 1);
    CHECK(keys->front().key == "a");
    CHECK(keys->front().sequence == Sequence(1));
    CHECK(keys->front().behind == 2);
    CHECK(*queue.resume_key("b") == 0);
    CHECK(queue.untaken() == 0);
    CHECK(*queue.resume_key("a") == 1);
    CHECK(queue.next().body == "a2");
    CHECK(*queue.resume_key("a") == 0);
    queue.restart();
    CHECK(queue.ns().list_keys("q", 10)->empty());
}

TEST_CASE("key_on_retry can be changed while a message waits", "[core][key]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    send(queue, {"a1", "a2"});
    queue.retry(queue.next(), Millis(60'000));
    CHECK(queue.untaken() == 0);
    REQUIRE(queue.update("q", passing()));
    CHECK(queue.next().body == "a2");
}

TEST_CASE("a hot key with a backlog does not hold up the others", "[core][key]") {
    QueueFixture queue;
    Batch batch;
    for (int i = 0; i < 4'000; ++i) batch.add("hot", {}, "hot");
    for (int i = 0; i < 10; ++i) queue.publish(batch);
    send(queue, {"a1", "b1", "c1"});
    const bool restarts = GENERATE(false, true);
    if (restarts) {
        queue.restart();
        queue.reconnect();
    }
    REQUIRE(queue.consume(named("x", 1, 10)));
    CHECK(queue.take_bodies() == Bodies{"hot", "a1", "b1", "c1"});
    CHECK(queue.info().ready == 39'999);
    const std::size_t reads = queue.reads();
    CHECK(*queue.purge() == 39'999);
    CHECK(queue.reads() == reads);
    CHECK(queue.info().ready == 0);
    CHECK(queue.info().started == 4);
}

TEST_CASE("messages of different keys that stand side by side travel together", "[core][key]") {
    QueueFixture queue;
    Batch batch;
    for (int i = 0; i < 100; ++i) batch.add("m", {}, "k" + std::to_string(i));
    queue.publish(batch);
    REQUIRE(queue.consume());
    const std::vector<Received> got = queue.take();
    REQUIRE(got.size() == 100);
    CHECK(queue.settle(Outcome::kAck, {got.front().through(got.back())}).settled->count == 100);
    CHECK(queue.info().started == 0);
}

TEST_CASE("a purge frees the keys of what it takes", "[core][key]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    send(queue, {"a1", "a2", "b1", "b2"});
    const std::vector<Received> first = queue.take();
    queue.retry(first[1], Millis(60'000));
    CHECK(*queue.purge() == 3);
    send(queue, {"a3", "b3"});
    CHECK(queue.take_bodies() == Bodies{"b3"});
    queue.ack(first[0]);
    CHECK(queue.take_bodies() == Bodies{"a3"});
}

TEST_CASE("E-3 every n-th choice takes the oldest, whatever its priority", "[core][priority]") {
    QueueSettings settings;
    settings.oldest_every = 3;
    QueueFixture queue(settings);
    for (const char* body : {"low 1", "low 2"}) {
        Batch batch;
        batch.add(body, with(0));
        queue.publish(batch);
        queue.advance(Millis(1));
    }
    Batch batch;
    for (int i = 1; i <= 5; ++i) batch.add("high " + std::to_string(i), with(9));
    queue.publish(batch);
    const bool at_once = GENERATE(false, true);
    if (at_once) {
        REQUIRE(queue.consume());
        CHECK(queue.take_bodies() == Bodies{"high 1", "high 2", "low 1", "high 3", "high 4", "low 2", "high 5"});
    } else {
        REQUIRE(queue.consume(one_at_a_time()));
        CHECK(drain(queue) == Bodies{"high 1", "high 2", "low 1", "high 3", "high 4", "low 2", "high 5"});
    }
}

TEST_CASE("the key table keeps nothing of a key that is not in use", "[core][key]") {
    core::KeyTable table;
    const core::KeyMember first{{1, Sequence(1)}, 4};
    const core::KeyMember second{{2, Sequence(2)}, 9};
    CHECK(table.arrive(7, second).ready == second);
    const core::KeyTable::Change change = table.arrive(7, first);
    CHECK(change.no_longer_ready == second);
    CHECK(change.ready == first);
    CHECK(table.members() == 2);
    table.start(7);
    CHECK_FALSE(table.begin_wait(7).ready);
    CHECK_FALSE(table.stop(7).ready);
    CHECK(table.end_wait(7).ready == second);
    CHECK(table.depart(7, second).no_longer_ready == second);
    CHECK(table.members() == 0);
    CHECK(table.keys() == 0);
}

}  // namespace
}  // namespace rockdove::test

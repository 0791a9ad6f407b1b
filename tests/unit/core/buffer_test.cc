// Consumers that say when they start, and consumers whose deliveries are done at once (SEMANTICS C-2, C-3, S-6).
#include <catch2/catch.hpp>

#include "tests/support/core_fixture.h"

namespace rockdove::test {
namespace {

ConsumeOptions explicit_start(std::uint32_t credit = 100) {
    ConsumeOptions options;
    options.credit = credit;
    options.explicit_start = true;
    return options;
}

ConsumeOptions at_most_once(std::uint32_t credit = 100) {
    ConsumeOptions options;
    options.credit = credit;
    options.ack_on_delivery = true;
    return options;
}

base::MessageTraits priority(int value) {
    base::MessageTraits traits;
    traits.priority = static_cast<std::uint8_t>(value);
    return traits;
}

void send(NamespaceFixture& queue, const std::string& body, base::MessageTraits traits = {},
          std::string_view key = {}) {
    Batch batch;
    batch.add(body, traits, key);
    REQUIRE(queue.publish(batch).confirm);
}

std::vector<std::uint64_t> recalled(NamespaceFixture& queue) {
    std::vector<std::uint64_t> sequences;
    for (const Received& message : queue.take()) {
        CHECK(message.recalled);
        sequences.push_back(message.seq.value);
    }
    return sequences;
}

using Sequences = std::vector<std::uint64_t>;

TEST_CASE("C-2 explicit_start: what is buffered has no lease and no attempt; Start begins both", "[core][buffer]") {
    QueueSettings settings;
    settings.durability = GENERATE(Durability::kSync, Durability::kMemory);
    settings.lease = Millis(1'000);
    QueueFixture queue(settings);
    REQUIRE(queue.consume(explicit_start()));
    queue.publish(numbered(3));
    const std::vector<Received> got = queue.take();
    REQUIRE(got.size() == 3);
    CHECK(got[0].attempt == 1);
    CHECK(got[0].lease_time == Millis(1'000));
    CHECK((got[0].lease & core::kBufferedBit) != 0);
    CHECK(queue.info().buffered == 3);
    CHECK(queue.info().started == 0);
    CHECK(queue.info().ready == 0);
    queue.advance(Millis(10'000));  // no lease clock
    CHECK(queue.take().empty());
    CHECK(queue.ack(got[0]).settled->count == 0);  // nor a lease to settle with
    CHECK(queue.retry(got[0]).settled->count == 0);
    CHECK(queue.reject(got[0]).settled->count == 0);
    CHECK(queue.extend({got[0].range()}).settled->count == 0);
    CHECK(queue.info().buffered == 3);

    const Received started = queue.start(got[0]);
    CHECK(started.attempt == 1);
    CHECK(started.lease == 1);
    CHECK(queue.info().buffered == 2);
    CHECK(queue.info().started == 1);
    queue.advance(Millis(1'000));
    CHECK(queue.info().waiting == 1);  // its lease has ended
    CHECK(queue.ack(started).settled->count == 0);
    CHECK(queue.ack(queue.start(got[1])).settled->count == 1);
    CHECK(queue.info().acked == 1);
}

TEST_CASE("C-2 explicit_start: many are started with one request, and told under which lease", "[core][buffer]") {
    QueueFixture queue;
    REQUIRE(queue.consume(explicit_start()));
    queue.publish(numbered(5));
    const std::vector<Received> got = queue.take();
    queue.start(got[2]);
    const Answered answer = queue.start({got[0].through(got[4])});
    REQUIRE(answer.started);
    REQUIRE(answer.started->started.size() == 2);
    CHECK(answer.started->started[0].range.first == Sequence(1));
    CHECK(answer.started->started[0].range.last == Sequence(2));
    CHECK(answer.started->started[1].range.first == Sequence(4));
    CHECK(answer.started->started[1].range.last == Sequence(5));
    CHECK(answer.started->lease == Millis(30'000));
    REQUIRE(answer.started->stale.size() == 1);
    CHECK(answer.started->stale[0].first == Sequence(3));
    CHECK(answer.started->stale[0].last == Sequence(3));
    queue.restart();
    CHECK(queue.info().started == 5);
}

TEST_CASE("C-2 crash of a consumer with 100 buffered burns no attempt", "[core][buffer]") {
    QueueSettings settings;
    settings.max_attempts = 1;
    QueueFixture queue(settings);
    REQUIRE(queue.consume(explicit_start()));
    queue.publish(numbered(100));
    CHECK(queue.take().size() == 100);
    SECTION("its connection breaks") { queue.disconnect(SessionId(1)); }
    SECTION("it says goodbye") { queue.disconnect(SessionId(1), true); }
    SECTION("the broker restarts") { queue.restart(); }
    CHECK(queue.info().ready == 100);
    queue.reconnect();
    ConsumeOptions other;
    other.name = "other";
    REQUIRE(queue.consume(other));
    const std::vector<Received> again = queue.take();
    REQUIRE(again.size() == 100);
    for (std::size_t i = 0; i < again.size(); ++i) {
        CHECK(again[i].attempt == 1);
        CHECK(again[i].body == "m" + std::to_string(i + 1));
    }
    CHECK(queue.info().dead == 0);
}

TEST_CASE("C-2 what a consumer gives back from its buffer is ready again, in its place and uncounted",
          "[core][buffer]") {
    QueueSettings settings;
    settings.max_releases = 0;
    QueueFixture queue(settings);
    REQUIRE(queue.consume(explicit_start(2)));
    queue.publish(numbered(3));
    const std::vector<Received> got = queue.take();
    REQUIRE(got.size() == 2);
    REQUIRE(queue.credit(0));
    CHECK(queue.release(got[0]).settled->count == 1);
    CHECK(queue.release(got[0]).settled->count == 0);
    CHECK(queue.info().ready == 2);
    REQUIRE(queue.credit(2));
    const Received again = queue.next();
    CHECK(again.body == "m1");
    CHECK(again.attempt == 1);
    CHECK(again.lease != got[0].lease);
    CHECK(queue.start({got[0].range()}).started->started.empty());  // the number of an earlier delivery
    CHECK(queue.start(again).attempt == 1);
}

TEST_CASE("C-2 attempts of a message that was buffered again go on from its last start", "[core][buffer]") {
    QueueFixture queue;
    REQUIRE(queue.consume(explicit_start()));
    queue.publish({"m1"});
    const Received first = queue.start(queue.next());
    queue.retry(first, Millis(0));
    const Received second = queue.next();
    CHECK(second.attempt == 2);
    queue.disconnect(SessionId(1));
    queue.restart();  // its retry is remembered although it was buffered since
    queue.reconnect();
    REQUIRE(queue.consume(explicit_start()));
    const Received started = queue.start(queue.next());
    CHECK(started.attempt == 2);
    CHECK(started.lease == first.lease + 1);
    CHECK(queue.ack(first).settled->count == 0);
    CHECK(queue.ack(started).settled->count == 1);
}

TEST_CASE("C-1 credit counts what is buffered", "[core][buffer]") {
    QueueFixture queue;
    REQUIRE(queue.consume(explicit_start(2)));
    queue.publish(numbered(4));
    std::vector<Received> got = queue.take();
    REQUIRE(got.size() == 2);
    const Received started = queue.start(got[0]);
    CHECK(queue.take().empty());
    queue.ack(started);
    CHECK(queue.take_bodies() == std::vector<std::string>{"m3"});
}

TEST_CASE("C-3 a pause recalls what is buffered; what is started goes on", "[core][buffer]") {
    QueueFixture queue;
    REQUIRE(queue.consume(explicit_start()));
    queue.publish(numbered(3));
    const std::vector<Received> got = queue.take();
    const Received started = queue.start(got[1]);
    REQUIRE(queue.pause(true));
    const std::vector<Received> told = queue.take();
    REQUIRE(told.size() == 2);
    CHECK(told[0].recalled);
    CHECK(told[0].seq == Sequence(1));
    CHECK(told[0].lease == got[0].lease);
    CHECK(told[1].seq == Sequence(3));
    const Answered late = queue.start({got[0].range()});  // start and recall race: the broker's record decides
    CHECK(late.started->started.empty());
    CHECK(late.started->stale.size() == 1);
    CHECK(queue.ack(started).settled->count == 1);
    REQUIRE(queue.pause(false));
    CHECK(queue.take_bodies() == std::vector<std::string>{"m1", "m3"});
}

TEST_CASE("C-3 T-2 expiry recalls what is buffered", "[core][buffer][expiry]") {
    QueueFixture queue;
    REQUIRE(queue.consume(explicit_start()));
    base::MessageTraits soon;
    soon.ttl_ms = 1'000;
    send(queue, "soon", soon);
    send(queue, "begun", soon);
    send(queue, "stays");
    const std::vector<Received> got = queue.take();
    const Received begun = queue.start(got[1]);
    queue.advance_silently(Millis(1'000));
    // Its time is over, though the broker has not looked yet: it may not begin any more.
    CHECK(queue.start({got[0].range()}).started->started.empty());
    queue.advance(Millis(0));
    CHECK(recalled(queue) == Sequences{1});
    CHECK(queue.info().dead == 1);
    CHECK(queue.info().buffered == 1);
    CHECK(queue.ack(begun).settled->count == 1);
}

TEST_CASE("C-3 cancel and purge recall what is buffered", "[core][buffer]") {
    QueueFixture queue;
    REQUIRE(queue.consume(explicit_start()));
    queue.publish(numbered(4));
    const std::vector<Received> got = queue.take();
    REQUIRE(queue.cancel_message(2));
    CHECK(recalled(queue) == Sequences{2});
    (void)queue.start(got[3]);
    CHECK(*queue.purge() == 2);
    CHECK(recalled(queue) == Sequences{1, 3});
    CHECK(queue.info().started == 1);
    CHECK(queue.info().buffered == 0);
    CHECK(queue.cancel_message(4).error().code == ErrorCode::kConflict);
}

TEST_CASE("C-3 something urgent recalls the least urgent when there is no credit left", "[core][buffer][priority]") {
    QueueFixture queue;
    REQUIRE(queue.consume(explicit_start(3)));
    send(queue, "low1", priority(1));
    send(queue, "low2", priority(1));
    send(queue, "middle", priority(4));
    const std::vector<Received> got = queue.take();
    REQUIRE(got.size() == 3);
    send(queue, "more low", priority(0));
    send(queue, "equal", priority(1));
    CHECK(queue.take().empty());  // for nothing more urgent
    send(queue, "urgent", priority(9));
    std::vector<Received> told = queue.take();
    REQUIRE(told.size() == 2);
    CHECK(told[0].recalled);
    CHECK(told[0].seq == Sequence(2));  // of the least urgent the last
    CHECK(told[1].body == "urgent");
    (void)queue.start(got[0]);
    send(queue, "urgent2", priority(9));
    told = queue.take();
    REQUIRE(told.size() == 2);
    CHECK(told[0].seq == Sequence(3));  // low1 is started
    CHECK(told[1].body == "urgent2");
    send(queue, "urgent3", priority(9));
    CHECK(queue.take().empty());  // nothing less urgent is left
}

TEST_CASE("C-3 nothing is recalled for something urgent where every n-th choice is the oldest",
          "[core][buffer][priority]") {
    QueueSettings settings;
    settings.oldest_every = 2;
    QueueFixture queue(settings);
    REQUIRE(queue.consume(explicit_start(1)));
    send(queue, "low", priority(1));
    CHECK(queue.take().size() == 1);
    send(queue, "urgent", priority(9));
    CHECK(queue.take().empty());
}

TEST_CASE("C-3 a recall waits for nobody who cannot be told", "[core][buffer][priority]") {
    QueueFixture queue;
    REQUIRE(queue.consume(explicit_start(1)));
    send(queue, "low", priority(1));
    CHECK(queue.take().size() == 1);
    queue.choked.insert(SessionId(1));
    send(queue, "urgent", priority(9));
    CHECK(queue.take().empty());
}

TEST_CASE("E-1 a key is with one consumer while its message is buffered", "[core][buffer][key]") {
    QueueFixture queue;
    REQUIRE(queue.consume(explicit_start()));
    send(queue, "a1", {}, "a");
    send(queue, "a2", {}, "a");
    ConsumeOptions other = explicit_start();
    other.number = 2;
    other.name = "other";
    REQUIRE(queue.consume(other));
    const std::vector<Received> got = queue.take();
    REQUIRE(got.size() == 1);
    const core::Explanation why = queue.explain(2);
    CHECK(why.gate == core::Gate::kKeyStarted);
    CHECK(why.behind == Sequence(1));
    CHECK(why.consumer == "worker");
    CHECK(queue.explain(1).gate == core::Gate::kBuffered);
    CHECK(queue.explain(1).consumer == "worker");
    REQUIRE(queue.cancel_message(1));
    const std::vector<Received> next = queue.take();
    REQUIRE(next.size() == 2);
    CHECK(next[0].recalled);
    CHECK(next[1].body == "a2");
}

TEST_CASE("Q-1 drop_oldest never takes what is buffered", "[core][buffer][overflow]") {
    QueueSettings settings;
    settings.overflow = Overflow::kDropOldest;
    settings.max_messages = 2;
    QueueFixture queue(settings);
    REQUIRE(queue.consume(explicit_start(1)));
    queue.publish(numbered(2));
    CHECK(queue.take_bodies() == std::vector<std::string>{"m1"});
    queue.publish({"m3"});
    queue.publish({"m4"});
    CHECK(queue.info().buffered == 1);
    CHECK(queue.info().dropped == 2);
    CHECK(queue.peek()->items[1].sequence == Sequence(4));
}

TEST_CASE("a consumer that comes back under its name begins with an empty buffer", "[core][buffer]") {
    QueueFixture queue;
    REQUIRE(queue.consume(explicit_start()));
    queue.publish(numbered(2));
    const std::vector<Received> got = queue.take();
    const Received started = queue.start(got[0]);
    REQUIRE(queue.connect(SessionId(2)));
    ConsumeOptions again = explicit_start();
    again.session = SessionId(2);
    again.held = {started.range(), got[1].range()};
    const Result<core::ConsumeGrant> grant = queue.consume(again);
    REQUIRE(grant);
    REQUIRE(grant->held.size() == 1);
    CHECK(grant->held[0].first == Sequence(1));
    const std::vector<Received> anew = queue.take();
    REQUIRE(anew.size() == 1);
    CHECK(anew[0].body == "m2");
    CHECK(anew[0].attempt == 1);
    CHECK(anew[0].lease != got[1].lease);
}

// --- at most once -------------------------------------------------------------------------------------------------

TEST_CASE("S-6 ack_on_delivery: what is delivered is done", "[core][at_most_once]") {
    QueueSettings settings;
    settings.durability = GENERATE(Durability::kSync, Durability::kMemory);
    QueueFixture queue(settings);
    REQUIRE(queue.consume(at_most_once()));
    queue.publish(numbered(3));
    CHECK(queue.take_bodies() == numbered(3));
    CHECK(queue.info().acked == 3);
    CHECK(queue.info().started == 0);
    CHECK(queue.info().bytes == 0);
    queue.disconnect(SessionId(1));
    queue.restart();
    queue.reconnect();
    REQUIRE(queue.consume());
    CHECK(queue.take().empty());
}

TEST_CASE("S-6 ack_on_delivery: it is done on disk before it is sent", "[core][at_most_once]") {
    QueueFixture queue;
    queue.publish({"m1"});
    queue.hold_commits();
    REQUIRE(queue.consume(at_most_once()));
    CHECK(queue.take().empty());
    queue.restart(true);  // the commit holds, the message never left
    CHECK(queue.info().ready == 0);
    CHECK(queue.info().started == 0);
}

TEST_CASE("S-6 C-1 ack_on_delivery: an ack only makes room; nothing comes back", "[core][at_most_once]") {
    QueueFixture queue;
    REQUIRE(queue.consume(at_most_once(2)));
    queue.publish(numbered(4));
    const std::vector<Received> got = queue.take();
    REQUIRE(got.size() == 2);
    CHECK(queue.retry(got[0]).settled->count == 0);
    CHECK(queue.reject(got[0]).settled->count == 0);
    CHECK(queue.release(got[0]).settled->count == 0);
    CHECK(queue.extend({got[0].range()}).settled->count == 0);
    CHECK(queue.take().empty());
    CHECK(queue.settle(Outcome::kAck, {got[0].through(got[1])}).settled->count == 2);
    CHECK(queue.take_bodies() == std::vector<std::string>{"m3", "m4"});
    CHECK(queue.info().acked == 4);
}

TEST_CASE("S-6 ack_on_delivery: credit by bytes, and a key that goes on at once", "[core][at_most_once][key]") {
    QueueFixture queue;
    for (const char* body : {"a1", "a2", "a3"}) send(queue, body, {}, "a");
    ConsumeOptions options = at_most_once();
    options.credit_bytes = 2 * Batch::message_bytes(2, 1);
    REQUIRE(queue.consume(options));
    const std::vector<Received> got = queue.take();
    REQUIRE(got.size() == 2);
    CHECK(got[1].body == "a2");
    queue.ack(got[0]);
    CHECK(queue.take_bodies() == std::vector<std::string>{"a3"});
    CHECK(queue.info().acked == 3);
}

TEST_CASE("S-6 ack_on_delivery goes neither with explicit_start nor with held", "[core][at_most_once]") {
    QueueFixture queue;
    ConsumeOptions both = at_most_once();
    both.explicit_start = true;
    CHECK(queue.consume(both).error().code == ErrorCode::kInvalid);
    ConsumeOptions holding = at_most_once();
    holding.held = {{Sequence(1), Sequence(1), 1, 1}};
    CHECK(queue.consume(holding).error().code == ErrorCode::kInvalid);
    CHECK(queue.info().consumers == 0);
}

TEST_CASE("S-6 under a name that was at most once a consumer begins with all its credit", "[core][at_most_once]") {
    QueueFixture queue;
    REQUIRE(queue.consume(at_most_once(2)));
    queue.publish(numbered(4));
    CHECK(queue.take().size() == 2);
    REQUIRE(queue.connect(SessionId(2)));
    ConsumeOptions anew = one_at_a_time();
    anew.session = SessionId(2);
    anew.credit = 2;
    REQUIRE(queue.consume(anew));
    CHECK(queue.take_bodies() == std::vector<std::string>{"m3", "m4"});
}

}  // namespace
}  // namespace rockdove::test

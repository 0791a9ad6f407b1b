// Consumers that come, go, get lost and come back; restarts of the broker in the middle of their work.
#include <catch2/catch.hpp>

#include "tests/support/core_fixture.h"

namespace rockdove::test {
namespace {

using Bodies = std::vector<std::string>;

Bodies sorted_bodies(QueueFixture& queue) {
    Bodies bodies = queue.take_bodies();
    std::sort(bodies.begin(), bodies.end());
    return bodies;
}

TEST_CASE("what a lost consumer holds stays held for the grace, then is retried at once the first time",
          "[core][consumer]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    queue.publish(numbered(2));
    REQUIRE(queue.take().size() == 2);
    queue.disconnect(SessionId(1));
    CHECK(queue.info().started == 2);
    CHECK(queue.info().consumers == 0);
    REQUIRE(queue.connect(SessionId(2)));
    ConsumeOptions other;
    other.session = SessionId(2);
    other.name = "other";
    REQUIRE(queue.consume(other));
    queue.advance(Millis(4'999));
    CHECK(queue.untaken() == 0);
    queue.advance(Millis(1));
    const std::vector<Received> got = queue.take();
    REQUIRE(got.size() == 2);
    CHECK(got[0].attempt == 2);
    CHECK(queue.info().retried == 2);
    // The second loss waits for the backoff of two attempts.
    queue.disconnect(SessionId(2));
    REQUIRE(queue.connect(SessionId(3)));
    other.session = SessionId(3);
    other.name = "third";
    REQUIRE(queue.consume(other));
    queue.advance(Millis(5'000));
    CHECK(queue.info().waiting == 2);
    queue.advance(Millis(1'999));
    CHECK(queue.untaken() == 0);
    queue.advance(Millis(1));
    CHECK(queue.take_bodies() == numbered(2));
}

TEST_CASE("a consumer that comes back within the grace keeps what it names and loses the rest", "[core][consumer]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    queue.publish(numbered(5));
    const std::vector<Received> got = queue.take();
    REQUIRE(got.size() == 5);
    queue.disconnect(SessionId(1));
    queue.advance(Millis(3'000));
    REQUIRE(queue.connect(SessionId(2)));
    ConsumeOptions back;
    back.session = SessionId(2);
    back.number = 9;
    LeaseRange wrong = got[3].range();
    wrong.lease = 7;
    back.held = {got[0].through(got[1]), wrong, {Sequence(99), Sequence(99), got[0].epoch, 1}};
    const Result<core::ConsumeGrant> grant = queue.consume(back);
    REQUIRE(grant);
    REQUIRE(grant->held.size() == 1);
    CHECK(grant->held[0].first == Sequence(1));
    CHECK(grant->held[0].last == Sequence(2));
    const std::vector<Received> again = queue.take();
    REQUIRE(again.size() == 3);  // m3 to m5, at once
    CHECK(again[0].body == "m3");
    CHECK(again[0].attempt == 2);
    CHECK(again[0].lease == 2);
    queue.advance(Millis(10'000));  // past the grace: nothing more happens
    CHECK(queue.info().started == 5);
    Received kept = got[0];
    kept.session = SessionId(2);
    kept.consumer = 9;
    CHECK(queue.ack(kept).settled->count == 1);
    queue.advance(Millis(17'000));  // but the lease of m2 has ended in the meantime
    CHECK(queue.info().started == 3);
    CHECK(queue.info().waiting == 1);
}

TEST_CASE("what is kept over a reconnect counts against the credit", "[core][consumer][credit]") {
    QueueFixture queue;
    ConsumeOptions options;
    options.credit = 2;
    REQUIRE(queue.consume(options));
    queue.publish(numbered(4));
    const std::vector<Received> got = queue.take();
    queue.disconnect(SessionId(1));
    REQUIRE(queue.connect(SessionId(1)));
    options.held = {got[0].through(got[1])};
    REQUIRE(queue.consume(options));
    CHECK(queue.untaken() == 0);
    queue.ack(got[0]);
    CHECK(queue.take_bodies() == Bodies{"m3"});
}

TEST_CASE("a grace never outlasts the lease", "[core][consumer]") {
    QueueSettings settings;
    settings.lease = Millis(2'000);
    QueueFixture queue(settings);
    REQUIRE(queue.consume());
    queue.publish({"a"});
    queue.disconnect(SessionId(1));
    queue.advance(Millis(2'000));
    CHECK(queue.info().started == 0);
    CHECK(queue.info().waiting == 1);
    CHECK(queue.ns().counters().expired_leases == 1);
}

TEST_CASE("a loss that exhausts the attempts is a death", "[core][consumer][dead_letter]") {
    QueueSettings settings;
    settings.max_attempts = 1;
    QueueFixture queue(settings);
    REQUIRE(queue.consume());
    queue.publish({"a"});
    queue.disconnect(SessionId(1));
    queue.advance(Millis(5'000));
    CHECK(queue.info().dead == 1);
    CHECK(queue.dead_letter(Sequence(1))->record.deaths[0].error == "consumer_lost");
}

TEST_CASE("a consumer that says goodbye gives back at once and uncounted", "[core][consumer]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    queue.publish(numbered(3));
    const std::vector<Received> got = queue.take();
    queue.ack(got[1]);
    const bool by_cancel = GENERATE(true, false);
    if (by_cancel) {
        const Result<std::uint64_t> count = queue.cancel();
        REQUIRE(count);
        CHECK(*count == 2);
        CHECK(queue.cancel().error().code == ErrorCode::kNotFound);
    } else {
        queue.disconnect(SessionId(1), true);
        REQUIRE(queue.connect(SessionId(1)));
    }
    CHECK(queue.info().ready == 2);
    CHECK(queue.info().retried == 0);
    REQUIRE(queue.consume());
    const std::vector<Received> again = queue.take();
    REQUIRE(again.size() == 2);
    CHECK(again[0].body == "m1");
    CHECK(again[0].attempt == 1);
    CHECK(again[0].lease == 2);
    CHECK(again[1].body == "m3");
}

TEST_CASE("a second consumer of the same name takes the place of the first", "[core][consumer]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    queue.publish({"a"});
    const Received first = queue.next();
    REQUIRE(queue.connect(SessionId(2)));
    ConsumeOptions second;
    second.session = SessionId(2);
    REQUIRE(queue.consume(second));
    const std::vector<Closed> closed = queue.take_closed();
    REQUIRE(closed.size() == 1);
    CHECK(closed[0].session == SessionId(1));
    CHECK(closed[0].consumer == 1);
    CHECK(closed[0].code == ErrorCode::kConflict);
    CHECK(queue.next().session == SessionId(2));
    CHECK(queue.ack(first).error->code == ErrorCode::kNotFound);
    queue.disconnect(SessionId(1));
    CHECK(queue.info().consumers == 1);
}

TEST_CASE("a connection may take over its own consumer under another number", "[core][consumer]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    queue.publish({"a"});
    const Received message = queue.next();
    ConsumeOptions again;
    again.number = 2;
    again.held = {message.range()};
    REQUIRE(queue.consume(again));
    CHECK(queue.take_closed().size() == 1);
    CHECK(queue.settle(Outcome::kAck, {message.range()}, SettleOptions{SessionId(1), 2, {}, {}}).settled->count == 1);
}

TEST_CASE("a consumer's number is not 0 and not in use", "[core][consumer]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    ConsumeOptions options;
    options.name = "other";
    CHECK(queue.consume(options).error().code == ErrorCode::kInvalid);
    options.number = 0;
    CHECK(queue.consume(options).error().code == ErrorCode::kInvalid);
    options.number = 2;
    options.name = "not a name";
    CHECK(queue.consume(options).error().code == ErrorCode::kInvalid);
    options.name = "other";
    CHECK(queue.consume(options));
}

TEST_CASE("a connection has at most its limit of consumers", "[core][consumer][limits]") {
    QueueFixture queue;
    ConsumeOptions options;
    for (std::uint64_t i = 1; i <= core::kMaxConsumersPerSession; ++i) {
        options.number = i;
        options.name = "c" + std::to_string(i);
        REQUIRE(queue.consume(options));
    }
    options.number = core::kMaxConsumersPerSession + 1;
    options.name = "one-too-many";
    CHECK(queue.consume(options).error().code == ErrorCode::kRateLimited);
}

TEST_CASE("after a restart in mid-handler the ack with the old epoch is accepted", "[core][recovery]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    queue.publish(numbered(2));
    const std::vector<Received> got = queue.take();
    queue.restart();
    CHECK(queue.info().started == 2);
    CHECK(queue.epoch() > got[0].epoch);
    queue.advance(Millis(20'000));  // past any grace; what counts is the lease
    queue.reconnect();
    ConsumeOptions back;
    back.held = {got[0].range()};
    const Result<core::ConsumeGrant> grant = queue.consume(back);
    REQUIRE(grant);
    REQUIRE(grant->held.size() == 1);
    CHECK(grant->held[0].epoch == got[0].epoch);
    CHECK(queue.ack(got[0]).settled->count == 1);
    // What it did not name comes again, under the new epoch.
    const Received again = queue.next();
    CHECK(again.body == "m2");
    CHECK(again.epoch == queue.epoch());
    CHECK(again.attempt == 2);
    CHECK(queue.ack(got[1]).settled->count == 0);
    CHECK(queue.ack(again).settled->count == 1);
}

TEST_CASE("after a restart nobody else gets a held message before its lease ends", "[core][recovery]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    queue.publish({"a"});
    REQUIRE(queue.take().size() == 1);
    queue.advance(Millis(10'000));
    queue.restart();
    queue.reconnect();
    ConsumeOptions other;
    other.name = "other";
    REQUIRE(queue.consume(other));
    queue.advance(Millis(19'999));
    CHECK(queue.untaken() == 0);
    queue.advance(Millis(1));
    CHECK(queue.info().waiting == 1);  // as lease expired: with the backoff
    queue.advance(Millis(1'000));
    CHECK(queue.next().attempt == 2);
}

TEST_CASE("a restart forgets no attempt, release, loss or wait", "[core][recovery]") {
    QueueSettings settings;
    settings.max_attempts = 3;
    settings.max_releases = 2;
    QueueFixture queue(settings);
    ConsumeOptions one;
    one.credit = 1;
    REQUIRE(queue.consume(one));
    queue.publish({"a"});
    queue.retry(queue.next(), Millis(10'000));
    queue.restart();
    queue.reconnect();
    REQUIRE(queue.consume(one));
    queue.advance(Millis(9'999));
    CHECK(queue.untaken() == 0);
    queue.advance(Millis(1));
    Received message = queue.next();
    CHECK(message.attempt == 2);
    CHECK(message.lease == 2);
    queue.release(message, Millis(1));
    queue.restart();
    queue.reconnect();
    REQUIRE(queue.consume(one));
    queue.advance(Millis(1));
    message = queue.next();
    CHECK(message.attempt == 2);
    queue.release(message, Millis(1));
    queue.restart();
    queue.reconnect();
    REQUIRE(queue.consume(one));
    queue.advance(Millis(1));
    queue.release(queue.next(), Millis(1));  // the third release
    CHECK(queue.info().dead == 1);
}

TEST_CASE("a message ready again at the time of the restart is ready after it", "[core][recovery]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    queue.publish(numbered(3));
    const std::vector<Received> got = queue.take();
    REQUIRE(queue.credit(0));
    queue.release(got[1]);
    CHECK(queue.info().ready == 1);
    queue.restart();
    CHECK(queue.info().ready == 1);
    CHECK(queue.info().waiting == 0);
    queue.reconnect();
    ConsumeOptions other;
    other.name = "other";
    REQUIRE(queue.consume(other));
    CHECK(sorted_bodies(queue) == Bodies{"m2"});
}

TEST_CASE("a consumer with credit left over at the end holds nothing of a removed name", "[core][consumer]") {
    QueueFixture queue;
    for (int i = 0; i < 50; ++i) {  // names come and go; nothing is left of them
        ConsumeOptions options;
        options.name = "c" + std::to_string(i);
        REQUIRE(queue.consume(options));
        queue.publish({"x"});
        queue.ack(queue.next());
        REQUIRE(queue.cancel());
    }
    CHECK(queue.info().consumers == 0);
    CHECK(queue.ns().consumer_count() == 0);
}

// ARCHITECTURE section 5: dispatch does not cost more for each consumer that waits.
TEST_CASE("consumers that are full cost nothing while others are served", "[core][consumer]") {
    constexpr std::size_t kFull = 500;
    constexpr std::size_t kMessages = 200;
    QueueFixture queue;
    for (std::size_t i = 0; i < kFull; ++i) {
        ConsumeOptions full;
        full.name = "full-" + std::to_string(i);
        full.number = i + 2;
        full.credit = 1;
        REQUIRE(queue.consume(full));
    }
    queue.publish(numbered(kFull));
    REQUIRE(queue.take().size() == kFull);
    ConsumeOptions able;
    able.name = "able";
    able.number = 1;
    able.credit = kMessages;
    REQUIRE(queue.consume(able));
    const std::size_t before = queue.room_questions;
    for (std::size_t i = 0; i < kMessages; ++i) {
        queue.publish(numbered(1));
    }
    REQUIRE(queue.take().size() == kMessages);
    CHECK(queue.room_questions - before <= 3 * kMessages);
}

TEST_CASE("consumers with room are served in turn, and come back when they have room again", "[core][consumer]") {
    QueueFixture queue;
    for (std::size_t i = 1; i <= 3; ++i) {
        ConsumeOptions options;
        options.name = "c" + std::to_string(i);
        options.number = i;
        options.credit = 2;
        REQUIRE(queue.consume(options));
    }
    const auto served = [&] {
        std::string who;
        for (const Received& received : queue.take()) who += std::to_string(received.consumer);
        return who;
    };
    std::string order;
    for (int i = 0; i < 3; ++i) {
        queue.publish(numbered(1));
        order += served();
    }
    CHECK(order == "123");
    queue.publish(numbered(6));
    CHECK(served().size() == 3);  // all have two
    CHECK(queue.info().ready == 3);
}

}  // namespace
}  // namespace rockdove::test

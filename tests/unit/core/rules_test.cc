// Rules of docs/rules.md that need no file of their own.
#include <catch2/catch.hpp>

#include "tests/support/core_fixture.h"

namespace rockdove::test {
namespace {

PublishOptions numbered_as(std::uint64_t first) {
    PublishOptions options;
    options.producer_seq = first;
    return options;
}

TEST_CASE("A-1 a message that was accepted before is a duplicate, not refused, though the queue is full", "[core]") {
    NamespaceFixture ns;
    REQUIRE(ns.connect(SessionId(1), "p"));
    QueueSettings settings;
    settings.max_messages = 2;
    REQUIRE(ns.create("q", settings));
    const Answered first = ns.publish({"a", "b"}, numbered_as(1));
    REQUIRE(first.confirm->count == 2);
    const Answered again = ns.publish({"a", "b", "c"}, numbered_as(1));
    REQUIRE(again.confirm);
    CHECK(again.confirm->count == 0);
    REQUIRE(again.confirm->exceptions.size() == 2);
    CHECK_FALSE(again.confirm->exceptions[0].error);
    CHECK(again.confirm->exceptions[0].count == 2);
    CHECK(again.confirm->exceptions[0].first_seq == first.confirm->first_seq);
    CHECK(again.confirm->exceptions[1].error->code == ErrorCode::kFull);
}

TEST_CASE("A-3 an unknown queue is NOT_FOUND, and made only where that is allowed", "[core]") {
    const bool allowed = GENERATE(false, true);
    core::NamespaceOptions options;
    options.create_on_use = allowed;
    NamespaceFixture ns(options);
    REQUIRE(ns.connect(SessionId(1)));
    const Answered answer = ns.publish(std::vector<std::string>{"a"});
    if (allowed) {
        CHECK(answer.confirm->count == 1);
    } else {
        REQUIRE(answer.error);
        CHECK(answer.error->code == ErrorCode::kNotFound);
        CHECK(answer.error->text.find("rockdove queue create q") != std::string::npos);
        CHECK_FALSE(ns.ns().show_queue("q"));
    }
}

TEST_CASE("A-4 a message and its producer's memory of it commit together or not at all", "[core]") {
    const bool holds = GENERATE(false, true);
    NamespaceFixture ns;
    const std::uint64_t epoch = *ns.connect(SessionId(1), "p");
    REQUIRE(ns.create("q"));
    ns.hold_commits();
    (void)ns.publish({"a"}, numbered_as(1));
    REQUIRE(ns.committing());
    ns.restart(holds);
    REQUIRE(ns.connect(SessionId(1), "p", epoch));
    CHECK(ns.info().ready == (holds ? 1 : 0));
    const Answered again = ns.publish({"a"}, numbered_as(1));
    CHECK(again.confirm->count == (holds ? 0 : 1));
    CHECK(again.confirm->exceptions.size() == (holds ? 1 : 0));
    CHECK(ns.info().ready == 1);
}

TEST_CASE("C-4 a start sets the lease and counts an attempt, and extending renews it", "[core]") {
    QueueFixture queue;
    ConsumeOptions options;
    options.lease = Millis(2'000);  // the consumer's beats the queue's
    REQUIRE(queue.consume(options));
    queue.publish({"m"});
    const Received first = queue.next();
    CHECK(first.attempt == 1);
    CHECK(first.lease_time == Millis(2'000));
    queue.advance(Millis(1'999));
    CHECK(queue.extend({first.range()}).settled->count == 1);
    queue.advance(Millis(1'999));
    CHECK(queue.info().started == 1);
    queue.advance(Millis(1));
    CHECK(queue.info().waiting == 1);
    queue.advance(Millis(1'000));
    CHECK(queue.next().attempt == 2);
}

TEST_CASE("S-5 attempts survive kill -9, and are never too many", "[core]") {
    const bool holds = GENERATE(false, true);
    QueueFixture queue;
    REQUIRE(queue.consume());
    queue.publish({"m"});
    queue.retry(queue.next(), Millis(10));
    queue.hold_commits();
    queue.advance(Millis(10));  // the second start is on its way to the disk
    queue.restart(holds);
    queue.reconnect();
    REQUIRE(queue.consume());
    queue.advance(Millis(60'000));
    const std::vector<Received> got = queue.take();
    REQUIRE_FALSE(got.empty());
    CHECK(got.front().attempt == (holds ? 3 : 2));
}

TEST_CASE("L-5 nothing goes from the dead letters to a queue by itself", "[core]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    queue.publish({"m"});
    queue.reject(queue.next());
    queue.advance(Millis(365LL * 86'400'000));
    queue.restart();
    queue.reconnect();
    REQUIRE(queue.consume());
    CHECK(queue.untaken() == 0);
    CHECK(queue.info().dead == 1);
}

TEST_CASE("Q-4 a confirm carries the room that is left", "[core]") {
    QueueSettings settings;
    settings.max_messages = 3;
    settings.max_bytes = 10 * Batch::message_bytes(1);
    QueueFixture queue(settings);
    CHECK(queue.publish({"a"}).confirm->room_messages == 2);
    const core::Confirmation second = *queue.publish({"b"}).confirm;
    CHECK(second.room_messages == 1);
    CHECK(second.room_bytes == 8 * Batch::message_bytes(1));
    QueueFixture unbounded;
    CHECK(unbounded.publish({"a"}).confirm->room_messages == UINT64_MAX);
}

}  // namespace
}  // namespace rockdove::test

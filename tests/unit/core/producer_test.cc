// Capacity, and producers that send again: SEMANTICS A-1, D-6, Q-1, Q-3, Q-4; docs/protocol.md section 7.
#include <catch2/catch.hpp>

#include "tests/support/core_fixture.h"

namespace rockdove::test {
namespace {

PublishOptions as(std::uint64_t producer_seq, std::uint64_t oldest = 0, SessionId session = SessionId(1)) {
    PublishOptions options;
    options.producer_seq = producer_seq;
    options.oldest_unconfirmed = oldest;
    options.session = session;
    return options;
}

// A queue with session 1 as producer "p".
class ProducerFixture : public QueueFixture {
public:
    explicit ProducerFixture(const QueueSettings& settings = {}) : QueueFixture(settings) {
        disconnect(SessionId(1));
        life = *connect(SessionId(1), "p");
    }
    std::uint64_t life = 0;
};

QueueSettings limited(std::uint64_t messages, std::uint64_t bytes = 0) {
    QueueSettings settings;
    settings.max_messages = messages;
    settings.max_bytes = bytes;
    return settings;
}

TEST_CASE("Q-1 a queue takes exactly max_messages, and FULL says the limit", "[core][limits]") {
    QueueFixture queue(limited(3));
    CHECK(queue.publish(numbered(2)).confirm->room_messages == 1);
    CHECK(queue.publish({"m3"}).confirm->room_messages == 0);
    const Answered full = queue.publish({"m4"});
    REQUIRE(full.error);
    CHECK(full.error->code == ErrorCode::kFull);
    CHECK(full.error->text.find("3 of 3 messages") != std::string::npos);
    CHECK(full.error->retry_after > Millis(0));
    CHECK(queue.info().refused == 1);
    CHECK(queue.info().next_seq == 4);
    // Started and waiting messages count, dead ones do not.
    REQUIRE(queue.consume());
    std::vector<Received> got = queue.take();
    CHECK(queue.publish({"m4"}).error);
    queue.retry(got[0], Millis(60'000));
    CHECK(queue.publish({"m4"}).error);
    queue.reject(got[1]);
    CHECK(queue.publish({"m4"}).confirm->first_seq == Sequence(4));
    queue.ack(got[2]);
    CHECK(queue.publish({"m5"}).confirm);
    CHECK(queue.publish({"m6"}).error);
}

TEST_CASE("Q-1 a queue takes exactly max_bytes", "[core][limits]") {
    const std::size_t each = Batch::message_bytes(100);
    const std::string body(100, 'x');
    QueueFixture queue(limited(0, 3 * each));
    CHECK(queue.publish({body, body}).confirm->room_bytes == each);
    CHECK(queue.publish({body + "y"}).error->code == ErrorCode::kFull);
    CHECK(queue.publish({body}).confirm->room_bytes == 0);
    const Answered full = queue.publish({"y"});
    REQUIRE(full.error);
    CHECK(full.error->text.find("max_bytes") != std::string::npos);
}

TEST_CASE("a publish is accepted as far as it fits, and the rest is refused as one", "[core][limits]") {
    QueueFixture queue(limited(5));
    queue.publish(numbered(2));
    const Answered answer = queue.publish(numbered(6, 3));
    REQUIRE(answer.confirm);
    CHECK(answer.confirm->first_seq == Sequence(3));
    CHECK(answer.confirm->count == 3);
    REQUIRE(answer.confirm->exceptions.size() == 1);
    CHECK(answer.confirm->exceptions[0].first_index == 3);
    CHECK(answer.confirm->exceptions[0].count == 3);
    REQUIRE(answer.confirm->exceptions[0].error);
    CHECK(answer.confirm->exceptions[0].error->code == ErrorCode::kFull);
    CHECK(queue.info().refused == 3);
    REQUIRE(queue.consume());
    CHECK(queue.take_bodies() == numbered(5));
}

TEST_CASE("a small message behind one that does not fit is refused too, so that order stays right", "[core][limits]") {
    QueueFixture queue(limited(0, 2 * Batch::message_bytes(100)));
    const Answered answer = queue.publish({std::string(100, 'a'), std::string(1'000, 'b'), "c"});
    REQUIRE(answer.confirm);
    CHECK(answer.confirm->count == 1);
    REQUIRE(answer.confirm->exceptions.size() == 1);
    CHECK(answer.confirm->exceptions[0].count == 2);
}

TEST_CASE("S-4 retries and releases are never refused for capacity", "[core][limits]") {
    QueueFixture queue(limited(2));
    REQUIRE(queue.consume());
    queue.publish(numbered(2));
    const std::vector<Received> got = queue.take();
    CHECK(queue.retry(got[0], Millis(0)).settled->count == 1);
    CHECK(queue.release(got[1]).settled->count == 1);
    CHECK(queue.take().size() == 2);
}

TEST_CASE("a memory queue without max_bytes is limited all the same", "[core][limits]") {
    QueueSettings settings;
    settings.durability = Durability::kMemory;
    QueueFixture queue(settings);
    CHECK(queue.publish({"a"}).confirm->room_bytes == kMemoryQueueBytes - Batch::message_bytes(1));
}

TEST_CASE("Q-3 a watermark refuses publishes only, and duplicates are answered even then", "[core][limits]") {
    ProducerFixture queue;
    queue.publish(numbered(2), as(1));
    queue.ns().refuse_publishes("the disk is low");
    const Answered refused = queue.publish({"m3"});
    REQUIRE(refused.error);
    CHECK(refused.error->code == ErrorCode::kStoreBusy);
    CHECK(refused.error->text == "the disk is low");
    CHECK(refused.error->retry_after > Millis(0));
    const Answered again = queue.publish(numbered(3), as(1));  // two old, one new
    REQUIRE(again.confirm);
    CHECK(again.confirm->count == 0);
    REQUIRE(again.confirm->exceptions.size() == 2);
    CHECK_FALSE(again.confirm->exceptions[0].error);
    CHECK(again.confirm->exceptions[1].error->code == ErrorCode::kStoreBusy);
    REQUIRE(queue.consume());
    std::vector<Received> got = queue.take();
    REQUIRE(got.size() == 2);
    CHECK(queue.ack(got[0]).settled->count == 1);
    CHECK(queue.create("other"));
    CHECK(queue.purge());
    queue.ns().refuse_publishes("");
    CHECK(queue.publish({"m3"}, as(3)).confirm);
}

TEST_CASE("D-6 a resend is answered with the first answer", "[core][producer]") {
    ProducerFixture queue;
    const Answered first = queue.publish(numbered(3), as(1));
    REQUIRE(first.confirm);
    queue.advance(Millis(500));
    const auto check_again = [&] {
        const Answered again = queue.publish(numbered(3), as(1));
        REQUIRE(again.confirm);
        CHECK(again.confirm->count == 0);
        CHECK(again.confirm->first_seq == Sequence(0));
        REQUIRE(again.confirm->exceptions.size() == 1);
        const core::PublishException& duplicate = again.confirm->exceptions[0];
        CHECK_FALSE(duplicate.error);
        CHECK(duplicate.first_index == 0);
        CHECK(duplicate.count == 3);
        CHECK(duplicate.first_seq == Sequence(1));
        CHECK(duplicate.commit_time_ms == first.confirm->commit_time_ms);
        CHECK(duplicate.queue == first.confirm->queue);
        CHECK(queue.info().next_seq == 4);
    };
    SECTION("at once") { check_again(); }
    SECTION("whatever became of the messages") {
        REQUIRE(queue.consume());
        for (const Received& message : queue.take()) queue.ack(message);
        check_again();
    }
    SECTION("on a new connection of the same life") {
        queue.disconnect(SessionId(1));
        CHECK(*queue.connect(SessionId(1), "p", queue.life) == queue.life);
        check_again();
    }
    SECTION("after a restart of the broker") {
        queue.restart();
        CHECK(*queue.connect(SessionId(1), "p", queue.life) == queue.life);
        check_again();
        queue.restart();
        CHECK(*queue.connect(SessionId(1), "p", queue.life) == queue.life);
        check_again();
    }
    SECTION("A-1 even when the queue is full") {
        REQUIRE(queue.update("q", limited(3)));
        CHECK(queue.publish({"m4"}, as(4)).error->code == ErrorCode::kFull);
        check_again();
    }
    SECTION("and in part, when new ones follow") {
        const Answered mixed = queue.publish(numbered(3, 2), as(2));
        REQUIRE(mixed.confirm);
        CHECK(mixed.confirm->count == 1);
        CHECK(mixed.confirm->first_seq == Sequence(4));
        REQUIRE(mixed.confirm->exceptions.size() == 1);
        CHECK(mixed.confirm->exceptions[0].count == 2);
        CHECK(mixed.confirm->exceptions[0].first_seq == Sequence(2));
    }
}

TEST_CASE("D-6 a resend while the first commit is under way is answered after it", "[core][producer]") {
    ProducerFixture queue;
    queue.hold_commits();
    CHECK(queue.publish({"a"}, as(1)).pending());
    CHECK(queue.publish({"a"}, as(1)).pending());
    const std::uint64_t second = queue.last_request();
    queue.release_commits();
    REQUIRE(queue.answer(second).confirm);
    CHECK(queue.answer(second).confirm->exceptions.size() == 1);
    CHECK(queue.info().next_seq == 2);
}

TEST_CASE("D-6 a publish lost with its commit is new when sent again", "[core][producer]") {
    ProducerFixture queue;
    queue.publish({"a"}, as(1));
    queue.hold_commits();
    queue.publish({"b"}, as(2));
    const bool holds = GENERATE(false, true);
    queue.restart(holds);
    REQUIRE(queue.connect(SessionId(1), "p", queue.life));
    const Answered again = queue.publish({"a", "b"}, as(1));
    REQUIRE(again.confirm);
    CHECK(again.confirm->count == (holds ? 0 : 1));
    CHECK(queue.info().ready == 2);
}

TEST_CASE("D-6 a refused message is not remembered, and may be accepted out of order later", "[core][producer]") {
    ProducerFixture queue(limited(1));
    CHECK(queue.publish({"a"}, as(1)).confirm);
    CHECK(queue.publish({"b"}, as(2)).error);
    REQUIRE(queue.update("q", limited(0)));
    CHECK(queue.publish({"c"}, as(3)).confirm->first_seq == Sequence(2));
    CHECK(queue.publish({"b"}, as(2)).confirm->first_seq == Sequence(3));
    const Answered all = queue.publish({"a", "b", "c", "d"}, as(1));
    CHECK(all.confirm->count == 1);
    REQUIRE(all.confirm->exceptions.size() == 3);
    CHECK(all.confirm->exceptions[1].first_seq == Sequence(3));
    CHECK(all.confirm->exceptions[2].first_seq == Sequence(2));
}

TEST_CASE("D-6 a resend to another queue is a CONFLICT", "[core][producer]") {
    ProducerFixture queue;
    REQUIRE(queue.create("other"));
    queue.publish({"a"}, as(1));
    PublishOptions to = as(1);
    to.queue = "other";
    CHECK(queue.publish({"a"}, to).error->code == ErrorCode::kConflict);
    const Answered part = queue.publish({"a", "b"}, to);  // the second number is new
    REQUIRE(part.confirm);
    CHECK(part.confirm->count == 1);
    REQUIRE(part.confirm->exceptions.size() == 1);
    CHECK(part.confirm->exceptions[0].error->code == ErrorCode::kConflict);
    CHECK(queue.info("other").ready == 1);
    CHECK(queue.info().ready == 1);
}

TEST_CASE("D-6 oldest_unconfirmed lets the broker forget; what is below is refused", "[core][producer]") {
    ProducerFixture queue;
    queue.publish(numbered(2), as(1, 1));
    queue.publish(numbered(2, 3), as(3, 3));
    CHECK(queue.publish({"m1"}, as(1)).error->code == ErrorCode::kInvalid);
    CHECK(queue.publish({"m4"}, as(4)).confirm->exceptions.size() == 1);
    // Never above the frame's own first sequence.
    CHECK(queue.publish({"m5"}, as(5, 100)).confirm);
    CHECK(queue.publish({"m5"}, as(5)).confirm->exceptions.size() == 1);
}

TEST_CASE("D-6 a newer life fences the older one", "[core][producer]") {
    ProducerFixture queue;
    queue.publish({"a"}, as(1));
    const Result<std::uint64_t> newer = queue.connect(SessionId(2), "p");
    REQUIRE(newer);
    CHECK(*newer > queue.life);
    CHECK(queue.publish({"b"}, as(2)).error->code == ErrorCode::kFenced);
    CHECK(queue.connect(SessionId(3), "p", queue.life).error().code == ErrorCode::kFenced);
    // Its sequences begin anew.
    CHECK(queue.publish({"b"}, as(1, 1, SessionId(2))).confirm->first_seq == Sequence(2));
    queue.restart();
    CHECK(queue.connect(SessionId(3), "p", queue.life).error().code == ErrorCode::kFenced);
    CHECK(queue.connect(SessionId(3), "p", *newer));
}

TEST_CASE("D-6 a new life is answered once its number is on disk", "[core][producer]") {
    ProducerFixture queue;
    queue.publish({"a"}, as(1));
    queue.hold_commits();
    CHECK_FALSE(queue.connect(SessionId(2), "p"));
    CHECK(queue.committing());
}

TEST_CASE("D-6 each life has a higher number than all before it, also over restarts and farewells",
          "[core][producer]") {
    ProducerFixture queue;
    std::uint64_t last = queue.life;
    for (int round = 0; round < 6; ++round) {
        if (round % 3 == 1) queue.restart();
        if (round % 3 == 2) queue.disconnect(SessionId(1), true);
        const Result<std::uint64_t> life = queue.connect(SessionId(1), "p");
        REQUIRE(life);
        CHECK(*life > last);
        last = *life;
        if (round > 3) queue.publish({"x"}, as(1));
    }
}

TEST_CASE("D-6 whoever goes on with a life takes it over from the older connection", "[core][producer]") {
    ProducerFixture queue;
    CHECK(*queue.connect(SessionId(2), "p", queue.life) == queue.life);
    CHECK(queue.publish({"a"}, as(1)).error->code == ErrorCode::kFenced);
    CHECK(queue.publish({"a"}, as(1, 1, SessionId(2))).confirm);
    queue.disconnect(SessionId(1));  // the older one's end changes nothing
    CHECK(queue.publish({"b"}, as(2, 1, SessionId(2))).confirm);
}

TEST_CASE("a farewell forgets the producer, and an older connection of it is fenced, not confused",
          "[core][producer]") {
    ProducerFixture queue;
    queue.publish({"a"}, as(1));
    REQUIRE(queue.connect(SessionId(2), "p", queue.life));
    queue.disconnect(SessionId(2), true);
    queue.publish({"unnumbered"});
    CHECK(queue.publish({"b"}, as(2)).error->code == ErrorCode::kFenced);
    queue.disconnect(SessionId(1));
    // Accepted all the same, with nothing remembered.
    CHECK(queue.connect(SessionId(3), "p", queue.life));
    CHECK(queue.publish({"a"}, as(1, 1, SessionId(3))).confirm->count == 1);
}

TEST_CASE("a producer is forgotten after a day without use, not before and not while connected", "[core][producer]") {
    ProducerFixture queue;
    queue.publish({"a"}, as(1));
    queue.advance(Millis(26 * 3'600'000));
    CHECK(queue.publish({"a"}, as(1)).confirm->exceptions.size() == 1);
    queue.disconnect(SessionId(1));
    queue.advance(Millis(23 * 3'600'000));
    REQUIRE(queue.connect(SessionId(1), "p", queue.life));
    CHECK(queue.publish({"a"}, as(1)).confirm->exceptions.size() == 1);
    queue.disconnect(SessionId(1));
    queue.advance(Millis(25 * 3'600'000));
    REQUIRE(queue.connect(SessionId(1), "p", queue.life));
    CHECK(queue.publish({"a"}, as(1)).confirm->count == 1);
}

TEST_CASE("a memory queue's answers are remembered while the broker lives", "[core][producer]") {
    QueueSettings settings;
    settings.durability = Durability::kMemory;
    ProducerFixture queue(settings);
    queue.publish({"a"}, as(1));
    CHECK(queue.publish({"a"}, as(1)).confirm->exceptions.size() == 1);
    queue.restart();
    REQUIRE(queue.connect(SessionId(1), "p", queue.life));
    CHECK(queue.publish({"a"}, as(1)).confirm->count == 1);  // the message is gone too
}

TEST_CASE("producer sequences need a producer, and stay below the largest number", "[core][producer]") {
    ProducerFixture queue;
    REQUIRE(queue.connect(SessionId(2)));
    CHECK(queue.publish({"a"}, as(1, 0, SessionId(2))).error->code == ErrorCode::kInvalid);
    CHECK(queue.publish({"a", "b"}, as(UINT64_MAX)).error->code == ErrorCode::kInvalid);
    CHECK(queue.publish({"a", "b"}, as(UINT64_MAX - 1)).error->code == ErrorCode::kInvalid);
    CHECK(queue.info().next_seq == 1);
}

TEST_CASE("a publish without a request id is told what was refused, never what was accepted", "[core][queue]") {
    QueueFixture queue(limited(3));
    Batch batch;
    batch.add("a");
    batch.add("b");
    const auto publish = [&] {
        core::PublishRequest request;
        request.session = SessionId(1);
        request.queue = "q";
        request.records = batch.records;
        request.ends = batch.ends;
        queue.ns().publish(request, queue.now());
        queue.turn();
    };
    publish();
    CHECK_FALSE(queue.answered(0));
    publish();
    REQUIRE(queue.answered(0));
    CHECK_FALSE(queue.answer(0).confirm);
    CHECK(queue.answer(0).error->code == ErrorCode::kFull);
    CHECK(queue.info().ready == 3);
}

TEST_CASE("producers that never published make room for new ones", "[core][producer][limits]") {
    ProducerFixture queue;
    queue.publish({"a"}, as(1));
    for (std::size_t i = 0; i < core::kMaxProducers - 1; ++i) {
        REQUIRE(queue.connect(SessionId(7), "blank" + std::to_string(i)));
        queue.disconnect(SessionId(7));
    }
    CHECK(queue.connect(SessionId(7), "one more"));
    queue.disconnect(SessionId(1));
    REQUIRE(queue.connect(SessionId(1), "p", queue.life));
    CHECK(queue.publish({"a"}, as(1)).confirm->exceptions.size() == 1);  // who published is still known
}

TEST_CASE("a producer has at most its limit of unforgotten answers", "[core][producer][limits]") {
    ProducerFixture queue;
    // Every second number, so that no two answers merge.
    for (std::uint64_t i = 0; i < core::kMaxAnswerRanges; ++i) REQUIRE(queue.publish({"a"}, as(2 * i + 1)).confirm);
    const std::uint64_t next = 2ULL * core::kMaxAnswerRanges + 1;
    CHECK(queue.publish({"a"}, as(next)).error->code == ErrorCode::kStoreBusy);
    CHECK(queue.publish({"a"}, as(next, next)).confirm);
}

}  // namespace
}  // namespace rockdove::test

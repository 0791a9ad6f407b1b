// Dedup ids (SEMANTICS section 4, A-1, A-4).
#include <catch2/catch.hpp>

#include "protocol/base/key_hash.h"
#include "server/core/limits.h"
#include "storage/keys.h"
#include "tests/support/core_fixture.h"

namespace rockdove::test {
namespace {

using Bodies = std::vector<std::string>;

base::MessageTraits with_id(std::string_view id, std::string_view body) {
    base::MessageTraits traits;
    traits.dedup.low = base::key_hash(id);
    traits.dedup.body = base::key_hash(body);
    return traits;
}

Answered publish(NamespaceFixture& queue, const std::vector<std::pair<std::string, std::string>>& messages,
                 const PublishOptions& options = {}) {
    Batch batch;
    for (const auto& [id, body] : messages) {
        batch.add(body, id.empty() ? base::MessageTraits() : with_id(id, body));
    }
    return queue.publish(batch, options);
}

// What a publish of one message was answered: its sequence, negative if it is a duplicate; 0: refused.
std::int64_t send(NamespaceFixture& queue, const std::string& id, const std::string& body = "body") {
    const Answered answer = publish(queue, {{id, body}});
    if (!answer.confirm) return 0;
    if (answer.confirm->count == 1) return static_cast<std::int64_t>(answer.confirm->first_seq.value);
    REQUIRE(answer.confirm->exceptions.size() == 1);
    return -static_cast<std::int64_t>(answer.confirm->exceptions[0].first_seq.value);
}

std::uint64_t records(NamespaceFixture& queue) {
    std::uint64_t count = 0;
    const auto [begin, end] = storage::tag_range(NamespaceId(1), storage::Tag::kDedup);
    REQUIRE(queue.store().scan(begin, end, [&](const storage::RecordView&) { return ++count != 0; }));
    return count;
}

QueueSettings window(Millis time, Durability durability = Durability::kSync) {
    QueueSettings settings;
    settings.dedup_window = time;
    settings.durability = durability;
    return settings;
}

QueueSettings until_done() {
    QueueSettings settings;
    settings.dedup_mode = DedupMode::kUntilDone;
    return settings;
}

TEST_CASE("D-1 a duplicate is answered with the first id for the window, whatever becomes of the message",
          "[core][dedup]") {
    const auto durability = GENERATE(Durability::kSync, Durability::kAsync, Durability::kMemory);
    QueueFixture queue(window(Millis(10'000), durability));
    REQUIRE(queue.consume());
    const std::int64_t first_ms = to_unix_ms(queue.now());
    CHECK(send(queue, "a") == 1);
    CHECK(send(queue, "b") == 2);
    const std::string what = GENERATE("acked", "dead", "waits");
    for (const Received& message : queue.take()) {
        if (what == "acked") queue.ack(message);
        if (what == "dead") queue.reject(message);
    }
    queue.advance(Millis(9'999));
    const Answered again = publish(queue, {{"a", "body"}});
    REQUIRE(again.confirm);
    CHECK(again.confirm->count == 0);
    REQUIRE(again.confirm->exceptions.size() == 1);
    CHECK_FALSE(again.confirm->exceptions[0].error);
    CHECK(again.confirm->exceptions[0].first_seq == Sequence(1));
    CHECK(again.confirm->exceptions[0].commit_time_ms == first_ms);
    CHECK(again.confirm->exceptions[0].queue == queue.info().id);
    CHECK(queue.info().dedup_ids == 2);
    queue.advance(Millis(1));
    CHECK(queue.info().dedup_ids == 0);
    CHECK(records(queue) == 0);
    CHECK(send(queue, "a") == 3);
}

TEST_CASE("D-1 until_done: the id is free when the first is acked, cancelled, expired, purged or dead",
          "[core][dedup]") {
    QueueFixture queue(until_done());
    base::MessageTraits traits = with_id("a", "body");
    traits.ttl_ms = 3'600'000;
    Batch batch;
    batch.add("body", traits);
    queue.publish(batch);
    queue.advance(Millis(3'000'000));  // much more than a window
    CHECK(send(queue, "a") == -1);
    const std::string end = GENERATE("acked", "dead", "cancelled", "expired", "purged", "waits");
    if (end == "acked" || end == "dead" || end == "waits") {
        REQUIRE(queue.consume());
        const Received message = queue.next();
        CHECK(send(queue, "a") == -1);  // started
        if (end == "acked") queue.ack(message);
        if (end == "dead") queue.reject(message);
        if (end == "waits") queue.retry(message, Millis(60'000));
    }
    if (end == "cancelled") REQUIRE(queue.cancel_message(1));
    if (end == "expired") queue.advance(Millis(600'000));
    if (end == "purged") REQUIRE(queue.purge());
    if (GENERATE(false, true)) {
        queue.restart();
        queue.reconnect();
    }
    CHECK(send(queue, "a") == (end == "waits" ? -1 : 2));
}

TEST_CASE("D-2 a scheduled message counts from its commit", "[core][dedup]") {
    QueueFixture queue(window(Millis(10'000)));
    base::MessageTraits traits = with_id("a", "body");
    traits.delay_ms = 60'000;
    Batch batch;
    batch.add("body", traits);
    queue.publish(batch);
    queue.advance(Millis(9'999));
    CHECK(send(queue, "a") == -1);
    queue.advance(Millis(1));
    CHECK(send(queue, "a") == 2);  // although the first is not due yet
}

TEST_CASE("D-3 the same id with another body is refused with the first id, and the others are stored",
          "[core][dedup]") {
    QueueFixture queue;
    const std::int64_t first_ms = to_unix_ms(queue.now());
    CHECK(send(queue, "a", "one") == 1);
    const Answered alone = publish(queue, {{"a", "two"}});
    REQUIRE(alone.error);
    CHECK(alone.error->code == ErrorCode::kDedupConflict);
    CHECK(alone.error->text.find(base::format_message_id({first_ms, queue.info().id, Sequence(1)})) !=
          std::string::npos);
    const Answered among = publish(queue, {{"", "x"}, {"a", "two"}, {"b", "y"}});
    REQUIRE(among.confirm);
    CHECK(among.confirm->count == 2);
    REQUIRE(among.confirm->exceptions.size() == 1);
    CHECK(among.confirm->exceptions[0].first_index == 1);
    CHECK(among.confirm->exceptions[0].error->code == ErrorCode::kDedupConflict);
    REQUIRE(queue.consume());
    CHECK(queue.take_bodies() == Bodies{"one", "x", "y"});
    CHECK(queue.info().refused == 2);
}

TEST_CASE("D-1 two messages of one publish with one id are one", "[core][dedup]") {
    QueueFixture queue(GENERATE(until_done(), QueueSettings()));
    const Answered answer = publish(queue, {{"a", "x"}, {"", "y"}, {"a", "x"}, {"a", "z"}, {"", "last"}});
    REQUIRE(answer.confirm);
    CHECK(answer.confirm->count == 3);
    REQUIRE(answer.confirm->exceptions.size() == 2);
    CHECK(answer.confirm->exceptions[0].first_index == 2);
    CHECK(answer.confirm->exceptions[0].first_seq == Sequence(1));
    CHECK(answer.confirm->exceptions[1].first_index == 3);
    CHECK(answer.confirm->exceptions[1].error->code == ErrorCode::kDedupConflict);
    REQUIRE(queue.consume());
    CHECK(queue.take_bodies() == Bodies{"x", "y", "last"});
}

TEST_CASE("D-1 an id belongs to a queue", "[core][dedup]") {
    QueueFixture queue;
    REQUIRE(queue.create("other"));
    CHECK(send(queue, "a") == 1);
    PublishOptions options;
    options.queue = "other";
    CHECK(publish(queue, {{"a", "body"}}, options).confirm->count == 1);
    REQUIRE(queue.remove("q"));
    REQUIRE(queue.create("q"));
    CHECK(send(queue, "a") == 1);  // a new queue
    CHECK(records(queue) == 2);
}

TEST_CASE("A-1 a duplicate beats FULL, and what is refused leaves no trace", "[core][dedup]") {
    QueueSettings settings;
    settings.max_messages = 2;
    QueueFixture queue(settings);
    CHECK(send(queue, "a") == 1);
    const Answered answer = publish(queue, {{"b", "b"}, {"c", "c"}, {"a", "body"}, {"c", "c"}, {"d", "d"}});
    REQUIRE(answer.confirm);
    CHECK(answer.confirm->count == 1);  // b
    CHECK(send(queue, "a") == -1);
    CHECK(send(queue, "b", "b") == -2);
    CHECK(send(queue, "c", "c") == 0);
    CHECK(queue.info().dedup_ids == 2);
    REQUIRE(queue.consume());
    for (const Received& message : queue.take()) queue.ack(message);
    CHECK(send(queue, "c", "c") == 3);
    CHECK(send(queue, "d", "d") == 4);
}

TEST_CASE("A-1 a duplicate is answered while publishes are refused", "[core][dedup]") {
    QueueFixture queue;
    CHECK(send(queue, "a") == 1);
    queue.ns().refuse_publishes("the disk is low");
    CHECK(send(queue, "a") == -1);
    CHECK(send(queue, "b") == 0);
    queue.ns().refuse_publishes("");
    CHECK(send(queue, "b") == 2);
}

TEST_CASE("A-4 D-5 message and id are one commit, and both survive a restart", "[core][dedup]") {
    QueueFixture queue(window(Millis(10'000)));
    const bool holds = GENERATE(false, true);
    queue.hold_commits();
    CHECK(publish(queue, {{"a", "body"}}).pending());
    queue.restart(holds);
    queue.reconnect();
    CHECK(queue.info().ready == (holds ? 1 : 0));
    CHECK(queue.info().dedup_ids == (holds ? 1 : 0));
    CHECK(send(queue, "a") == (holds ? -1 : 1));
    queue.advance(Millis(9'999));
    queue.restart();
    queue.reconnect();
    CHECK(send(queue, "a") == -1);
    queue.advance(Millis(1));
    CHECK(send(queue, "a") == 2);
}

TEST_CASE("D-1 a duplicate of a message whose commit is under way is answered when that holds", "[core][dedup]") {
    QueueFixture queue;
    queue.hold_commits();
    publish(queue, {{"a", "body"}});
    const std::uint64_t first = queue.last_request();
    publish(queue, {{"a", "body"}});
    const std::uint64_t second = queue.last_request();
    CHECK(queue.answer(second).pending());
    queue.release_commits();
    CHECK(queue.answer(first).confirm->count == 1);
    REQUIRE(queue.answer(second).confirm);
    CHECK(queue.answer(second).confirm->exceptions.at(0).first_seq == Sequence(1));
}

TEST_CASE("D-4 retry, redelivery, redrive and a move to dead_letter_to bypass dedup", "[core][dedup]") {
    QueueFixture queue(until_done());
    QueueSettings settings = until_done();
    REQUIRE(queue.create("dead", settings));
    REQUIRE(queue.consume());
    CHECK(send(queue, "a") == 1);
    queue.retry(queue.next(), Millis(0));
    queue.reject(queue.next());
    CHECK(send(queue, "a") == 2);  // the first is dead
    core::RedriveRequest request;
    request.queue = "q";
    REQUIRE(queue.redrive(request));
    CHECK(queue.info().started == 2);  // both
    settings.dead_letter_to = "dead";
    REQUIRE(queue.update("q", settings));
    PublishOptions options;
    options.queue = "dead";
    publish(queue, {{"a", "body"}}, options);
    for (const Received& message : queue.take()) queue.reject(message);
    CHECK(queue.info("dead").ready == 3);
}

TEST_CASE("D-6 a re-send under its producer sequence is answered as the first time, also after the window",
          "[core][dedup][producer]") {
    QueueFixture queue(window(Millis(1'000)));
    CHECK(send(queue, "a") == 1);
    REQUIRE(queue.connect(SessionId(2), "p"));
    PublishOptions options;
    options.session = SessionId(2);
    options.producer_seq = 1;
    const Answered first = publish(queue, {{"a", "body"}}, options);
    REQUIRE(first.confirm);
    CHECK(first.confirm->exceptions.at(0).first_seq == Sequence(1));
    queue.advance(Millis(5'000));
    const Answered again = publish(queue, {{"a", "body"}}, options);
    REQUIRE(again.confirm);
    CHECK(again.confirm->count == 0);
    CHECK(again.confirm->exceptions.at(0).first_seq == Sequence(1));
}

TEST_CASE("dedup settings change while the queue runs", "[core][dedup]") {
    QueueFixture queue(window(Millis(10'000)));
    REQUIRE(queue.consume());
    CHECK(send(queue, "a") == 1);
    queue.ack(queue.next());
    queue.advance(Millis(5'000));
    SECTION("a shorter window") {
        REQUIRE(queue.update("q", window(Millis(5'000))));
        CHECK(send(queue, "a") == 2);
    }
    SECTION("a longer window") {
        REQUIRE(queue.update("q", window(Millis(60'000))));
        queue.advance(Millis(54'999));
        CHECK(send(queue, "a") == -1);
        queue.advance(Millis(1));
        CHECK(send(queue, "a") == 2);
    }
    SECTION("until done: the first is done") {
        REQUIRE(queue.cancel());
        REQUIRE(queue.update("q", until_done()));
        CHECK(send(queue, "a") == 2);
        queue.advance(Millis(3'600'000));
        CHECK(send(queue, "a") == -2);
    }
}

TEST_CASE("until_done: ids of messages that are done are forgotten, on disk too", "[core][dedup]") {
    QueueFixture queue(until_done());
    ConsumeOptions options;
    options.credit = 65'535;
    REQUIRE(queue.consume(options));
    const std::int64_t kept = send(queue, "kept");
    const Received held = queue.next();
    for (int i = 0; i < 500; ++i) {
        CHECK(send(queue, "id" + std::to_string(i)) > 0);
        queue.ack(queue.next());
        CHECK(queue.info().dedup_ids <= 10);
    }
    CHECK(records(queue) <= 10);
    CHECK(send(queue, "kept") == -kept);
    queue.ack(held);
}

TEST_CASE("a queue remembers at most so many dedup ids; new ones are refused, old ones still answered",
          "[core][dedup][limits]") {
    QueueFixture queue(window(Millis(10'000)));
    std::uint64_t next = 0;
    while (next < core::kMaxDedupIds) {
        Batch batch;
        for (int i = 0; i < 4'000; ++i, ++next) {
            base::MessageTraits traits;
            traits.dedup.low = next + 1;
            batch.add("x", traits);
        }
        REQUIRE(queue.publish(batch).confirm->count == 4'000);
    }
    CHECK(queue.info().dedup_ids == core::kMaxDedupIds);
    const Answered more = publish(queue, {{"", "plain"}, {"new", "x"}, {"", "behind"}});
    REQUIRE(more.confirm);
    CHECK(more.confirm->count == 1);
    REQUIRE(more.confirm->exceptions.size() == 1);
    CHECK(more.confirm->exceptions[0].count == 2);  // their order stays right
    CHECK(more.confirm->exceptions[0].error->code == ErrorCode::kRateLimited);
    CHECK(more.confirm->exceptions[0].error->retry_after.count() > 0);
    Batch batch;
    base::MessageTraits traits;
    traits.dedup.low = 1;
    batch.add("x", traits);
    CHECK(queue.publish(batch).confirm->exceptions.at(0).first_seq == Sequence(1));
    queue.advance(Millis(10'000));
    CHECK(queue.info().dedup_ids == 0);
    CHECK(send(queue, "new", "x") > 0);
}

}  // namespace
}  // namespace rockdove::test

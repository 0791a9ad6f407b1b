// Redrive beside keys, expiry and filters (SEMANTICS L-4, T-3).
#include <catch2/catch.hpp>

#include "tests/support/core_fixture.h"

namespace rockdove::test {
namespace {

using Bodies = std::vector<std::string>;
using storage::RedrivePlace;

core::RedriveRequest from(std::string_view queue, RedrivePlace place = RedrivePlace::kByKey) {
    core::RedriveRequest request;
    request.queue = queue;
    request.place = place;
    return request;
}

Batch keyed(const std::vector<std::string>& bodies, std::string_view key) {
    Batch batch;
    for (const std::string& body : bodies) batch.add(body, {}, key);
    return batch;
}

TEST_CASE("L-4 a redriven message with a key goes to its old place: a key that stopped goes on in order",
          "[core][dead_letter][key]") {
    const bool restart = GENERATE(false, true);
    QueueSettings settings;
    settings.key_on_dead = KeyOnDead::kPause;
    QueueFixture queue(settings);
    REQUIRE(queue.consume());
    queue.publish(keyed({"a1", "a2", "a3"}, "a"));
    queue.reject(queue.next());
    CHECK(queue.untaken() == 0);
    queue.advance(Millis(1'000));
    queue.publish(keyed({"a4"}, "a"));
    const std::string id = base::format_message_id({1'700'000'000'000, queue.info().id, Sequence(1)});
    REQUIRE(queue.redrive(from("q")));
    CHECK(queue.info().dead == 0);
    CHECK(queue.untaken() == 0);  // until the key is resumed
    if (restart) {
        queue.restart();
        queue.reconnect();
        REQUIRE(queue.consume());
    }
    REQUIRE(queue.resume_key("a"));
    CHECK(drain(queue) == Bodies{"a1", "a2", "a3", "a4"});
}

TEST_CASE("L-4 a redriven message without a key goes to the end, or where it is wanted", "[core][dead_letter]") {
    QueueFixture queue;
    REQUIRE(queue.consume(one_at_a_time()));
    queue.publish(numbered(3));
    const Received first = queue.next();
    queue.reject(first);  // m2 is delivered
    const Received second = queue.next();
    queue.advance(Millis(1'000));
    queue.publish({"later"});
    const auto [place, bodies] = GENERATE(table<RedrivePlace, Bodies>({
        {RedrivePlace::kByKey, {"m3", "later", "m1"}},
        {RedrivePlace::kEnd, {"m3", "later", "m1"}},
        {RedrivePlace::kOriginal, {"m1", "m3", "later"}},
    }));
    REQUIRE(queue.redrive(from("q", place)));
    queue.ack(second);
    CHECK(drain(queue) == bodies);
}

TEST_CASE("L-4 a keyed message is sent to the end if that is asked for", "[core][dead_letter][key]") {
    QueueFixture queue;
    REQUIRE(queue.consume(one_at_a_time()));
    queue.publish(keyed({"a1", "a2", "a3"}, "a"));
    queue.reject(queue.next());
    const Received second = queue.next();
    REQUIRE(queue.redrive(from("q", RedrivePlace::kEnd)));
    queue.ack(second);
    CHECK(drain(queue) == Bodies{"a3", "a1"});
}

TEST_CASE("L-4 a message at its old place is delivered only when its commit holds, and dies and comes back again",
          "[core][dead_letter]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    Batch batch;
    base::MessageTraits later;
    later.delay_ms = 5'000;
    batch.add("a", later);
    queue.publish(batch);
    const std::int64_t due_ms = to_unix_ms(queue.now()) + 5'000;
    queue.advance(Millis(5'000));
    queue.reject(queue.next());
    for (int round = 0; round < 3; ++round) {
        queue.hold_commits();
        REQUIRE_FALSE(queue.redrive(from("q", RedrivePlace::kOriginal)));  // no answer before the commit
        CHECK(queue.untaken() == 0);
        queue.release_commits();
        const Received again = queue.next();
        CHECK(again.body == "a");
        CHECK(again.attempt == 1);
        CHECK(again.id_seq == Sequence(1));
        queue.reject(again);
        const Result<core::DeadPage> page = queue.list_dead();
        REQUIRE(page);
        REQUIRE(page->letters.size() == 1);
        CHECK(page->letters[0].record.due_ms == due_ms);  // when it was due at first
    }
}

TEST_CASE("L-4 a redrive takes only what its filter wants, also after a restart", "[core][dead_letter][filter]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    queue.publish({"a", "b", "a", "b", "a"});
    for (const Received& message : queue.take()) queue.reject(message);
    core::RedriveRequest request = from("q");
    request.filter = "nonsense";
    CHECK(queue.redrive(request).error().code == ErrorCode::kInvalid);
    CHECK(queue.ns().list_tasks().empty());
    request.filter = "body=b";
    request.rate = 1;
    REQUIRE(queue.redrive(request));
    queue.restart();
    queue.reconnect();
    queue.advance(Millis(5'000));
    const Result<core::TaskInfo> task = queue.ns().show_task(1);
    REQUIRE(task);
    CHECK(task->record.state == storage::TaskState::kDone);
    CHECK(task->record.moved == 2);
    CHECK(queue.info().dead == 3);
    REQUIRE(queue.consume());
    CHECK(queue.take_bodies() == Bodies{"b", "b"});
}

TEST_CASE("T-3 a redriven message has its time to live anew; a time that has passed means nothing any more",
          "[core][dead_letter][expiry]") {
    QueueSettings settings;
    QueueFixture queue(settings);
    const std::int64_t begin_ms = to_unix_ms(queue.now());
    base::MessageTraits ttl;
    ttl.ttl_ms = 10'000;
    base::MessageTraits at;
    at.expires_at_ms = begin_ms + 10'000;
    base::MessageTraits deadline;
    deadline.deadline_ms = begin_ms + 10'000;
    base::MessageTraits ahead;
    ahead.expires_at_ms = begin_ms + 30'000;
    ahead.deadline_ms = begin_ms + 10'000;
    Batch batch;
    batch.add("ttl", ttl);
    batch.add("at", at);
    batch.add("deadline", deadline);
    batch.add("ahead", ahead);
    queue.publish(batch);
    queue.advance(Millis(15'000));
    CHECK(queue.info().dead == 4);
    REQUIRE(queue.redrive(from("q")));
    CHECK(queue.info().ready == 4);
    queue.advance(Millis(9'999));
    CHECK(queue.info().dead == 0);
    queue.advance(Millis(1));
    CHECK(queue.info().dead == 1);  // ttl
    queue.advance(Millis(5'000));
    CHECK(queue.info().dead == 2);  // ahead
    queue.advance(Millis(100'000));
    REQUIRE(queue.consume());
    CHECK(queue.take_bodies() == Bodies{"at", "deadline"});
}

TEST_CASE("L-2 what expires goes to dead_letter_to, where only that queue's ttl counts",
          "[core][dead_letter][expiry][key]") {
    QueueFixture queue;
    QueueSettings settings;
    REQUIRE(queue.create("dead", settings));
    settings.dead_letter_to = "dead";
    settings.dead_max = 1;  // does not concern what goes on
    REQUIRE(queue.update("q", settings));
    base::MessageTraits ttl;
    ttl.ttl_ms = 1'000;
    ttl.priority = 7;
    Batch batch;
    for (const char* body : {"a1", "b1", "a2"}) batch.add(body, ttl, std::string_view(body, 1));
    queue.publish(batch);
    if (GENERATE(false, true)) {  // its body has to be read first
        queue.ns().drop_payload({NamespaceId(1), queue.info().id, Sequence(1), 0});
    }
    queue.advance(Millis(60'000));
    CHECK(queue.info().ready == 0);
    CHECK(queue.info().dead == 0);
    CHECK(queue.info("dead").ready == 3);
    queue.restart();
    queue.reconnect();
    ConsumeOptions options;
    options.queue = "dead";
    REQUIRE(queue.consume(options));
    CHECK(queue.take_bodies() == Bodies{"a1", "b1"});  // it keeps its key
}

TEST_CASE("a message that was moved is found by its id", "[core][dead_letter]") {
    QueueFixture queue;
    REQUIRE(queue.create("other"));
    REQUIRE(queue.consume());
    queue.publish({"a"});
    const base::MessageId id{to_unix_ms(queue.now()), queue.info().id, Sequence(1)};
    queue.reject(queue.next());
    CHECK(queue.ns().explain(id)->gate == core::Gate::kDead);
    core::RedriveRequest request = from("q");
    request.to = "other";
    REQUIRE(queue.redrive(request));
    const Result<core::Explanation> now = queue.ns().explain(id);
    REQUIRE(now);
    CHECK(now->gate == core::Gate::kNoConsumer);
    CHECK(queue.ns().queue_of(id) == "other");
    std::optional<Result<std::uint64_t>> cancelled;
    queue.ns().cancel_message(id, [&](Result<std::uint64_t> count) { cancelled = std::move(count); });
    queue.turn();
    REQUIRE(cancelled);
    CHECK(*cancelled);
    CHECK(queue.info("other").ready == 0);
    CHECK(queue.ns().explain(id)->gate == core::Gate::kGone);
}

}  // namespace
}  // namespace rockdove::test

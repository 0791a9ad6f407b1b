// A single message: why it is where it is, taking it back, moving its time.
#include <catch2/catch.hpp>

#include "tests/support/core_fixture.h"

namespace rockdove::test {
namespace {

using base::MessageTraits;
using core::Explanation;
using core::Gate;

Answered send(NamespaceFixture& queue, const std::string& body, std::int64_t delay_ms = 0, std::string_view key = {}) {
    MessageTraits traits;
    traits.delay_ms = delay_ms;
    Batch batch;
    batch.add(body, traits, key);
    return queue.publish(batch);
}

TEST_CASE("explain names the first gate, and when it opens", "[core][explain]") {
    QueueFixture queue;
    const std::int64_t now = to_unix_ms(queue.now());
    send(queue, "ready");
    send(queue, "scheduled", 5'000);
    CHECK(queue.explain(1).gate == Gate::kNoConsumer);
    CHECK(queue.explain(2).gate == Gate::kNotDue);
    CHECK(queue.explain(2).until_ms == now + 5'000);
    CHECK(queue.explain(3).gate == Gate::kGone);
    REQUIRE(queue.pause(true));
    CHECK(queue.explain(1).gate == Gate::kQueuePaused);
    CHECK(queue.explain(2).gate == Gate::kNotDue);
    REQUIRE(queue.pause(false));
    REQUIRE(queue.consume(one_at_a_time()));
    CHECK(queue.explain(1).gate == Gate::kStarted);
    CHECK(queue.explain(1).consumer == "worker");
    CHECK(queue.explain(1).until_ms == now + 30'000);
    send(queue, "behind");
    CHECK(queue.explain(3).gate == Gate::kNoCredit);
    queue.retry(queue.next(), Millis(2'000));
    const Explanation waiting = queue.explain(1);
    CHECK(waiting.gate == Gate::kRetryWait);
    CHECK(waiting.until_ms == now + 2'000);
    CHECK(waiting.last_error == "failed");
    CHECK(waiting.attempts == 1);
    queue.reject(queue.next());
    CHECK(queue.explain(3).gate == Gate::kDead);
    CHECK(queue.ns().explain("q", "")->sequence == Sequence(1));
    CHECK(queue.ns().explain("q", "")->gate == Gate::kRetryWait);
    CHECK(queue.ns().explain("nowhere", "").error().code == ErrorCode::kNotFound);
}

TEST_CASE("explain tells what a key waits for", "[core][explain][key]") {
    QueueSettings settings;
    settings.key_on_dead = KeyOnDead::kPause;
    QueueFixture queue(settings);
    const std::int64_t now = to_unix_ms(queue.now());
    REQUIRE(queue.consume());
    for (const char* body : {"1", "2", "3"}) send(queue, body, 0, "k");
    Explanation second = queue.explain(2);
    CHECK(second.gate == Gate::kKeyStarted);
    CHECK(second.behind == Sequence(1));
    CHECK(second.until_ms == now + 30'000);
    CHECK(queue.ns().explain("q", "k")->gate == Gate::kKeyStarted);
    const Received first = queue.next();
    queue.retry(first, Millis(1'000));
    CHECK(queue.explain(2).gate == Gate::kKeyWaits);
    const Explanation key = *queue.ns().explain("q", "k");
    CHECK(key.gate == Gate::kKeyWaits);
    CHECK(key.behind == Sequence(1));
    CHECK(key.until_ms == now + 1'000);
    queue.advance(Millis(1'000));
    queue.reject(queue.next());
    CHECK(queue.explain(2).gate == Gate::kKeyPaused);
    CHECK(queue.ns().explain("q", "")->gate == Gate::kKeyPaused);
    REQUIRE(queue.cancel());
    CHECK(*queue.resume_key("k") == 1);
    CHECK(queue.explain(2).gate == Gate::kNoConsumer);
    CHECK(queue.explain(3).gate == Gate::kKeyBehind);
    CHECK(queue.explain(3).behind == Sequence(2));
    CHECK(queue.ns().explain("q", "other")->gate == Gate::kEmpty);
}

TEST_CASE("a message is taken back wherever it waits, and stays away after a restart", "[core][message]") {
    QueueFixture queue;
    REQUIRE(queue.consume(one_at_a_time()));
    send(queue, "waiting", 0, "k");
    queue.retry(queue.next(), Millis(60'000));
    send(queue, "behind it", 0, "k");
    send(queue, "scheduled", 60'000);
    send(queue, "started");
    send(queue, "ready");
    CHECK(queue.cancel_message(4).error().code == ErrorCode::kConflict);
    for (const std::uint64_t seq : {5, 3, 1, 2}) CHECK(*queue.cancel_message(seq) == 1);
    CHECK(queue.cancel_message(5).error().code == ErrorCode::kNotFound);
    CHECK(queue.cancel_message(99).error().code == ErrorCode::kNotFound);
    queue.ack(queue.next());
    CHECK(queue.untaken() == 0);
    queue.restart();
    const QueueInfo info = queue.info();
    CHECK(info.ready + info.scheduled + info.waiting + info.started == 0);
    CHECK(info.bytes == 0);
    CHECK(info.next_seq == 6);
}

TEST_CASE("a message far back in a backlog can be taken back", "[core][message]") {
    QueueFixture queue;
    for (int i = 0; i < 500; ++i) send(queue, std::to_string(i));
    CHECK(*queue.cancel_message(450) == 1);
    CHECK(queue.info().ready == 499);
    const bool restarts = GENERATE(false, true);
    if (restarts) {
        queue.restart();
        queue.reconnect();
    }
    REQUIRE(queue.consume());
    const std::vector<std::string> bodies = queue.take_bodies();
    CHECK(bodies.size() == 499);
    CHECK(std::find(bodies.begin(), bodies.end(), "449") == bodies.end());
}

TEST_CASE("a message whose time has come cannot be moved, even before the timer ran", "[core][message]") {
    QueueFixture queue;
    MessageTraits traits;
    traits.delay_ms = 1'000;
    Batch batch;
    batch.add("x", traits);
    queue.publish(batch);
    const std::int64_t now = to_unix_ms(queue.now());
    const base::MessageId id{0, queue.info().id, Sequence(1)};
    std::vector<bool> moved;
    for (const std::int64_t due : {now, now + 90'000}) {  // both in one turn
        queue.ns().reschedule_message(id, due, queue.now(),
                                      [&](const auto& result) { moved.push_back(static_cast<bool>(result)); });
    }
    queue.turn();
    CHECK(moved == std::vector<bool>{false, true});  // a refusal is told at once
    CHECK(queue.info().ready == 1);
}

TEST_CASE("a scheduled message can be given another time, both ways", "[core][message]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    const std::int64_t now = to_unix_ms(queue.now());
    MessageTraits traits;
    traits.delay_ms = 10'000;
    traits.ttl_ms = 10'000;
    Batch batch;
    for (const char* body : {"sooner", "later", "as it was"}) batch.add(body, traits);
    queue.publish(batch);
    CHECK(*queue.reschedule(1, now + 5'000) == 1);
    CHECK(*queue.reschedule(2, now + 15'000) == 1);
    CHECK(queue.reschedule(2, now + 20'000).error().code == ErrorCode::kInvalid);  // it expires then
    CHECK(queue.reschedule(9, now).error().code == ErrorCode::kNotFound);
    const bool restarts = GENERATE(false, true);
    if (restarts) {
        queue.restart();
        queue.reconnect();
        REQUIRE(queue.consume());
    }
    queue.advance(Millis(4'999));
    CHECK(queue.untaken() == 0);
    queue.advance(Millis(1));
    CHECK(queue.take_bodies() == std::vector<std::string>{"sooner"});
    CHECK(queue.reschedule(1, now + 90'000).error().code == ErrorCode::kConflict);
    queue.advance(Millis(5'000));
    CHECK(queue.take_bodies() == std::vector<std::string>{"as it was"});
    CHECK(queue.info().scheduled == 1);
    queue.advance(Millis(5'000));
    CHECK(queue.take_bodies() == std::vector<std::string>{"later"});
    CHECK(queue.info().scheduled == 0);
}

}  // namespace
}  // namespace rockdove::test

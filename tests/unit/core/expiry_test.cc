// Messages whose time is over: SEMANTICS section 8, and what sections 3 and 7 say of expiry.
#include <catch2/catch.hpp>

#include "storage/keys.h"
#include "tests/support/core_fixture.h"

namespace rockdove::test {
namespace {

using base::MessageTraits;
using Bodies = std::vector<std::string>;

MessageTraits ttl(std::int64_t ms) {
    MessageTraits traits;
    traits.ttl_ms = ms;
    return traits;
}

Answered send(NamespaceFixture& queue, const std::string& body, MessageTraits traits) {
    Batch batch;
    batch.add(body, traits);
    return queue.publish(batch);
}

Answered send_many(NamespaceFixture& queue, std::size_t count, MessageTraits traits) {
    Batch batch;
    for (std::size_t i = 0; i < count; ++i) batch.add("m" + std::to_string(i + 1), traits);
    return queue.publish(batch);
}

QueueSettings dropping() {
    QueueSettings settings;
    settings.on_expire = OnExpire::kDrop;
    return settings;
}

std::size_t records(NamespaceFixture& queue, storage::Tag tag) {
    std::size_t count = 0;
    const auto [begin, end] = storage::tag_range(NamespaceId(1), tag);
    REQUIRE(queue.store().scan(begin, end, [&](const storage::RecordView&) { return ++count != 0; }));
    return count;
}

TEST_CASE("T-1 an expired message is gone at its millisecond, and leaves the depth at once", "[core][expiry]") {
    const bool memory = GENERATE(false, true);
    QueueSettings settings;
    if (memory) settings.durability = Durability::kMemory;
    QueueFixture queue(settings);
    const bool restarts = GENERATE(false, true);
    if (memory && restarts) return;
    send(queue, "short", ttl(1'000));
    send(queue, "long", {});
    if (restarts) {
        queue.restart();
        queue.reconnect();
    }
    queue.advance(Millis(999));
    CHECK(queue.info().ready == 2);
    queue.advance(Millis(1));
    CHECK(queue.info().ready == 1);
    CHECK(queue.info().bytes == Batch::message_bytes(4));
    CHECK(queue.info().dead == 1);
    CHECK(queue.info().expired == 1);
    REQUIRE(queue.consume());
    CHECK(queue.take_bodies() == Bodies{"long"});
    if (memory) return;
    CHECK(queue.dead_letter(Sequence(1))->body == "short");
    CHECK(queue.dead_letter(Sequence(1))->record.deaths.back().reason == storage::DeathReason::kExpired);
}

TEST_CASE("T-1 it expires wherever it stands", "[core][expiry]") {
    QueueFixture queue;
    REQUIRE(queue.consume(one_at_a_time()));
    MessageTraits later = ttl(500);
    later.delay_ms = 1'000;
    send(queue, "waiting", ttl(5'000));
    queue.retry(queue.next(), Millis(4'999));
    send(queue, "ready again", ttl(5'000));
    const Received returned = queue.next();
    send(queue, "started", {});
    queue.release(returned);
    const Received held = queue.next();  // the released one comes first
    CHECK(held.body == "ready again");
    queue.release(held, Millis(10));
    CHECK(queue.next().body == "started");
    send(queue, "scheduled, then ready", later);
    CHECK(queue.info().scheduled == 1);
    queue.advance(Millis(1'000));
    CHECK(queue.info().scheduled == 0);
    CHECK(queue.info().ready == 2);
    queue.advance(Millis(499));
    CHECK(queue.info().expired == 0);
    queue.advance(Millis(1));
    CHECK(queue.info().expired == 1);
    queue.advance(Millis(3'500));
    CHECK(queue.info().expired == 3);
    CHECK(queue.info().ready + queue.info().waiting == 0);
    CHECK(queue.info().dead == 3);
    CHECK(queue.dead_letter(Sequence(1))->record.attempts == 1);
    CHECK(queue.dead_letter(Sequence(1))->record.deaths.back().error == "failed");
}

TEST_CASE("T-2 a started message is not revoked: its ack succeeds", "[core][expiry]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    send(queue, "m", ttl(1'000));
    const Received message = queue.next();
    queue.advance(Millis(5'000));
    CHECK(queue.info().started == 1);
    CHECK(queue.ack(message).settled->count == 1);
    CHECK(queue.info().dead == 0);
    CHECK(queue.info().expired == 0);
}

TEST_CASE("T-2 a failure after expiry is death, whichever way it fails", "[core][expiry]") {
    const int way = GENERATE(0, 1, 2, 3, 4);
    QueueFixture queue;
    REQUIRE(queue.consume());
    send(queue, "m", ttl(1'000));
    const Received message = queue.next();
    queue.advance(Millis(1'000));
    if (way == 0) queue.retry(message, Millis(0));
    if (way == 1) queue.release(message);
    if (way == 2) (void)queue.cancel();
    if (way == 3) queue.disconnect(SessionId(1));
    queue.advance(Millis(30'000));
    CHECK(queue.info().dead == 1);
    CHECK(queue.info().expired == 1);
    CHECK(queue.dead_letter(Sequence(1))->record.deaths.back().reason == storage::DeathReason::kExpired);
}

TEST_CASE("S-3 a hopeless retry dies at once", "[core][expiry]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    const std::int64_t time = GENERATE(1'000, 1'001);
    const bool by_deadline = GENERATE(false, true);
    MessageTraits traits;
    if (by_deadline) {
        traits.deadline_ms = to_unix_ms(queue.now()) + time;
    } else {
        traits.ttl_ms = time;
    }
    send(queue, "m", traits);
    queue.retry(queue.next());  // again in 1,000 ms
    const bool hopeless = time == 1'000;
    CHECK(queue.info().waiting == (hopeless ? 0 : 1));
    CHECK(queue.info().dead == (hopeless ? 1 : 0));
    if (!hopeless) return;
    const storage::DeadRecord dead = queue.dead_letter(Sequence(1))->record;
    CHECK(dead.deaths.back().reason == storage::DeathReason::kExpiredInRetry);
    CHECK(dead.deaths.back().error == "failed");
    CHECK(dead.attempts == 1);
}

TEST_CASE("S-3 max_attempts is told rather than expiry when both are true", "[core][expiry]") {
    QueueSettings settings;
    settings.max_attempts = 1;
    QueueFixture queue(settings);
    REQUIRE(queue.consume());
    send(queue, "m", ttl(500));
    queue.retry(queue.next());
    CHECK(queue.dead_letter(Sequence(1))->record.deaths.back().reason == storage::DeathReason::kMaxAttempts);
}

TEST_CASE("T-3 on_expire = drop leaves no dead letter, dead does", "[core][expiry]") {
    const bool drop = GENERATE(true, false);
    QueueFixture queue(drop ? dropping() : QueueSettings());
    REQUIRE(queue.consume(one_at_a_time()));
    send(queue, "started", ttl(1'000));
    send(queue, "ready", ttl(1'000));
    queue.advance(Millis(1'000));
    queue.retry(queue.next());
    CHECK(queue.info().expired == 2);
    CHECK(queue.info().dead == (drop ? 0 : 2));
    CHECK(queue.info().died == (drop ? 0 : 2));
    CHECK(queue.info().bytes == 0);
    queue.restart();
    CHECK(queue.info().dead == (drop ? 0 : 2));
    CHECK(queue.info().next_seq == 3);
    CHECK(records(queue, storage::Tag::kBlock) == 0);
    CHECK(records(queue, storage::Tag::kReturned) == 0);
    CHECK(records(queue, storage::Tag::kBlockState) == 0);
}

TEST_CASE("A-2 a time to live counts from the commit or from when the message is due", "[core][expiry]") {
    QueueFixture queue;
    MessageTraits traits = ttl(100);
    traits.delay_ms = 1'000;
    send(queue, "m", traits);
    queue.advance(Millis(1'099));
    CHECK(queue.info().ready == 1);
    queue.advance(Millis(1));
    CHECK(queue.info().ready == 0);
}

TEST_CASE("A-2 the shorter of the message's and the queue's time holds, and the receipt says so", "[core][expiry]") {
    QueueSettings settings;
    settings.ttl = Millis(1'000);
    QueueFixture queue(settings);
    Batch batch;
    batch.add("asks for nothing");
    batch.add("less", ttl(999));
    batch.add("more", ttl(1'001));
    batch.add("more too", ttl(60'000));
    batch.add("the same", ttl(1'000));
    MessageTraits at;
    at.expires_at_ms = to_unix_ms(queue.now()) + 1'001;
    batch.add("later", at);
    const Answered answer = queue.publish(batch);
    REQUIRE(answer.confirm->ttl_lowered.size() == 2);
    CHECK(answer.confirm->ttl_lowered[0].first == 2);
    CHECK(answer.confirm->ttl_lowered[0].count == 2);
    CHECK(answer.confirm->ttl_lowered[1].first == 5);
    CHECK(answer.confirm->ttl_lowered[1].count == 1);
    queue.advance(Millis(999));
    CHECK(queue.info().expired == 1);
    queue.advance(Millis(1));
    CHECK(queue.info().expired == 6);
}

TEST_CASE("A-2 a message that would expire before it is due is refused", "[core][expiry]") {
    QueueFixture queue;
    MessageTraits traits;
    traits.delay_ms = 1'000;
    traits.expires_at_ms = to_unix_ms(queue.now()) + 1'000;
    Answered answer = send(queue, "m", traits);
    REQUIRE(answer.error);
    CHECK(answer.error->code == ErrorCode::kInvalid);
    CHECK(queue.info().next_seq == 1);
    traits.expires_at_ms += 1;
    CHECK(send(queue, "m", traits).confirm);
}

TEST_CASE("a message that is late already is accepted and expires at once", "[core][expiry]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    MessageTraits traits;
    traits.expires_at_ms = to_unix_ms(queue.now());
    CHECK(send(queue, "m", traits).confirm);
    CHECK(queue.untaken() == 0);
    CHECK(queue.info().dead == 1);
}

TEST_CASE("a late timer delivers nothing that has expired", "[core][expiry]") {
    QueueFixture queue;
    send(queue, "m", ttl(1'000));
    queue.advance_silently(Millis(1'000));
    REQUIRE(queue.consume());
    CHECK(queue.untaken() == 0);
    CHECK(queue.info().dead == 1);
}

TEST_CASE("T-1 messages expire at their times when much time passes at once", "[core][expiry]") {
    QueueFixture queue;
    send_many(queue, 10, ttl(1'000));
    send(queue, "later", ttl(2'000));
    send(queue, "never", {});
    queue.jump(Millis(1'500));
    CHECK(queue.info().ready == 2);
    CHECK(queue.info().dead == 10);
    queue.jump(Millis(86'400'000));
    CHECK(queue.info().ready == 1);
    CHECK(queue.info().dead == 11);
}

TEST_CASE("a message's own max_attempts beats the queue's", "[core][expiry]") {
    QueueFixture queue;
    const bool restarts = GENERATE(false, true);
    REQUIRE(queue.consume());
    MessageTraits once;
    once.max_attempts = 1;
    send(queue, "five times", {});
    send(queue, "once", once);
    if (restarts) {
        queue.restart();
        queue.reconnect();
        REQUIRE(queue.consume());
        queue.advance(Millis(30'000));
    }
    for (const Received& message : queue.take()) queue.retry(message, Millis(60'000));
    CHECK(queue.info().waiting == 1);
    CHECK(queue.info().dead == 1);
    CHECK(queue.dead_letter(Sequence(2))->body == "once");
}

TEST_CASE("a million expired messages behind one live head vanish in one step", "[core][expiry]") {
    QueueSettings settings;
    settings.dead_max = 100;
    const bool drop = GENERATE(false, true);
    if (drop) settings.on_expire = OnExpire::kDrop;
    QueueFixture queue(settings);
    send(queue, "live", {});
    constexpr std::size_t kMany = 200'000;
    for (std::size_t sent = 0; sent < kMany; sent += 1'000) send_many(queue, 1'000, ttl(10'000));
    REQUIRE(queue.consume(one_at_a_time()));
    CHECK(queue.next().body == "live");
    queue.advance(Millis(9'999));
    CHECK(queue.info().ready == kMany);
    const std::size_t reads = queue.reads();
    queue.advance(Millis(1));
    CHECK(queue.info().ready == 0);
    CHECK(queue.info().expired == kMany);
    CHECK(queue.reads() == reads);
    queue.advance(Millis(200));  // no more expire
    CHECK(queue.info().dead == (drop ? 0 : 100));
    CHECK(queue.info().dead_evicted == (drop ? 0 : kMany - 100));
    CHECK(queue.reads() - reads <= 1);  // only bodies that are kept are read
    CHECK(records(queue, storage::Tag::kDead) == (drop ? 0 : 100));
    CHECK(records(queue, storage::Tag::kBlock) == 1);
    if (!drop) CHECK(queue.dead_letter(Sequence(kMany + 1))->body == "m1000");
}

TEST_CASE("what stands behind an expired block is read though other lanes fill the window", "[core][expiry]") {
    QueueFixture queue(dropping());
    const std::string large(150'000, 'x');
    MessageTraits urgent;
    urgent.priority = 8;
    ConsumeOptions options = one_at_a_time();
    REQUIRE(queue.consume(options));
    send(queue, "held", urgent);
    REQUIRE(queue.next().body == "held");
    for (int i = 0; i < 30; ++i) send(queue, large, {});
    MessageTraits soon = urgent;
    soon.ttl_ms = 1'000;
    send(queue, large + "1", soon);
    send(queue, large + "2", urgent);
    queue.advance(Millis(1'000));
    CHECK(queue.info().expired == 1);
    REQUIRE(queue.credit(2));
    CHECK(queue.next().body == large + "2");
}

TEST_CASE("expired messages whose bodies were not moved yet are moved after a restart", "[core][expiry]") {
    QueueFixture queue;
    for (int i = 0; i < 100; ++i) send_many(queue, 100, ttl(1'000));  // more than stays in memory
    Batch large;
    for (int i = 0; i < 40; ++i) large.add(std::string(100'000, 'x'), ttl(1'000));
    queue.publish(large);
    queue.defer_reads();
    queue.advance(Millis(1'200));
    CHECK(queue.pending_reads() == 1);
    CHECK(queue.info().ready == 0);
    CHECK(queue.info().bytes == 0);
    CHECK(queue.info().dead == 10'040);
    const std::size_t moved = records(queue, storage::Tag::kDead);
    CHECK(moved < 10'040);
    const core::PeekResult peeked = *queue.peek();
    CHECK(peeked.items.empty());
    queue.restart();
    CHECK(queue.info().dead == 10'040);
    CHECK(queue.info().ready == 0);
    queue.serve_reads();
    CHECK(queue.info().dead == 10'040);
    CHECK(records(queue, storage::Tag::kDead) == 10'040);
    CHECK(records(queue, storage::Tag::kBlock) == 0);
    CHECK(queue.info().expired == 0);  // counted before the restart
}

TEST_CASE("an expired message whose block is damaged is counted and left on disk", "[core][expiry]") {
    QueueFixture queue;
    Batch large;
    for (int i = 0; i < 40; ++i) large.add(std::string(100'000, 'x'), ttl(1'000));
    queue.publish(large);
    REQUIRE(queue.backing().damage(storage::block_key(NamespaceId(1), queue.info().id, Sequence(39))));
    queue.restart();
    queue.advance(Millis(1'000));
    CHECK(queue.info().ready == 0);
    CHECK(queue.info().dead == 38);
    CHECK(records(queue, storage::Tag::kBlock) == 1);
    CHECK(queue.warnings().size() == 1);
    queue.restart();
    queue.turn();
    CHECK(queue.info().dead == 38);
    CHECK(queue.info().ready == 0);
}

}  // namespace
}  // namespace rockdove::test

// Publishing, delivery, ack, order.
#include <catch2/catch.hpp>

#include "tests/support/core_fixture.h"

namespace rockdove::test {
namespace {

using Bodies = std::vector<std::string>;

TEST_CASE("a published message is confirmed, delivered and gone when acked", "[core][queue]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    const Answered answer = queue.publish({"hello"});
    REQUIRE(answer.confirm);
    CHECK(answer.confirm->first_seq == Sequence(1));
    CHECK(answer.confirm->count == 1);
    CHECK(answer.confirm->commit_time_ms == to_unix_ms(queue.now()));
    CHECK(answer.confirm->durability == Durability::kSync);
    CHECK(answer.confirm->room_messages == UINT64_MAX);
    CHECK(answer.confirm->room_bytes == UINT64_MAX);
    CHECK(answer.confirm->exceptions.empty());

    const Received message = queue.next();
    CHECK(message.body == "hello");
    CHECK(message.seq == Sequence(1));
    CHECK(message.lease == 1);
    CHECK(message.attempt == 1);
    CHECK(message.epoch == queue.epoch());
    CHECK(message.lease_time == Millis(30'000));
    CHECK(message.commit_time_ms == to_unix_ms(queue.now()));
    CHECK(queue.info().started == 1);
    CHECK(queue.info().ready == 0);
    CHECK(queue.info().bytes == Batch::message_bytes(5));

    const Answered acked = queue.ack(message);
    REQUIRE(acked.settled);
    CHECK(acked.settled->count == 1);
    CHECK(acked.settled->stale.empty());
    const QueueInfo info = queue.info();
    CHECK(info.started == 0);
    CHECK(info.ready == 0);
    CHECK(info.bytes == 0);
    CHECK(info.oldest_commit_time_ms == 0);
    CHECK(info.accepted == 1);
    CHECK(info.delivered == 1);
    CHECK(info.acked == 1);
    CHECK(queue.untaken() == 0);
}

TEST_CASE("a refused publish leaves no trace in the time of the next one", "[core][queue]") {
    QueueSettings settings;
    settings.max_messages = 1;
    QueueFixture queue(settings);
    REQUIRE(queue.create("other"));
    queue.publish({"first"});
    CHECK(queue.publish({"refused"}).error->code == ErrorCode::kFull);
    queue.advance(Millis(5'000));
    PublishOptions options;
    options.queue = "other";
    CHECK(queue.publish({"x"}, options).confirm->commit_time_ms == to_unix_ms(queue.now()));
}

TEST_CASE("a publish of several messages is confirmed as one run and delivered as one", "[core][queue]") {
    QueueFixture queue;
    const Answered answer = queue.publish(numbered(5));
    CHECK(answer.confirm->first_seq == Sequence(1));
    CHECK(answer.confirm->count == 5);
    CHECK(queue.publish({"m6"}).confirm->first_seq == Sequence(6));
    REQUIRE(queue.consume());
    CHECK(queue.take_bodies() == numbered(6));
}

TEST_CASE("an unknown queue is NOT_FOUND, or created on use", "[core][queue]") {
    const bool create_on_use = GENERATE(false, true);
    core::NamespaceOptions options;
    options.create_on_use = create_on_use;
    options.queue_defaults.max_attempts = 3;
    NamespaceFixture core(options);
    REQUIRE(core.connect(SessionId(1)));
    PublishOptions to;
    to.queue = "fresh";
    const Answered answer = core.publish({"x"}, to);
    if (!create_on_use) {
        CHECK(answer.error->code == ErrorCode::kNotFound);
        ConsumeOptions from;
        from.queue = "fresh";
        CHECK(core.consume(from).error().code == ErrorCode::kNotFound);
        CHECK(core.ns().queue_count() == 0);
        return;
    }
    CHECK(answer.confirm);
    CHECK(core.info("fresh").settings.max_attempts == 3);
    to.queue = "not a name";
    CHECK(core.publish({"x"}, to).error->code == ErrorCode::kInvalid);
    core.restart();
    CHECK(core.info("fresh").ready == 1);
}

TEST_CASE("E-6 with one consumer and credit 1 deliveries come in order, one at a time", "[core][order]") {
    QueueFixture queue;
    ConsumeOptions one;
    one.credit = 1;
    REQUIRE(queue.consume(one));
    Bodies seen;
    for (std::size_t i = 0; i < 30; i += 3) queue.publish(numbered(3, i + 1));
    while (queue.untaken() != 0) {
        REQUIRE(queue.untaken() == 1);
        const Received message = queue.next();
        seen.push_back(message.body);
        queue.ack(message);
    }
    CHECK(seen == numbered(30));
}

TEST_CASE("E-6 a returned message goes back to its place", "[core][order]") {
    QueueFixture queue;
    ConsumeOptions one;
    one.credit = 1;
    REQUIRE(queue.consume(one));
    queue.publish(numbered(4));
    const Received first = queue.next();
    const bool by_retry = GENERATE(true, false);
    if (by_retry) {
        queue.retry(first, Millis(0));
    } else {
        queue.release(first);
    }
    const Received again = queue.next();
    CHECK(again.body == "m1");
    CHECK(again.lease == 2);
    CHECK(again.attempt == (by_retry ? 2 : 1));
    queue.ack(again);
    CHECK(queue.take_bodies() == Bodies{"m2"});
}

TEST_CASE("E-6 a message that waited is delivered before later ones as soon as it is due", "[core][order]") {
    QueueFixture queue;
    ConsumeOptions one;
    one.credit = 1;
    REQUIRE(queue.consume(one));
    queue.publish(numbered(4));
    queue.retry(queue.next(), Millis(1'000));
    const Received second = queue.next();
    CHECK(second.body == "m2");
    CHECK(queue.info().waiting == 1);
    queue.advance(Millis(1'000));
    CHECK(queue.info().waiting == 0);
    queue.ack(second);
    const Received first = queue.next();
    CHECK(first.body == "m1");
    queue.ack(first);
    CHECK(queue.take_bodies() == Bodies{"m3"});
}

TEST_CASE("E-5 what is due is promoted before anything is chosen, even when the timer is late", "[core][order]") {
    QueueFixture queue;
    ConsumeOptions one;
    one.credit = 1;
    REQUIRE(queue.consume(one));
    queue.publish(numbered(3));
    queue.retry(queue.next(), Millis(1'000));
    const Received second = queue.next();
    queue.advance_silently(Millis(1'000));
    queue.ack(second);
    CHECK(queue.take_bodies() == Bodies{"m1"});
}

TEST_CASE("several consumers share a queue, and each message goes to one of them", "[core][consumer]") {
    QueueFixture queue;
    REQUIRE(queue.connect(SessionId(2)));
    ConsumeOptions a;
    a.name = "a";
    a.credit = 50;
    ConsumeOptions b = a;
    b.name = "b";
    b.session = SessionId(2);
    REQUIRE(queue.consume(a));
    REQUIRE(queue.consume(b));
    queue.publish(numbered(40));
    std::map<std::uint64_t, std::size_t> share;
    std::set<std::uint64_t> seqs;
    std::map<std::uint64_t, std::uint64_t> last;
    for (const Received& message : queue.take()) {
        ++share[message.session.value];
        CHECK(seqs.insert(message.seq.value).second);
        CHECK(message.seq.value > last[message.session.value]);  // each gets its part in order
        last[message.session.value] = message.seq.value;
    }
    CHECK(seqs.size() == 40);
    CHECK(share[1] >= 10);
    CHECK(share[2] >= 10);
    CHECK(queue.info().consumers == 2);
}

TEST_CASE("C-1 credit by messages bounds what is unsettled, and is absolute", "[core][credit]") {
    QueueFixture queue;
    ConsumeOptions options;
    options.credit = 3;
    REQUIRE(queue.consume(options));
    queue.publish(numbered(10));
    std::vector<Received> got = queue.take();
    REQUIRE(got.size() == 3);
    queue.ack(got[1]);
    CHECK(queue.take_bodies() == Bodies{"m4"});
    REQUIRE(queue.credit(1));  // below what is held: nothing is taken back
    queue.ack(got[0]);
    CHECK(queue.untaken() == 0);
    REQUIRE(queue.credit(4));
    CHECK(queue.take_bodies() == Bodies{"m5", "m6"});
    REQUIRE(queue.credit(0));
    queue.ack(got[2]);
    CHECK(queue.untaken() == 0);
    CHECK(queue.credit(1, 0, SessionId(1), 9).error().code == ErrorCode::kNotFound);
}

TEST_CASE("C-1 credit by bytes bounds what is unsettled", "[core][credit]") {
    QueueFixture queue;
    const std::string body(100, 'x');
    const std::uint64_t each = Batch::message_bytes(100);
    ConsumeOptions options;
    options.credit_bytes = 3 * each;
    REQUIRE(queue.consume(options));
    queue.publish({body, body, body, body, body});
    CHECK(queue.untaken() == 3);  // exactly at the limit
    const Received first = queue.next();
    queue.ack(first);
    CHECK(queue.untaken() == 3);
    REQUIRE(queue.credit(1'000, 3 * each - 1));
    queue.ack(queue.next());
    CHECK(queue.untaken() == 2);  // two and a bit: the third does not fit
    queue.ack(queue.next());
    CHECK(queue.untaken() == 2);
}

TEST_CASE("C-1 a returned message does not exceed the byte credit either", "[core][credit]") {
    QueueFixture queue;
    const std::uint64_t small = Batch::message_bytes(100);
    queue.publish({std::string(300, 'a'), std::string(100, 'b'), std::string(100, 'c'), std::string(100, 'd')});
    ConsumeOptions options;
    options.credit_bytes = 3 * small;
    REQUIRE(queue.consume(options));
    // The large one is more than the credit: it comes alone.
    std::vector<Received> got = queue.take();
    REQUIRE(got.size() == 1);
    queue.retry(got[0], Millis(1'000));
    got = queue.take();
    REQUIRE(got.size() == 3);
    queue.advance(Millis(1'000));
    CHECK(queue.untaken() == 0);
    queue.ack(got[0]);
    CHECK(queue.untaken() == 0);  // 300 do not fit beside 200
    queue.ack(got[1]);
    CHECK(queue.untaken() == 0);
    queue.ack(got[2]);
    got = queue.take();
    REQUIRE(got.size() == 1);
    CHECK(got[0].seq == Sequence(1));
}

TEST_CASE("C-1 a returned message too large for one consumer goes to another with room", "[core][credit]") {
    QueueFixture queue;
    queue.publish({std::string(300, 'a'), std::string(100, 'b')});
    ConsumeOptions tight;
    tight.name = "tight";
    tight.credit_bytes = 350;
    REQUIRE(queue.consume(tight));
    const std::vector<Received> got = queue.take();
    REQUIRE(got.size() == 1);
    queue.retry(got[0], Millis(10));
    REQUIRE(queue.take_bodies().size() == 1);  // b, 250 left
    ConsumeOptions wide;
    wide.name = "wide";
    wide.number = 2;
    REQUIRE(queue.consume(wide));
    queue.advance(Millis(10));
    const Received again = queue.next();
    CHECK(again.seq == Sequence(1));
    CHECK(again.consumer == 2);
}

TEST_CASE("a message larger than the whole byte credit is delivered alone", "[core][credit]") {
    QueueFixture queue;
    ConsumeOptions options;
    options.credit_bytes = 50;
    REQUIRE(queue.consume(options));
    queue.publish({std::string(1'000, 'x'), "y", "z"});
    std::vector<Received> got = queue.take();
    REQUIRE(got.size() == 1);
    CHECK(got[0].body.size() == 1'000);
    queue.ack(got[0]);
    CHECK(queue.take_bodies() == Bodies{"y", "z"});
}

TEST_CASE("a consumer whose client does not read gets nothing until it does", "[core][credit]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    queue.choked.insert(SessionId(1));
    queue.publish(numbered(2));
    CHECK(queue.untaken() == 0);
    queue.choked.clear();
    queue.ns().on_session_room(SessionId(1));
    queue.turn();
    CHECK(queue.take_bodies() == numbered(2));
}

TEST_CASE("nothing is confirmed or delivered before its commit holds", "[core][commit]") {
    QueueFixture queue;
    const Durability durability = GENERATE(Durability::kSync, Durability::kAsync);
    QueueSettings settings;
    settings.durability = durability;
    REQUIRE(queue.update("q", settings));
    REQUIRE(queue.consume());
    queue.hold_commits();
    CHECK(queue.publish({"a"}).pending());
    const std::uint64_t first = queue.last_request();
    CHECK(queue.publish({"b"}).pending());  // staged behind the commit under way
    const std::uint64_t second = queue.last_request();
    CHECK(queue.untaken() == 0);
    queue.finish_commit();
    CHECK(queue.answer(first).confirm);
    CHECK(queue.answer(second).pending());
    CHECK(queue.untaken() == 0);  // its start is in the next commit
    queue.finish_commit();
    CHECK(queue.answer(second).confirm);
    CHECK(queue.take_bodies() == Bodies{"a"});
    queue.release_commits();
    CHECK(queue.take_bodies() == Bodies{"b"});
}

TEST_CASE("an ack is answered when its commit holds, and undone by a crash before", "[core][commit]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    queue.publish({"a"});
    const Received message = queue.next();
    queue.hold_commits();
    CHECK(queue.ack(message).pending());
    const bool holds = GENERATE(false, true);
    queue.restart(holds);
    CHECK(queue.info().started == (holds ? 0 : 1));
}

TEST_CASE("a memory queue confirms and delivers at once, and loses all with the process", "[core][durability]") {
    QueueSettings settings;
    settings.durability = Durability::kMemory;
    QueueFixture queue(settings);
    REQUIRE(queue.consume());
    queue.hold_commits();
    const Answered answer = queue.publish(numbered(3));
    REQUIRE(answer.confirm);
    CHECK(answer.confirm->durability == Durability::kMemory);
    std::vector<Received> got = queue.take();
    REQUIRE(got.size() == 3);
    CHECK(queue.ack(got[0]).settled->count == 1);
    CHECK(queue.retry(got[1], Millis(0)).settled->count == 1);
    CHECK(queue.take_bodies() == Bodies{"m2"});
    CHECK(queue.reject(got[2]).settled->count == 1);
    CHECK(queue.info().dead == 1);
    CHECK(queue.info().started == 1);
    CHECK_FALSE(queue.committing());
    queue.restart();
    CHECK(queue.info().settings.durability == Durability::kMemory);
    CHECK(queue.info().ready + queue.info().started + queue.info().dead == 0);
}

TEST_CASE("a queue survives a restart with what is in it", "[core][recovery]") {
    QueueFixture queue;
    queue.publish(numbered(3));
    queue.publish(numbered(3, 4));
    const QueueInfo before = queue.info();
    queue.restart();
    const QueueInfo after = queue.info();
    CHECK(after.id == before.id);
    CHECK(after.ready == 6);
    CHECK(after.bytes == before.bytes);
    CHECK(after.next_seq == 7);
    CHECK(after.oldest_commit_time_ms == before.oldest_commit_time_ms);
    CHECK(after.created_ms == before.created_ms);
    queue.reconnect();
    REQUIRE(queue.consume());
    CHECK(queue.take_bodies() == numbered(6));
}

TEST_CASE("no sequence is used twice, not even after the queue ran empty and the broker restarted",
          "[core][recovery]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    queue.publish(numbered(5));
    for (const Received& message : queue.take()) queue.ack(message);
    CHECK(queue.info().next_seq == 6);
    queue.restart();
    CHECK(queue.info().next_seq == 6);
    CHECK(queue.publish({"later"}).confirm->first_seq == Sequence(6));
    queue.restart();
    CHECK(queue.info().next_seq == 7);
    REQUIRE(queue.purge());
    queue.restart();
    CHECK(queue.publish({"last"}).confirm->first_seq == Sequence(7));
}

TEST_CASE("the tail block may go before earlier ones without its sequences being used again", "[core][recovery]") {
    QueueFixture queue;
    queue.publish({"a"});
    queue.publish({"b"});
    REQUIRE(queue.consume());
    const std::vector<Received> got = queue.take();
    REQUIRE(got.size() == 2);
    queue.ack(got[1]);
    queue.restart();
    CHECK(queue.publish({"c"}).confirm->first_seq == Sequence(3));
}

}  // namespace
}  // namespace rockdove::test

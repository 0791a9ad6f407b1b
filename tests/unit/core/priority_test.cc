// Priorities: lanes of a queue, what goes first, and that nothing about a message depends on the lane it lies in.
#include <catch2/catch.hpp>

#include "storage/keys.h"
#include "tests/support/core_fixture.h"

namespace rockdove::test {
namespace {

using Bodies = std::vector<std::string>;

struct Sent {
    std::string body;
    std::uint8_t priority = base::kDefaultPriority;
};

Batch batch(const std::vector<Sent>& messages) {
    Batch out;
    for (const Sent& message : messages) out.add(message.body, base::MessageTraits{message.priority});
    return out;
}

std::size_t records(NamespaceFixture& queue, storage::Tag tag) {
    std::size_t count = 0;
    const auto [begin, end] = storage::tag_range(NamespaceId(1), tag);
    REQUIRE(queue.store().scan(begin, end, [&](const storage::RecordView&) { return ++count > 0; }));
    return count;
}

TEST_CASE("E-3 the most urgent goes first, and equal ones in the order of their sequences", "[core][priority]") {
    QueueFixture queue;
    const Answered answer =
        queue.publish(batch({{"a4"}, {"b0", 0}, {"c9", 9}, {"d4"}, {"e9", 9}, {"f5", 5}, {"g0", 0}, {"h3", 3}}));
    REQUIRE(answer.confirm);
    CHECK(answer.confirm->first_seq == Sequence(1));  // sequences are those of the publish, whatever the priority
    CHECK(answer.confirm->count == 8);
    const bool after_restart = GENERATE(false, true);
    if (after_restart) {
        queue.restart();
        queue.reconnect();
    }
    REQUIRE(queue.consume(one_at_a_time()));
    CHECK(drain(queue) == Bodies{"c9", "e9", "f5", "a4", "d4", "h3", "b0", "g0"});
    CHECK(queue.info().ready == 0);
    CHECK(queue.info().bytes == 0);
    queue.restart();
    CHECK(queue.info().next_seq == 9);
    CHECK(records(queue, storage::Tag::kBlock) == 0);
    CHECK(records(queue, storage::Tag::kBlockIndex) == 0);
}

TEST_CASE("E-3 what comes while others wait overtakes those that are less urgent, not those that are delivered",
          "[core][priority]") {
    QueueFixture queue;
    REQUIRE(queue.consume(one_at_a_time()));
    queue.publish(numbered(3));
    queue.publish(batch({{"urgent", 8}}));
    CHECK(drain(queue) == Bodies{"m1", "urgent", "m2", "m3"});
}

TEST_CASE("S-4 a message that comes back keeps priority and place", "[core][priority]") {
    QueueFixture queue;
    REQUIRE(queue.consume(one_at_a_time()));
    queue.publish(batch({{"first", 7}}));
    queue.publish(batch({{"low"}, {"second", 7}, {"higher", 8}}));
    const Received first = queue.next();
    REQUIRE(first.body == "first");
    const auto way = GENERATE(0, 1, 2, 3);
    if (way == 0) queue.retry(first, Millis(0));
    if (way == 1) queue.release(first);
    if (way == 2) queue.disconnect(SessionId(1), true);
    if (way == 3) {
        queue.retry(first, Millis(500));
        queue.restart();
        queue.advance(Millis(500));
    }
    if (way >= 2) {
        queue.reconnect();
        REQUIRE(queue.consume(one_at_a_time()));
    }
    CHECK(drain(queue) == Bodies{"higher", "first", "second", "low"});
}

TEST_CASE("a lane's messages of one commit are one block, however they are mixed with others", "[core][priority]") {
    QueueFixture queue;
    std::vector<Sent> mixed;
    for (int i = 0; i < 500; ++i)
        mixed.push_back({"m" + std::to_string(i), static_cast<std::uint8_t>(i % 2 == 0 ? 4 : 7)});
    REQUIRE(queue.publish(batch(mixed)).confirm->count == 500);
    CHECK(records(queue, storage::Tag::kBlock) == 2);
    const bool restarts = GENERATE(false, true);
    REQUIRE(queue.consume());
    std::vector<Received> got = queue.take();
    REQUIRE(got.size() == 500);
    for (std::size_t i = 0; i < 250; ++i) {
        CHECK(got[i].body == "m" + std::to_string(2 * i + 1));
        CHECK(got[i].seq == Sequence(2 * i + 2));
        CHECK(got[250 + i].body == "m" + std::to_string(2 * i));
    }
    // Every third goes; the others are there with their sequences.
    for (std::size_t i = 0; i < got.size(); i += 3) REQUIRE(queue.ack(got[i]).settled->count == 1);
    if (restarts) {
        queue.restart();
        queue.advance(Millis(40'000));
        queue.reconnect();
    } else {
        queue.disconnect(SessionId(1), true);
        queue.reconnect();
    }
    REQUIRE(queue.consume());
    std::vector<Received> left = queue.take();
    REQUIRE(left.size() == 500 - 167);
    std::size_t at = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
        if (i % 3 == 0) continue;
        CHECK(left[at].seq == got[i].seq);
        CHECK(left[at++].body == got[i].body);
    }
}

TEST_CASE("one range settles messages of several lanes, and tells exactly what was not held", "[core][priority]") {
    QueueFixture queue;
    ConsumeOptions other;
    other.name = "other";
    other.number = 2;
    other.credit = 2;
    queue.publish(batch({{"1"}, {"2", 9}, {"3"}, {"4", 9}, {"5"}, {"6", 0}}));
    REQUIRE(queue.consume(other));  // gets 2 and 4
    REQUIRE(queue.consume());       // gets 1, 3, 5 and 6
    const std::vector<Received> got = queue.take();
    REQUIRE(got.size() == 6);
    const Answered settled = queue.settle(Outcome::kAck, {LeaseRange{Sequence(1), Sequence(7), queue.epoch(), 1}},
                                          {SessionId(1), 1, {}, {}});
    REQUIRE(settled.settled);
    CHECK(settled.settled->count == 4);
    std::vector<std::pair<std::uint64_t, std::uint64_t>> stale;
    for (const LeaseRange& part : settled.settled->stale) stale.emplace_back(part.first.value, part.last.value);
    CHECK(stale == std::vector<std::pair<std::uint64_t, std::uint64_t>>{{2, 2}, {4, 4}, {7, 7}});
    CHECK(queue.info().started == 2);
}

TEST_CASE("an urgent message whose body is on disk does not wait for a window full of others", "[core][priority]") {
    QueueFixture queue;
    ConsumeOptions options = one_at_a_time();
    options.credit = 0;
    REQUIRE(queue.consume(options));
    const std::string large(200'000, 'x');
    for (int i = 0; i < 40; ++i) queue.publish(batch({{large, 2}}));  // 8 MB: more than the window
    for (int i = 0; i < 20; ++i) queue.publish(batch({{std::to_string(i) + large, 9}}));
    REQUIRE(queue.credit(1));
    for (int i = 0; i < 20; ++i) {
        const Received message = queue.next();
        CHECK(message.body == std::to_string(i) + large);
        queue.ack(message);
    }
    CHECK(drain(queue).size() == 40);
    CHECK(queue.reads() > 0);
}

TEST_CASE("E-3 while an urgent body is being read, nothing less urgent is delivered", "[core][priority]") {
    QueueFixture queue;
    queue.publish(batch({{"low", 1}}));
    queue.publish(batch({{std::string(600'000, 'u'), 9}}));  // too large for the window of a queue without consumers
    queue.defer_reads();
    REQUIRE(queue.consume(one_at_a_time()));
    CHECK(queue.untaken() == 0);
    REQUIRE(queue.pending_reads() == 1);
    queue.serve_reads();
    CHECK(queue.next().body.front() == 'u');
}

TEST_CASE("peek shows the messages of all lanes in the order of their sequences, page by page", "[core][priority]") {
    QueueFixture queue;
    const std::string large(100'000, 'x');
    for (int i = 0; i < 30; ++i) {
        queue.publish(batch({{std::to_string(i) + large, static_cast<std::uint8_t>(i % 3 == 0 ? 9 : 4)}}));
    }
    std::uint64_t from = 1;
    std::vector<std::uint64_t> seen;
    for (int pages = 0; from != 0; ++pages) {
        REQUIRE(pages < 40);
        const Result<core::PeekResult> page = queue.peek(from, 7, 350'000);
        REQUIRE(page);
        for (const core::PeekItem& item : page->items) seen.push_back(item.sequence.value);
        from = page->next.value;
    }
    std::vector<std::uint64_t> all(30);
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = i + 1;
    CHECK(seen == all);
}

TEST_CASE("purge takes all lanes, and sequences go on", "[core][priority]") {
    QueueFixture queue;
    for (int i = 0; i < 300; ++i) queue.publish(batch({{"a", 1}, {"b"}, {"c", 9}}));
    CHECK(*queue.purge() == 900);
    CHECK(queue.info().ready == 0);
    CHECK(records(queue, storage::Tag::kBlock) == 0);
    queue.restart();
    CHECK(queue.info().next_seq == 901);
    queue.reconnect();
    CHECK(queue.publish(batch({{"next", 3}})).confirm->first_seq == Sequence(901));
}

TEST_CASE("a memory queue has priorities too", "[core][priority]") {
    QueueSettings settings;
    settings.durability = Durability::kMemory;
    QueueFixture queue(settings);
    queue.publish(batch({{"low", 0}, {"high", 9}}));
    queue.publish(batch({{"low2", 0}, {"high2", 9}}));
    REQUIRE(queue.consume(one_at_a_time()));
    CHECK(drain(queue) == Bodies{"high", "high2", "low", "low2"});
}

TEST_CASE("a rejected message of any lane is a dead letter with its body", "[core][priority]") {
    QueueFixture queue;
    queue.publish(batch({{"a"}, {"b", 9}, {"c"}, {"d", 9}}));
    REQUIRE(queue.consume(one_at_a_time()));
    queue.reject(queue.next());
    const Received next = queue.next();
    CHECK(next.body == "d");
    queue.reject(next);
    CHECK(queue.dead_letter(Sequence(2))->body == "b");
    CHECK(queue.dead_letter(Sequence(4))->body == "d");
    queue.restart();
    CHECK(queue.info().dead == 2);
    CHECK(queue.info().ready + queue.info().started == 2);
}

}  // namespace
}  // namespace rockdove::test

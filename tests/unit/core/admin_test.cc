// Administration of queues.
#include <catch2/catch.hpp>

#include "tests/support/core_fixture.h"

namespace rockdove::test {
namespace {

using Bodies = std::vector<std::string>;

TEST_CASE("a queue is created once, and its settings are checked", "[core][admin]") {
    NamespaceFixture core;
    QueueSettings settings;
    settings.max_attempts = 7;
    const Result<QueueInfo> created = core.create("jobs", settings);
    REQUIRE(created);
    CHECK(created->name == "jobs");
    CHECK(created->settings == settings);
    CHECK(created->created_ms == to_unix_ms(core.now()));
    CHECK(core.create("jobs", settings).error().code == ErrorCode::kAlreadyExists);
    CHECK(core.create("jobs", settings, true)->id == created->id);
    CHECK(core.create("jobs", QueueSettings(), true).error().code == ErrorCode::kConflict);
    settings.max_attempts = 0;
    CHECK(core.create("other", settings).error().code == ErrorCode::kInvalid);
    CHECK(core.create("no spaces").error().code == ErrorCode::kInvalid);
    CHECK(core.create("").error().code == ErrorCode::kInvalid);
    CHECK(core.create(std::string(129, 'x')).error().code == ErrorCode::kInvalid);
    CHECK(core.create(std::string(128, 'x')));
    CHECK(core.ns().queue_count() == 2);
    core.restart();
    CHECK(core.info("jobs").settings.max_attempts == 7);
    CHECK(core.info("jobs").id == created->id);
}

TEST_CASE("an administrative change is answered when its commit holds", "[core][admin]") {
    NamespaceFixture core;
    core.hold_commits();
    CHECK(core.create("jobs").error().code == ErrorCode::kTimedOut);
    core.restart();
    CHECK(core.ns().queue_count() == 0);
}

TEST_CASE("update changes what holds from now on, but not to or from memory", "[core][admin]") {
    QueueFixture queue;
    QueueSettings settings;
    settings.durability = Durability::kAsync;
    settings.max_messages = 1;
    CHECK(queue.update("q", settings)->settings == settings);
    CHECK(queue.publish({"a"}).confirm->durability == Durability::kAsync);
    CHECK(queue.publish({"b"}).error->code == ErrorCode::kFull);
    settings.durability = Durability::kMemory;
    CHECK(queue.update("q", settings).error().code == ErrorCode::kConflict);
    settings.durability = Durability::kSync;
    settings.lease = Millis(1);
    CHECK(queue.update("q", settings).error().code == ErrorCode::kInvalid);
    CHECK(queue.update("nowhere", QueueSettings()).error().code == ErrorCode::kNotFound);
    queue.restart();
    CHECK(queue.info().settings.max_messages == 1);
}

TEST_CASE("a paused queue delivers nothing and does everything else; a pause survives a restart", "[core][admin]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    queue.publish({"a"});
    const Received message = queue.next();
    CHECK(queue.pause(true)->paused);
    CHECK(queue.publish({"b"}).confirm);
    CHECK(queue.ack(message).settled->count == 1);
    CHECK(queue.untaken() == 0);
    queue.restart();
    CHECK(queue.info().paused);
    queue.reconnect();
    REQUIRE(queue.consume());
    CHECK(queue.untaken() == 0);
    CHECK_FALSE(queue.pause(false)->paused);
    CHECK(queue.take_bodies() == Bodies{"b"});
    CHECK(queue.pause(true, "nowhere").error().code == ErrorCode::kNotFound);
}

TEST_CASE("a message that dies on a paused queue is a dead letter all the same", "[core][admin]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    queue.publish({"a"});
    const Received message = queue.next();
    REQUIRE(queue.pause(true));
    queue.reject(message);
    CHECK(queue.info().dead == 1);
    CHECK(queue.dead_letter(Sequence(1)));
}

TEST_CASE("purge removes what waits, returned messages too, and leaves what is held and what is dead",
          "[core][admin]") {
    QueueFixture queue;
    ConsumeOptions options;
    options.credit = 4;
    REQUIRE(queue.consume(options));
    queue.publish(numbered(10));
    const std::vector<Received> got = queue.take();
    REQUIRE(queue.credit(0));
    queue.retry(got[0], Millis(60'000));  // waiting
    queue.release(got[1]);                // ready again
    queue.reject(got[2]);                 // dead
    const Result<std::uint64_t> removed = queue.purge();
    REQUIRE(removed);
    CHECK(*removed == 8);
    const QueueInfo info = queue.info();
    CHECK(info.ready == 0);
    CHECK(info.waiting == 0);
    CHECK(info.started == 1);
    CHECK(info.dead == 1);
    queue.restart();
    CHECK(queue.info().started == 1);
    CHECK(queue.info().bytes == info.bytes);
    CHECK(queue.info().waiting == 0);
    queue.reconnect();
    options.held = {got[3].range()};
    REQUIRE(queue.consume(options));
    CHECK(queue.ack(got[3]).settled->count == 1);
    CHECK(queue.info().bytes == 0);
    queue.advance(Millis(100'000));
    CHECK(queue.untaken() == 0);
    CHECK(queue.publish({"x"}).confirm->first_seq == Sequence(11));
    CHECK(queue.take_bodies() == Bodies{"x"});
    CHECK(queue.purge("nowhere").error().code == ErrorCode::kNotFound);
}

TEST_CASE("purge reaches messages whose commit is still under way", "[core][admin]") {
    QueueFixture queue;
    queue.hold_commits();
    queue.publish(numbered(3));
    queue.publish(numbered(3, 4));
    (void)queue.purge();
    queue.release_commits();
    CHECK(queue.info().ready == 0);
    REQUIRE(queue.consume());
    CHECK(queue.untaken() == 0);
    queue.restart();
    CHECK(queue.info().ready == 0);
    CHECK(queue.info().next_seq == 7);
}

TEST_CASE("delete removes a queue with everything in it and ends its consumers", "[core][admin]") {
    QueueFixture queue;
    REQUIRE(queue.create("other"));
    PublishOptions other;
    other.queue = "other";
    queue.publish({"stays"}, other);
    REQUIRE(queue.consume());
    queue.publish(numbered(4));
    const std::vector<Received> got = queue.take();
    queue.reject(got[0]);
    queue.retry(got[1], Millis(60'000));
    const QueueId old_id = queue.info().id;
    CHECK(queue.remove("q", false, true).error().code == ErrorCode::kConflict);
    const Result<std::uint64_t> removed = queue.remove();
    REQUIRE(removed);
    CHECK(*removed == 3);
    REQUIRE(queue.take_closed().size() == 1);
    CHECK(queue.ack(got[2]).error->code == ErrorCode::kNotFound);
    CHECK(queue.publish({"x"}).error->code == ErrorCode::kNotFound);
    CHECK(queue.remove().error().code == ErrorCode::kNotFound);
    CHECK(*queue.remove("q", true) == 0);
    queue.advance(Millis(100'000));
    queue.restart();
    CHECK(queue.ns().queue_count() == 1);
    CHECK(queue.info("other").ready == 1);
    // Nothing of it is left in the store, and its id is not used again.
    std::size_t records = 0;
    REQUIRE(queue.store().scan("", std::string(8, '\xFF'), [&](const storage::RecordView&) { return ++records; }));
    CHECK(records == 4);  // namespace, and of the other queue: settings, block, block index
    CHECK(queue.create("q")->id != old_id);
}

TEST_CASE("a queue deleted while it is being read or committed is simply gone", "[core][admin]") {
    QueueFixture queue;
    queue.publish(numbered(10));
    queue.restart();
    queue.reconnect();
    queue.defer_reads();
    REQUIRE(queue.consume());
    REQUIRE(queue.pending_reads() == 1);
    queue.hold_commits();
    queue.publish(numbered(3));
    (void)queue.remove();
    queue.serve_reads();
    queue.release_commits();
    CHECK(queue.untaken() == 0);
    CHECK(queue.ns().queue_count() == 0);
    queue.restart();
    CHECK(queue.ns().queue_count() == 0);
}

TEST_CASE("peek shows messages with their states and changes nothing", "[core][admin]") {
    QueueFixture queue;
    ConsumeOptions options;
    options.credit = 4;
    REQUIRE(queue.consume(options));
    queue.publish(numbered(6));
    const std::vector<Received> got = queue.take();
    REQUIRE(queue.credit(0));
    queue.ack(got[0]);
    queue.retry(got[1], Millis(60'000));
    queue.reject(got[3]);
    const QueueInfo before = queue.info();
    const bool from_disk = GENERATE(false, true);
    if (from_disk) queue.restart();
    const Result<core::PeekResult> peeked = queue.peek();
    REQUIRE(peeked);
    REQUIRE(peeked->items.size() == 4);
    CHECK(peeked->next == Sequence(0));
    CHECK(peeked->items[0].sequence == Sequence(2));
    CHECK(peeked->items[0].state == core::PeekState::kWaiting);
    CHECK(peeked->items[0].attempts == 1);
    CHECK(peeked->items[0].last_error == "failed");
    CHECK(peeked->items[0].visible_at_ms == to_unix_ms(queue.now() + Millis(60'000)));
    CHECK(peeked->items[1].sequence == Sequence(3));
    CHECK(peeked->items[1].state == core::PeekState::kStarted);
    CHECK(peeked->items[1].consumer == "worker");
    CHECK(peeked->items[1].visible_at_ms == to_unix_ms(queue.now() + Millis(30'000)));
    CHECK(peeked->items[2].sequence == Sequence(5));
    CHECK(peeked->items[2].state == core::PeekState::kReady);
    CHECK(peeked->items[2].message == "\x0A\x02m5");
    CHECK(queue.info().ready == before.ready);
    CHECK(queue.info().started == before.started);
}

TEST_CASE("peek comes in pages, by number and by bytes, over any number of blocks", "[core][admin]") {
    QueueFixture queue;
    for (std::size_t i = 1; i <= 50; ++i) queue.publish(numbered(1, i));
    const bool from_disk = GENERATE(false, true);
    if (from_disk) queue.restart();
    const auto [limit, bytes] = GENERATE(table<std::uint32_t, std::size_t>({{7, 1 << 20}, {1'000, 20}, {7, 1}}));
    std::vector<std::uint64_t> seqs;
    std::uint64_t from = 1;
    for (int page = 0; from != 0 && page < 100; ++page) {
        const Result<core::PeekResult> peeked = queue.peek(from, limit, bytes);
        REQUIRE(peeked);
        CHECK(peeked->items.size() <= limit);
        CHECK_FALSE(peeked->items.empty());
        for (const core::PeekItem& item : peeked->items) seqs.push_back(item.sequence.value);
        from = peeked->next.value;
    }
    REQUIRE(seqs.size() == 50);
    CHECK(std::is_sorted(seqs.begin(), seqs.end()));
    CHECK(seqs.back() == 50);
    CHECK(queue.peek(1, 1, 1, "nowhere").error().code == ErrorCode::kNotFound);
}

TEST_CASE("queues are listed by name, by prefix and page", "[core][admin]") {
    NamespaceFixture core;
    for (const char* name : {"b", "a1", "a2", "c", "a10"}) REQUIRE(core.create(name));
    const auto names = [&](std::string_view prefix, std::string_view after, std::uint32_t limit) {
        Bodies out;
        for (const QueueInfo& info : core.ns().list_queues(prefix, after, limit)) out.push_back(info.name);
        return out;
    };
    CHECK(names("", "", 10) == Bodies{"a1", "a10", "a2", "b", "c"});
    CHECK(names("a", "", 10) == Bodies{"a1", "a10", "a2"});
    CHECK(names("a", "a1", 1) == Bodies{"a10"});
    CHECK(names("", "b", 10) == Bodies{"c"});
    CHECK(names("b", "a1", 10) == Bodies{"b"});
    CHECK(names("a", "b", 10).empty());
}

}  // namespace
}  // namespace rockdove::test

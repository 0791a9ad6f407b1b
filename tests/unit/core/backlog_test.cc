// A backlog lives on disk: memory stays bounded, blocks are read when their turn comes, damaged ones are skipped.
#include <catch2/catch.hpp>

#include "server/core/opaque_format.h"
#include "storage/keys.h"
#include "tests/support/core_fixture.h"

namespace rockdove::test {
namespace {

using Bodies = std::vector<std::string>;

std::string body(std::size_t number, std::size_t size = 1'024) {
    std::string text = std::to_string(number) + ":";
    text.resize(size, 'x');
    return text;
}

void fill(QueueFixture& queue, std::size_t count, std::size_t per_publish, std::size_t size = 1'024) {
    for (std::size_t i = 0; i < count; i += per_publish) {
        Batch batch;
        for (std::size_t k = i; k < i + per_publish; ++k) batch.add(body(k + 1, size));
        REQUIRE(queue.publish(batch).confirm);
    }
}

// Acks everything as it comes; checks that it is 1, 2, 3, ... `count`.
void drain_in_order(QueueFixture& queue, std::size_t count, std::size_t size = 1'024) {
    std::uint64_t expected = 1;
    while (queue.untaken() != 0) {
        const std::vector<Received> got = queue.take();
        for (const Received& message : got) {
            REQUIRE(message.seq.value == expected);
            REQUIRE(message.body == body(expected, size));
            ++expected;
        }
        std::size_t first = 0;
        for (std::size_t i = 1; i <= got.size(); ++i) {
            if (i < got.size() && got[i].lease == got[first].lease) continue;
            REQUIRE(queue.settle(Outcome::kAck, {got[first].through(got[i - 1])}).settled->count == i - first);
            first = i;
        }
        REQUIRE(queue.window().ahead <= core::kWindowBytes + core::kBlockTargetBytes);
        REQUIRE(queue.window().trailing <= core::kTrailingBytes + core::kBlockTargetBytes);
    }
    CHECK(expected == count + 1);
    CHECK(queue.info().bytes == 0);
}

TEST_CASE("a backlog of single messages comes out in order, over a restart too", "[core][backlog]") {
    QueueFixture queue;
    constexpr std::size_t kCount = 4'000;
    fill(queue, kCount, 1);
    const std::int64_t oldest = queue.info().oldest_commit_time_ms;
    const bool restart = GENERATE(false, true);
    if (restart) {
        queue.restart();
        queue.reconnect();
    }
    CHECK(queue.info().ready == kCount);
    CHECK(queue.info().oldest_commit_time_ms == oldest);
    const Result<core::PeekResult> peeked = queue.peek(3'000, 5);
    REQUIRE(peeked);
    REQUIRE(peeked->items.size() == 5);
    CHECK(peeked->items.front().sequence == Sequence(3'000));
    CHECK(peeked->next == Sequence(3'005));
    ConsumeOptions options;
    options.credit = 500;
    REQUIRE(queue.consume(options));
    drain_in_order(queue, kCount);
}

TEST_CASE("what is in flight deep in a backlog of single messages is found again", "[core][backlog]") {
    QueueFixture queue;
    fill(queue, 2'000, 1);
    ConsumeOptions options;
    options.credit = 1'500;
    options.lease = Millis(600'000);
    REQUIRE(queue.consume(options));
    const std::vector<Received> got = queue.take();
    REQUIRE(got.size() == 1'500);
    queue.ack(got[1'498]);
    REQUIRE(queue.credit(0));
    queue.retry(got[1'497], Millis(60'000));
    queue.restart();
    queue.reconnect();
    options.held = {got[1'400].through(got[1'499])};
    options.credit = 2'000;
    REQUIRE(queue.consume(options));
    const QueueInfo info = queue.info();
    CHECK(info.waiting == 1);
    CHECK(info.started == 1'998);  // 98 still held, the others started again
    queue.ack(got[1'499]);
    CHECK(queue.info().started == 1'997);
}

TEST_CASE("purge takes a backlog of single messages in one go", "[core][backlog]") {
    QueueFixture queue;
    fill(queue, 3'000, 1);
    const bool held = GENERATE(false, true);
    if (held) {
        queue.hold_commits();
        for (std::size_t i = 0; i < 5; ++i) (void)queue.publish({"under way"});
    }
    const std::uint64_t count = held ? 3'005 : 3'000;
    const std::size_t before = queue.reads();
    const Result<std::uint64_t> removed = queue.purge();
    if (held) {
        queue.release_commits();
    } else {
        REQUIRE(removed);
        CHECK(*removed == count);
    }
    CHECK(queue.reads() == before);
    CHECK(queue.info().ready == 0);
    CHECK(queue.info().bytes == 0);
    if (GENERATE(false, true)) {
        queue.restart();
        queue.reconnect();
    }
    CHECK(queue.publish({"later"}).confirm->first_seq == Sequence(count + 1));
    REQUIRE(queue.consume());
    CHECK(queue.take_bodies() == Bodies{"later"});
}

TEST_CASE("50,000 x 1 KiB wait in bounded memory and come out in order", "[core][backlog]") {
    QueueFixture queue;
    const std::size_t per_publish = GENERATE(50, 1'000);
    fill(queue, 50'000, per_publish);
    CHECK(queue.info().ready == 50'000);
    CHECK(queue.window().ahead <= core::kIdleWindowBytes);
    CHECK(queue.reads() == 0);
    ConsumeOptions options;
    options.credit = 500;
    REQUIRE(queue.consume(options));
    drain_in_order(queue, 50'000);
    CHECK(queue.reads() > 10);
    CHECK(queue.reads() < 200);  // blocks are read many at a time
    CHECK(queue.window().ahead == 0);
}

TEST_CASE("a backlog found at start is delivered in order", "[core][backlog][recovery]") {
    QueueFixture queue;
    fill(queue, 5'000, 100);
    queue.restart();
    CHECK(queue.window().ahead == 0);
    queue.reconnect();
    REQUIRE(queue.consume());
    drain_in_order(queue, 5'000);
}

TEST_CASE("what is published while consumers keep up is never read back", "[core][backlog]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    for (std::size_t i = 1; i <= 200; ++i) {
        queue.publish({body(i, 10'000)});
        queue.ack(queue.next());
    }
    CHECK(queue.reads() == 0);
}

TEST_CASE("messages published while a backlog is read come after it", "[core][backlog]") {
    QueueFixture queue;
    fill(queue, 3'000, 100);
    queue.defer_reads();
    REQUIRE(queue.consume());
    while (queue.pending_reads() != 0 && queue.info().delivered < 1'000) queue.serve_read();
    for (std::size_t i = 3'001; i <= 3'500; ++i) queue.publish({body(i)});
    queue.serve_reads();
    drain_in_order(queue, 3'500);
}

TEST_CASE("a message larger than any window is delivered too", "[core][backlog]") {
    QueueFixture queue;
    fill(queue, 4, 2, 6 << 20);
    const bool restarted = GENERATE(false, true);
    if (restarted) queue.restart();
    queue.reconnect();
    ConsumeOptions options;
    options.credit = 1;
    REQUIRE(queue.consume(options));
    std::uint64_t expected = 1;
    while (queue.untaken() != 0) {
        const Received message = queue.next();
        CHECK(message.seq.value == expected++);
        CHECK(message.body.size() == 6 << 20);
        queue.ack(message);
    }
    CHECK(expected == 5);
    CHECK(queue.window().ahead == 0);
}

TEST_CASE("a retry of a message whose block has left memory reads it again", "[core][backlog]") {
    QueueFixture queue;
    ConsumeOptions options;
    options.credit = 30'000;
    options.lease = Millis(3'600'000);
    REQUIRE(queue.consume(options));
    fill(queue, 20'000, 100);  // 20 MiB, all in flight
    const std::vector<Received> got = queue.take();
    REQUIRE(got.size() == 20'000);
    CHECK(queue.window().trailing <= core::kTrailingBytes);
    const std::size_t before = queue.reads();
    queue.retry(got[3], Millis(0));
    const Received again = queue.next();
    CHECK(again.body == body(4));
    CHECK(again.attempt == 2);
    CHECK(queue.reads() == before + 1);
    // So does a death: decided at once, moved when the body is there.
    queue.defer_reads();
    queue.reject(got[150]);
    CHECK(queue.info().dead == 1);
    CHECK_FALSE(queue.dead_letter(Sequence(151)));
    CHECK(queue.pending_reads() == 1);
    const bool crash = GENERATE(false, true);
    if (crash) {
        queue.restart();
        CHECK(queue.info().dead == 1);
    }
    queue.serve_reads();
    CHECK(queue.info().dead == 1);
    REQUIRE(queue.dead_letter(Sequence(151)));
    CHECK(queue.dead_letter(Sequence(151))->body == body(151));
    CHECK(queue.dead_letter(Sequence(151))->record.deaths[0].reason == storage::DeathReason::kRejected);
    queue.restart();
    CHECK(queue.info().dead == 1);
    CHECK(queue.info().started == 19'999);
}

TEST_CASE("a message whose death waits for its body is no longer a message when the queue is deleted",
          "[core][backlog]") {
    QueueFixture queue;
    queue.publish(numbered(3));
    queue.restart();
    queue.reconnect();
    REQUIRE(queue.consume());
    const std::vector<Received> got = queue.take();
    REQUIRE(got.size() == 3);
    queue.restart();  // started, and no body in memory
    queue.reconnect();
    ConsumeOptions back;
    back.held = {got[0].through(got[2])};
    REQUIRE(queue.consume(back));
    queue.defer_reads();
    queue.reject(got[1]);
    REQUIRE(queue.pending_reads() == 1);
    CHECK(*queue.remove() == 2);
    queue.serve_reads();
}

TEST_CASE("several queues together stay within the shard's window", "[core][backlog]") {
    QueueFixture queue;
    for (int q = 0; q < 70; ++q) {
        const std::string name = "q" + std::to_string(q);
        REQUIRE(queue.create(name));
        PublishOptions to;
        to.queue = name;
        for (int i = 0; i < 6; ++i) queue.publish(std::vector<std::string>(100, std::string(1'024, 'x')), to);
    }
    CHECK(queue.window().ahead <= core::kShardWindowBytes);
    CHECK(queue.window().ahead > core::kShardWindowBytes / 2);
    for (int q = 0; q < 70; ++q) {
        ConsumeOptions from;
        from.queue = "q" + std::to_string(q);
        from.name = "worker";
        from.number = static_cast<std::uint64_t>(q + 1);
        from.credit = 1'000;
        REQUIRE(queue.consume(from));
        CHECK(queue.take().size() == 600);
    }
    for (int q = 0; q < 70; ++q) REQUIRE(queue.remove("q" + std::to_string(q)));
    CHECK(queue.window().ahead == 0);
}

// --- damage -----------------------------------------------------------------------------------------------------

TEST_CASE("a damaged block is counted and skipped, and the rest is delivered", "[core][damage]") {
    QueueFixture queue;
    queue.publish(numbered(3));
    queue.publish(numbered(3, 4));
    queue.publish(numbered(3, 7));
    const QueueId id = queue.info().id;
    REQUIRE(queue.backing().damage(storage::block_key(NamespaceId(1), id, Sequence(4))));
    queue.restart();
    queue.reconnect();
    REQUIRE(queue.consume());
    CHECK(queue.take_bodies() == Bodies{"m1", "m2", "m3", "m7", "m8", "m9"});
    CHECK(queue.info().damaged == 3);
    CHECK(queue.info().ready == 0);
    CHECK(queue.info().started == 6);
    REQUIRE(queue.warnings().size() == 1);
    CHECK(queue.warnings()[0].find("damaged") != std::string::npos);
    CHECK(queue.publish({"m10"}).confirm->first_seq == Sequence(10));
    CHECK(queue.take_bodies() == Bodies{"m10"});
    // It is kept for inspection: not by accident removed with its neighbours.
    CHECK(queue.store().get(storage::block_key(NamespaceId(1), id, Sequence(4))).has_value() == false);
}

TEST_CASE("a block that is missing from the disk counts as damaged; nothing reads it for ever", "[core][damage]") {
    QueueFixture queue;
    queue.publish(numbered(3));
    queue.publish(numbered(3, 4));
    storage::WriteSet writes;
    const std::uint64_t gone = GENERATE(1, 4);
    writes.remove(storage::block_key(NamespaceId(1), queue.info().id, Sequence(gone)));
    queue.write(writes);
    queue.restart();
    queue.reconnect();
    queue.defer_reads();
    REQUIRE(queue.consume());
    for (int i = 0; i < 10 && queue.pending_reads() != 0; ++i) queue.serve_read();
    CHECK(queue.pending_reads() == 0);
    CHECK(queue.take_bodies() == numbered(3, gone == 1 ? 4 : 1));
    CHECK(queue.info().damaged == 3);
}

TEST_CASE("damage to a block with returned, dying and started messages is counted once each", "[core][damage]") {
    QueueFixture queue;
    ConsumeOptions options;
    options.credit = 5;
    options.lease = Millis(600'000);
    REQUIRE(queue.consume(options));
    queue.publish(numbered(8));
    const std::vector<Received> got = queue.take();
    REQUIRE(queue.credit(0));
    queue.retry(got[0], Millis(1'000));
    queue.retry(got[1], Millis(2'000));
    queue.ack(got[2]);
    const QueueId id = queue.info().id;
    REQUIRE(queue.backing().damage(storage::block_key(NamespaceId(1), id, Sequence(1))));
    queue.restart();
    queue.reconnect();
    options.held = {got[3].through(got[4])};
    REQUIRE(queue.consume(options));  // started: m4, m5. m1 and m2 wait; m6 to m8 are fresh
    QueueInfo info = queue.info();
    CHECK(info.damaged == 5);
    CHECK(info.ready == 0);
    CHECK(info.waiting == 0);
    CHECK(info.started == 2);
    queue.advance(Millis(5'000));
    queue.ack(got[3]);
    queue.retry(got[4], Millis(0));  // comes back into a block that cannot be read
    info = queue.info();
    CHECK(info.damaged == 6);
    CHECK(info.ready == 0);
    CHECK(info.started == 0);
    CHECK(queue.untaken() == 0);
    (void)queue.purge();
    info = queue.info();
    CHECK(info.ready == 0);
    CHECK(info.waiting == 0);
    CHECK(queue.publish({"later"}).confirm->first_seq == Sequence(9));
    CHECK(queue.take_bodies() == Bodies{"later"});
    queue.restart();
    CHECK(queue.ns().queue_count() == 1);
}

// Recovers another namespace from the store of `queue`.
Result<void> recover_again(NamespaceFixture& queue) {
    core::Stage stage;
    struct Nobody : core::Outlet, core::BlockReader {
        void confirm(const core::Confirmation&) override {}
        void deliver(const core::Delivery&) override {}
        void settled(const core::SettleReply&) override {}
        void started(const core::StartReply&) override {}
        void recall(const core::Recall&) override {}
        void fail(SessionId, std::uint64_t, const Error&) override {}
        void consumer_closed(SessionId, std::uint64_t, const Error&) override {}
        [[nodiscard]] bool has_room(SessionId) const override { return true; }
        void read(const core::ReadRequest&, core::ReadDone) override {}
        void read_dead(const core::DeadReadRequest&, core::DeadDone) override {}
    } nobody;
    core::WindowBudget window;
    const core::OpaqueFormat format;
    core::Namespace other(
        NamespaceId(1), "default", {}, stage, nobody, nobody, window, [] { return 0.5; }, format,
        [](const std::string&) {});
    return other.recover(queue.store(), {});
}

TEST_CASE("a small record that is damaged stops the start and is named", "[core][damage]") {
    QueueFixture queue;
    queue.publish(numbered(3));
    const QueueId id = queue.info().id;
    REQUIRE(queue.backing().damage(storage::block_index_key(NamespaceId(1), id, Sequence(1))));
    const Result<void> ok = recover_again(queue);
    REQUIRE_FALSE(ok);
    CHECK(ok.error().code == ErrorCode::kInternal);
    CHECK(ok.error().text.find("sequence 1") != std::string::npos);
}

TEST_CASE("a block that lies in the wrong lane stops the start and is named", "[core][damage]") {
    QueueFixture queue;
    queue.publish(numbered(3));
    REQUIRE(recover_again(queue));
    storage::WriteSet writes;
    storage::BlockIndexRecord index;
    index.count = 1;
    index.commit_time_ms = 5;
    const bool scheduled = GENERATE(false, true);
    if (!scheduled) index.due_ms = {7};
    const auto lane = static_cast<storage::LaneId>(storage::kDefaultLane + (scheduled ? storage::kScheduled : 0));
    writes.put(storage::block_index_key(NamespaceId(1), queue.info().id, Sequence(9), lane), index.encode());
    queue.write(writes);
    const Result<void> ok = recover_again(queue);
    REQUIRE_FALSE(ok);
    CHECK(ok.error().code == ErrorCode::kInternal);
    CHECK(ok.error().text.find("block 9") != std::string::npos);
}

}  // namespace
}  // namespace rockdove::test

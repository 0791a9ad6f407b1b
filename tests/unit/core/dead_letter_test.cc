// Dead letters: what they tell, and how they are listed, deleted, redriven and moved (SEMANTICS section 9).
#include <catch2/catch.hpp>
#include <limits>

#include "server/core/limits.h"
#include "storage/keys.h"
#include "tests/support/core_fixture.h"

namespace rockdove::test {
namespace {

TEST_CASE("L-1 a death tells how long the last attempt ran, also over a restart", "[core][dead_letter]") {
    QueueSettings settings;
    settings.max_attempts = 2;
    settings.backoff_first = Millis(0);
    QueueFixture queue(settings);
    REQUIRE(queue.consume());
    queue.publish({"a", "b", "c"});
    const std::vector<Received> got = queue.take();
    REQUIRE(queue.credit(0));
    queue.advance(Millis(700));
    queue.reject(got[0]);
    CHECK(queue.dead_letter(Sequence(1))->record.deaths.at(0).duration_ms == 700);
    queue.retry(got[1]);
    REQUIRE(queue.credit(3));
    const Received again = queue.next();
    queue.advance(Millis(40));
    queue.retry(again);
    CHECK(queue.dead_letter(Sequence(2))->record.deaths.at(0).duration_ms == 40);  // not the first attempt's
    queue.restart();
    queue.reconnect();
    ConsumeOptions options;
    options.held = {got[2].range()};
    REQUIRE(queue.consume(options));
    queue.advance(Millis(60));
    queue.reject(got[2]);
    CHECK(queue.dead_letter(Sequence(3))->record.deaths.at(0).duration_ms == 800);
}

TEST_CASE("L-1 a death whose body has to be read first has the time of the decision, also over a restart",
          "[core][dead_letter]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    queue.publish({"a"});
    const Received message = queue.next();
    queue.advance(Millis(250));
    queue.ns().drop_payload({NamespaceId(1), queue.info().id, Sequence(1), 0});
    queue.defer_reads();
    queue.reject(message);
    const std::int64_t died_ms = to_unix_ms(queue.now());
    CHECK(queue.info().dead == 1);
    CHECK_FALSE(queue.dead_letter(Sequence(1)));
    queue.restart();
    queue.advance_silently(Millis(5'000));
    queue.serve_reads();
    const auto dead = queue.dead_letter(Sequence(1));
    REQUIRE(dead);
    CHECK(dead->record.deaths.at(0).time_ms == died_ms);
    CHECK(dead->record.deaths.at(0).duration_ms == 250);
}

TEST_CASE("L-1 a dead letter keeps priority and due time", "[core][dead_letter]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    Batch batch;
    base::MessageTraits urgent;
    urgent.priority = 9;
    urgent.delay_ms = 1'000;
    batch.add("a", urgent);
    queue.publish(batch);
    const std::int64_t due_ms = to_unix_ms(queue.now()) + 1'000;
    queue.advance(Millis(1'000));
    queue.reject(queue.next());
    const auto dead = queue.dead_letter(Sequence(1));
    REQUIRE(dead);
    CHECK(dead->record.priority == 9);
    CHECK(dead->record.due_ms == due_ms);
}

// Publishes `count` messages and rejects them all; a consumer "worker" with credit stays attached.
void kill(NamespaceFixture& queue, std::size_t count, std::size_t first = 1) {
    queue.publish(numbered(count, first));
    for (const Received& message : queue.take()) queue.reject(message);
}

core::RedriveRequest from(std::string_view queue = "q") {
    core::RedriveRequest request;
    request.queue = queue;
    return request;
}

storage::TaskRecord task(NamespaceFixture& queue, std::uint64_t number) {
    const Result<core::TaskInfo> info = queue.ns().show_task(number);
    REQUIRE(info);
    return info->record;
}

using storage::TaskState;
using Bodies = std::vector<std::string>;

// --- list and delete --------------------------------------------------------------------------------------------

TEST_CASE("L-2 dead letters are listed in pages by sequence, with or without bodies", "[core][dead_letter]") {
    QueueSettings settings;
    settings.durability = GENERATE(Durability::kSync, Durability::kMemory);
    QueueFixture queue(settings);
    REQUIRE(queue.consume());
    kill(queue, 5);
    Result<core::DeadPage> page = queue.list_dead(1, 2);
    REQUIRE(page);
    REQUIRE(page->letters.size() == 2);
    CHECK(page->letters[0].sequence == Sequence(1));
    CHECK(page->letters[1].record.deaths.at(0).error == "bad");
    CHECK(page->letters[1].record.message == std::string("\x0A\x02m2"));
    CHECK(page->next == Sequence(3));
    page = queue.list_dead(3, 3, 1 << 20, false);
    CHECK(page->letters.size() == 3);
    CHECK(page->letters[0].record.message.empty());
    CHECK(page->next == Sequence(0));
    page = queue.list_dead(1, 10, 1);  // one is given even if it is larger
    CHECK(page->letters.size() == 1);
    CHECK(page->next == Sequence(2));
    CHECK(queue.list_dead(6)->letters.empty());
    CHECK(queue.list_dead(1, 10, 1 << 20, true, "nowhere").error().code == ErrorCode::kNotFound);
}

TEST_CASE("L-2 a page of dead letters is read off the shard's thread, and what went meanwhile is not in it",
          "[core][dead_letter]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    kill(queue, 3);
    queue.defer_reads();
    std::optional<core::DeadPage> page;
    core::DeadReadRequest request;
    request.first = Sequence(1);
    request.limit = 10;
    request.max_bytes = 1 << 20;
    queue.ns().list_dead("q", request, [&](Result<core::DeadPage> got) { page = *std::move(got); });
    queue.turn();
    CHECK(queue.pending_reads() == 1);
    CHECK_FALSE(page);
    CHECK(*queue.delete_dead({Sequence(2)}) == 1);
    queue.serve_reads();
    REQUIRE(page);
    REQUIRE(page->letters.size() == 2);
    CHECK(page->letters[1].sequence == Sequence(3));
}

TEST_CASE("L-2 dead letters are deleted one by one or all together, also over a restart", "[core][dead_letter]") {
    QueueSettings settings;
    settings.durability = GENERATE(Durability::kSync, Durability::kMemory);
    QueueFixture queue(settings);
    REQUIRE(queue.consume());
    kill(queue, 5);
    CHECK(*queue.delete_dead({Sequence(1), Sequence(3), Sequence(3), Sequence(99)}) == 2);
    CHECK(queue.info().dead == 3);
    if (queue.info().settings.durability == Durability::kSync) {
        queue.restart();
        CHECK(queue.info().dead == 3);
    }
    CHECK(queue.list_dead()->letters.at(0).sequence == Sequence(2));
    CHECK(*queue.purge_dead() == 3);
    CHECK(*queue.purge_dead() == 0);
    CHECK(queue.list_dead()->letters.empty());
    CHECK(queue.delete_dead({Sequence(1)}, "nowhere").error().code == ErrorCode::kNotFound);
    CHECK(queue.purge_dead("nowhere").error().code == ErrorCode::kNotFound);
    queue.restart();
    if (settings.durability == Durability::kSync) CHECK(queue.info().dead == 0);
}

TEST_CASE("a damaged dead letter is listed as such, and a redrive counts it as failed", "[core][dead_letter]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    kill(queue, 3);
    REQUIRE(queue.backing().damage(storage::dead_key(NamespaceId(1), queue.info().id, Sequence(2))));
    const Result<core::DeadPage> page = queue.list_dead();
    REQUIRE(page->letters.size() == 3);
    CHECK(page->letters[1].damaged);
    CHECK_FALSE(page->letters[2].damaged);
    const std::uint64_t number = queue.redrive(from())->number;
    CHECK(task(queue, number).state == TaskState::kDone);
    CHECK(task(queue, number).failed == 1);
    CHECK(task(queue, number).moved == 2);
    CHECK(queue.info().dead == 1);
}

// --- redrive ----------------------------------------------------------------------------------------------------

TEST_CASE("L-4 a redriven message is a new one under its old id: attempts 0, deaths kept, redrives counted",
          "[core][dead_letter]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    kill(queue, 3);
    const auto before = queue.dead_letter(Sequence(2));
    queue.advance(Millis(60'000));
    const Result<core::TaskInfo> begun = queue.redrive(from());
    REQUIRE(begun);
    CHECK(begun->record.total == 3);
    CHECK(task(queue, begun->number).state == TaskState::kDone);
    CHECK(task(queue, begun->number).moved == 3);
    CHECK(task(queue, begun->number).reasons ==
          std::vector<std::pair<storage::DeathReason, std::uint64_t>>{{storage::DeathReason::kRejected, 3}});
    CHECK(queue.info().dead == 0);
    CHECK(queue.info().redriven == 3);
    const std::vector<Received> again = queue.take();
    REQUIRE(again.size() == 3);
    CHECK(again[1].seq == Sequence(5));
    CHECK(again[1].id_seq == Sequence(2));
    CHECK(again[1].id_queue == queue.info().id);
    CHECK(again[1].commit_time_ms == before->record.commit_time_ms);
    CHECK(again[1].attempt == 1);
    CHECK(again[1].body == "m2");

    queue.ack(again[0]);
    queue.reject(again[1]);
    const auto dead = queue.dead_letter(Sequence(5));
    REQUIRE(dead);
    CHECK(dead->record.redrives == 1);
    CHECK(dead->record.origin_sequence == Sequence(2));
    CHECK(dead->record.commit_time_ms == before->record.commit_time_ms);
    REQUIRE(dead->record.deaths.size() == 2);
    CHECK(dead->record.deaths[0] == before->record.deaths[0]);
    CHECK(dead->record.deaths[1].time_ms == to_unix_ms(queue.now()));
}

TEST_CASE("L-4 messages with an origin go alone and keep it over a restart; peek shows the old id",
          "[core][dead_letter]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    kill(queue, 2);
    REQUIRE(queue.cancel());
    REQUIRE(queue.redrive(from()));
    queue.publish({"x", "y"});
    queue.restart();
    queue.reconnect();
    const Result<core::PeekResult> peek = queue.peek();
    REQUIRE(peek->items.size() == 4);
    CHECK(peek->items[1].sequence == Sequence(4));
    CHECK(peek->items[1].id_sequence == Sequence(2));
    CHECK(peek->items[2].id_sequence == Sequence(5));
    REQUIRE(queue.consume());
    const std::vector<Received> got = queue.take();
    REQUIRE(got.size() == 4);
    for (std::size_t i = 0; i < 4; ++i) CHECK(got[i].id_seq == Sequence(i < 2 ? i + 1 : i + 3));
    // A message in the middle of a range that is settled at once.
    CHECK(queue.settle(Outcome::kAck, {got[0].range()}).settled->count == 1);
    queue.retry(got[1], Millis(0));
    CHECK(queue.next().id_seq == Sequence(2));
    queue.restart();
    CHECK(queue.peek()->items.at(0).id_sequence == Sequence(2));
}

// Records of one kind in the store.
std::size_t stored(NamespaceFixture& queue, storage::Tag tag) {
    std::size_t count = 0;
    const auto [begin, end] = storage::tag_range(NamespaceId(1), tag);
    REQUIRE(queue.store().scan(begin, end, [&](const storage::RecordView&) { return ++count != 0; }));
    return count;
}

TEST_CASE("an origin lives as long as its message: acked, purged, dead again, deleted", "[core][dead_letter]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    kill(queue, 4);
    REQUIRE(queue.redrive(from()));
    CHECK(stored(queue, storage::Tag::kOrigin) == 4);
    const std::vector<Received> got = queue.take();
    queue.ack(got[0]);
    CHECK(stored(queue, storage::Tag::kOrigin) == 3);
    queue.reject(got[1]);
    CHECK(stored(queue, storage::Tag::kOrigin) == 2);
    REQUIRE(queue.cancel());
    SECTION("purged") { REQUIRE(queue.purge()); }
    SECTION("deleted") { REQUIRE(queue.remove()); }
    CHECK(stored(queue, storage::Tag::kOrigin) == 0);
    queue.restart();
}

TEST_CASE("a purge takes the origins of messages that nobody has looked at", "[core][dead_letter]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    kill(queue, 3);
    REQUIRE(queue.cancel());
    for (int i = 0; i < 300; ++i) queue.publish({"x"});  // blocks that are packed
    REQUIRE(queue.redrive(from()));
    for (int i = 0; i < 300; ++i) queue.publish({"y"});
    CHECK(stored(queue, storage::Tag::kOrigin) == 3);
    REQUIRE(queue.purge());
    CHECK(stored(queue, storage::Tag::kOrigin) == 0);
}

TEST_CASE("L-4 a redrive keeps the priority of a message; its delay is over", "[core][dead_letter]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    Batch batch;
    base::MessageTraits urgent;
    urgent.priority = 9;
    urgent.delay_ms = 50;
    batch.add("late", urgent);
    queue.publish(batch);
    queue.advance(Millis(50));
    queue.reject(queue.next());
    REQUIRE(queue.cancel());
    queue.publish({"plain"});
    REQUIRE(queue.redrive(from()));
    REQUIRE(queue.consume());
    CHECK(queue.take_bodies() == Bodies{"late", "plain"});
}

TEST_CASE("L-4 a redrive goes to another queue, filtered by reason and limited", "[core][dead_letter]") {
    QueueSettings settings;
    settings.max_attempts = 1;
    QueueFixture queue(settings);
    REQUIRE(queue.create("other"));
    REQUIRE(queue.consume());
    queue.publish(numbered(6));
    const std::vector<Received> got = queue.take();
    for (std::size_t i = 0; i < 6; ++i) {
        if (i % 2 == 0) {
            queue.reject(got[i]);
        } else {
            queue.retry(got[i]);
        }
    }
    core::RedriveRequest request = from();
    request.to = "other";
    request.reason = "max_attempts";
    request.limit = 2;
    const std::uint64_t number = queue.redrive(request)->number;
    CHECK(task(queue, number).state == TaskState::kDone);
    CHECK(task(queue, number).moved == 2);
    CHECK(queue.info().dead == 4);
    ConsumeOptions options;
    options.queue = "other";
    options.number = 2;
    REQUIRE(queue.consume(options));
    const std::vector<Received> moved = queue.take();
    REQUIRE(moved.size() == 2);
    CHECK(moved[0].body == "m2");
    CHECK(moved[0].id_queue == queue.info().id);
    CHECK(moved[0].id_seq == Sequence(2));
    CHECK(moved[1].body == "m4");

    request.reason = "boredom";
    CHECK(queue.redrive(request).error().code == ErrorCode::kInvalid);
    request = from("nowhere");
    CHECK(queue.redrive(request).error().code == ErrorCode::kNotFound);
    request = from();
    request.to = "nowhere";
    CHECK(queue.redrive(request).error().code == ErrorCode::kNotFound);
}

TEST_CASE("L-4 a dry run counts by reason and moves nothing", "[core][dead_letter]") {
    QueueSettings settings;
    settings.durability = GENERATE(Durability::kSync, Durability::kMemory);
    QueueFixture queue(settings);
    REQUIRE(queue.consume());
    kill(queue, 600);  // several steps
    core::RedriveRequest request = from();
    request.dry_run = true;
    const std::uint64_t number = queue.redrive(request)->number;
    CHECK(task(queue, number).state == TaskState::kDone);
    CHECK(task(queue, number).moved == 600);
    CHECK(task(queue, number).reasons.at(0).second == 600);
    CHECK(queue.info().dead == 600);
    CHECK(queue.untaken() == 0);
}

TEST_CASE("L-4 after ten redrives a message stays dead, and is reported as skipped", "[core][dead_letter]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    kill(queue, 1);
    for (std::uint32_t i = 1; i <= core::kMaxRedrives; ++i) {
        const std::uint64_t number = queue.redrive(from())->number;
        CHECK(task(queue, number).moved == 1);
        const Received again = queue.next();
        CHECK(again.id_seq == Sequence(1));
        queue.reject(again);
        CHECK(queue.dead_letter(again.seq)->record.redrives == i);
        CHECK(queue.dead_letter(again.seq)->record.deaths.size() == i + 1);
    }
    const std::uint64_t number = queue.redrive(from())->number;
    CHECK(task(queue, number).state == TaskState::kDone);
    CHECK(task(queue, number).moved == 0);
    CHECK(task(queue, number).skipped == 1);
    CHECK(queue.info().dead == 1);
}

TEST_CASE("L-5 what a redrive has moved and dies again is not moved again by it", "[core][dead_letter]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    kill(queue, 4);
    core::RedriveRequest request = from();
    request.rate = 10;  // one each 100 ms
    const std::uint64_t number = queue.redrive(request)->number;
    while (task(queue, number).state == TaskState::kRunning) {
        for (const Received& message : queue.take()) queue.reject(message);
        queue.advance(Millis(100));
    }
    for (const Received& message : queue.take()) queue.reject(message);
    CHECK(task(queue, number).moved == 4);
    CHECK(queue.info().dead == 4);
    queue.advance(Millis(3'600'000));
    CHECK(queue.untaken() == 0);
}

TEST_CASE("L-4 a rate spreads a redrive over time, by the namespace's timer", "[core][dead_letter]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    kill(queue, 200);
    core::RedriveRequest request = from();
    request.rate = 100;
    const std::uint64_t number = queue.redrive(request)->number;
    CHECK(task(queue, number).moved == 10);
    queue.advance(Millis(99));
    CHECK(task(queue, number).moved == 10);
    queue.advance(Millis(1));
    CHECK(task(queue, number).moved == 20);
    queue.advance(Millis(800));
    CHECK(task(queue, number).moved == 100);
    queue.advance(Millis(1'000));
    CHECK(task(queue, number).state == TaskState::kDone);
    CHECK(queue.take().size() == 200);
    request.rate = 2e6;
    CHECK(queue.redrive(request).error().code == ErrorCode::kInvalid);
    for (const double wrong : {-1.0, 0.00009, std::numeric_limits<double>::quiet_NaN()}) {
        request.rate = wrong;
        CHECK(queue.redrive(request).error().code == ErrorCode::kInvalid);
    }
    request.rate = 0.0001;
    CHECK(queue.redrive(request));
    request.rate = 1e6;
    CHECK(queue.redrive(request));
}

TEST_CASE("L-4 a redrive moves a bounded part at a time, and waits for its commit", "[core][dead_letter]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    kill(queue, core::kTaskMessages * 2 + 1);
    queue.defer_reads();
    const std::uint64_t number = queue.redrive(from())->number;
    CHECK(queue.pending_reads() == 1);
    queue.hold_commits();
    queue.serve_read();
    CHECK(task(queue, number).moved == core::kTaskMessages);
    CHECK(queue.pending_reads() == 0);
    queue.turn();
    CHECK(queue.pending_reads() == 0);
    queue.release_commits();
    CHECK(queue.pending_reads() == 1);
    queue.serve_reads();
    CHECK(task(queue, number).moved == core::kTaskMessages * 2 + 1);
}

TEST_CASE("L-4 a redrive into a full queue waits, says why, and goes on when there is room", "[core][dead_letter]") {
    QueueFixture queue;
    QueueSettings small;
    small.max_messages = 2;
    REQUIRE(queue.create("other", small));
    REQUIRE(queue.consume());
    kill(queue, 5);
    core::RedriveRequest request = from();
    request.to = "other";
    const std::uint64_t number = queue.redrive(request)->number;
    CHECK(task(queue, number).moved == 2);
    CHECK(task(queue, number).state == TaskState::kRunning);
    CHECK(queue.ns().show_task(number)->waits.find("\"other\" is full") != std::string::npos);
    CHECK(queue.info().dead == 3);
    ConsumeOptions options;
    options.queue = "other";
    options.number = 2;
    REQUIRE(queue.consume(options));
    for (const Received& message : queue.take()) queue.ack(message);
    queue.advance(Millis(1'000));
    CHECK(task(queue, number).moved == 4);
    for (const Received& message : queue.take()) queue.ack(message);
    queue.advance(Millis(1'000));
    CHECK(task(queue, number).state == TaskState::kDone);
    CHECK(queue.ns().show_task(number)->waits.empty());
    CHECK(queue.info().dead == 0);
}

TEST_CASE("a redrive waits while publishes are refused", "[core][dead_letter]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    kill(queue, 2);
    queue.ns().refuse_publishes("the disk is low");
    const std::uint64_t number = queue.redrive(from())->number;
    CHECK(task(queue, number).moved == 0);
    CHECK(queue.ns().show_task(number)->waits == "the disk is low");
    queue.ns().refuse_publishes("");
    queue.advance(Millis(1'000));
    CHECK(task(queue, number).moved == 2);
}

TEST_CASE("L-4 a cancelled redrive loses nothing", "[core][dead_letter]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    kill(queue, 30);
    REQUIRE(queue.cancel());
    core::RedriveRequest request = from();
    request.rate = 100;
    const std::uint64_t number = queue.redrive(request)->number;
    const bool reading = GENERATE(false, true);
    if (reading) {
        queue.defer_reads();
        queue.advance(Millis(100));
        CHECK(queue.pending_reads() == 1);
    }
    CHECK(queue.cancel_task(number)->record.state == TaskState::kCancelled);
    if (reading) queue.serve_reads();
    CHECK(queue.cancel_task(number).error().code == ErrorCode::kConflict);
    CHECK(queue.cancel_task(99).error().code == ErrorCode::kNotFound);
    queue.advance(Millis(10'000));
    CHECK(queue.info().dead == 20);
    CHECK(queue.info().ready == 10);
    queue.restart();
    CHECK(task(queue, number).state == TaskState::kCancelled);
    queue.advance(Millis(10'000));
    CHECK(queue.info().dead == 20);
    CHECK(queue.info().ready == 10);
}

TEST_CASE("L-4 kill -9 between any two commits of a redrive: each message is dead or back, never both or neither",
          "[core][dead_letter]") {
    const int stop_at = GENERATE(range(0, 9));
    const bool holds = GENERATE(false, true);
    CAPTURE(stop_at, holds);
    QueueFixture queue;
    REQUIRE(queue.consume());
    constexpr std::size_t kLetters = core::kTaskMessages * 2 + 10;
    kill(queue, kLetters);
    REQUIRE(queue.cancel());
    queue.hold_commits();
    (void)queue.redrive(from());
    int step = 0;
    while (queue.committing() && step < stop_at) {
        queue.finish_commit();
        queue.turn();
        ++step;
    }
    queue.restart(holds);
    // Whatever was on disk, the task goes on from there, unless its own record was not.
    const bool known = queue.ns().show_task(1).has_value();
    CHECK(known == (stop_at > 0 || holds));
    const QueueInfo info = queue.info();
    CHECK(info.dead + info.ready == kLetters);
    if (known) {
        CHECK(task(queue, 1).state == TaskState::kDone);
        CHECK(task(queue, 1).moved == kLetters);
        CHECK(info.ready == kLetters);
    }
    CHECK(stored(queue, storage::Tag::kOrigin) == info.ready);
    queue.reconnect();
    ConsumeOptions options;
    options.credit = 10'000;
    REQUIRE(queue.consume(options));
    std::set<std::uint64_t> ids;
    for (const Received& message : queue.take()) CHECK(ids.insert(message.id_seq.value).second);
    CHECK(ids.size() == info.ready);
}

TEST_CASE("L-4 a redrive between a memory queue and a durable one", "[core][dead_letter]") {
    QueueSettings memory;
    memory.durability = Durability::kMemory;
    const bool to_memory = GENERATE(false, true);
    QueueFixture queue(to_memory ? QueueSettings() : memory);
    REQUIRE(queue.create("other", to_memory ? memory : QueueSettings()));
    REQUIRE(queue.consume());
    kill(queue, 300);
    core::RedriveRequest request = from();
    request.to = "other";
    const std::uint64_t number = queue.redrive(request)->number;
    CHECK(task(queue, number).state == TaskState::kDone);
    CHECK(task(queue, number).moved == 300);
    CHECK(queue.info().dead == 0);
    CHECK(queue.info("other").ready == 300);
    ConsumeOptions options;
    options.queue = "other";
    options.number = 2;
    REQUIRE(queue.consume(options));
    CHECK(queue.next().id_seq == Sequence(1));
}

TEST_CASE("a task whose queue is deleted fails and says so", "[core][dead_letter]") {
    QueueFixture queue;
    REQUIRE(queue.create("other"));
    REQUIRE(queue.consume());
    kill(queue, 30);
    core::RedriveRequest request = from();
    request.to = "other";
    request.rate = 10;
    const std::uint64_t number = queue.redrive(request)->number;
    const bool source = GENERATE(false, true);
    REQUIRE(queue.remove(source ? "q" : "other"));
    queue.advance(Millis(200));
    CHECK(task(queue, number).state == TaskState::kFailed);
    CHECK(task(queue, number).text == (source ? "queue \"q\" was deleted" : "queue \"other\" was deleted"));
    queue.restart();
    CHECK(task(queue, number).state == TaskState::kFailed);
}

TEST_CASE("at most 16 tasks run at a time, and the last 100 that ended are remembered", "[core][dead_letter]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    kill(queue, 50);
    core::RedriveRequest slow = from();
    slow.rate = 0.001;
    for (std::size_t i = 0; i < core::kMaxActiveTasks; ++i) REQUIRE(queue.redrive(slow));
    CHECK(queue.redrive(slow).error().code == ErrorCode::kRateLimited);
    REQUIRE(queue.cancel_task(1));
    core::RedriveRequest count = from();
    count.dry_run = true;
    for (std::size_t i = 0; i < core::kMaxFinishedTasks; ++i) {
        queue.advance(Millis(1));
        REQUIRE(queue.redrive(count));
    }
    CHECK(queue.ns().list_tasks().size() == core::kMaxFinishedTasks + core::kMaxActiveTasks - 1);
    CHECK(queue.ns().show_task(1).error().code == ErrorCode::kNotFound);  // the one that ended first
    CHECK(queue.ns().list_tasks().front().number == 16 + core::kMaxFinishedTasks);
    queue.restart();
    CHECK(queue.ns().list_tasks().size() == core::kMaxFinishedTasks + core::kMaxActiveTasks - 1);
    CHECK(queue.redrive(count)->number == 17 + core::kMaxFinishedTasks);
}

// --- dead_letter_to ---------------------------------------------------------------------------------------------

QueueSettings moves_to(std::string_view queue) {
    QueueSettings settings;
    settings.dead_letter_to = queue;
    return settings;
}

TEST_CASE("L-2 dead_letter_to moves what dies to that queue, with id and deaths", "[core][dead_letter]") {
    NamespaceFixture queue;
    REQUIRE(queue.create("dead"));
    REQUIRE(queue.create("q", moves_to("dead")));
    REQUIRE(queue.connect(SessionId(1)));
    REQUIRE(queue.consume());
    kill(queue, 2);
    CHECK(queue.info().dead == 0);
    CHECK(queue.info().died == 2);
    CHECK(queue.info("dead").ready == 2);
    queue.restart();
    REQUIRE(queue.connect(SessionId(1)));
    CHECK(queue.info().settings.dead_letter_to == "dead");
    ConsumeOptions options;
    options.queue = "dead";
    REQUIRE(queue.consume(options));
    const std::vector<Received> got = queue.take();
    REQUIRE(got.size() == 2);
    CHECK(got[1].body == "m2");
    CHECK(got[1].id_queue == queue.info().id);
    CHECK(got[1].id_seq == Sequence(2));
    CHECK(got[1].attempt == 1);
    queue.reject(got[1]);
    const auto dead = queue.dead_letter(Sequence(2), "dead");
    REQUIRE(dead);
    CHECK(dead->record.deaths.size() == 2);
    CHECK(dead->record.redrives == 0);
    CHECK(dead->record.origin_queue == queue.info().id);
}

TEST_CASE("L-1 a move to dead_letter_to is one commit: kill -9 before or after it", "[core][dead_letter]") {
    const bool holds = GENERATE(false, true);
    NamespaceFixture queue;
    REQUIRE(queue.create("dead"));
    REQUIRE(queue.create("q", moves_to("dead")));
    REQUIRE(queue.connect(SessionId(1)));
    REQUIRE(queue.consume());
    queue.publish({"a"});
    const Received message = queue.next();
    queue.hold_commits();
    queue.reject(message);
    queue.restart(holds);
    CHECK(queue.info("dead").ready == (holds ? 1 : 0));
    CHECK(queue.info().started == (holds ? 0 : 1));
    CHECK(queue.info().dead == 0);
}

TEST_CASE("L-2 a message whose body has to be read first moves to dead_letter_to as well", "[core][dead_letter]") {
    NamespaceFixture queue;
    REQUIRE(queue.create("dead"));
    REQUIRE(queue.create("q", moves_to("dead")));
    REQUIRE(queue.connect(SessionId(1)));
    REQUIRE(queue.consume());
    queue.publish({"a"});
    const Received message = queue.next();
    queue.ns().drop_payload({NamespaceId(1), queue.info().id, Sequence(1), 0});
    queue.reject(message);
    CHECK(queue.info("dead").ready == 1);
    CHECK(queue.info().dead == 0);
}

TEST_CASE("L-2 without room or without that queue, dead letters stay, are counted, and one warning is given",
          "[core][dead_letter]") {
    NamespaceFixture queue;
    QueueSettings small;
    small.max_messages = 1;
    REQUIRE(queue.create("dead", small));
    REQUIRE(queue.create("q", moves_to("dead")));
    REQUIRE(queue.connect(SessionId(1)));
    REQUIRE(queue.consume());
    kill(queue, 3);
    CHECK(queue.info("dead").ready == 1);
    CHECK(queue.info().dead == 2);
    CHECK(queue.info().not_moved == 2);
    REQUIRE(queue.warnings().size() == 1);
    CHECK(queue.warnings()[0].find("it is full") != std::string::npos);
    REQUIRE(queue.remove("dead"));
    kill(queue, 1);
    CHECK(queue.info().dead == 3);
    CHECK(queue.warnings().size() == 1);
    QueueSettings settings = moves_to("dead");
    settings.max_attempts = 7;
    REQUIRE(queue.update("q", settings));  // what is not changed is not checked again
    kill(queue, 1);
    REQUIRE(queue.warnings().size() == 2);
    CHECK(queue.warnings()[1].find("no such queue") != std::string::npos);
}

TEST_CASE("L-5 dead_letter_to must exist and lead to no circle", "[core][dead_letter]") {
    NamespaceFixture queue;
    CHECK(queue.create("a", moves_to("b")).error().code == ErrorCode::kNotFound);
    CHECK(queue.create("a", moves_to("a")).error().code == ErrorCode::kInvalid);
    CHECK(queue.create("a", moves_to("no spaces")).error().code == ErrorCode::kInvalid);
    REQUIRE(queue.create("a"));
    REQUIRE(queue.create("b", moves_to("a")));
    REQUIRE(queue.create("c", moves_to("b")));
    const Result<QueueInfo> circle = queue.update("a", moves_to("c"));
    REQUIRE_FALSE(circle);
    CHECK(circle.error().code == ErrorCode::kInvalid);
    CHECK(circle.error().text.find("\"a\" -> \"c\" -> \"b\" -> \"a\"") != std::string::npos);
    CHECK(queue.update("a", moves_to("a")).error().code == ErrorCode::kInvalid);
    REQUIRE(queue.remove("a"));
    CHECK(queue.create("a", moves_to("c")).error().code == ErrorCode::kInvalid);
    CHECK(queue.update("b", QueueSettings())->settings.dead_letter_to.empty());
    REQUIRE(queue.create("a", moves_to("c")));
}

TEST_CASE("dead_letter_to leads on over at most 16 queues", "[core][dead_letter]") {
    NamespaceFixture queue;
    REQUIRE(queue.create("q0"));
    for (std::size_t i = 1; i <= core::kMaxDeadLetterHops; ++i) {
        REQUIRE(queue.create("q" + std::to_string(i), moves_to("q" + std::to_string(i - 1))));
    }
    CHECK(queue.create("more", moves_to("q" + std::to_string(core::kMaxDeadLetterHops))).error().code ==
          ErrorCode::kInvalid);
}

TEST_CASE("a default dead_letter_to is off for the queue it names, and lets queues be created by use",
          "[core][dead_letter]") {
    core::NamespaceOptions options;
    options.create_on_use = true;
    options.queue_defaults.dead_letter_to = "dead";
    NamespaceFixture queue(options);
    REQUIRE(queue.connect(SessionId(1)));
    CHECK(queue.create("dead", options.queue_defaults)->settings.dead_letter_to.empty());
    queue.publish({"x"});
    CHECK(queue.info().settings.dead_letter_to == "dead");
    REQUIRE(queue.remove("dead"));
    queue.publish({"x"}, {"dead", SessionId(1), 0, 0});
    CHECK(queue.info("dead").settings.dead_letter_to.empty());
}

TEST_CASE("a queue takes no more moved messages than it can remember the origins of", "[core][dead_letter]") {
    NamespaceFixture queue;
    REQUIRE(queue.create("dead"));
    REQUIRE(queue.create("q", moves_to("dead")));
    REQUIRE(queue.connect(SessionId(1)));
    ConsumeOptions options;
    options.credit = 60'000;
    REQUIRE(queue.consume(options));
    queue.publish(std::vector<std::string>(40'000, "x"));
    const std::vector<Received> got = queue.take();
    SettleOptions why;
    why.reason = std::string(core::kMaxErrorText, 'e');
    queue.settle(Outcome::kReject, {got.front().through(got.back())}, why);
    const QueueInfo info = queue.info();
    CHECK(info.dead == info.not_moved);
    CHECK(info.dead > 0);
    const std::uint64_t taken = queue.info("dead").ready;
    CHECK(taken + info.dead == 40'000);
    CHECK(taken * core::kMaxErrorText < core::kOriginBytes);
    CHECK(taken * (core::kMaxErrorText + 400) > core::kOriginBytes);
}

TEST_CASE("past 32 deaths the oldest are forgotten", "[core][dead_letter]") {
    NamespaceFixture queue;
    constexpr std::size_t kChain = core::kMaxDeadLetterHops;
    REQUIRE(queue.create("q0"));
    for (std::size_t i = 1; i <= kChain; ++i) {
        REQUIRE(queue.create("q" + std::to_string(i), moves_to("q" + std::to_string(i - 1))));
    }
    REQUIRE(queue.connect(SessionId(1)));
    for (std::size_t i = 0; i <= kChain; ++i) {
        ConsumeOptions options;
        options.queue = "q" + std::to_string(i);
        options.number = i + 1;
        REQUIRE(queue.consume(options));
    }
    queue.publish({"x"}, {"q" + std::to_string(kChain), SessionId(1), 0, 0});
    const auto all_the_way = [&] {
        for (std::size_t i = 0; i <= kChain; ++i) queue.reject(queue.next());
    };
    all_the_way();
    CHECK(queue.list_dead(1, 10, 1 << 20, true, "q0")->letters.at(0).record.deaths.size() == kChain + 1);
    core::RedriveRequest request = from("q0");
    const std::string top = "q" + std::to_string(kChain);
    request.to = top;
    REQUIRE(queue.redrive(request));
    all_the_way();
    const auto letters = queue.list_dead(1, 10, 1 << 20, true, "q0")->letters;
    CHECK(letters.at(0).record.deaths.size() == core::kMaxDeaths);
    CHECK(letters.at(0).record.origin_sequence == Sequence(1));
}

}  // namespace
}  // namespace rockdove::test

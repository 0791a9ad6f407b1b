// What becomes of started messages: SEMANTICS section 7 row by row, leases, stale settles, dead letters.
#include <catch2/catch.hpp>

#include "tests/support/core_fixture.h"

namespace rockdove::test {
namespace {

using Bodies = std::vector<std::string>;

void check_ranges(const std::vector<LeaseRange>& got, const std::vector<LeaseRange>& expected) {
    REQUIRE(got.size() == expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
        CHECK(got[i].first == expected[i].first);
        CHECK(got[i].last == expected[i].last);
        CHECK(got[i].epoch == expected[i].epoch);
        CHECK(got[i].lease == expected[i].lease);
    }
}

LeaseRange range(std::uint64_t first, std::uint64_t last, std::uint64_t epoch, std::uint32_t lease = 1) {
    return {Sequence(first), Sequence(last), epoch, lease};
}

TEST_CASE("S-2 retries wait as the backoff says: first, times factor, never above the longest", "[core][retry]") {
    QueueSettings settings;
    settings.backoff_first = Millis(1'000);
    settings.backoff_factor = 3;
    settings.backoff_longest = Millis(20'000);
    settings.max_attempts = 10;
    QueueFixture queue(settings);
    REQUIRE(queue.consume());
    queue.publish({"a"});
    for (const int wait : {1'000, 3'000, 9'000, 20'000, 20'000}) {
        queue.retry(queue.next());
        CHECK(queue.info().waiting == 1);
        queue.advance(Millis(wait - 1));
        CHECK(queue.untaken() == 0);
        queue.advance(Millis(1));
        CHECK(queue.untaken() == 1);
    }
    CHECK(queue.next().attempt == 6);
}

TEST_CASE("S-2 jitter moves the wait by its share at most, both ways", "[core][retry]") {
    QueueSettings settings;
    settings.backoff_first = Millis(1'000);
    settings.backoff_jitter = 0.2;
    QueueFixture queue(settings);
    REQUIRE(queue.consume());
    const auto [random, wait] = GENERATE(table<double, int>({{0.0, 800}, {0.25, 900}, {0.5, 1'000}, {1.0, 1'200}}));
    queue.random_value = random;
    queue.publish({"a"});
    queue.retry(queue.next());
    queue.advance(Millis(wait - 1));
    CHECK(queue.untaken() == 0);
    queue.advance(Millis(1));
    CHECK(queue.untaken() == 1);
}

TEST_CASE("S-2 a backoff of zero stays zero, however steep its factor", "[core][retry]") {
    QueueSettings settings;
    settings.backoff_first = Millis(0);
    settings.backoff_factor = 100;
    settings.max_attempts = 1'000;
    QueueFixture queue(settings);
    REQUIRE(queue.consume());
    queue.publish({"a"});
    for (int i = 0; i < 200; ++i) queue.retry(queue.next());
    CHECK(queue.next().attempt == 201);
}

TEST_CASE("S-2 a wait asked for is bounded by max_retry_delay", "[core][retry]") {
    QueueSettings settings;
    settings.max_retry_delay = Millis(5'000);
    QueueFixture queue(settings);
    REQUIRE(queue.consume());
    queue.publish({"a"});
    const bool by_release = GENERATE(false, true);
    const Received message = queue.next();
    by_release ? queue.release(message, Millis(60'000)) : queue.retry(message, Millis(60'000));
    queue.advance(Millis(4'999));
    CHECK(queue.untaken() == 0);
    queue.advance(Millis(1));
    CHECK(queue.untaken() == 1);
}

TEST_CASE("S-1 after max_attempts failures a message is dead, and L-1 its record tells all", "[core][dead_letter]") {
    QueueSettings settings;
    settings.max_attempts = 3;
    QueueFixture queue(settings);
    REQUIRE(queue.consume());
    const Answered published = queue.publish({"poison"});
    for (std::uint32_t attempt = 1; attempt <= 3; ++attempt) {
        const Received message = queue.next();
        CHECK(message.attempt == attempt);
        SettleOptions options;
        options.reason = "no good " + std::to_string(attempt);
        options.after = Millis(0);
        CHECK(queue.settle(Outcome::kRetry, {message.range()}, options).settled->count == 1);
    }
    CHECK(queue.untaken() == 0);
    const QueueInfo info = queue.info();
    CHECK(info.dead == 1);
    CHECK(info.died == 1);
    CHECK(info.retried == 2);
    CHECK(info.ready + info.waiting + info.started == 0);
    CHECK(info.bytes == 0);
    const auto dead = queue.dead_letter(Sequence(1));
    REQUIRE(dead);
    CHECK(dead->body == "poison");
    CHECK(dead->record.commit_time_ms == published.confirm->commit_time_ms);
    CHECK(dead->record.attempts == 3);
    CHECK(dead->record.lease == 3);
    REQUIRE(dead->record.deaths.size() == 1);
    CHECK(dead->record.deaths[0].reason == storage::DeathReason::kMaxAttempts);
    CHECK(dead->record.deaths[0].attempt == 3);
    CHECK(dead->record.deaths[0].consumer == "worker");
    CHECK(dead->record.deaths[0].error == "no good 3");
    CHECK(dead->record.deaths[0].time_ms == to_unix_ms(queue.now()));
    queue.restart();
    CHECK(queue.info().dead == 1);
    CHECK(queue.dead_letter(Sequence(1)));
    CHECK(queue.publish({"next"}).confirm->first_seq == Sequence(2));
}

TEST_CASE("S-1 max_attempts 1 means never retried", "[core][dead_letter]") {
    QueueSettings settings;
    settings.max_attempts = 1;
    QueueFixture queue(settings);
    REQUIRE(queue.consume());
    queue.publish({"a", "b"});
    queue.retry(queue.next());
    CHECK(queue.info().dead == 1);
    CHECK(queue.info().waiting == 0);
}

TEST_CASE("an endless release loop ends: dead after max_releases, without an attempt counted", "[core][dead_letter]") {
    QueueSettings settings;
    settings.max_releases = 4;
    QueueFixture queue(settings);
    REQUIRE(queue.consume());
    queue.publish({"a"});
    for (int i = 0; i < 5; ++i) {
        const Received message = queue.next();
        CHECK(message.attempt == 1);
        CHECK(message.lease == static_cast<std::uint32_t>(i + 1));
        queue.release(message);
    }
    CHECK(queue.untaken() == 0);
    CHECK(queue.info().dead == 1);
    const auto dead = queue.dead_letter(Sequence(1));
    REQUIRE(dead);
    CHECK(dead->record.deaths[0].reason == storage::DeathReason::kMaxReleases);
    CHECK(dead->record.attempts == 0);
}

TEST_CASE("release does not count an attempt, and waits as long as asked", "[core][release]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    queue.publish({"a"});
    queue.release(queue.next(), Millis(700));
    CHECK(queue.info().waiting == 1);
    queue.advance(Millis(699));
    CHECK(queue.untaken() == 0);
    queue.advance(Millis(1));
    CHECK(queue.next().attempt == 1);
    CHECK(queue.info().retried == 0);
}

TEST_CASE("reject makes a dead letter at once", "[core][dead_letter]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    queue.publish({"a", "b"});
    const Received message = queue.next();
    CHECK(queue.reject(message).settled->count == 1);
    CHECK(queue.info().dead == 1);
    CHECK(queue.info().started == 1);
    const auto dead = queue.dead_letter(Sequence(1));
    REQUIRE(dead);
    CHECK(dead->body == "a");
    CHECK(dead->record.deaths[0].reason == storage::DeathReason::kRejected);
    CHECK(dead->record.deaths[0].error == "bad");
}

TEST_CASE("L-2 past dead_max the oldest dead letters go, and are counted", "[core][dead_letter]") {
    QueueSettings settings;
    settings.dead_max = 3;
    settings.max_messages = 3;
    QueueFixture queue(settings);
    REQUIRE(queue.consume());
    for (int i = 0; i < 5; ++i) {
        REQUIRE(queue.publish({"a"}).confirm);  // dead letters do not count against max_messages
        queue.reject(queue.next());
    }
    CHECK(queue.info().dead == 3);
    CHECK(queue.info().dead_evicted == 2);
    CHECK_FALSE(queue.dead_letter(Sequence(2)));
    CHECK(queue.dead_letter(Sequence(3)));
    settings.dead_max = 1;
    REQUIRE(queue.update("q", settings));
    CHECK(queue.info().dead == 1);
    queue.restart();
    CHECK(queue.info().dead == 1);
    CHECK(queue.dead_letter(Sequence(5)));
}

TEST_CASE("a lease that ends unsettled counts, and the message comes again after the backoff", "[core][lease]") {
    QueueFixture queue;
    REQUIRE(queue.connect(SessionId(2)));
    ConsumeOptions first;
    first.credit = 1;
    REQUIRE(queue.consume(first));
    queue.publish({"a"});
    const Received held = queue.next();
    REQUIRE(queue.credit(0));
    ConsumeOptions other;
    other.name = "other";
    other.session = SessionId(2);
    REQUIRE(queue.consume(other));
    queue.advance(Millis(29'999));
    CHECK(queue.info().started == 1);
    queue.advance(Millis(1));
    CHECK(queue.info().started == 0);
    CHECK(queue.info().waiting == 1);
    CHECK(queue.info().retried == 1);
    CHECK(queue.ns().counters().expired_leases == 1);
    queue.advance(Millis(999));
    CHECK(queue.untaken() == 0);
    queue.advance(Millis(1));
    const Received again = queue.next();
    CHECK(again.session == SessionId(2));
    CHECK(again.attempt == 2);
    CHECK(again.lease == 2);
    // A late ack is refused, and the second worker is unaffected.
    const Answered late = queue.ack(held);
    CHECK(late.settled->count == 0);
    check_ranges(late.settled->stale, {held.range()});
    CHECK(queue.info().started == 1);
    CHECK(queue.ack(again).settled->count == 1);
}

TEST_CASE("a lease runs from the commit that lets the delivery go", "[core][lease]") {
    QueueFixture queue;
    ConsumeOptions options;
    options.credit = 1;
    queue.publish({"a"});
    queue.hold_commits();
    REQUIRE(queue.consume(options));
    CHECK(queue.untaken() == 0);
    queue.advance(Millis(45'000));  // the disk stalls for longer than the lease
    CHECK(queue.info().started == 1);
    queue.release_commits();
    const Received message = queue.next();
    CHECK(message.attempt == 1);
    queue.advance(Millis(14'000));
    CHECK(queue.ack(message).settled->count == 1);
    CHECK(queue.ns().counters().expired_leases == 0);
}

TEST_CASE("a lease expires for good after max_attempts", "[core][lease]") {
    QueueSettings settings;
    settings.max_attempts = 2;
    settings.lease = Millis(1'000);
    QueueFixture queue(settings);
    REQUIRE(queue.consume());
    queue.publish({"a"});
    queue.advance(Millis(10'000));
    CHECK(queue.take().size() == 2);
    CHECK(queue.info().dead == 1);
    CHECK(queue.dead_letter(Sequence(1))->record.deaths[0].error == "lease_expired");
}

TEST_CASE("a consumer's own lease time overrides the queue's", "[core][lease]") {
    QueueFixture queue;
    ConsumeOptions options;
    options.lease = Millis(2'000);
    const Result<core::ConsumeGrant> grant = queue.consume(options);
    REQUIRE(grant);
    CHECK(grant->lease == Millis(2'000));
    queue.publish({"a"});
    CHECK(queue.next().lease_time == Millis(2'000));
    queue.advance(Millis(2'000));
    CHECK(queue.info().waiting == 1);
}

TEST_CASE("extend renews a lease from now, and only what is held", "[core][lease]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    queue.publish(numbered(3));
    const std::vector<Received> got = queue.take();
    queue.ack(got[1]);
    queue.advance(Millis(20'000));
    const Answered extended = queue.extend({got[0].through(got[2])});
    REQUIRE(extended.settled);
    CHECK(extended.settled->extended);
    CHECK(extended.settled->count == 2);
    check_ranges(extended.settled->stale, {got[1].range()});
    queue.advance(Millis(29'999));
    CHECK(queue.info().started == 2);
    CHECK(queue.extend({got[0].range()}, Millis(60'000)).settled->count == 1);
    queue.advance(Millis(1));
    CHECK(queue.info().started == 1);  // m3 has expired
    queue.advance(Millis(59'998));
    CHECK(queue.extend({got[2].range()}).settled->count == 0);
    for (const Received& message : queue.take()) CHECK(message.body == "m3");
    queue.advance(Millis(1));
    CHECK(queue.ack(got[0]).settled->count == 0);
}

TEST_CASE("an extended lease survives a restart", "[core][lease][recovery]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    queue.publish({"a"});
    const Received message = queue.next();
    queue.extend({message.range()}, Millis(100'000));
    queue.restart();
    queue.advance(Millis(99'999));
    CHECK(queue.info().started == 1);
    queue.advance(Millis(1));
    CHECK(queue.info().started == 0);
}

TEST_CASE("a range settles every message in it that is held under that lease, the others are stale", "[core][settle]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    queue.publish(numbered(4));     // 1..4
    queue.publish(numbered(4, 5));  // 5..8, another block
    queue.publish(numbered(4, 9));  // 9..12
    const std::vector<Received> got = queue.take();
    REQUIRE(got.size() == 12);
    const std::uint64_t epoch = got[0].epoch;
    CHECK(queue.settle(Outcome::kAck, {range(3, 6, epoch)}).settled->count == 4);
    CHECK(queue.info().started == 8);
    const Answered over = queue.settle(Outcome::kAck, {range(2, 15, epoch)});
    CHECK(over.settled->count == 7);
    check_ranges(over.settled->stale, {range(3, 6, epoch), range(13, 15, epoch)});
    const Answered twice = queue.settle(Outcome::kAck, {range(1, 1, epoch), range(1, 1, epoch)});
    CHECK(twice.settled->count == 1);
    check_ranges(twice.settled->stale, {range(1, 1, epoch)});
    CHECK(queue.info().started == 0);
    CHECK(queue.info().bytes == 0);
}

TEST_CASE("a settle under another lease, epoch or consumer is stale and changes nothing", "[core][settle]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    ConsumeOptions other;
    other.number = 2;
    other.name = "other";
    other.credit = 0;
    REQUIRE(queue.consume(other));
    queue.publish({"a"});
    const Received message = queue.next();
    const Outcome outcome = GENERATE(Outcome::kAck, Outcome::kRetry, Outcome::kRelease, Outcome::kReject);
    LeaseRange wrong = message.range();
    SettleOptions options;
    const int what = GENERATE(0, 1, 2, 3);
    if (what == 0) ++wrong.lease;
    if (what == 1) ++wrong.epoch;
    if (what == 2) --wrong.epoch;
    if (what == 3) options.consumer = 2;
    const Answered answer = queue.settle(outcome, {wrong}, options);
    REQUIRE(answer.settled);
    CHECK(answer.settled->count == 0);
    check_ranges(answer.settled->stale, {wrong});
    CHECK(queue.info().started == 1);
    CHECK(queue.ack(message).settled->count == 1);
    CHECK(queue.settle(Outcome::kAck, {wrong}, SettleOptions{SessionId(1), 7, {}, {}}).error->code ==
          ErrorCode::kNotFound);
}

TEST_CASE("parts of a run can have different fates", "[core][settle]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    queue.publish(numbered(10));
    const std::vector<Received> got = queue.take();
    queue.ack(got[4]);
    queue.retry(got[2], Millis(60'000));
    queue.reject(got[7]);
    queue.release(got[9], Millis(60'000));
    const QueueInfo info = queue.info();
    CHECK(info.started == 6);
    CHECK(info.waiting == 2);
    CHECK(info.dead == 1);
    const auto check_after = [&] {
        const Answered rest = queue.settle(Outcome::kAck, {got[0].through(got[9])});
        CHECK(rest.settled->count == 6);
        const std::uint64_t epoch = got[0].epoch;
        check_ranges(rest.settled->stale,
                     {range(3, 3, epoch), range(5, 5, epoch), range(8, 8, epoch), range(10, 10, epoch)});
        queue.advance(Millis(60'000));
        CHECK(queue.take_bodies() == Bodies{"m3", "m10"});
    };
    SECTION("at once") { check_after(); }
    SECTION("and so after a restart, by a client that comes back") {
        queue.restart();
        CHECK(queue.info().started == 6);
        CHECK(queue.info().waiting == 2);
        CHECK(queue.info().dead == 1);
        CHECK(queue.info().bytes == info.bytes);
        queue.reconnect();
        ConsumeOptions options;
        options.held = {got[0].through(got[9])};
        const Result<core::ConsumeGrant> grant = queue.consume(options);
        REQUIRE(grant);
        const std::uint64_t epoch = got[0].epoch;
        check_ranges(grant->held, {range(1, 2, epoch), range(4, 4, epoch), range(6, 7, epoch), range(9, 9, epoch)});
        check_after();
    }
}

TEST_CASE("settles without a request id are carried out and not answered", "[core][settle]") {
    QueueFixture queue;
    REQUIRE(queue.consume());
    queue.publish({"a"});
    core::SettleRequest request;
    request.session = SessionId(1);
    request.consumer = 1;
    request.ranges = {queue.next().range()};
    queue.ns().settle(request, queue.now());
    queue.turn();
    CHECK(queue.info().started == 0);
}

TEST_CASE("byte credit is free again after every way a message can leave its consumer", "[core][credit]") {
    QueueFixture queue;
    ConsumeOptions options;
    const std::uint64_t each = Batch::message_bytes(50);
    options.credit_bytes = 4 * each;
    options.lease = Millis(5'000);
    REQUIRE(queue.consume(options));
    const std::string body(50, 'x');
    queue.publish(std::vector<std::string>(12, body));
    std::vector<Received> got = queue.take();
    REQUIRE(got.size() == 4);
    queue.ack(got[2]);
    queue.retry(got[0], Millis(60'000));
    queue.release(got[3], Millis(60'000));
    queue.reject(got[1]);
    got = queue.take();
    REQUIRE(got.size() == 4);
    queue.advance(Millis(5'000));  // leases end
    got = queue.take();
    REQUIRE(got.size() == 4);
    CHECK(queue.info().started == 4);
}

}  // namespace
}  // namespace rockdove::test

// Records round trip; bytes from a damaged disk give an error, never a crash.
#include "storage/record.h"

#include <catch2/catch.hpp>
#include <functional>
#include <random>

#include "protocol/base/bytes.h"

namespace rockdove::storage {
namespace {

QueueRecord queue_record() {
    QueueRecord record;
    record.name = "jobs";
    record.paused = true;
    record.created_ms = 1'700'000'000'123;
    record.settings.durability = Durability::kAsync;
    record.settings.lease = Millis(1'234);
    record.settings.max_attempts = 7;
    record.settings.max_releases = 8;
    record.settings.backoff_first = Millis(9);
    record.settings.backoff_factor = 1.75;
    record.settings.backoff_longest = Millis(10);
    record.settings.backoff_jitter = 0.3;
    record.settings.max_retry_delay = Millis(11);
    record.settings.max_messages = 12;
    record.settings.max_bytes = UINT64_MAX;
    record.settings.dead_max = 13;
    record.settings.ttl = Millis(15);
    record.settings.on_expire = OnExpire::kDrop;
    record.settings.key_on_retry = KeyOnRetry::kPass;
    record.settings.key_on_dead = KeyOnDead::kPause;
    record.settings.oldest_every = 16;
    record.settings.overflow = Overflow::kDropOldest;
    record.settings.dedup_window = Millis(17'000);
    record.settings.dedup_mode = DedupMode::kUntilDone;
    record.settings.reconnect_grace = Millis(14);
    return record;
}

BlockStateRecord state_record() {
    BlockStateRecord record;
    record.done = {{0, 3}, {5, 6}, {100, 4'000'000'000}};
    RunRecord run;
    run.first = 3;
    run.count = 2;
    run.lease = 4;
    run.attempts = 5;
    run.releases = 6;
    run.losses = 7;
    run.epoch = UINT64_MAX;
    run.lease_end_ms = 1'700'000'000'000;
    run.consumer = "worker";
    record.runs = {run, run};
    record.runs[1].first = 50;
    record.leaving = {{3, 5}, {60, 61}};
    record.pushed_out = {{4, 5}};
    return record;
}

ReturnedRecord returned_record() {
    ReturnedRecord record;
    record.attempts = 1;
    record.lease = 2;
    record.releases = 3;
    record.losses = 4;
    record.visible_at_ms = 1'700'000'000'000;
    record.dying = DeathReason::kRejected;
    record.key = UINT64_MAX;
    record.lane = 9;
    record.last_error = "no good";
    record.last_consumer = "worker";
    return record;
}

DeadRecord dead_record() {
    DeadRecord record;
    record.commit_time_ms = 1;
    record.attempts = 2;
    record.lease = 3;
    record.redrives = 4;
    Death death;
    death.time_ms = 5;
    death.reason = DeathReason::kMaxReleases;
    death.attempt = 6;
    death.consumer = "worker";
    death.error = "text";
    record.deaths = {death, death};
    record.message = std::string("\x00\xFF message", 10);
    return record;
}

TopicRecord topic_record() {
    TopicRecord record;
    record.settings.durability = Durability::kAsync;
    record.settings.retain_age = Millis(5'000);
    record.settings.retain_bytes = UINT64_MAX;
    record.settings.retain_messages = 1;
    record.settings.retain_until_done = record.settings.best_effort = true;
    record.settings.ttl = Millis(7);
    record.settings.dedup_window = Millis(1'000);
    return record;
}

SubscriptionRecord subscription_record() {
    return {QueueId(7),
            {"order.*.created", ">"},
            "priority > 4",
            QueueId(9),
            false,
            {Sequence(5), Sequence(6), Sequence(kMaxSequence)},
            12};
}

DedupRecord dedup_record() {
    DedupRecord record;
    record.commit_time_ms = 1'700'000'000'000;
    record.entries = {{Sequence(3), {1, 2, 3}}, {Sequence(kMaxSequence), {UINT64_MAX, UINT64_MAX, 0}}};
    return record;
}

OriginRecord origin_record() {
    OriginRecord record;
    record.queue = QueueId(UINT32_MAX);
    record.commit_time_ms = 1'700'000'000'000;
    record.sequence = Sequence(kMaxSequence);
    record.due_ms = 1'700'000'000'001;
    record.redrives = 9;
    record.deaths = dead_record().deaths;
    record.deaths[1].duration_ms = 77;
    return record;
}

TaskRecord task_record() {
    TaskRecord record;
    record.state = TaskState::kFailed;
    record.dry_run = true;
    record.queue = QueueId(1);
    record.to = QueueId(2);
    record.queue_name = "jobs";
    record.to_name = "other";
    record.reason = "rejected";
    record.filter = "priority > 3";
    record.place = RedrivePlace::kOriginal;
    record.limit = 3;
    record.rate = 0.5;
    record.created_ms = 4;
    record.finished_ms = 5;
    record.next = Sequence(6);
    record.end = Sequence(7);
    record.total = 8;
    record.looked = 9;
    record.moved = 10;
    record.skipped = 11;
    record.failed = 12;
    record.reasons = {{DeathReason::kRejected, 13}, {DeathReason::kMaxAttempts, 14}};
    record.text = "why";
    return record;
}

ProducerRecord producer_record() {
    ProducerRecord record;
    record.epoch = 1ULL << 40;
    record.floor = 2;
    record.last_used_ms = 3;
    AnswerRange range;
    range.first = UINT64_MAX;
    range.count = UINT32_MAX;
    range.queue = QueueId(5);
    range.sequence = Sequence(6);
    range.commit_time_ms = 7;
    record.answers = {range, range};
    return record;
}

std::string block(const std::vector<std::string>& messages) {
    std::string bytes(kBlockHeaderBytes, '\0');
    ByteWriter out(bytes);
    for (const std::string& message : messages) {
        out.u8(static_cast<std::uint8_t>(kMessageTag));
        out.string(message);
    }
    BlockHeader header;
    header.count = static_cast<std::uint32_t>(messages.size());
    header.commit_time_ms = -5;
    write_block_header(bytes, header);
    return bytes;
}

TEST_CASE("every record round trips", "[storage][record]") {
    NamespaceRecord ns;
    ns.id = NamespaceId(7);
    ns.next_queue = UINT32_MAX;
    CHECK(NamespaceRecord::decode(ns.encode())->id == ns.id);
    CHECK(NamespaceRecord::decode(ns.encode())->next_queue == UINT32_MAX);

    CHECK(PlacementRecord::decode(PlacementRecord{ShardId(63)}.encode())->shard == ShardId(63));
    CHECK_FALSE(PlacementRecord::decode(PlacementRecord{ShardId(64)}.encode()));
    CHECK(ShardCountRecord::decode(ShardCountRecord{64}.encode())->count == 64);
    CHECK_FALSE(ShardCountRecord::decode(ShardCountRecord{65}.encode()));
    CHECK_FALSE(ShardCountRecord::decode(ShardCountRecord{0}.encode()));

    const Result<QueueRecord> queue = QueueRecord::decode(queue_record().encode());
    REQUIRE(queue);
    CHECK(queue->name == "jobs");
    CHECK(queue->paused);
    CHECK(queue->created_ms == 1'700'000'000'123);
    CHECK(queue->settings == queue_record().settings);
    QueueRecord moves = queue_record();
    moves.settings.dead_letter_to = "dead";
    CHECK(QueueRecord::decode(moves.encode())->settings == moves.settings);
    CHECK_FALSE(QueueRecord::decode(moves.encode() + '\0'));

    HeadRecord head;
    head.next = Sequence(kMaxSequence);
    CHECK(HeadRecord::decode(head.encode())->next == head.next);

    BlockIndexRecord index;
    index.count = 1;
    index.bytes = UINT32_MAX;
    index.commit_time_ms = 5;
    CHECK(BlockIndexRecord::decode(index.encode())->bytes == UINT32_MAX);
    index = BlockIndexRecord{3, 30, 1'000, {0, 1, UINT32_MAX}, {}, {}, {}, false, {}, {}, {}, 0};
    CHECK(BlockIndexRecord::decode(index.encode())->offsets == index.offsets);
    CHECK(BlockIndexRecord::decode(index.encode())->due_ms.empty());
    index.due_ms = {1'001, 5'000'000'000'000, 1'002};
    index.expires_ms = {0, 999, 5'000'000'000'001};
    index.max_attempts = {0, 3, 1'000};
    index.keyed = true;
    CHECK(BlockIndexRecord::decode(index.encode())->keyed);
    index.keys = {0, 1, UINT64_MAX};
    CHECK(BlockIndexRecord::decode(index.encode())->expires_ms == index.expires_ms);
    CHECK(BlockIndexRecord::decode(index.encode())->max_attempts == index.max_attempts);
    CHECK(BlockIndexRecord::decode(index.encode())->keys == index.keys);
    index.expires_ms = {7};
    CHECK(BlockIndexRecord::decode(index.encode())->expires_ms == index.expires_ms);
    CHECK(BlockIndexRecord::decode(index.encode())->offsets == index.offsets);
    CHECK(BlockIndexRecord::decode(index.encode())->due_ms == index.due_ms);
    index.offsets.clear();
    CHECK(BlockIndexRecord::decode(index.encode())->offsets.empty());
    CHECK(BlockIndexRecord::decode(index.encode())->due_ms == index.due_ms);

    const Result<BlockStateRecord> state = BlockStateRecord::decode(state_record().encode());
    REQUIRE(state);
    CHECK(state->done == state_record().done);
    CHECK(state->runs == state_record().runs);
    CHECK(state->leaving == state_record().leaving);
    CHECK(state->pushed_out == state_record().pushed_out);

    CHECK(*ReturnedRecord::decode(returned_record().encode()) == returned_record());

    const Result<DeadRecord> dead = DeadRecord::decode(dead_record().encode());
    REQUIRE(dead);
    CHECK(dead->deaths == dead_record().deaths);
    CHECK(dead->message == dead_record().message);
    CHECK(dead->redrives == 4);

    const PausedKeyRecord paused{1'700'000'000'000, Sequence(kMaxSequence), "customer-7"};
    CHECK(*PausedKeyRecord::decode(paused.encode()) == paused);
    CHECK(*DedupRecord::decode(dedup_record().encode()) == dedup_record());
    CHECK(TopicRecord::decode(topic_record().encode())->settings == topic_record().settings);
    CHECK(*SubscriptionRecord::decode(subscription_record().encode()) == subscription_record());
    const LastValueRecord last{Sequence(7), 1'700'000'000'000, "message"};
    CHECK(*LastValueRecord::decode(last.encode()) == last);
    index.source = QueueId(UINT32_MAX);
    index.source_first = Sequence(3);
    index.source_time_ms = index.commit_time_ms - 5'000;
    CHECK(BlockIndexRecord::decode(index.encode())->source == index.source);
    CHECK(BlockIndexRecord::decode(index.encode())->source_first == index.source_first);
    CHECK(BlockIndexRecord::decode(index.encode())->source_time_ms == index.source_time_ms);
    CHECK(*OriginRecord::decode(origin_record().encode()) == origin_record());

    const Result<ProducerRecord> producer = ProducerRecord::decode(producer_record().encode());
    REQUIRE(producer);
    CHECK(producer->answers == producer_record().answers);
    CHECK(producer->epoch == 1ULL << 40);
    CHECK(producer->floor == 2);
}

TEST_CASE("L-1 a dead letter keeps durations, priority, due time and origin; records without them still read",
          "[storage][record]") {
    const DeadRecord plain = dead_record();
    const Result<DeadRecord> old = DeadRecord::decode(plain.encode());
    REQUIRE(old);
    CHECK(old->priority == kDefaultLane);
    CHECK(old->due_ms == 0);
    CHECK(old->origin_sequence == Sequence(0));
    CHECK(old->deaths[0].duration_ms == 0);
    for (unsigned parts = 1; parts < 16; ++parts) {
        DeadRecord record = plain;
        if ((parts & 1) != 0) record.deaths[1].duration_ms = 86'400'000;
        if ((parts & 2) != 0) record.priority = 9;
        if ((parts & 4) != 0) record.due_ms = 1'700'000'000'000;
        if ((parts & 8) != 0) {
            record.origin_queue = QueueId(UINT32_MAX);
            record.origin_sequence = Sequence(kMaxSequence);
        }
        const std::string bytes = record.encode();
        const Result<DeadRecord> read = DeadRecord::decode(bytes);
        REQUIRE(read);
        CHECK(read->deaths == record.deaths);
        CHECK(read->priority == record.priority);
        CHECK(read->due_ms == record.due_ms);
        CHECK(read->origin_queue == record.origin_queue);
        CHECK(read->origin_sequence == record.origin_sequence);
        CHECK(read->message == record.message);
        for (std::size_t size = plain.encode().size() + 1; size < bytes.size(); ++size) {
            CHECK_FALSE(DeadRecord::decode(bytes.substr(0, size)));
        }
        CHECK_FALSE(DeadRecord::decode(bytes + '\0'));
    }
    DeadRecord wrong = plain;
    wrong.priority = kPriorities;
    CHECK_FALSE(DeadRecord::decode(wrong.encode()));
    CHECK_FALSE(DeadRecord::decode(plain.encode() + '\x10'));  // a part of a later version
}

TEST_CASE("starts of runs and durations of the dying are parts that old records lack", "[storage][record]") {
    BlockStateRecord state = state_record();
    const std::string old = state.encode();
    state.runs[1].started_ms = state.runs[1].lease_end_ms - 30'000;
    CHECK(state.encode().size() > old.size());
    CHECK(BlockStateRecord::decode(state.encode())->runs == state.runs);
    CHECK(BlockStateRecord::decode(old)->runs[1].started_ms == 0);
    ReturnedRecord returned = returned_record();
    returned.duration_ms = 5;
    CHECK(*ReturnedRecord::decode(returned.encode()) == returned);
    returned.lane = 19;
    CHECK(*ReturnedRecord::decode(returned.encode()) == returned);
    returned.duration_ms = 0;
    CHECK(*ReturnedRecord::decode(returned.encode()) == returned);
}

TEST_CASE("a task's record tells all of it", "[storage][record]") {
    const TaskRecord record = task_record();
    const Result<TaskRecord> read = TaskRecord::decode(record.encode());
    REQUIRE(read);
    CHECK(read->encode() == record.encode());
    CHECK(read->state == TaskState::kFailed);
    CHECK(read->dry_run);
    CHECK(read->to == QueueId(2));
    CHECK(read->queue_name == "jobs");
    CHECK(read->rate == 0.5);
    CHECK(read->end == Sequence(7));
    CHECK(read->failed == 12);
    CHECK(read->reasons == record.reasons);
    std::string wrong = record.encode();
    wrong[1] = 5;  // no such state
    CHECK_FALSE(TaskRecord::decode(wrong));
    wrong[1] = 1;
    wrong[0] = 2;  // a kind of a later version
    CHECK_FALSE(TaskRecord::decode(wrong));
}

TEST_CASE("a block is its header and its messages", "[storage][record]") {
    const std::string bytes = block({"a", "", std::string(300, 'x')});
    const Result<BlockView> view = read_block(bytes);
    REQUIRE(view);
    CHECK(view->header.count == 3);
    CHECK(view->header.commit_time_ms == -5);
    CHECK(view->ends == std::vector<std::uint32_t>{16 + 3, 16 + 3 + 2, 16 + 3 + 2 + 303});
    CHECK(view->ends.back() == bytes.size());
    CHECK_FALSE(read_block(bytes + "x"));
    CHECK_FALSE(read_block(""));
    std::string flags = bytes;
    flags[4] = 2;  // of a later version
    CHECK_FALSE(read_block(flags));
    std::string more = bytes;
    more[0] = 4;
    CHECK_FALSE(read_block(more));
    more[3] = '\xFF';  // billions: refused before anything is reserved
    CHECK_FALSE(read_block(more));
}

TEST_CASE("settled ranges that go backwards or overflow are refused", "[storage][record]") {
    const auto decode = [](std::uint64_t skip, std::uint64_t count) {
        std::string bytes;
        ByteWriter out(bytes);
        out.varint(2);
        out.varint(10);
        out.varint(5);
        out.varint(skip);
        out.varint(count);
        out.varint(0);
        return BlockStateRecord::decode(bytes);
    };
    CHECK(decode(1, 1));
    CHECK_FALSE(decode(UINT64_MAX - 12, 5));
    CHECK_FALSE(decode(1, UINT64_MAX - 5));
    CHECK_FALSE(decode(UINT32_MAX, 1));
}

using Decode = std::function<bool(std::string_view)>;
template <class Record>
Decode decoder() {
    return [](std::string_view bytes) {
        const Result<Record> record = Record::decode(bytes);
        if (!record) CHECK(record.error().code == ErrorCode::kInternal);
        return record.has_value();
    };
}

TEST_CASE("truncated, changed and random bytes give an error or another record, never a crash", "[storage][record]") {
    const std::vector<std::pair<Decode, std::string>> kinds = {
        {decoder<NamespaceRecord>(), NamespaceRecord{NamespaceId(300), 5}.encode()},
        {decoder<PlacementRecord>(), PlacementRecord{ShardId(3)}.encode()},
        {decoder<ShardCountRecord>(), ShardCountRecord{3}.encode()},
        {decoder<QueueRecord>(), queue_record().encode()},
        {decoder<HeadRecord>(), HeadRecord{Sequence(1'000)}.encode()},
        {decoder<BlockIndexRecord>(), BlockIndexRecord{1, 2, 3, {}, {}, {}, {}, false, {}, {}, {}, 0}.encode()},
        {decoder<BlockStateRecord>(), state_record().encode()},
        {decoder<ReturnedRecord>(), returned_record().encode()},
        {decoder<DeadRecord>(), dead_record().encode()},
        {decoder<PausedKeyRecord>(), PausedKeyRecord{5, Sequence(7), "customer"}.encode()},
        {decoder<OriginRecord>(), origin_record().encode()},
        {decoder<DedupRecord>(), dedup_record().encode()},
        {decoder<TaskRecord>(), task_record().encode()},
        {decoder<TopicRecord>(), topic_record().encode()},
        {decoder<SubscriptionRecord>(), subscription_record().encode()},
        {decoder<LastValueRecord>(), LastValueRecord{Sequence(1), 2, "message"}.encode()},
        {decoder<ProducerRecord>(), producer_record().encode()},
        {[](std::string_view bytes) { return read_block(bytes).has_value(); }, block({"abc", "def"})},
    };
    std::mt19937_64 dice(3);
    for (const auto& [decode, good] : kinds) {
        REQUIRE(decode(good));
        int shorter = 0;  // what an older version wrote ends earlier, at one place
        for (std::size_t size = 0; size < good.size(); ++size) {
            shorter += decode(std::string_view(good).substr(0, size)) ? 1 : 0;
        }
        CHECK(shorter <= 1);
        CHECK_FALSE(decode(good + '\0'));
        for (int i = 0; i < 5'000; ++i) {
            std::string changed = good;
            changed[dice() % changed.size()] = static_cast<char>(dice());
            if (i % 3 == 0) changed[dice() % changed.size()] = '\xFF';
            decode(changed);
            std::string random(dice() % 64, '\0');
            for (char& c : random) c = static_cast<char>(dice());
            decode(random);
        }
    }
}

}  // namespace
}  // namespace rockdove::storage

// Frames written field by field are what the generated code reads.
#include "server/net/encode.h"

#include <catch2/catch.hpp>
#include <random>

#include "protocol/base/bytes.h"
#include "storage/record.h"

namespace rockdove::net {
namespace {

using Dice = std::mt19937_64;

std::uint64_t number(Dice& dice) { return dice() >> (dice() % 64); }

// The frame in `bytes`, which must hold exactly one.
v1::Frame parsed(const std::string& bytes) {
    base::ByteReader in(bytes);
    const std::uint32_t size = in.fixed32();
    REQUIRE(in.ok());
    REQUIRE(size == in.left());
    v1::Frame frame;
    REQUIRE(frame.ParseFromArray(in.position(), static_cast<int>(size)));
    return frame;
}

void check_error(const v1::Error& got, const Error& want) {
    CHECK(static_cast<int>(got.code()) == static_cast<int>(want.code));
    CHECK(got.text() == want.text);
    CHECK(got.retryable() == error_retryable(want.code));
    CHECK(got.retry_after_ms() == static_cast<std::uint64_t>(want.retry_after.count()));
    CHECK(got.closes() == want.closes);
}

TEST_CASE("append_confirm writes what the schema says", "[net][encode]") {
    Dice dice(1);
    for (int i = 0; i < 2'000; ++i) {
        core::Confirmation c;
        c.request_id = number(dice);
        c.queue = QueueId(static_cast<std::uint32_t>(dice()));
        c.count = static_cast<std::uint32_t>(number(dice) & 0xFFF);
        c.first_seq = Sequence(c.count == 0 ? 0 : number(dice) & kMaxSequence);
        c.commit_time_ms = static_cast<std::int64_t>(dice() >> 17);
        c.durability = static_cast<Durability>(1 + dice() % 3);
        c.room_messages = dice() % 2 ? UINT64_MAX : number(dice);
        c.room_bytes = number(dice);
        for (std::uint64_t n = dice() % 3; n != 0; --n) {
            core::PublishException e;
            e.first_index = static_cast<std::uint32_t>(dice() % 4096);
            e.count = static_cast<std::uint32_t>(1 + dice() % 4096);
            if (dice() % 2) {
                Error error(ErrorCode::kFull, "queue \"q\" is full");
                error.retry_after = Millis(1'000);
                e.error = std::make_shared<const Error>(error);
            } else {
                e.first_seq = Sequence(number(dice) & kMaxSequence);
                e.commit_time_ms = static_cast<std::int64_t>(dice() >> 17);
                e.queue = QueueId(static_cast<std::uint32_t>(dice()));
            }
            c.exceptions.push_back(e);
        }
        for (std::uint64_t n = dice() % 3; n != 0; --n) {
            core::Routed routed;
            routed.first = static_cast<std::uint32_t>(dice() % 4096);
            routed.count = static_cast<std::uint32_t>(1 + dice() % 4096);
            routed.subscriptions = static_cast<std::uint32_t>(dice() % 3);
            if (dice() % 2) routed.full = {"t/a", "t/b"};
            c.routed.push_back(routed);
        }
        std::string out;
        append_confirm(out, c);
        const v1::Frame frame = parsed(out);
        REQUIRE(frame.kind_case() == v1::Frame::kConfirm);
        CHECK(frame.request_id() == c.request_id);
        const v1::Confirm& got = frame.confirm();
        CHECK(got.first_seq() == c.first_seq.value);
        CHECK(got.count() == c.count);
        CHECK(got.id_prefix() == (c.count == 0 ? std::string() : id_prefix(c.commit_time_ms, c.queue)));
        CHECK(static_cast<int>(got.durability()) == static_cast<int>(c.durability));
        CHECK(got.room_messages() == c.room_messages);
        CHECK(got.room_bytes() == c.room_bytes);
        REQUIRE(static_cast<std::size_t>(got.exceptions_size()) == c.exceptions.size());
        for (std::size_t k = 0; k < c.exceptions.size(); ++k) {
            const v1::PublishException& e = got.exceptions(static_cast<int>(k));
            const core::PublishException& want = c.exceptions[k];
            CHECK(e.first_index() == want.first_index);
            CHECK(e.count() == want.count);
            REQUIRE(e.has_error() == (want.error != nullptr));
            if (want.error) {
                check_error(e.error(), *want.error);
            } else {
                CHECK(e.first_seq() == want.first_seq.value);
                CHECK(e.id_prefix() == id_prefix(want.commit_time_ms, want.queue));
            }
        }
        REQUIRE(static_cast<std::size_t>(got.routed_size()) == c.routed.size());
        for (std::size_t k = 0; k < c.routed.size(); ++k) {
            const v1::Routed& routed = got.routed(static_cast<int>(k));
            CHECK(routed.first_index() == c.routed[k].first);
            CHECK(routed.count() == c.routed[k].count);
            CHECK(routed.subscriptions() == c.routed[k].subscriptions);
            CHECK(std::vector<std::string>(routed.full().begin(), routed.full().end()) == c.routed[k].full);
        }
    }
}

TEST_CASE("append_delivery writes what the schema says, messages byte for byte", "[net][encode]") {
    Dice dice(2);
    for (int i = 0; i < 1'000; ++i) {
        auto payload = std::make_shared<core::Payload>();
        std::vector<std::string> messages;
        base::ByteWriter out_records(payload->bytes);
        for (std::uint64_t n = 1 + dice() % 5; n != 0; --n) {
            v1::Message message;
            message.set_body(std::string(dice() % 400, 'x'));
            if (dice() % 2) message.set_subject("a.b");
            messages.push_back(message.SerializeAsString());
            out_records.u8(static_cast<std::uint8_t>(storage::kMessageTag));
            out_records.string(messages.back());
        }
        core::Delivery d;
        d.session = SessionId(3);
        d.consumer = 1 + number(dice);
        d.queue = QueueId(static_cast<std::uint32_t>(dice()));
        d.first_seq = Sequence(1 + (number(dice) & (kMaxSequence >> 1)));
        d.count = static_cast<std::uint32_t>(messages.size());
        d.lease = static_cast<std::uint32_t>(number(dice));
        d.attempt = static_cast<std::uint32_t>(number(dice));
        d.epoch = number(dice);
        d.lease_time = Millis(static_cast<std::int64_t>(number(dice) >> 1));
        d.commit_time_ms = static_cast<std::int64_t>(dice() >> 17);
        if (dice() % 3 == 0) d.missed = number(dice);
        if (d.count == 1 && dice() % 2) d.original_seq = Sequence(1 + (number(dice) & (kMaxSequence >> 1)));
        d.payload = payload;
        d.bytes = payload->bytes;
        std::string out = "x";
        append_delivery(out, d);  // appends
        const v1::Frame frame = parsed(out.substr(1));
        REQUIRE(frame.kind_case() == v1::Frame::kDeliver);
        CHECK(frame.request_id() == 0);
        const v1::Deliver& got = frame.deliver();
        CHECK(got.consumer() == d.consumer);
        CHECK(got.first_seq() == d.first_seq.value);
        CHECK(got.epoch() == d.epoch);
        CHECK(got.lease() == d.lease);
        CHECK(got.attempt() == d.attempt);
        CHECK(got.lease_ms() == static_cast<std::uint64_t>(d.lease_time.count()));
        CHECK(got.commit_time_ms() == d.commit_time_ms);
        CHECK(got.id_prefix() == id_prefix(d.commit_time_ms, d.queue));
        CHECK(got.original_seq() == d.original_seq.value);
        CHECK(got.missed() == d.missed);
        REQUIRE(static_cast<std::size_t>(got.messages_size()) == messages.size());
        for (std::size_t k = 0; k < messages.size(); ++k) {
            CHECK(got.messages(static_cast<int>(k)).SerializeAsString() == messages[k]);
        }
    }
}

TEST_CASE("append_settled writes Settled and Extended", "[net][encode]") {
    Dice dice(3);
    for (int i = 0; i < 1'000; ++i) {
        core::SettleReply reply;
        reply.request_id = number(dice);
        reply.count = number(dice);
        reply.extended = dice() % 2 == 0;
        for (std::uint64_t n = dice() % 4; n != 0; --n) {
            core::LeaseRange range;
            range.first = Sequence(1 + (number(dice) & 0xFFFFFF));
            range.last = Sequence(range.first.value + number(dice) % 1'000);
            range.epoch = number(dice);
            range.lease = static_cast<std::uint32_t>(number(dice));
            reply.stale.push_back(range);
        }
        std::string out;
        append_settled(out, reply);
        const v1::Frame frame = parsed(out);
        CHECK(frame.request_id() == reply.request_id);
        const auto check_body = [&](const auto& got) {
            CHECK(got.count() == reply.count);
            REQUIRE(static_cast<std::size_t>(got.stale_size()) == reply.stale.size());
            for (std::size_t k = 0; k < reply.stale.size(); ++k) {
                const v1::SeqRange& range = got.stale(static_cast<int>(k));
                CHECK(range.first_seq() == reply.stale[k].first.value);
                CHECK(range.last_seq() == reply.stale[k].last.value);
                CHECK(range.epoch() == reply.stale[k].epoch);
                CHECK(range.lease() == reply.stale[k].lease);
            }
        };
        if (reply.extended) {
            REQUIRE(frame.kind_case() == v1::Frame::kExtended);
            check_body(frame.extended());
        } else {
            REQUIRE(frame.kind_case() == v1::Frame::kSettled);
            check_body(frame.settled());
        }
    }
}

TEST_CASE("errors are written whole", "[net][encode]") {
    for (int code = 1; code <= kErrorCodes; ++code) {
        Error error(static_cast<ErrorCode>(code), "why");
        error.retry_after = Millis(code);
        error.closes = code % 2 == 0;
        std::string out;
        append_error(out, 9, error);
        const v1::Frame frame = parsed(out);
        CHECK(frame.request_id() == 9);
        check_error(frame.error(), error);
    }
}

TEST_CASE("append_started and append_recall write what protobuf reads", "[net][encode]") {
    core::StartReply reply;
    reply.request_id = 3;
    reply.lease = Millis(30'000);
    reply.started.push_back({{Sequence(5), Sequence(7), 2, 4}, 3});
    reply.stale.push_back({Sequence(8), Sequence(9), 2, core::kBufferedBit | 1});
    std::string out;
    append_started(out, reply);
    const v1::Frame frame = parsed(out);
    CHECK(frame.request_id() == 3);
    REQUIRE(frame.started().ranges_size() == 1);
    CHECK(frame.started().ranges(0).first_seq() == 5);
    CHECK(frame.started().ranges(0).last_seq() == 7);
    CHECK(frame.started().ranges(0).epoch() == 2);
    CHECK(frame.started().ranges(0).lease() == 4);
    CHECK(frame.started().ranges(0).attempt() == 3);
    REQUIRE(frame.started().stale_size() == 1);
    CHECK(frame.started().stale(0).lease() == 0x8000'0001);
    CHECK(frame.started().lease_ms() == 30'000);

    core::Recall recall;
    recall.consumer = 6;
    recall.range = {Sequence(8), Sequence(9), 2, core::kBufferedBit | 1};
    out.clear();
    append_recall(out, recall);
    const v1::Frame recalled = parsed(out);
    CHECK(recalled.request_id() == 0);
    CHECK(recalled.recall().consumer() == 6);
    REQUIRE(recalled.recall().ranges_size() == 1);
    CHECK(recalled.recall().ranges(0).first_seq() == 8);
    CHECK(recalled.recall().ranges(0).last_seq() == 9);
    CHECK(recalled.recall().ranges(0).epoch() == 2);
    CHECK(recalled.recall().ranges(0).lease() == 0x8000'0001);
}

void has_every_field(const google::protobuf::Message& message) {
    const google::protobuf::Reflection* reflection = message.GetReflection();
    for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
        const auto* field = message.GetDescriptor()->field(i);
        INFO(message.GetDescriptor()->name() << "." << field->name());
        if (field->is_repeated()) {
            CHECK(reflection->FieldSize(message, field) > 0);
        } else {
            CHECK(reflection->HasField(message, field));
        }
    }
}

TEST_CASE("a queue's info has every field of the schema filled in from the core", "[net][encode]") {
    core::QueueInfo info;
    info.id = QueueId(1);
    info.name = "jobs";
    info.paused = true;
    std::uint64_t next = 100;
    for (std::uint64_t* field :
         {&info.ready,     &info.started,   &info.waiting,  &info.dead,         &info.bytes,
          &info.consumers, &info.next_seq,  &info.accepted, &info.delivered,    &info.acked,
          &info.retried,   &info.died,      &info.refused,  &info.dead_evicted, &info.damaged,
          &info.expired,   &info.dedup_ids, &info.dropped,  &info.scheduled,    &info.buffered}) {
        *field = ++next;
    }
    info.oldest_commit_time_ms = 5;
    info.created_ms = 6;
    info.settings.max_messages = 7;
    info.settings.max_bytes = 8;
    v1::QueueInfo out;
    to_proto(info, out);
    has_every_field(out);
    has_every_field(out.settings());
    CHECK(out.ready() == 101);
    CHECK(out.damaged() == 115);
}

TEST_CASE("so has a topic's, and a subscription's", "[net][encode]") {
    core::TopicInfo topic;
    topic.name = "events";
    topic.id = QueueId(1);
    topic.created_ms = 2;
    topic.oldest_commit_time_ms = 3;
    std::uint64_t next = 10;
    for (std::uint64_t* field : {&topic.messages, &topic.bytes, &topic.first_seq, &topic.next_seq, &topic.subscriptions,
                                 &topic.last_values, &topic.accepted, &topic.refused, &topic.unrouted}) {
        *field = ++next;
    }
    v1::TopicInfo out_topic;
    to_proto(topic, out_topic);
    has_every_field(out_topic);
    has_every_field(out_topic.settings());
    CHECK(out_topic.messages() == 11);
    CHECK(out_topic.unrouted() == 19);

    core::SubscriptionInfo info;
    info.topic = "events";
    info.name = "billing";
    info.to_queue = "jobs";
    info.record.subjects = {"a.*", "b.>"};
    info.record.filter = "priority > 3";
    info.record.missed = 4;
    info.ephemeral = true;
    info.lag_messages = 1;
    info.lag_oldest_ms = 2;
    info.behind = 3;
    info.queue.created_ms = 5;
    v1::SubscriptionInfo out;
    to_proto(info, out);
    has_every_field(out);
    has_every_field(out.settings());
    CHECK(out.settings().subjects(1) == "b.>");
    CHECK(out.missed() == 4);
    CHECK(out.behind() == 3);
}

TEST_CASE("what was peeked is told with id, state and the message itself", "[net][encode]") {
    core::PeekResult result;
    core::PeekItem item;
    item.sequence = Sequence(1);
    item.commit_time_ms = 1'751'000'000'000;
    item.id_queue = QueueId(1);
    item.id_sequence = item.sequence;
    item.state = core::PeekState::kWaiting;
    item.attempts = 2;
    item.visible_at_ms = 3;
    item.last_error = "no";
    v1::Message message;
    message.set_body("b");
    item.message = message.SerializeAsString();
    result.items = {item};
    result.next = Sequence(2);
    v1::QueuePeekReply out;
    to_proto(result, out);
    CHECK(out.next_seq() == 2);
    REQUIRE(out.messages_size() == 1);
    const v1::Peeked& peeked = out.messages(0);
    const Result<MessageId> id = parse_message_id(peeked.id());
    REQUIRE(id);
    CHECK(id->sequence == Sequence(1));
    CHECK(id->commit_time_ms == 1'751'000'000'000);
    CHECK(peeked.state() == v1::WAITING);
    CHECK(peeked.attempts() == 2);
    CHECK(peeked.visible_at_ms() == 3);
    CHECK(peeked.last_error() == "no");
    CHECK(peeked.message().body() == "b");
}

}  // namespace
}  // namespace rockdove::net

#include <rockdove/asio.h>

#include <boost/asio.hpp>
#include <catch2/catch.hpp>
#include <semaphore>
#include <set>

#include "protocol/base/ids.h"
#include "tests/unit/client/fake_broker.h"

using namespace rockdove;
using namespace std::chrono_literals;
using test::error_of;
using test::FakeBroker;
using test::FakeConnection;

namespace {

const std::string kPrefix("\x01\x8b\x3c\x1a\x2b\x3c\x00\x00\x00\x07", 10);  // as the fake broker's

// Stands in for the part of close() that the broker takes; the subscriptions that were deleted meanwhile.
std::vector<v1::SubscriptionDelete> say_goodbye(FakeConnection& connection) {
    std::vector<v1::SubscriptionDelete> deleted;
    for (;;) {
        const v1::Frame frame = connection.read();
        if (frame.has_go_away()) {
            connection.close();
            return deleted;
        }
        v1::Frame answer;
        answer.set_request_id(frame.request_id());
        if (frame.has_subscription_delete()) deleted.push_back(frame.subscription_delete());
        if (frame.has_cancel_consumer() || frame.has_subscription_delete()) answer.mutable_ok();
        if (frame.has_settle()) answer.mutable_settled();
        if (answer.kind_case() != v1::Frame::KIND_NOT_SET) connection.write(answer);
    }
}

struct Session {
    FakeBroker broker;
    Client client;
    FakeConnection connection;

    Session() : client(broker.options()), connection(broker.accept()) { connection.greet(); }
    void reconnect() {
        connection.close();
        connection = broker.accept();
        connection.greet();
    }
    std::vector<v1::SubscriptionDelete> close() {
        auto closing = std::async(std::launch::async, [&] { client.close(); });
        auto deleted = say_goodbye(connection);
        closing.get();
        return deleted;
    }
};

Outcome ignore(Job&) { return {}; }

}  // namespace

TEST_CASE("a published message names its topic, and is numbered with those that are sent", "[client][topic]") {
    Session session;
    auto sent = session.client.send_async("orders", "to the queue");
    const v1::Frame send = session.connection.read(v1::Frame::kPublish);
    CHECK(send.publish().queue() == "orders");
    CHECK(send.publish().topic().empty());
    auto published = session.client.publish_async("orders", Message{"to the topic"}.subject("order.eu"));
    const v1::Frame publish = session.connection.read(v1::Frame::kPublish);
    CHECK(publish.publish().queue().empty());
    CHECK(publish.publish().topic() == "orders");
    CHECK_FALSE(publish.publish().mandatory());
    CHECK(publish.publish().producer_seq() == 2);
    CHECK(publish.publish().messages(0).subject() == "order.eu");
    session.connection.confirm(send, 1);
    session.connection.confirm(publish, 9, [](v1::Confirm& confirm) {
        confirm.add_routed()->set_count(1);
        confirm.mutable_routed(0)->set_subscriptions(3);
    });
    CHECK(sent.get().routed == 0);
    const Receipt receipt = published.get();
    CHECK(receipt.sequence == 9);
    CHECK(receipt.routed == 3);
}

TEST_CASE("a queue and a topic of one name, mandatory and other messages: none share a frame, and order holds",
          "[client][topic]") {
    FakeBroker broker;
    Client client(broker.options());
    std::vector<std::future<Receipt>> receipts;
    receipts.push_back(client.publish_async("a", "1"));
    receipts.push_back(client.publish_async("a", "2"));
    receipts.push_back(client.send_async("a", Message{"queued"}.mandatory()));
    receipts.push_back(client.publish_async("a", Message{"3"}.mandatory()));
    receipts.push_back(client.publish_async("a", Message{"4"}.mandatory()));
    receipts.push_back(client.publish_async("a", Message{"5"}.mandatory().mandatory(false)));
    FakeConnection connection = broker.accept();
    connection.greet();
    struct Expected {
        bool topic, mandatory;
        std::vector<std::string> bodies;
    };
    const std::vector<Expected> expected{
        {true, false, {"1", "2"}}, {false, false, {"queued"}}, {true, true, {"3", "4"}}, {true, false, {"5"}}};
    for (const Expected& frame : expected) {
        const v1::Frame publish = connection.read(v1::Frame::kPublish);
        CHECK(publish.publish().topic() == (frame.topic ? "a" : ""));
        CHECK(publish.publish().queue() == (frame.topic ? "" : "a"));
        CHECK(publish.publish().mandatory() == frame.mandatory);
        std::vector<std::string> bodies;
        for (const v1::Message& message : publish.publish().messages()) bodies.push_back(message.body());
        CHECK(bodies == frame.bodies);
        connection.confirm(publish, 1);
    }
    for (auto& receipt : receipts) CHECK(receipt.get().sequence > 0);
}

TEST_CASE("each receipt tells how many subscriptions get its message", "[client][topic]") {
    FakeBroker broker;
    Client client(broker.options());
    std::vector<std::future<Receipt>> receipts;
    for (int i = 0; i < 7; ++i) receipts.push_back(client.publish_async("a", "x"));
    FakeConnection connection = broker.accept();
    connection.greet();
    const v1::Frame publish = connection.read(v1::Frame::kPublish);
    REQUIRE(publish.publish().messages_size() == 7);
    connection.confirm(publish, 20, [](v1::Confirm& confirm) {
        const auto routed = [&](std::uint32_t first, std::uint32_t count, std::uint32_t subscriptions) {
            v1::Routed& range = *confirm.add_routed();
            range.set_first_index(first);
            range.set_count(count);
            range.set_subscriptions(subscriptions);
        };
        routed(0, 2, 4);  // 2: nobody; 3: a duplicate; 4: refused
        routed(5, 1, 1);
        routed(6, 1, 2);
        confirm.set_count(5);
        v1::PublishException& duplicate = *confirm.add_exceptions();
        duplicate.set_first_index(3);
        duplicate.set_count(1);
        duplicate.set_first_seq(11);
        duplicate.set_id_prefix(kPrefix);
        v1::PublishException& refused = *confirm.add_exceptions();
        refused.set_first_index(4);
        refused.set_count(1);
        refused.mutable_error()->set_code(v1::UNROUTABLE);
    });
    const std::vector<std::uint32_t> expected{4, 4, 0, 0, 0, 1, 2};
    for (std::size_t i = 0; i < expected.size(); ++i) {
        CAPTURE(i);
        if (i == 4) {
            CHECK(error_of([&] { receipts[i].get(); }).code() == ErrorCode::kUnroutable);
            continue;
        }
        const Receipt receipt = receipts[i].get();
        CHECK(receipt.routed == expected[i]);
        CHECK(receipt.duplicate == (i == 3));
    }
}

TEST_CASE("what was published and not answered goes again after a reconnect, to the same target", "[client][topic]") {
    Session session;
    auto receipt = session.client.publish_async("a", Message{"x"}.mandatory());
    const v1::Frame before = session.connection.read(v1::Frame::kPublish);
    session.reconnect();
    const v1::Frame after = session.connection.read(v1::Frame::kPublish);
    CHECK(after.publish().topic() == "a");
    CHECK(after.publish().mandatory());
    CHECK(after.publish().producer_seq() == before.publish().producer_seq());
    session.connection.confirm(after, 5);
    CHECK(receipt.get().sequence == 5);
}

TEST_CASE("publish with a callback or a completion token; bad names and empty callbacks are refused",
          "[client][topic][asio]") {
    namespace asio = boost::asio;
    FakeBroker broker;
    asio::io_context io;
    Client client(broker.options());
    FakeConnection connection = broker.accept();
    connection.greet();
    std::promise<Receipt> told;
    client.publish_async("a", "1", [&](const Error*, const Receipt* receipt) { told.set_value(*receipt); });
    connection.confirm(connection.read(v1::Frame::kPublish), 4);
    CHECK(told.get_future().get().sequence == 4);
    auto receipt = aio::publish(client, "a", Message{"2"}, asio::bind_executor(io, asio::use_future));
    const v1::Frame publish = connection.read(v1::Frame::kPublish);
    CHECK(publish.publish().topic() == "a");
    connection.confirm(publish, 5);
    io.run();
    CHECK(receipt.get().sequence == 5);
    CHECK(error_of([&] { client.publish("no spaces", "x"); }).code() == ErrorCode::kInvalid);
    CHECK(error_of([&] { client.publish_async("a", "x", SendCallback()); }).code() == ErrorCode::kInvalid);
}

TEST_CASE("create_topic sends what is set, and nothing else", "[client][topic]") {
    Session session;
    const auto created = [&](TopicOptions options) {
        auto done = std::async(std::launch::async, [&] { session.client.create_topic("orders", std::move(options)); });
        const v1::Frame request = session.connection.read(v1::Frame::kTopicCreate);
        v1::Frame answer;
        answer.set_request_id(request.request_id());
        answer.mutable_topic_info()->set_name("orders");
        session.connection.write(answer);
        done.get();
        return request.topic_create();
    };
    const v1::TopicCreate bare = created({});
    CHECK(bare.name() == "orders");
    CHECK_FALSE(bare.if_not_exists());
    CHECK(bare.settings().ByteSizeLong() == 0);
    const v1::TopicCreate full = created(TopicOptions{}
                                             .durability(Durability::kMemory)
                                             .retain_age(2s)
                                             .retain_bytes(3)
                                             .retain_messages(4)
                                             .retain_until_done()
                                             .retain_last()
                                             .best_effort()
                                             .ttl(5s)
                                             .dedup_window(6s)
                                             .if_not_exists());
    const v1::TopicSettings& settings = full.settings();
    CHECK(full.if_not_exists());
    CHECK(settings.durability() == v1::MEMORY);
    CHECK(settings.retain_age_ms() == 2'000);
    CHECK(settings.retain_bytes() == 3);
    CHECK(settings.retain_messages() == 4);
    CHECK(settings.retain_until_done());
    CHECK(settings.retain_last());
    CHECK(settings.best_effort());
    CHECK(settings.ttl_ms() == 5'000);
    CHECK(settings.dedup_window_ms() == 6'000);
    session.close();
}

TEST_CASE("a durable subscription is made and consumed on each connection, and begins at its place only once",
          "[client][topic][reconnect]") {
    Session session;
    std::promise<std::string> source;
    Worker worker = session.client.subscribe(
        "orders",
        [&](Job& job) -> Outcome {
            source.set_value(job.queue());
            return {};
        },
        SubscriptionOptions{}
            .durable("billing")
            .subject("order.*.created")
            .subject("refund.>")
            .filter("header.a = 'b'")
            .from_sequence(17)
            .queue(QueueOptions{}.max_attempts(7))
            .worker(WorkerOptions{}.concurrency(3)));
    const v1::SubscriptionCreate create = session.connection.subscribed();
    CHECK(create.topic() == "orders");
    CHECK(create.name() == "billing");
    CHECK(create.if_not_exists());
    CHECK_FALSE(create.ephemeral());
    REQUIRE(create.settings().subjects_size() == 2);
    CHECK(create.settings().subjects(1) == "refund.>");
    CHECK(create.settings().filter() == "header.a = 'b'");
    CHECK(create.settings().queue().max_attempts() == 7);
    CHECK(create.from().from() == v1::FROM_SEQ);
    CHECK(create.from().seq() == 17);
    const v1::Consume consume = session.connection.attach();
    CHECK(consume.subscription() == "orders/billing");
    CHECK(consume.queue().empty());
    CHECK(consume.credit_messages() == 6);
    CHECK_FALSE(consume.ack_on_delivery());
    session.connection.deliver(consume.consumer(), 1, {"x"});
    CHECK(session.connection.settled().outcome() == v1::ACK);
    CHECK(source.get_future().get() == "orders/billing");

    session.reconnect();
    const v1::SubscriptionCreate again = session.connection.subscribed();
    CHECK(again.name() == "billing");
    CHECK(again.from().from() == v1::FROM_UNSPECIFIED);
    const v1::Consume back = session.connection.attach();
    CHECK(back.subscription() == "orders/billing");
    CHECK(back.name() == consume.name());
    CHECK(session.close().empty());  // it stays
}

TEST_CASE("a place to begin at is asked for until a subscription was made", "[client][topic][reconnect]") {
    Session session;
    Receiver inbox = session.client.open_subscription(
        "orders", SubscriptionOptions{}.durable("audit").from(Clock::time_point(1'700'000'000'500ms)));
    session.connection.read(v1::Frame::kSubscriptionCreate);
    session.reconnect();  // before the answer
    const v1::SubscriptionCreate create = session.connection.subscribed();
    CHECK(create.from().from() == v1::FROM_TIME);
    CHECK(create.from().time_ms() == 1'700'000'000'500);
    session.connection.attach();
    session.close();
}

TEST_CASE("an ephemeral subscription is made anew after a reconnect, and deleted with its worker",
          "[client][topic][reconnect]") {
    Session session;
    Receiver inbox = session.client.open_subscription("orders", SubscriptionOptions{}.from_start().drop_when_slow());
    const v1::SubscriptionCreate create = session.connection.subscribed();
    CHECK(create.ephemeral());
    CHECK_THAT(create.name(), Catch::StartsWith("test-"));
    CHECK(create.from().from() == v1::FROM_START);
    CHECK(create.settings().queue().overflow() == v1::DROP_OLDEST);
    const v1::Consume consume = session.connection.attach();
    CHECK(consume.subscription() == "orders/" + create.name());
    CHECK(consume.ack_on_delivery());
    CHECK(consume.credit_messages() == 1'000);
    session.connection.deliver(consume.consumer(), 1, {"a", "b"});
    Job first = inbox.next();
    CHECK(first.body() == "a");
    CHECK(first.queue() == "orders/" + create.name());

    session.reconnect();
    const v1::SubscriptionCreate again = session.connection.subscribed();
    CHECK(again.name() != create.name());  // the broker may still have the old one
    CHECK(again.from().from() == v1::FROM_UNSPECIFIED);
    CHECK(again.settings().queue().overflow() == v1::DROP_OLDEST);
    const v1::Consume back = session.connection.attach();
    CHECK(back.subscription() == "orders/" + again.name());
    // It counts from 1 again, which is no reason to lose what waits here.
    session.connection.deliver(back.consumer(), 1, {"c", "d"});
    CHECK(inbox.next().body() == "b");
    std::move(first).ack();  // was done when it was sent: nothing to tell
    const Job third = inbox.next();
    CHECK(third.body() == "c");
    CHECK(third.queue() == "orders/" + again.name());
    CHECK(inbox.next().body() == "d");
    const v1::Settle settle = session.connection.settled();  // makes room
    CHECK(settle.ranges(0).first_seq() == 2);
    const auto deleted = session.close();
    REQUIRE(deleted.size() == 1);
    CHECK(deleted[0].topic() == "orders");
    CHECK(deleted[0].name() == again.name());
    CHECK(deleted[0].if_exists());
}

TEST_CASE("a job of an ephemeral subscription that is gone cannot be settled in the new one",
          "[client][topic][reconnect]") {
    Session session;
    Receiver inbox = session.client.open_subscription("orders", SubscriptionOptions{}.worker(WorkerOptions{}));
    session.connection.subscribed();
    const v1::Consume consume = session.connection.attach();
    CHECK_FALSE(consume.ack_on_delivery());
    session.connection.deliver(consume.consumer(), 1, {"a"});
    Job old = inbox.next();
    session.reconnect();
    session.connection.subscribed();
    const v1::Consume back = session.connection.attach([](v1::ConsumeOk& ok) { ok.clear_held(); });
    session.connection.deliver(back.consumer(), 1, {"b"});
    Job fresh = inbox.next();
    CHECK(error_of([&] { std::move(old).ack(); }).code() == ErrorCode::kStaleLease);
    auto acked = std::async(std::launch::async, [&] { std::move(fresh).ack(); });
    CHECK(session.connection.settled().outcome() == v1::ACK);
    acked.get();
    session.close();
}

TEST_CASE("what the broker has against a subscription ends its worker", "[client][topic]") {
    Session session;
    Worker worker = session.client.subscribe("orders", ignore, SubscriptionOptions{}.durable("billing"));
    session.connection.fail(session.connection.read(v1::Frame::kSubscriptionCreate), v1::CONFLICT, "other settings");
    const Error error = error_of([&] { worker.wait(); });
    CHECK(error.code() == ErrorCode::kConflict);
    CHECK(error.detail() == "other settings");
    Receiver inbox = session.client.open_subscription("orders");
    session.connection.subscribed();
    session.connection.fail(session.connection.read(v1::Frame::kConsume), v1::FORBIDDEN, "not you");
    CHECK(error_of([&] { inbox.next(); }).code() == ErrorCode::kForbidden);
    session.connection.read(v1::Frame::kSubscriptionDelete);  // what was made is not left behind
}

TEST_CASE("a subscription that the broker cannot make now is asked for again", "[client][topic]") {
    Session session;
    Receiver inbox = session.client.open_subscription("orders", SubscriptionOptions{}.from_start());
    const v1::Frame refused = session.connection.read(v1::Frame::kSubscriptionCreate);
    session.connection.fail(refused, v1::STORE_BUSY, "later");
    const v1::SubscriptionCreate create = session.connection.subscribed();
    CHECK(create.SerializeAsString() == refused.subscription_create().SerializeAsString());
    session.connection.attach();
    session.close();
}

TEST_CASE("a worker that stops while its subscription is being made leaves none behind", "[client][topic]") {
    Session session;
    Worker worker = session.client.subscribe("orders", ignore);
    const v1::Frame create = session.connection.read(v1::Frame::kSubscriptionCreate);
    auto stopped = std::async(std::launch::async, [&] { worker.stop(); });
    v1::Frame answer;
    answer.set_request_id(create.request_id());
    answer.mutable_subscription_info();
    session.connection.write(answer);
    session.connection.attach();
    // Credit may come first: it depends on when stop() was called.
    v1::Frame cancel = session.connection.read();
    while (cancel.has_credit()) cancel = session.connection.read();
    REQUIRE(cancel.has_cancel_consumer());
    v1::Frame ok;
    ok.set_request_id(cancel.request_id());
    ok.mutable_ok();
    session.connection.write(ok);
    const v1::Frame removed = session.connection.read(v1::Frame::kSubscriptionDelete);
    CHECK(removed.subscription_delete().name() == create.subscription_create().name());
    stopped.get();
}

TEST_CASE("what a subscription has missed is told by the first job after it", "[client][topic]") {
    Session session;
    Receiver inbox = session.client.open_subscription("orders");
    session.connection.subscribed();
    const v1::Consume consume = session.connection.attach();
    session.connection.deliver(consume.consumer(), 5, {"a", "b"}, 1, 30'000, 1,
                               [](v1::Deliver& deliver) { deliver.set_missed(40); });
    session.connection.deliver(consume.consumer(), 7, {"c"});
    CHECK(inbox.next().missed() == 40);
    CHECK(inbox.next().missed() == 0);
    CHECK(inbox.next().missed() == 0);
    session.close();
}

TEST_CASE("ids of a run follow on from the original sequence of its first", "[client][topic]") {
    Session session;
    const bool explicit_start = GENERATE(false, true);
    Receiver inbox = session.client.open_receiver("jobs", WorkerOptions{}.prefetch(3).explicit_start(explicit_start));
    const v1::Consume consume = session.connection.attach();
    session.connection.deliver(consume.consumer(), 5, {"a", "b", "c"}, 1, 30'000, 1, [](v1::Deliver& deliver) {
        deliver.set_original_seq(900);
        deliver.set_missed(2);
    });
    for (std::uint64_t i = 0; i < 3; ++i) {
        auto next = std::async(std::launch::async, [&] { return inbox.next(); });
        if (explicit_start) {  // each is started alone: a run of its own
            const v1::Frame start = session.connection.read(v1::Frame::kStart);
            v1::Frame answer;
            answer.set_request_id(start.request_id());
            v1::StartedRange& range = *answer.mutable_started()->add_ranges();
            range.set_first_seq(5 + i);
            range.set_last_seq(5 + i);
            range.set_epoch(3);
            range.set_lease(2);
            range.set_attempt(1);
            answer.mutable_started()->set_lease_ms(30'000);
            session.connection.write(answer);
        }
        Job job = next.get();
        CHECK(job.sequence() == 5 + i);
        CHECK(job.id() == base::format_message_id(kPrefix, base::Sequence(900 + i)));
        CHECK(job.missed() == (i == 0 ? 2 : 0));
        auto acked = std::async(std::launch::async, [&] { std::move(job).ack(); });
        session.connection.settled();
        acked.get();
    }
    session.close();
}

TEST_CASE("subscription options that cannot be meant are refused at once", "[client][topic]") {
    FakeBroker broker;
    Client client(broker.options());
    const auto refused = [](const std::function<void()>& call) { return error_of(call).code() == ErrorCode::kInvalid; };
    CHECK(refused([] { SubscriptionOptions().durable(""); }));
    CHECK(refused([] { SubscriptionOptions().from_sequence(0); }));
    CHECK(refused([] { SubscriptionOptions().from(Clock::time_point()); }));
    CHECK(refused([] { TopicOptions().retain_age(-1ms); }));
    CHECK(refused([&] { (void)client.open_subscription("a/b"); }));
    CHECK(refused([&] { (void)client.open_subscription("a", SubscriptionOptions{}.durable("no spaces")); }));
    CHECK(refused([&] { (void)client.open_subscription("a", SubscriptionOptions{}.durable("b").drop_when_slow()); }));
    CHECK(refused([&] { (void)client.subscribe("a", Handler()); }));
}

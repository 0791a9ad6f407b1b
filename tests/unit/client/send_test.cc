#include <catch2/catch.hpp>
#include <thread>

#include "client/src/call.h"
#include "protocol/base/ids.h"
#include "tests/unit/client/fake_broker.h"

using namespace rockdove;
using namespace std::chrono_literals;
using test::error_of;
using test::FakeBroker;
using test::FakeConnection;

TEST_CASE("a sent message is published under a producer sequence and its future gets the receipt", "[client][send]") {
    FakeBroker broker;
    Client client(broker.options());
    FakeConnection connection = broker.accept();
    const v1::Hello hello = connection.greet();
    CHECK(hello.version_min() == 1);
    CHECK(hello.client_name() == "test");
    CHECK_FALSE(hello.producer_id().empty());
    CHECK(hello.producer_epoch() == 0);

    auto receipt = client.send_async("jobs", "hello");
    const v1::Frame publish = connection.read(v1::Frame::kPublish);
    CHECK(publish.publish().queue() == "jobs");
    CHECK(publish.publish().producer_seq() == 1);
    CHECK(publish.publish().oldest_unconfirmed() == 1);
    CHECK(publish.publish().messages(0).body() == "hello");
    connection.confirm(publish, 41);
    const Receipt got = receipt.get();
    CHECK(got.sequence == 41);
    CHECK(got.id.size() == 26);
    CHECK_FALSE(got.duplicate);

    auto next = client.send_async("other", "x");
    const v1::Frame second = connection.read(v1::Frame::kPublish);
    CHECK(second.publish().producer_seq() == 2);
    CHECK(second.publish().oldest_unconfirmed() == 2);
    connection.confirm(second, 1);
    CHECK(next.get().sequence == 1);
}

TEST_CASE("what waits while there is no connection goes out in one frame, in order", "[client][send]") {
    FakeBroker broker;
    Client client(broker.options());
    std::vector<std::future<Receipt>> receipts;
    for (int i = 0; i < 5; ++i) receipts.push_back(client.send_async("jobs", std::to_string(i)));
    FakeConnection connection = broker.accept();
    connection.greet();
    const v1::Frame publish = connection.read(v1::Frame::kPublish);
    REQUIRE(publish.publish().messages_size() == 5);
    for (int i = 0; i < 5; ++i) CHECK(publish.publish().messages(i).body() == std::to_string(i));
    connection.confirm(publish, 10);
    for (int i = 0; i < 5; ++i)
        CHECK(receipts[static_cast<std::size_t>(i)].get().sequence == 10U + static_cast<unsigned>(i));
}

TEST_CASE("a refused message fails only its own future, with code, text and advice", "[client][send]") {
    FakeBroker broker;
    Client client(broker.options());
    std::vector<std::future<Receipt>> receipts;
    for (int i = 0; i < 6; ++i) receipts.push_back(client.send_async("jobs", "x"));
    FakeConnection connection = broker.accept();
    connection.greet();
    const v1::Frame publish = connection.read(v1::Frame::kPublish);
    v1::Frame answer;
    answer.set_request_id(publish.request_id());
    v1::Confirm& confirm = *answer.mutable_confirm();
    confirm.set_first_seq(7);
    confirm.set_count(2);
    confirm.set_id_prefix(std::string(10, '\1'));
    auto* refused = confirm.add_exceptions();
    refused->set_first_index(1);
    refused->set_count(1);
    refused->mutable_error()->set_code(v1::UNSUPPORTED);
    refused->mutable_error()->set_text("key is not built yet");
    auto* duplicate = confirm.add_exceptions();
    duplicate->set_first_index(2);
    duplicate->set_count(2);
    duplicate->set_first_seq(3);
    duplicate->set_id_prefix(std::string(10, '\2'));
    auto* full = confirm.add_exceptions();
    full->set_first_index(5);
    full->set_count(1);
    full->mutable_error()->set_code(v1::FULL);
    full->mutable_error()->set_text("queue \"jobs\" is full");
    full->mutable_error()->set_retry_after_ms(250);
    connection.write(answer);

    CHECK(receipts[0].get().sequence == 7);
    const Error unsupported = error_of([&] { receipts[1].get(); });
    CHECK(unsupported.code() == ErrorCode::kUnsupported);
    CHECK(unsupported.detail() == "key is not built yet");
    CHECK(unsupported.request_id() == "77-" + std::to_string(publish.request_id()));
    const Receipt third = receipts[2].get();
    CHECK(third.duplicate);
    CHECK(third.sequence == 3);
    CHECK(third.id == base::format_message_id(std::string(10, '\2'), base::Sequence(3)));
    CHECK(receipts[3].get().sequence == 4);
    CHECK(receipts[4].get().sequence == 8);
    const Error error = error_of([&] { receipts[5].get(); });
    CHECK(error.code() == ErrorCode::kFull);
    CHECK(error.code() == Advice::kTryAgain);
    CHECK(error.retry_after() == 250ms);
}

TEST_CASE("an answer that does not add up fails the messages instead of guessing", "[client][send]") {
    FakeBroker broker;
    Client client(broker.options());
    auto receipt = client.send_async("jobs", "x");
    FakeConnection connection = broker.accept();
    connection.greet();
    v1::Frame answer;
    answer.set_request_id(connection.read(v1::Frame::kPublish).request_id());
    answer.mutable_confirm()->set_count(2);
    connection.write(answer);
    CHECK(error_of([&] { receipt.get(); }).code() == ErrorCode::kProtocol);
}

TEST_CASE("unconfirmed messages are sent again after a reconnect, under the same life and numbers",
          "[client][reconnect]") {
    FakeBroker broker;
    Client client(broker.options());
    auto first = client.send_async("a", "1");
    FakeConnection connection = broker.accept();
    const v1::Hello hello = connection.greet();
    const v1::Frame publish_a = connection.read(v1::Frame::kPublish);
    auto second = client.send_async("b", "2");
    const v1::Frame publish_b = connection.read(v1::Frame::kPublish);
    auto third = client.send_async("c", "3");
    const v1::Frame publish_c = connection.read(v1::Frame::kPublish);
    connection.confirm(publish_b, 1);
    CHECK(second.get().sequence == 1);
    connection.close();
    auto fourth = client.send_async("a", "4");

    connection = broker.accept();
    const v1::Hello again = connection.greet();
    CHECK(again.producer_id() == hello.producer_id());
    CHECK(again.producer_epoch() == 5);
    const v1::Frame resent_a = connection.read(v1::Frame::kPublish);
    CHECK(resent_a.publish().SerializeAsString() == publish_a.publish().SerializeAsString());
    const v1::Frame resent_c = connection.read(v1::Frame::kPublish);
    CHECK(resent_c.publish().producer_seq() == 3);
    CHECK(resent_c.publish().oldest_unconfirmed() == 1);
    CHECK(resent_c.publish().messages(0).body() == "3");
    const v1::Frame new_one = connection.read(v1::Frame::kPublish);
    CHECK(new_one.publish().producer_seq() == 4);
    connection.confirm(resent_a, 1);
    connection.confirm(resent_c, 1);
    connection.confirm(new_one, 2);
    CHECK(first.get().sequence == 1);
    CHECK(third.get().sequence == 1);
    CHECK(fourth.get().sequence == 2);
}

TEST_CASE("a publish answered OUTCOME_UNKNOWN is asked again on the next connection", "[client][reconnect]") {
    FakeBroker broker;
    Client client(broker.options());
    auto receipt = client.send_async("a", "1");
    FakeConnection connection = broker.accept();
    connection.greet();
    connection.fail(connection.read(v1::Frame::kPublish), v1::OUTCOME_UNKNOWN, "the store failed");
    connection.close();
    connection = broker.accept();
    connection.greet();
    const v1::Frame again = connection.read(v1::Frame::kPublish);
    CHECK(again.publish().producer_seq() == 1);
    connection.confirm(again, 9);
    CHECK(receipt.get().sequence == 9);
}

TEST_CASE("a broker that forgot the producer makes what was sent unknown, and a new life begins",
          "[client][reconnect]") {
    FakeBroker broker;
    test::States states;
    Client client(broker.options());
    states.watch(client);
    auto sent = client.send_async("a", "sent");
    FakeConnection connection = broker.accept();
    connection.greet();
    connection.read(v1::Frame::kPublish);
    connection.close();
    states.wait_for(ConnectionState::kReconnecting);
    auto waiting = client.send_async("a", "waiting");
    broker.accept().refuse_greeting(v1::NOT_FOUND, "no such producer");
    connection = broker.accept();
    CHECK(connection.greet([](v1::Welcome& welcome) { welcome.set_producer_epoch(9); }).producer_epoch() == 0);
    CHECK(error_of([&] { sent.get(); }).code() == ErrorCode::kOutcomeUnknown);
    const v1::Frame publish = connection.read(v1::Frame::kPublish);
    CHECK(publish.publish().producer_seq() == 1);
    CHECK(publish.publish().messages(0).body() == "waiting");
    connection.confirm(publish, 1);
    CHECK(waiting.get().sequence == 1);
}

TEST_CASE("a fenced producer fails everything pending and everything later", "[client][send]") {
    FakeBroker broker;
    Client client(broker.options().producer_id("billing"));
    auto first = client.send_async("a", "1");
    FakeConnection connection = broker.accept();
    CHECK(connection.greet().producer_id() == "billing");
    const v1::Frame publish = connection.read(v1::Frame::kPublish);
    auto second = client.send_async("b", "2");
    connection.read(v1::Frame::kPublish);
    connection.fail(publish, v1::FENCED, "a newer life exists");
    CHECK(error_of([&] { first.get(); }).code() == ErrorCode::kFenced);
    CHECK(error_of([&] { second.get(); }).code() == ErrorCode::kOutcomeUnknown);  // it was sent, too
    CHECK(error_of([&] { client.send("a", "3"); }).code() == ErrorCode::kFenced);
}

TEST_CASE("at the pending limit a send fails with kFull where it was asked to", "[client][send]") {
    FakeBroker broker;
    Client client(broker.options().pending_limit(2, 1 << 20).when_full_fail());
    auto first = client.send_async("a", "1");
    auto second = client.send_async("a", "2");
    auto third = client.send_async("a", "3");
    CHECK(error_of([&] { third.get(); }).code() == ErrorCode::kFull);
    FakeConnection connection = broker.accept();
    connection.greet();
    connection.confirm(connection.read(v1::Frame::kPublish), 1);
    CHECK(first.get().sequence == 1);
    CHECK(second.get().sequence == 2);
    auto fourth = client.send_async("a", "4");
    connection.confirm(connection.read(v1::Frame::kPublish), 3);
    CHECK(fourth.get().sequence == 3);
}

TEST_CASE("at the pending limit a send blocks until there is room", "[client][send]") {
    FakeBroker broker;
    Client client(broker.options().pending_limit(1'000, 64));
    auto first = client.send_async("a", std::string(50, 'x'));  // by bytes
    auto blocked = std::async(std::launch::async, [&] { return client.send("a", std::string(50, 'y')).sequence; });
    FakeConnection connection = broker.accept();
    connection.greet();
    const v1::Frame publish = connection.read(v1::Frame::kPublish);
    CHECK(publish.publish().messages_size() == 1);
    CHECK(blocked.wait_for(20ms) == std::future_status::timeout);
    connection.confirm(publish, 1);
    connection.confirm(connection.read(v1::Frame::kPublish), 2);
    CHECK(blocked.get() == 2);
    CHECK(first.get().sequence == 1);
}

TEST_CASE("without a broker a send fails with kUnavailable when its time is over", "[client][send]") {
    FakeBroker broker;  // accepts, but never says a word
    Client client(broker.options().operation_timeout(50ms));
    const Error error = error_of([&] { client.send("a", "1"); });
    CHECK(error.code() == ErrorCode::kUnavailable);
    CHECK(error.code() == Advice::kTryAgain);
}

TEST_CASE("a send that is never answered fails with kOutcomeUnknown", "[client][send]") {
    FakeBroker broker;
    Client client(broker.options().operation_timeout(50ms));
    auto receipt = std::async(std::launch::async, [&] { return error_of([&] { client.send("a", "1"); }).code(); });
    FakeConnection connection = broker.accept();
    connection.greet();
    connection.read(v1::Frame::kPublish);
    CHECK(receipt.get() == ErrorCode::kOutcomeUnknown);
}

TEST_CASE("a message above the broker's limit fails alone", "[client][send]") {
    FakeBroker broker;
    Client client(broker.options());
    FakeConnection connection = broker.accept();
    connection.greet();
    CHECK(error_of([&] { client.send("a", std::string((1 << 19) + 1, 'x')); }).code() == ErrorCode::kTooLarge);
    auto fine = client.send_async("a", std::string(1 << 18, 'x'));
    const v1::Frame publish = connection.read(v1::Frame::kPublish);
    CHECK(publish.publish().producer_seq() == 1);
    connection.confirm(publish, 1);
    CHECK(fine.get().sequence == 1);
}

TEST_CASE("a message the broker will refuse takes no other with it", "[client][send]") {
    FakeBroker broker;
    Client client(broker.options());
    auto before = client.send_async("a", "1");
    Message bad("2");
    bad.max_attempts(1'001);
    auto refused = client.send_async("a", std::move(bad));
    Message fine("3");
    fine.header("lang", "en");
    auto after = client.send_async("a", std::move(fine));
    auto large = client.send_async("a", std::string((1 << 19) + 1, 'x'));
    auto last = client.send_async("a", "5");
    FakeConnection connection = broker.accept();
    connection.greet();
    const v1::Frame first = connection.read(v1::Frame::kPublish);
    CHECK(first.publish().messages_size() == 1);
    connection.confirm(first, 1);
    const v1::Frame second = connection.read(v1::Frame::kPublish);
    CHECK(second.publish().messages_size() == 1);
    connection.fail(second, v1::INVALID, "max_attempts");
    const v1::Frame third = connection.read(v1::Frame::kPublish);
    CHECK(third.publish().messages_size() == 1);
    connection.confirm(third, 2);
    const v1::Frame fourth = connection.read(v1::Frame::kPublish);
    CHECK(fourth.publish().messages(0).body() == "5");
    connection.confirm(fourth, 3);
    CHECK(before.get().sequence == 1);
    CHECK(error_of([&] { refused.get(); }).code() == ErrorCode::kInvalid);
    CHECK(after.get().sequence == 2);
    CHECK(error_of([&] { large.get(); }).code() == ErrorCode::kTooLarge);
    CHECK(last.get().sequence == 3);
}

TEST_CASE("frames are as small as the broker wants them", "[client][send]") {
    FakeBroker broker;
    Client client(broker.options());
    std::vector<std::future<Receipt>> receipts;
    for (int i = 0; i < 512; ++i) receipts.push_back(client.send_async("a", std::string(400, 'x')));
    FakeConnection connection = broker.accept();
    connection.greet([](v1::Welcome& welcome) {
        welcome.mutable_limits()->set_max_frame_bytes(128 << 10);
        welcome.mutable_limits()->set_max_message_bytes(64 << 10);
        welcome.mutable_limits()->set_max_messages_per_frame(200);
    });
    std::uint64_t stored = 0;
    while (stored < 512) {
        const v1::Frame publish = connection.read(v1::Frame::kPublish);
        CHECK(publish.ByteSizeLong() <= (128 << 10));
        CHECK(publish.publish().messages_size() <= 200);
        CHECK(publish.publish().producer_seq() == stored + 1);
        connection.confirm(publish, stored + 1);
        stored += static_cast<std::uint64_t>(publish.publish().messages_size());
    }
    for (std::uint64_t i = 0; i < 512; ++i) CHECK(receipts[i].get().sequence == i + 1);
    client.flush();
    CHECK(client.send_async("a", "more").valid());
}

TEST_CASE("who is fenced cannot know what became of what was sent before", "[client][send]") {
    FakeBroker broker;
    Client client(broker.options());
    FakeConnection connection = broker.accept();
    connection.greet();
    auto first = client.send_async("a", "1");
    const v1::Frame sent = connection.read(v1::Frame::kPublish);
    auto second = client.send_async("a", "2");
    connection.fail(connection.read(v1::Frame::kPublish), v1::FENCED, "a newer client");
    CHECK(error_of([&] { second.get(); }).code() == ErrorCode::kFenced);
    CHECK(error_of([&] { first.get(); }).code() == ErrorCode::kOutcomeUnknown);
    CHECK(error_of([&] { client.send("a", "3"); }).code() == ErrorCode::kFenced);
}

TEST_CASE("a bad queue name fails the future without asking the broker", "[client][send]") {
    FakeBroker broker;
    Client client(broker.options());
    CHECK(error_of([&] { client.send("no spaces", "x"); }).code() == ErrorCode::kInvalid);
}

TEST_CASE("many messages from many threads all get their own answers, frame by frame", "[client][send]") {
    FakeBroker broker;
    Client client(broker.options());
    constexpr int kThreads = 4;
    constexpr int kEach = 2'000;
    std::vector<std::thread> threads;
    std::atomic<int> right{0};
    for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
            const std::string queue = "q" + std::to_string(t);
            std::vector<std::future<Receipt>> receipts;
            for (int i = 0; i < kEach; ++i) receipts.push_back(client.send_async(queue, std::to_string(i)));
            std::uint64_t next = 1;
            for (auto& receipt : receipts) right += receipt.get().sequence == next++ ? 1 : 0;
        });
    }
    FakeConnection connection = broker.accept();
    connection.greet();
    std::map<std::string, std::uint64_t> next;
    std::uint64_t producer_seq = 1;
    for (int left = kThreads * kEach; left > 0;) {
        const v1::Frame publish = connection.read(v1::Frame::kPublish);
        const auto count = publish.publish().messages_size();
        CHECK(publish.publish().producer_seq() == producer_seq);
        CHECK(count <= 512);
        producer_seq += static_cast<std::uint64_t>(count);
        std::uint64_t& at = next.try_emplace(publish.publish().queue(), 1).first->second;
        for (int i = 0; i < count; ++i) {
            if (publish.publish().messages(i).body() != std::to_string(at - 1 + static_cast<std::uint64_t>(i))) {
                FAIL_CHECK("out of order");
            }
        }
        connection.confirm(publish, at);
        at += static_cast<std::uint64_t>(count);
        left -= count;
    }
    for (auto& thread : threads) thread.join();
    CHECK(right == kThreads * kEach);
}

TEST_CASE("linger gathers messages until the time is over or flush() asks", "[client][send]") {
    FakeBroker broker;
    Client client(broker.options().linger(1000ms));
    FakeConnection connection = broker.accept();
    connection.greet();
    auto first = client.send_async("a", "1");
    auto second = client.send_async("a", "2");
    auto flushed = std::async(std::launch::async, [&] { client.flush(); });
    const v1::Frame publish = connection.read(v1::Frame::kPublish);
    CHECK(publish.publish().messages_size() == 2);
    CHECK(flushed.wait_for(0ms) == std::future_status::timeout);
    connection.confirm(publish, 1);
    flushed.get();
    CHECK(second.get().sequence == 2);
}

TEST_CASE("a callback is told what became of its message", "[client][send]") {
    FakeBroker broker;
    Client client(broker.options());
    std::promise<Receipt> stored;
    std::promise<Error> refused;
    client.send_async("a", "1", [&](const Error* error, const Receipt* receipt) {
        if (error == nullptr) stored.set_value(*receipt);
    });
    FakeConnection connection = broker.accept();
    connection.greet();
    connection.confirm(connection.read(v1::Frame::kPublish), 12);
    const Receipt receipt = stored.get_future().get();
    CHECK(receipt.sequence == 12);
    CHECK_FALSE(receipt.id.empty());
    client.send_async("a", "2", [&](const Error* error, const Receipt* none) {
        if (error != nullptr && none == nullptr) refused.set_value(*error);
    });
    connection.fail(connection.read(v1::Frame::kPublish), v1::NOT_FOUND, "no queue");
    const Error error = refused.get_future().get();
    CHECK(error.code() == ErrorCode::kNotFound);
    CHECK_FALSE(error.request_id().empty());
}

TEST_CASE("callbacks come in the order of sending, and each once", "[client][send]") {
    constexpr std::uint64_t kMessages = 2'000;
    FakeBroker broker;
    Client client(broker.options());
    std::vector<std::uint64_t> told;
    std::promise<void> all;
    for (std::uint64_t i = 1; i <= kMessages; ++i) {
        client.send_async("a", std::to_string(i), [&, i](const Error*, const Receipt* receipt) {
            if (receipt != nullptr && receipt->sequence == i) told.push_back(i);
            if (i == kMessages) all.set_value();
        });
    }
    FakeConnection connection = broker.accept();
    connection.greet();
    for (std::uint64_t confirmed = 0; confirmed < kMessages;) {
        const v1::Frame publish = connection.read(v1::Frame::kPublish);
        connection.confirm(publish, confirmed + 1);
        confirmed += static_cast<std::uint64_t>(publish.publish().messages_size());
    }
    all.get_future().get();
    CHECK(told.size() == kMessages);
    CHECK(std::is_sorted(told.begin(), told.end()));
}

TEST_CASE("a callback is told at once what can be known at once", "[client][send]") {
    FakeBroker broker;
    Client client(broker.options());
    std::optional<std::error_code> told;
    const auto note = [&](const Error* error, const Receipt*) {
        if (error != nullptr) told = error->code();
    };
    client.send_async("no such name!", "1", note);
    CHECK(told == ErrorCode::kInvalid);
    CHECK_THROWS_AS(client.send_async("a", "1", SendCallback()), Error);
    told.reset();
    client.close(Millis(0));
    client.send_async("a", "1", note);
    CHECK(told == ErrorCode::kClosed);
}

#include <catch2/catch.hpp>

#include "client/src/call.h"
#include "tests/unit/client/fake_broker.h"

using namespace rockdove;
using namespace std::chrono_literals;
using test::error_of;
using test::FakeBroker;
using test::FakeConnection;
using test::States;

TEST_CASE("the constructor fails after connect_timeout, with the reason for each endpoint", "[client][connect]") {
    std::uint16_t refused = 0;
    {
        const FakeBroker gone;
        refused = gone.port();
    }
    const FakeBroker silent;
    const auto begin = std::chrono::steady_clock::now();
    const Error error = error_of([&] {
        Client client(ClientOptions(silent.url())
                          .endpoint("127.0.0.1", refused)
                          .endpoint("127.0.0.1", silent.port())
                          .connect_timeout(200ms));
    });
    CHECK(error.code() == ErrorCode::kUnavailable);
    CHECK_THAT(error.what(),
               Catch::Contains("127.0.0.1:" + std::to_string(refused) + ": connecting: Connection refused"));
    CHECK_THAT(error.what(),
               Catch::Contains("127.0.0.1:" + std::to_string(silent.port()) + ": greeting: no answer in time"));
    CHECK(std::chrono::steady_clock::now() - begin >= 200ms);
    CHECK(std::chrono::steady_clock::now() - begin < 5s);
}

TEST_CASE("the constructor returns when it is connected", "[client][connect]") {
    FakeBroker broker;
    auto client = std::async(std::launch::async, [&] { return Client(ClientOptions(broker.url())); });
    FakeConnection connection = broker.accept();
    connection.greet();
    Client connected = client.get();
    CHECK(connected.state() == ConnectionState::kReady);
    CHECK(welcome(connected)->broker_version() == "fake");
    CHECK(endpoint(connected) == "127.0.0.1:" + std::to_string(broker.port()));
}

TEST_CASE("a refusal for good ends the client: no retry, pending operations fail with its code", "[client][connect]") {
    const auto [wire, code] = GENERATE(table<v1::ErrorCode, ErrorCode>({
        {v1::UNSUPPORTED, ErrorCode::kUnsupported},
        {v1::AUTH_FAILED, ErrorCode::kAuthFailed},
        {v1::NOT_FOUND, ErrorCode::kNotFound},
        {v1::FENCED, ErrorCode::kFenced},
    }));
    FakeBroker broker;
    States states;
    Client client(broker.options());
    states.watch(client);
    auto pending = client.send_async("a", "x");
    Worker worker = client.receive("a", [](Job&) { return Outcome(); });
    broker.accept().refuse_greeting(wire, "go away");
    CHECK(states.wait_for(ConnectionState::kClosed) == code);
    const Error error = error_of([&] { pending.get(); });
    CHECK(error.code() == code);
    CHECK_THAT(error.detail(), Catch::Contains("go away"));
    CHECK(error_of([&] { worker.wait(); }).code() == code);
    CHECK(error_of([&] { client.send("a", "y"); }).code() == code);
    CHECK(error_of([&] { client.create_queue("a"); }).code() == code);
    CHECK(client.state() == ConnectionState::kClosed);
    CHECK(broker.nobody_comes(50ms));
}

TEST_CASE("a protocol version that we do not speak is refused for good", "[client][connect]") {
    FakeBroker broker;
    States states;
    Client client(broker.options());
    states.watch(client);
    FakeConnection connection = broker.accept();
    connection.greet([](v1::Welcome& welcome) { welcome.set_version(2); });
    CHECK(states.wait_for(ConnectionState::kClosed) == ErrorCode::kUnsupported);
}

TEST_CASE("a refusal for now is tried again", "[client][connect]") {
    FakeBroker broker;
    Client client(broker.options());
    broker.accept().refuse_greeting(v1::UNAVAILABLE, "starting");
    FakeConnection connection = broker.accept();
    connection.greet();
    auto receipt = client.send_async("a", "x");
    connection.confirm(connection.read(v1::Frame::kPublish), 1);
    CHECK(receipt.get().sequence == 1);
}

TEST_CASE("NOT_OWNER leads to the endpoint it names", "[client][connect]") {
    FakeBroker broker;
    FakeBroker owner;
    Client client(broker.options());
    FakeConnection first = broker.accept();
    const v1::Frame hello = first.read(v1::Frame::kHello);
    v1::Frame answer;
    answer.set_request_id(hello.request_id());
    answer.mutable_error()->set_code(v1::NOT_OWNER);
    answer.mutable_error()->set_endpoint("127.0.0.1:" + std::to_string(owner.port()));
    answer.mutable_error()->set_closes(true);
    first.write(answer);
    FakeConnection connection = owner.accept();
    connection.greet();
    auto receipt = client.send_async("a", "x");
    connection.confirm(connection.read(v1::Frame::kPublish), 1);
    CHECK(receipt.get().sequence == 1);
}

TEST_CASE("a broker of another cluster is not accepted", "[client][connect]") {
    FakeBroker broker;
    Client client(broker.options());
    FakeConnection connection = broker.accept();
    connection.greet();
    connection.close();
    connection = broker.accept();
    connection.greet([](v1::Welcome& welcome) { welcome.set_cluster_id("stranger"); });
    CHECK(connection.reads_end());
}

TEST_CASE("states are told in order, and a blocking call in the callback throws kWouldDeadlock", "[client][state]") {
    FakeBroker broker;
    std::promise<std::error_code> from_send, from_flush;
    Client client(broker.options());
    client.on_state([&](ConnectionState state, std::error_code) {
        if (state != ConnectionState::kReady) return;
        from_send.set_value(error_of([&] { client.send("a", "x"); }).code());
        from_flush.set_value(error_of([&] { client.flush(); }).code());
    });
    FakeConnection connection = broker.accept();
    connection.greet();
    CHECK(from_send.get_future().get() == ErrorCode::kWouldDeadlock);
    CHECK(from_flush.get_future().get() == ErrorCode::kWouldDeadlock);
}

TEST_CASE("an idle client pings at half the heartbeat", "[client][heartbeat]") {
    FakeBroker broker;
    Client client(broker.options());
    FakeConnection connection = broker.accept();
    connection.greet([](v1::Welcome& welcome) { welcome.set_heartbeat_ms(100); });
    // read() answers pings; only a client that keeps pinging is still there after several heartbeats.
    auto receipt = client.send_async("a", "x");
    connection.confirm(connection.read(v1::Frame::kPublish), 1);
    receipt.get();
    auto later = std::async(std::launch::async, [&] { return connection.read(v1::Frame::kPublish); });
    CHECK(later.wait_for(600ms) == std::future_status::timeout);
    auto last = client.send_async("a", "still here");
    const v1::Frame publish = later.get();
    CHECK(publish.publish().messages(0).body() == "still here");
    connection.confirm(publish, 2);
    CHECK(last.get().sequence == 2);
}

TEST_CASE("a connection on which nothing is heard for two heartbeats is given up", "[client][heartbeat]") {
    FakeBroker broker;
    States states;
    Client client(broker.options());
    states.watch(client);
    FakeConnection connection = broker.accept();
    connection.greet([](v1::Welcome& welcome) { welcome.set_heartbeat_ms(100); });
    CHECK(states.wait_for(ConnectionState::kReconnecting) == ErrorCode::kUnavailable);
    FakeConnection next = broker.accept();
    next.greet();
    auto receipt = client.send_async("a", "x");
    next.confirm(next.read(v1::Frame::kPublish), 1);
    CHECK(receipt.get().sequence == 1);
}

TEST_CASE("after GoAway the client waits for its answers, comes back later and goes on", "[client][go_away]") {
    FakeBroker broker;
    Client client(broker.options());
    auto first = client.send_async("a", "1");
    FakeConnection connection = broker.accept();
    connection.greet();
    const v1::Frame publish = connection.read(v1::Frame::kPublish);
    v1::Frame go_away;
    go_away.mutable_go_away()->set_reconnect_after_ms(100);
    connection.write(go_away);
    v1::Frame ping;  // its answer tells that GoAway was read
    ping.mutable_ping();
    connection.write(ping);
    connection.read(v1::Frame::kPong);
    auto second = client.send_async("a", "2");
    CHECK(broker.nobody_comes(20ms));
    connection.confirm(publish, 1);
    CHECK(first.get().sequence == 1);
    CHECK(connection.reads_end());
    CHECK(broker.nobody_comes(50ms));
    connection = broker.accept();
    connection.greet();
    const v1::Frame next = connection.read(v1::Frame::kPublish);
    CHECK(next.publish().messages(0).body() == "2");
    connection.confirm(next, 2);
    CHECK(second.get().sequence == 2);
}

TEST_CASE("close() flushes, says goodbye and makes later calls fail with kClosed", "[client][close]") {
    FakeBroker broker;
    Client client(broker.options());
    FakeConnection connection = broker.accept();
    connection.greet();
    auto receipt = client.send_async("a", "1");
    auto closed = std::async(std::launch::async, [&] { client.close(); });
    const v1::Frame publish = connection.read(v1::Frame::kPublish);
    CHECK(closed.wait_for(20ms) == std::future_status::timeout);
    connection.confirm(publish, 1);
    connection.read(v1::Frame::kGoAway);
    connection.close();
    closed.get();
    CHECK(receipt.get().sequence == 1);
    CHECK(error_of([&] { client.send("a", "2"); }).code() == ErrorCode::kClosed);
    CHECK(error_of([&] { client.create_queue("q"); }).code() == ErrorCode::kClosed);
    CHECK(error_of([&] { client.receive("a", [](Job&) { return Outcome(); }); }).code() == ErrorCode::kClosed);
    CHECK(client.state() == ConnectionState::kClosed);
    client.close();
}

TEST_CASE("what close() cannot confirm fails: not sent with kClosed, sent with kOutcomeUnknown", "[client][close]") {
    FakeBroker broker;
    Client client(broker.options());
    SECTION("not sent") {
        auto receipt = client.send_async("a", "1");
        client.close(50ms);
        CHECK(error_of([&] { receipt.get(); }).code() == ErrorCode::kClosed);
    }
    SECTION("sent") {
        FakeConnection connection = broker.accept();
        connection.greet();
        auto receipt = client.send_async("a", "1");
        connection.read(v1::Frame::kPublish);
        client.close(50ms);
        CHECK(error_of([&] { receipt.get(); }).code() == ErrorCode::kOutcomeUnknown);
    }
}

TEST_CASE("the destructor does as much as close(), and may run on the I/O thread", "[client][close]") {
    FakeBroker broker;
    auto client = std::make_unique<Client>(broker.options());
    std::promise<void> gone;
    client->on_state([&](ConnectionState state, std::error_code) {
        if (state != ConnectionState::kReady) return;
        client.reset();
        gone.set_value();
    });
    FakeConnection connection = broker.accept();
    connection.greet();
    gone.get_future().get();
    connection.read(v1::Frame::kGoAway);
    connection.close();
}

TEST_CASE("a request is answered by its own answer, or its error", "[client][call]") {
    FakeBroker broker;
    Client client(broker.options());
    FakeConnection connection = broker.accept();
    connection.greet();
    auto created =
        std::async(std::launch::async, [&] { client.create_queue("jobs", QueueOptions().lease(2s).max_attempts(3)); });
    const v1::Frame request = connection.read(v1::Frame::kQueueCreate);
    CHECK(request.queue_create().name() == "jobs");
    CHECK(request.queue_create().settings().lease_ms() == 2'000);
    CHECK(request.queue_create().settings().max_attempts() == 3);
    CHECK_FALSE(request.queue_create().settings().has_max_bytes());
    v1::Frame answer;
    answer.set_request_id(request.request_id());
    answer.mutable_queue_info()->set_name("jobs");
    connection.write(answer);
    created.get();

    auto again = std::async(std::launch::async, [&] { return error_of([&] { client.create_queue("jobs"); }); });
    connection.fail(connection.read(v1::Frame::kQueueCreate), v1::ALREADY_EXISTS, "queue \"jobs\" exists");
    CHECK(again.get().code() == ErrorCode::kAlreadyExists);
}

TEST_CASE("a broken connection: questions are asked again, changes become kOutcomeUnknown", "[client][call]") {
    FakeBroker broker;
    Client client(broker.options());
    FakeConnection connection = broker.accept();
    connection.greet();
    auto shown = std::async(std::launch::async, [&] {
        v1::Frame request;
        request.mutable_queue_show()->set_name("jobs");
        return call(client, request, 10s);
    });
    connection.read(v1::Frame::kQueueShow);
    auto created =
        std::async(std::launch::async, [&] { return error_of([&] { client.create_queue("jobs"); }).code(); });
    connection.read(v1::Frame::kQueueCreate);
    connection.close();
    CHECK(created.get() == ErrorCode::kOutcomeUnknown);
    connection = broker.accept();
    connection.greet();
    v1::Frame answer;
    answer.set_request_id(connection.read(v1::Frame::kQueueShow).request_id());
    answer.mutable_queue_info()->set_ready(4);
    connection.write(answer);
    CHECK(shown.get()->queue_info().ready() == 4);
}

TEST_CASE("a request has a time limit, with and without a connection", "[client][call]") {
    FakeBroker broker;
    Client client(broker.options());
    v1::Frame request;
    request.mutable_stats_request();
    CHECK(call(client, request, 20ms).error().code == base::ErrorCode::kUnavailable);
    FakeConnection connection = broker.accept();
    connection.greet();
    CHECK(call(client, request, 100ms).error().code == base::ErrorCode::kOutcomeUnknown);
}

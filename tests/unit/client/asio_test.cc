#include <rockdove/asio.h>

#include <boost/asio.hpp>
#include <catch2/catch.hpp>
#include <thread>

#include "tests/unit/client/fake_broker.h"

using namespace rockdove;
using namespace std::chrono_literals;
using test::FakeBroker;
using test::FakeConnection;
namespace asio = boost::asio;

namespace {

// A client with a connection, and a thread that runs the handlers.
struct Loop {
    FakeBroker broker;
    asio::io_context io;  // before the client, whose thread posts to it until the client is gone
    Client client;
    FakeConnection connection;

    Loop() : client(broker.options()), connection(broker.accept()) { connection.greet(); }
};

asio::awaitable<Receipt> send_two(Client& client, std::thread::id& ran_on) {
    const Receipt first = co_await aio::send(client, "jobs", Message{"1"}.content_type("text/plain"));
    ran_on = std::this_thread::get_id();
    Receipt second = co_await aio::send(client, "jobs", Message{"2"});
    if (first.sequence + 1 != second.sequence) throw std::runtime_error("not in order");
    co_return second;
}

asio::awaitable<std::string> receive_one(Receiver& inbox) {
    Job job = co_await aio::next(inbox);
    co_return std::string(job.body());
}

}  // namespace

TEST_CASE("aio::send in a coroutine gives the receipt, on the coroutine's own thread", "[client][asio]") {
    Loop loop;
    std::thread::id ran_on;
    auto receipt = asio::co_spawn(loop.io, send_two(loop.client, ran_on), asio::use_future);
    std::thread runner([&] { loop.io.run(); });
    const std::thread::id runner_id = runner.get_id();
    loop.connection.confirm(loop.connection.read(v1::Frame::kPublish), 5);
    loop.connection.confirm(loop.connection.read(v1::Frame::kPublish), 6);
    CHECK(receipt.get().sequence == 6);
    runner.join();
    CHECK(ran_on == runner_id);
}

TEST_CASE("aio::send tells a refusal as a code", "[client][asio]") {
    Loop loop;
    boost::system::error_code code;
    aio::send(loop.client, "jobs", "x",
              asio::bind_executor(loop.io, [&](boost::system::error_code error, const Receipt&) { code = error; }));
    loop.connection.fail(loop.connection.read(v1::Frame::kPublish), v1::NOT_FOUND, "no queue");
    loop.io.run();  // until the handler has run
    CHECK(std::error_code(code) == ErrorCode::kNotFound);
}

TEST_CASE("aio::send fails at the pending limit instead of blocking", "[client][asio]") {
    FakeBroker broker;
    asio::io_context io;
    Client client(broker.options().pending_limit(1, 1'000));
    auto first = client.send_async("jobs", "1");
    auto second = aio::send(client, "jobs", Message{"2"}, asio::bind_executor(io, asio::use_future));
    io.run();
    CHECK_THROWS_AS(second.get(), boost::system::system_error);
    client.close(0ms);
}

TEST_CASE("aio::next gives jobs in order; several may wait", "[client][asio]") {
    Loop loop;
    Receiver inbox = loop.client.open_receiver("jobs", WorkerOptions{}.prefetch(10));
    const v1::Consume consume = loop.connection.attach();
    auto first = asio::co_spawn(loop.io, receive_one(inbox), asio::use_future);
    auto second = asio::co_spawn(loop.io, receive_one(inbox), asio::use_future);
    std::thread runner([&] { loop.io.run(); });
    loop.connection.deliver(consume.consumer(), 1, {"a", "b"});
    std::set<std::string> bodies{first.get(), second.get()};
    runner.join();
    CHECK(bodies == std::set<std::string>{"a", "b"});
    loop.connection.close();
    loop.client.close(0ms);
}

TEST_CASE("aio::next can be cancelled, and no job is lost by it", "[client][asio]") {
    Loop loop;
    Receiver inbox = loop.client.open_receiver("jobs");
    const v1::Consume consume = loop.connection.attach();
    asio::cancellation_signal signal;
    boost::system::error_code code;
    aio::next(inbox, asio::bind_executor(
                         loop.io, asio::bind_cancellation_slot(
                                      signal.slot(), [&](boost::system::error_code error, Job) { code = error; })));
    signal.emit(asio::cancellation_type::terminal);
    loop.io.run();
    CHECK(std::error_code(code) == ErrorCode::kCancelled);
    loop.connection.deliver(consume.consumer(), 1, {"a"});
    CHECK(inbox.next().body() == "a");
    loop.connection.close();
    loop.client.close(0ms);
}

TEST_CASE("aio::next and aio::wait tell the end and its reason", "[client][asio]") {
    Loop loop;
    Worker worker = loop.client.receive("nowhere", [](Job&) { return Outcome(); });
    Receiver inbox = loop.client.open_receiver("nowhere");
    boost::system::error_code from_wait, from_next;
    aio::wait(worker, asio::bind_executor(loop.io, [&](boost::system::error_code error) { from_wait = error; }));
    aio::next(inbox, asio::bind_executor(loop.io, [&](boost::system::error_code error, Job) { from_next = error; }));
    loop.connection.fail(loop.connection.read(v1::Frame::kConsume), v1::NOT_FOUND, "no queue");
    loop.connection.fail(loop.connection.read(v1::Frame::kConsume), v1::NOT_FOUND, "no queue");
    loop.io.run();
    CHECK(std::error_code(from_wait) == ErrorCode::kNotFound);
    CHECK(std::error_code(from_next) == ErrorCode::kNotFound);
}

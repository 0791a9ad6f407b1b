#include <atomic>
#include <catch2/catch.hpp>
#include <semaphore>
#include <set>

#include "client/src/call.h"
#include "tests/unit/client/fake_broker.h"

using namespace rockdove;
using namespace std::chrono_literals;
using test::error_of;
using test::FakeBroker;
using test::FakeConnection;

namespace {

// A handler that waits until the test lets it go on.
struct Gate {
    std::counting_semaphore<> entered{0};
    std::counting_semaphore<> go{0};
    void pass() {
        entered.release();
        if (!go.try_acquire_for(10s)) throw std::runtime_error("the gate did not open");
    }
    void wait_entered() {
        if (!entered.try_acquire_for(10s)) FAIL("the handler was not called");
    }
};

// Stands in for the part of close() that the broker takes.
void say_goodbye(FakeConnection& connection) {
    for (;;) {
        const v1::Frame frame = connection.read();
        if (frame.has_go_away()) return connection.close();
        v1::Frame answer;
        answer.set_request_id(frame.request_id());
        if (frame.has_cancel_consumer()) answer.mutable_ok();
        if (frame.has_settle()) answer.mutable_settled();
        if (answer.kind_case() != v1::Frame::KIND_NOT_SET) connection.write(answer);
    }
}

// Client with a connection, torn down together.
struct Session {
    FakeBroker broker;
    Client client;
    FakeConnection connection;

    Session() : client(broker.options()), connection(broker.accept()) { connection.greet(); }
    void acknowledge_cancel() {
        v1::Frame ok;
        ok.set_request_id(connection.read(v1::Frame::kCancelConsumer).request_id());
        ok.mutable_ok();
        connection.write(ok);
    }
    void close() {
        auto closing = std::async(std::launch::async, [&] { client.close(); });
        say_goodbye(connection);
        closing.get();
    }
};

v1::SeqRange range(std::uint64_t first, std::uint64_t last, std::uint32_t lease = 1) {
    v1::SeqRange range;
    range.set_first_seq(first);
    range.set_last_seq(last);
    range.set_epoch(3);
    range.set_lease(lease);
    return range;
}

bool same(const v1::SeqRange& a, const v1::SeqRange& b) { return a.SerializeAsString() == b.SerializeAsString(); }

}  // namespace

TEST_CASE("a worker's handler sees the job and its ack is sent", "[client][worker]") {
    Session session;
    std::promise<void> checked;
    Worker worker = session.client.receive(
        "jobs",
        [&](Job& job) -> Outcome {
            if (job.body() == "hello" && job.attempt() == 2 && job.sequence() == 7 && job.id().size() == 26 &&
                job.queue() == "jobs" && job.fence() == std::pair<std::uint64_t, std::uint32_t>(3, 9) &&
                job.priority() == 4 && job.commit_time() == Clock::time_point(1'700'000'000s)) {
                checked.set_value();
            }
            return {};
        },
        WorkerOptions{}.concurrency(2).lease(20s).prefetch_bytes(1'000));
    const v1::Consume consume = session.connection.attach();
    CHECK(consume.queue() == "jobs");
    CHECK(consume.credit_messages() == 4);
    CHECK(consume.credit_bytes() == 1'000);
    CHECK(consume.lease_ms() == 20'000);
    CHECK_THAT(consume.name(), Catch::StartsWith("test-"));
    CHECK(consume.held_size() == 0);
    session.connection.deliver(consume.consumer(), 7, {"hello"}, 9, 30'000, 2);
    const v1::Settle settle = session.connection.settled();
    CHECK(settle.outcome() == v1::ACK);
    REQUIRE(settle.ranges_size() == 1);
    CHECK(same(settle.ranges(0), range(7, 7, 9)));
    CHECK(checked.get_future().wait_for(5s) == std::future_status::ready);
    session.close();
}

TEST_CASE("outcomes and exceptions of a handler become settles", "[client][worker]") {
    Session session;
    Worker worker = session.client.receive("jobs", [](Job& job) -> Outcome {
        if (job.body() == "retry") return Outcome::retry("busy", 2s);
        if (job.body() == "backoff") return Outcome::retry("slow");
        if (job.body() == "release") return Outcome::release(30s);
        if (job.body() == "reject") return Outcome::reject("broken");
        if (job.body() == "Reject") throw Reject("thrown");
        if (job.body() == "throw") throw std::runtime_error("bad \xff bytes");
        if (job.body() == "int") throw 7;
        if (job.body() == "long") throw std::runtime_error(std::string(1023, 'x') + "\xc3\xa4");
        return {};
    });
    const v1::Consume consume = session.connection.attach();
    struct Case {
        std::string body;
        v1::Outcome outcome;
        std::string reason;
        std::optional<std::uint64_t> after;
    };
    const auto expected = GENERATE(values<Case>({
        {"retry", v1::RETRY, "busy", 2'000},
        {"backoff", v1::RETRY, "slow", {}},
        {"release", v1::RELEASE, "", 30'000},
        {"reject", v1::REJECT, "broken", {}},
        {"Reject", v1::REJECT, "thrown", {}},
        {"throw", v1::RETRY, "bad ? bytes", {}},
        {"int", v1::RETRY, "an exception that is not a std::exception", {}},
        {"long", v1::RETRY, std::string(1023, 'x'), {}},
        {"else", v1::ACK, "", {}},
    }));
    CAPTURE(expected.body);
    session.connection.deliver(consume.consumer(), 1, {expected.body});
    const v1::Settle settle = session.connection.settled();
    CHECK(settle.outcome() == expected.outcome);
    CHECK(settle.reason() == expected.reason);
    CHECK(settle.has_after_ms() == expected.after.has_value());
    if (expected.after) CHECK(settle.after_ms() == *expected.after);
    session.close();
}

TEST_CASE("settles that wait together go out as ranges of equal fate", "[client][worker]") {
    Session session;
    Gate gate;
    Worker worker = session.client.receive(
        "jobs",
        [&](Job& job) -> Outcome {
            gate.pass();
            return job.body() == "no" ? Outcome::reject("no") : Outcome::ack();
        },
        WorkerOptions{}.concurrency(8));
    const v1::Consume consume = session.connection.attach();
    session.connection.deliver(consume.consumer(), 1, {"a", "b", "no", "c", "d", "e"});
    for (int i = 0; i < 6; ++i) gate.wait_entered();
    gate.go.release(6);
    std::set<std::uint64_t> acked, rejected;
    while (acked.size() + rejected.size() < 6) {
        const v1::Settle settle = session.connection.settled();
        for (const v1::SeqRange& part : settle.ranges()) {
            for (auto at = part.first_seq(); at <= part.last_seq(); ++at) {
                (settle.outcome() == v1::ACK ? acked : rejected).insert(at);
            }
        }
    }
    CHECK(acked == std::set<std::uint64_t>{1, 2, 4, 5, 6});
    CHECK(rejected == std::set<std::uint64_t>{3});
    session.close();
}

TEST_CASE("no more handlers run at a time than the worker's concurrency", "[client][worker]") {
    Session session;
    std::atomic<int> running{0}, most{0};
    Worker worker = session.client.receive(
        "jobs",
        [&](Job&) -> Outcome {
            const int now = ++running;
            int seen = most.load();
            while (seen < now && !most.compare_exchange_weak(seen, now)) {
            }
            std::this_thread::yield();
            --running;
            return {};
        },
        WorkerOptions{}.concurrency(3).prefetch(100));
    const v1::Consume consume = session.connection.attach();
    session.connection.deliver(consume.consumer(), 1, std::vector<std::string>(100, "x"));
    std::uint64_t acked = 0;
    while (acked < 100) {
        const v1::Settle settle = session.connection.settled();
        for (const v1::SeqRange& part : settle.ranges()) acked += part.last_seq() - part.first_seq() + 1;
    }
    CHECK(most <= 3);
    CHECK(acked == 100);
    session.close();
}

TEST_CASE("after a reconnect the worker comes back under its name with what it holds", "[client][reconnect]") {
    Session session;
    Gate gate;
    std::promise<bool> stopped_when_lost;
    std::atomic<int> calls{0};
    Worker worker = session.client.receive(
        "jobs",
        [&](Job& job) -> Outcome {
            ++calls;
            if (job.body() == "kept") {
                gate.pass();
                return {};
            }
            const std::stop_token token = job.stop_token();
            std::binary_semaphore stopped(0);
            const std::stop_callback on_stop(token, [&] { stopped.release(); });
            gate.entered.release();
            const bool told = stopped.try_acquire_for(10s);
            stopped_when_lost.set_value(told);
            return {};  // nobody wants to know any more
        },
        WorkerOptions{}.concurrency(2).prefetch(10));
    const v1::Consume consume = session.connection.attach();
    session.connection.deliver(consume.consumer(), 1, {"kept", "lost", "buffered", "buffered"}, 4);
    gate.wait_entered();
    gate.wait_entered();
    session.connection.close();

    session.connection = session.broker.accept();
    session.connection.greet();
    const v1::Consume again = session.connection.attach([](v1::ConsumeOk& ok) {
        ok.clear_held();
        *ok.add_held() = range(1, 1, 4);
    });
    CHECK(again.name() == consume.name());
    REQUIRE(again.held_size() == 1);
    CHECK(same(again.held(0), range(1, 4, 4)));
    CHECK(stopped_when_lost.get_future().get());
    gate.go.release();
    const v1::Settle settle = session.connection.settled();
    CHECK(settle.outcome() == v1::ACK);
    REQUIRE(settle.ranges_size() == 1);
    CHECK(same(settle.ranges(0), range(1, 1, 4)));
    session.close();
    CHECK(calls == 2);  // what was buffered and lost was never begun
}

TEST_CASE("a settle whose answer was lost is sent again if the broker still holds the job", "[client][reconnect]") {
    Session session;
    Receiver inbox = session.client.open_receiver("jobs");
    const v1::Consume consume = session.connection.attach();
    session.connection.deliver(consume.consumer(), 5, {"x"});
    Job job = inbox.next();
    auto acked = std::async(std::launch::async, [&]() -> std::optional<Error> {
        try {
            std::move(job).ack();
            return std::nullopt;
        } catch (const Error& error) {
            return error;
        }
    });
    session.connection.read(v1::Frame::kSettle);
    session.connection.close();
    session.connection = session.broker.accept();
    session.connection.greet();
    const bool held = GENERATE(true, false);
    const v1::Consume again = session.connection.attach([&](v1::ConsumeOk& ok) {
        if (!held) ok.clear_held();
    });
    REQUIRE(again.held_size() == 1);
    CHECK(same(again.held(0), range(5, 5)));
    if (held) session.connection.settled();
    const std::optional<Error> error = acked.get();
    CHECK(error.has_value() == !held);
    if (error) CHECK(error->code() == ErrorCode::kOutcomeUnknown);
    session.close();
}

TEST_CASE("a lease is renewed at one third of its time, also of what only waits", "[client][lease]") {
    Session session;
    Gate gate;
    Worker worker = session.client.receive(
        "jobs",
        [&](Job&) -> Outcome {
            gate.pass();
            return {};
        },
        WorkerOptions{}.prefetch(2));
    const v1::Consume consume = session.connection.attach();
    const auto begin = std::chrono::steady_clock::now();
    session.connection.deliver(consume.consumer(), 1, {"working", "waiting"}, 1, 600);
    gate.wait_entered();
    for (int i = 0; i < 2; ++i) {
        const v1::Frame extend = session.connection.read(v1::Frame::kExtend);
        REQUIRE(extend.extend().ranges_size() == 1);
        CHECK(same(extend.extend().ranges(0), range(1, 2)));
        v1::Frame answer;
        answer.set_request_id(extend.request_id());
        answer.mutable_extended()->set_count(2);
        session.connection.write(answer);
    }
    CHECK(std::chrono::steady_clock::now() - begin >= 400ms);
    gate.go.release(2);
    session.connection.settled();
    session.close();
}

TEST_CASE("a lease that the broker no longer knows stops the job, whose outcome is not sent", "[client][lease]") {
    Session session;
    std::promise<void> entered, told;
    Worker worker = session.client.receive("jobs", [&](Job& job) -> Outcome {
        std::binary_semaphore stopped(0);
        const std::stop_callback on_stop(job.stop_token(), [&] { stopped.release(); });
        entered.set_value();
        if (stopped.try_acquire_for(10s)) told.set_value();
        return {};
    });
    const v1::Consume consume = session.connection.attach();
    session.connection.deliver(consume.consumer(), 1, {"x"}, 1, 300);
    entered.get_future().get();
    const v1::Frame extend = session.connection.read(v1::Frame::kExtend);
    v1::Frame answer;
    answer.set_request_id(extend.request_id());
    *answer.mutable_extended()->add_stale() = range(1, 1);
    session.connection.write(answer);
    REQUIRE(told.get_future().wait_for(10s) == std::future_status::ready);
    auto closing = std::async(std::launch::async, [&] { session.client.close(); });
    for (;;) {
        const v1::Frame frame = session.connection.read();
        CHECK_FALSE(frame.has_settle());
        if (frame.has_go_away()) break;
        if (!frame.has_cancel_consumer()) continue;
        v1::Frame ok;
        ok.set_request_id(frame.request_id());
        ok.mutable_ok();
        session.connection.write(ok);
    }
    session.connection.close();
    closing.get();
}

TEST_CASE("a handler that runs longer than `longest` is stopped and its job goes back", "[client][lease]") {
    Session session;
    std::promise<void> stopped;
    Worker worker = session.client.receive(
        "jobs",
        [&](Job& job) -> Outcome {
            std::binary_semaphore told(0);
            const std::stop_callback on_stop(job.stop_token(), [&] { told.release(); });
            if (told.try_acquire_for(10s)) stopped.set_value();
            return {};
        },
        WorkerOptions{}.longest(50ms));
    const v1::Consume consume = session.connection.attach();
    session.connection.deliver(consume.consumer(), 1, {"x"});
    const v1::Settle settle = session.connection.settled();
    CHECK(settle.outcome() == v1::RETRY);
    CHECK_THAT(settle.reason(), Catch::Contains("50 ms"));
    CHECK(stopped.get_future().wait_for(5s) == std::future_status::ready);
    session.close();
}

TEST_CASE("a receiver hands out jobs one by one, and each is settled once", "[client][receiver]") {
    Session session;
    Receiver inbox = session.client.open_receiver("jobs", WorkerOptions{}.prefetch(10));
    const v1::Consume consume = session.connection.attach();
    CHECK_FALSE(inbox.next(0ms));
    session.connection.deliver(consume.consumer(), 1, {"a", "b", "c", "d"});
    const auto settled = [&](auto action) {
        Job job = inbox.next();
        auto done = std::async(std::launch::async, [&] { action(std::move(job)); });
        const v1::Settle settle = session.connection.settled();
        done.get();
        return settle;
    };
    CHECK(settled([](Job job) { std::move(job).ack(); }).outcome() == v1::ACK);
    CHECK(settled([](Job job) { std::move(job).retry("later", 1s); }).after_ms() == 1'000);
    CHECK(settled([](Job job) { std::move(job).reject("never"); }).reason() == "never");
    CHECK(settled([](Job job) { CHECK(job.body() == "d"); }).outcome() == v1::RELEASE);  // the destructor
    session.close();
    CHECK(error_of([&] { inbox.next(); }).code() == ErrorCode::kClosed);
}

TEST_CASE("settling a job whose lease is over throws kStaleLease", "[client][receiver]") {
    Session session;
    Receiver inbox = session.client.open_receiver("jobs");
    const v1::Consume consume = session.connection.attach();
    session.connection.deliver(consume.consumer(), 1, {"a"});
    Job job = inbox.next();
    SECTION("as the broker says") {
        auto code = std::async(std::launch::async, [&] { return error_of([&] { std::move(job).ack(); }).code(); });
        session.connection.settled([](v1::Settled& settled) {
            settled.set_count(0);
            *settled.add_stale() = range(1, 1);
        });
        CHECK(code.get() == ErrorCode::kStaleLease);
    }
    SECTION("as is known here: the message was given to us anew") {
        session.connection.deliver(consume.consumer(), 1, {"a"}, 2);
        Job second = inbox.next();
        CHECK(job.stop_token().stop_requested());
        CHECK(error_of([&] { std::move(job).ack(); }).code() == ErrorCode::kStaleLease);
        auto acked = std::async(std::launch::async, [&] { std::move(second).ack(); });
        CHECK(same(session.connection.settled().ranges(0), range(1, 1, 2)));
        acked.get();
    }
    session.close();
}

TEST_CASE("extend() asks for its time and fails when the lease is over", "[client][receiver]") {
    Session session;
    Receiver inbox = session.client.open_receiver("jobs");
    const v1::Consume consume = session.connection.attach();
    session.connection.deliver(consume.consumer(), 1, {"a"});
    Job job = inbox.next();
    auto extended = std::async(std::launch::async, [&] { job.extend(60s); });
    v1::Frame extend = session.connection.read(v1::Frame::kExtend);
    CHECK(extend.extend().lease_ms() == 60'000);
    v1::Frame answer;
    answer.set_request_id(extend.request_id());
    answer.mutable_extended()->set_count(1);
    session.connection.write(answer);
    extended.get();

    auto failed = std::async(std::launch::async, [&] { return error_of([&] { job.extend(60s); }).code(); });
    extend = session.connection.read(v1::Frame::kExtend);
    answer.set_request_id(extend.request_id());
    *answer.mutable_extended()->add_stale() = range(1, 1);
    session.connection.write(answer);
    CHECK(failed.get() == ErrorCode::kStaleLease);
    CHECK(job.stop_token().stop_requested());
    session.close();
}

TEST_CASE("an unknown queue shows in wait() and next()", "[client][worker]") {
    Session session;
    Worker worker = session.client.receive("nowhere", [](Job&) { return Outcome(); });
    session.connection.fail(session.connection.read(v1::Frame::kConsume), v1::NOT_FOUND, "no queue \"nowhere\"");
    const Error error = error_of([&] { worker.wait(); });
    CHECK(error.code() == ErrorCode::kNotFound);
    CHECK(error.detail() == "no queue \"nowhere\"");
    Receiver inbox = session.client.open_receiver("nowhere");
    session.connection.fail(session.connection.read(v1::Frame::kConsume), v1::NOT_FOUND, "no queue");
    CHECK(error_of([&] { inbox.next(); }).code() == ErrorCode::kNotFound);
    session.close();
}

TEST_CASE("a consumer that the broker ends, ends here with its reason", "[client][worker]") {
    Session session;
    Receiver inbox = session.client.open_receiver("jobs");
    const v1::Consume consume = session.connection.attach();
    session.connection.deliver(consume.consumer(), 1, {"a"});
    Job job = inbox.next();
    v1::Frame closed;
    closed.mutable_consumer_closed()->set_consumer(consume.consumer());
    closed.mutable_consumer_closed()->mutable_error()->set_code(v1::NOT_FOUND);
    session.connection.write(closed);
    CHECK(error_of([&] { inbox.next(); }).code() == ErrorCode::kNotFound);
    CHECK(error_of([&] { std::move(job).ack(); }).code() == ErrorCode::kStaleLease);
    session.close();
}

TEST_CASE("pause gives back what was not begun and takes nothing; resume goes on", "[client][worker]") {
    Session session;
    Gate gate;
    Worker worker = session.client.receive(
        "jobs",
        [&](Job&) -> Outcome {
            gate.pass();
            return {};
        },
        WorkerOptions{}.prefetch(3));
    const v1::Consume consume = session.connection.attach();
    session.connection.deliver(consume.consumer(), 1, {"working", "waiting"});
    gate.wait_entered();
    worker.pause();
    bool released = false, no_credit = false;
    while (!released || !no_credit) {
        const v1::Frame frame = session.connection.read();
        if (frame.has_settle()) {
            CHECK(frame.settle().outcome() == v1::RELEASE);
            CHECK(same(frame.settle().ranges(0), range(2, 2)));
            released = true;
        } else if (frame.has_credit()) {
            no_credit = frame.credit().credit_messages() == 0;
        }
    }
    session.connection.deliver(consume.consumer(), 3, {"crossed"});
    CHECK(same(session.connection.settled().ranges(0), range(3, 3)));
    worker.resume();
    CHECK(session.connection.read(v1::Frame::kCredit).credit().credit_messages() == 3);
    session.connection.deliver(consume.consumer(), 4, {"next"});
    gate.go.release(2);
    gate.wait_entered();
    session.close();
}

TEST_CASE("stop() tells the handlers, waits for them, and lets their outcome count", "[client][worker]") {
    Session session;
    Gate gate;
    std::atomic<bool> told{false};
    Worker worker = session.client.receive("jobs", [&](Job& job) -> Outcome {
        const std::stop_token token = job.stop_token();
        gate.pass();
        told = token.stop_requested();
        return {};
    });
    const v1::Consume consume = session.connection.attach();
    session.connection.deliver(consume.consumer(), 1, {"working", "waiting"});
    gate.wait_entered();
    auto stopped = std::async(std::launch::async, [&] { worker.stop(); });
    CHECK(session.connection.settled().outcome() == v1::RELEASE);
    CHECK(session.connection.read(v1::Frame::kCredit).credit().credit_messages() == 0);
    CHECK(stopped.wait_for(20ms) == std::future_status::timeout);
    gate.go.release();
    CHECK(session.connection.settled().outcome() == v1::ACK);
    session.acknowledge_cancel();
    stopped.get();
    CHECK(told);
    worker.wait();  // returns at once
    session.close();
}

TEST_CASE("stop() does not wait longer than stop_within", "[client][worker]") {
    Session session;
    Gate gate;
    {
        Worker worker = session.client.receive(
            "jobs",
            [&](Job&) -> Outcome {
                gate.pass();
                return {};
            },
            WorkerOptions{}.stop_within(20ms));
        const v1::Consume consume = session.connection.attach();
        session.connection.deliver(consume.consumer(), 1, {"working"});
        gate.wait_entered();
        auto stopped = std::async(std::launch::async, [&] { worker.stop(); });
        session.connection.read(v1::Frame::kCredit);
        session.acknowledge_cancel();  // which gives the job back
        stopped.get();
    }
    gate.go.release();
    auto closing = std::async(std::launch::async, [&] { session.client.close(); });
    session.connection.read(v1::Frame::kGoAway);  // and no settle before it
    session.connection.close();
    closing.get();
}

TEST_CASE("a worker may be destroyed by its own handler, whose outcome still counts", "[client][worker]") {
    Session session;
    std::promise<void> ready;
    auto worker = std::make_unique<std::optional<Worker>>();
    worker->emplace(session.client.receive("jobs", [&](Job&) -> Outcome {
        ready.get_future().wait();
        worker->reset();
        return {};
    }));
    ready.set_value();
    const v1::Consume consume = session.connection.attach();
    session.connection.deliver(consume.consumer(), 1, {"x"});
    // The credit and the settle come from two threads: either may be first.
    for (int both = 0; both < 2; ++both) {
        const v1::Frame frame = session.connection.read();
        if (frame.has_credit()) {
            CHECK(frame.credit().credit_messages() == 0);
            continue;
        }
        REQUIRE(frame.has_settle());
        CHECK(frame.settle().outcome() == v1::ACK);
        v1::Frame answer;
        answer.set_request_id(frame.request_id());
        answer.mutable_settled()->set_count(1);
        session.connection.write(answer);
    }
    session.acknowledge_cancel();
    session.close();
}

TEST_CASE("a client may be destroyed by a handler of its own", "[client][worker]") {
    FakeBroker broker;
    auto client = std::make_unique<Client>(broker.options());
    FakeConnection connection = broker.accept();
    connection.greet();
    std::promise<void> gone;
    Worker worker = client->receive("jobs", [&](Job&) -> Outcome {
        client.reset();
        gone.set_value();
        return {};
    });
    const v1::Consume consume = connection.attach();
    connection.deliver(consume.consumer(), 1, {"x"});
    say_goodbye(connection);
    gone.get_future().get();
}

TEST_CASE("a handler may send with the client that runs it", "[client][worker]") {
    Session session;
    Worker worker = session.client.receive("jobs", [&](Job& job) -> Outcome {
        session.client.send("results", std::string(job.body()) + "!");
        return {};
    });
    const v1::Consume consume = session.connection.attach();
    session.connection.deliver(consume.consumer(), 1, {"x"});
    const v1::Frame publish = session.connection.read(v1::Frame::kPublish);
    CHECK(publish.publish().messages(0).body() == "x!");
    session.connection.confirm(publish, 1);
    CHECK(session.connection.settled().outcome() == v1::ACK);
    session.close();
}

TEST_CASE("a handler may settle its job itself; what it returns then counts for nothing", "[client][worker]") {
    Session session;
    std::promise<std::error_code> second;
    Worker worker = session.client.receive("jobs", [&](Job& job) -> Outcome {
        std::move(job).reject("by hand");
        second.set_value(error_of([&] { std::move(job).ack(); }).code());
        return Outcome::retry("ignored");
    });
    const v1::Consume consume = session.connection.attach();
    session.connection.deliver(consume.consumer(), 1, {"x"});
    CHECK(session.connection.settled().outcome() == v1::REJECT);
    CHECK(second.get_future().get() == ErrorCode::kStaleLease);
    session.close();
}

TEST_CASE("options of workers out of range are refused at once", "[client][worker]") {
    FakeBroker broker;
    Client client(broker.options());
    const auto refused = [&](const WorkerOptions& options) {
        return error_of([&] { client.open_receiver("jobs", options); }).code() == ErrorCode::kInvalid;
    };
    CHECK(refused(WorkerOptions{}.concurrency(0)));
    CHECK(refused(WorkerOptions{}.prefetch(65'536)));
    CHECK(refused(WorkerOptions{}.longest(0ms)));
    CHECK(refused(WorkerOptions{}.name("no spaces")));
    CHECK(error_of([&] { client.open_receiver("no spaces"); }).code() == ErrorCode::kInvalid);
    CHECK(error_of([&] { client.receive("jobs", Handler{}); }).code() == ErrorCode::kInvalid);
}

namespace {

constexpr std::uint32_t kBuffered = 1U << 31;

// Reads Start and answers that these have begun under lease 5, attempt 2; the rest is stale.
v1::Start started(FakeConnection& connection, const std::vector<std::uint64_t>& begun) {
    const v1::Frame frame = connection.read(v1::Frame::kStart);
    v1::Frame answer;
    answer.set_request_id(frame.request_id());
    v1::Started& reply = *answer.mutable_started();
    reply.set_lease_ms(30'000);
    for (const std::uint64_t sequence : begun) {
        v1::StartedRange& one = *reply.add_ranges();
        one.set_first_seq(sequence);
        one.set_last_seq(sequence);
        one.set_epoch(3);
        one.set_lease(5);
        one.set_attempt(2);
    }
    connection.write(answer);
    return frame.start();
}

}  // namespace

TEST_CASE("explicit_start: a job is started when there is a handler for it, and settled under that lease",
          "[client][worker]") {
    Session session;
    Gate gate;
    std::atomic<int> attempt = 0;
    Worker worker = session.client.receive(
        "jobs",
        [&](Job& job) -> Outcome {
            attempt = job.attempt();
            gate.pass();
            return job.body() == "a" ? Outcome::ack() : Outcome::retry("no");
        },
        WorkerOptions{}.explicit_start().prefetch(10));
    const v1::Consume consume = session.connection.attach();
    CHECK(consume.explicit_start());
    session.connection.deliver(consume.consumer(), 7, {"a", "b", "c"}, kBuffered | 1);
    const v1::Start first = started(session.connection, {7});
    REQUIRE(first.ranges_size() == 1);
    CHECK(same(first.ranges(0), range(7, 7, kBuffered | 1)));
    gate.wait_entered();
    CHECK(attempt == 2);
    gate.go.release();
    // One at a time: the next start comes with the end of the first job.
    for (bool settled = false, begun = false; !settled || !begun;) {
        const v1::Frame frame = session.connection.read();
        v1::Frame answer;
        answer.set_request_id(frame.request_id());
        if (frame.has_settle()) {
            CHECK(same(frame.settle().ranges(0), range(7, 7, 5)));
            answer.mutable_settled()->set_count(1);
            settled = true;
        } else {
            REQUIRE(frame.has_start());
            CHECK(same(frame.start().ranges(0), range(8, 8, kBuffered | 1)));
            *answer.mutable_started()->add_stale() = frame.start().ranges(0);  // recalled meanwhile
            begun = true;
        }
        session.connection.write(answer);
    }
    // In its place the next one.
    CHECK(same(started(session.connection, {9}).ranges(0), range(9, 9, kBuffered | 1)));
    gate.wait_entered();
    gate.go.release();
    const v1::Settle settle = session.connection.settled();
    CHECK(settle.outcome() == v1::RETRY);
    CHECK(same(settle.ranges(0), range(9, 9, 5)));
    session.close();
}

TEST_CASE("explicit_start: what is recalled is never started; what waits goes back when the worker pauses",
          "[client][worker]") {
    Session session;
    Gate gate;
    Worker worker = session.client.receive(
        "jobs",
        [&](Job&) -> Outcome {
            gate.pass();
            return {};
        },
        WorkerOptions{}.explicit_start().prefetch(10));
    const v1::Consume consume = session.connection.attach();
    session.connection.deliver(consume.consumer(), 1, {"a", "b", "c"}, kBuffered | 1);
    started(session.connection, {1});
    gate.wait_entered();
    v1::Frame recall;
    recall.mutable_recall()->set_consumer(consume.consumer());
    *recall.mutable_recall()->add_ranges() = range(2, 2, kBuffered | 1);
    session.connection.write(recall);
    session.connection.deliver(consume.consumer(), 4, {"d"}, kBuffered | 2);
    v1::Frame ping;
    ping.mutable_ping();
    session.connection.write(ping);
    session.connection.read(v1::Frame::kPong);  // so it has seen the recall
    gate.go.release();
    for (bool settled = false, begun = false; !settled || !begun;) {
        const v1::Frame frame = session.connection.read();
        v1::Frame answer;
        answer.set_request_id(frame.request_id());
        if (frame.has_settle()) {
            answer.mutable_settled()->set_count(1);
            settled = true;
        } else {
            REQUIRE(frame.has_start());
            CHECK(same(frame.start().ranges(0), range(3, 3, kBuffered | 1)));  // 2 is not asked for
            v1::StartedRange& one = *answer.mutable_started()->add_ranges();
            one.set_first_seq(3);
            one.set_last_seq(3);
            one.set_epoch(3);
            one.set_lease(1);
            answer.mutable_started()->set_lease_ms(30'000);
            begun = true;
        }
        session.connection.write(answer);
    }
    gate.wait_entered();
    worker.pause();
    const v1::Settle back = session.connection.settled();
    CHECK(back.outcome() == v1::RELEASE);
    REQUIRE(back.ranges_size() == 1);
    CHECK(same(back.ranges(0), range(4, 4, kBuffered | 2)));
    gate.go.release();
    session.close();
}

TEST_CASE("explicit_start: a receiver starts a job when it is asked for one", "[client][receiver]") {
    Session session;
    Receiver receiver = session.client.open_receiver("jobs", WorkerOptions{}.explicit_start().prefetch(10));
    const v1::Consume consume = session.connection.attach();
    session.connection.deliver(consume.consumer(), 1, {"a", "b"}, kBuffered | 1);
    auto next = std::async(std::launch::async, [&] { return receiver.next(); });
    CHECK(same(started(session.connection, {1}).ranges(0), range(1, 1, kBuffered | 1)));
    Job job = next.get();
    CHECK(job.body() == "a");
    CHECK(job.attempt() == 2);
    CHECK(job.fence() == std::pair<std::uint64_t, std::uint32_t>(3, 5));
    auto acked = std::async(std::launch::async, [&] { std::move(job).ack(); });
    CHECK(same(session.connection.settled().ranges(0), range(1, 1, 5)));
    acked.get();
    session.close();
}

TEST_CASE("explicit_start: after a reconnect only what was started is named, the rest comes anew", "[client][worker]") {
    Session session;
    Gate gate;
    Worker worker = session.client.receive(
        "jobs",
        [&](Job&) -> Outcome {
            gate.pass();
            return {};
        },
        WorkerOptions{}.explicit_start().prefetch(10));
    const v1::Consume consume = session.connection.attach();
    session.connection.deliver(consume.consumer(), 1, {"a", "b"}, kBuffered | 1);
    started(session.connection, {1});
    gate.wait_entered();
    session.connection.close();
    session.connection = session.broker.accept();
    session.connection.greet();
    const v1::Consume again = session.connection.attach();
    REQUIRE(again.held_size() == 1);
    CHECK(same(again.held(0), range(1, 1, 5)));
    session.connection.deliver(again.consumer(), 2, {"b"}, kBuffered | 1);
    gate.go.release();
    for (bool settled = false, begun = false; !settled || !begun;) {
        const v1::Frame frame = session.connection.read();
        v1::Frame answer;
        answer.set_request_id(frame.request_id());
        if (frame.has_settle()) {
            answer.mutable_settled()->set_count(1);
            settled = true;
        } else {
            REQUIRE(frame.has_start());
            CHECK(same(frame.start().ranges(0), range(2, 2, kBuffered | 1)));
            *answer.mutable_started()->add_stale() = frame.start().ranges(0);
            begun = true;
        }
        session.connection.write(answer);
    }
    session.close();
}

TEST_CASE("ack_on_delivery: whatever becomes of a job, its ack only makes room", "[client][worker]") {
    Session session;
    Gate gate;
    Worker worker = session.client.receive(
        "jobs",
        [&](Job& job) -> Outcome {
            gate.pass();
            if (job.body() == "throws") throw std::runtime_error("no");
            return Outcome::reject("bad");
        },
        WorkerOptions{}.ack_on_delivery().concurrency(2).filter("priority > 4"));
    const v1::Consume consume = session.connection.attach();
    CHECK(consume.ack_on_delivery());
    CHECK(consume.filter() == "priority > 4");
    CHECK(consume.credit_messages() == 2);
    session.connection.deliver(consume.consumer(), 1, {"throws"}, 1, 100);
    gate.wait_entered();
    // The connection breaks: the job is still its own, and nothing of it is told to the broker.
    session.connection.close();
    session.connection = session.broker.accept();
    session.connection.greet();
    const v1::Consume again = session.connection.attach();
    CHECK(again.held_size() == 0);
    session.connection.deliver(again.consumer(), 2, {"rejects"}, 1, 100);
    gate.wait_entered();
    gate.go.release(2);
    for (std::set<std::uint64_t> settled; settled.size() < 2;) {
        const v1::Settle settle = session.connection.settled();
        CHECK(settle.outcome() == v1::ACK);
        CHECK(settle.reason().empty());
        for (const v1::SeqRange& one : settle.ranges()) {
            for (std::uint64_t sequence = one.first_seq(); sequence <= one.last_seq(); ++sequence) {
                settled.insert(sequence);
            }
        }
    }
    session.close();
    CHECK(error_of([&] {
              (void)session.client.open_receiver("q", WorkerOptions{}.explicit_start().ack_on_delivery());
          }).code() == ErrorCode::kInvalid);
}

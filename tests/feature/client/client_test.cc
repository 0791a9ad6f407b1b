// What INTERFACES promises of the client library, against the real broker.
#include <atomic>
#include <catch2/catch.hpp>
#include <mutex>
#include <semaphore>
#include <set>
#include <thread>

#include "client/src/call.h"
#include "tests/support/daemon.h"

using namespace rockdove;
using namespace std::chrono_literals;
using test::Daemon;

namespace {

ClientOptions quick(const Daemon& daemon) {
    return ClientOptions(daemon.url()).backoff(Millis{10}, Millis{100}).name("feature");
}

ErrorCode code_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const Error& error) {
        INFO(error.what());
        return static_cast<ErrorCode>(error.code().value());
    }
    FAIL("no error was thrown");
    return ErrorCode::kInternal;
}

v1::QueueInfo show(Client& client, const std::string& queue) {
    v1::Frame request;
    request.mutable_queue_show()->set_name(queue);
    const auto answer = call(client, request, 30s);
    if (!answer) FAIL(answer.error().text);
    return answer->queue_info();
}

// Asks the broker again and again, since counters follow events.
bool comes_true(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (std::chrono::steady_clock::now() < deadline) {
        if (condition()) return true;
    }
    return false;
}

}  // namespace

TEST_CASE("what is sent is received, with all its properties", "[client][feature]") {
    Daemon daemon(ROCKDOVED_PATH);
    Client client(quick(daemon));
    client.create_queue("emails");
    const Receipt receipt = client.send("emails", Message{"hello"}
                                                      .header("lang", "en")
                                                      .header("lang", "de")
                                                      .content_type("text/plain")
                                                      .subject("a.b")
                                                      .correlation_id("c")
                                                      .reply_to("answers")
                                                      .trace("00-1-2-3", "k=v")
                                                      .priority(7));
    CHECK(receipt.sequence == 1);
    CHECK(receipt.durability == Durability::kSync);
    CHECK_FALSE(receipt.duplicate);

    Receiver inbox = client.open_receiver("emails");
    std::optional<Job> job = inbox.next(10s);
    REQUIRE(job);
    CHECK(job->id() == receipt.id);
    CHECK(job->body() == "hello");
    CHECK(job->header("lang") == "en");
    CHECK(job->headers().size() == 2);
    CHECK_FALSE(job->header("none"));
    CHECK(job->content_type() == "text/plain");
    CHECK(job->subject() == "a.b");
    CHECK(job->correlation_id() == "c");
    CHECK(job->reply_to() == "answers");
    CHECK(job->traceparent() == "00-1-2-3");
    CHECK(job->tracestate() == "k=v");
    CHECK(job->priority() == 7);
    CHECK(job->attempt() == 1);
    std::move(*job).ack();
    CHECK(show(client, "emails").ready() == 0);
    CHECK(show(client, "emails").acked() == 1);
    CHECK_FALSE(inbox.next(0ms));
}

TEST_CASE("E-3 the most urgent job is received first, before and after kill -9", "[client][feature]") {
    Daemon daemon(ROCKDOVED_PATH);
    Client client(quick(daemon));
    client.create_queue("jobs");
    const bool killed = GENERATE(false, true);
    for (const int priority : {4, 0, 9, 4, 7})
        client.send("jobs", Message{std::to_string(priority)}.priority(priority));
    if (killed) {
        daemon.kill9();
        daemon.start();
    }
    Receiver inbox = client.open_receiver("jobs", WorkerOptions{}.prefetch(1));
    std::string order;
    for (int i = 0; i < 5; ++i) {
        std::optional<Job> job = inbox.next(20s);
        REQUIRE(job);
        order += job->body();
        std::move(*job).ack();
    }
    CHECK(order == "97440");
}

TEST_CASE("the broker's refusals reach the caller as codes", "[client][feature]") {
    Daemon daemon(ROCKDOVED_PATH);
    Client client(quick(daemon));
    client.create_queue("jobs", QueueOptions().max_messages(2));
    CHECK(code_of([&] { client.create_queue("jobs"); }) == ErrorCode::kAlreadyExists);
    client.create_queue("jobs", QueueOptions().max_messages(2).if_not_exists());
    CHECK(code_of([&] { client.create_queue("jobs", QueueOptions().max_messages(3).if_not_exists()); }) ==
          ErrorCode::kConflict);
    CHECK(code_of([&] { client.send("nowhere", "x"); }) == ErrorCode::kNotFound);
    CHECK(code_of([&] { client.send("jobs", Message{"x"}.key(std::string(257, 'k'))); }) == ErrorCode::kInvalid);
    CHECK(code_of([&] { client.send("jobs", Message{"x"}.delay(1s).deliver_at(Clock::time_point(1'700'000'000s))); }) ==
          ErrorCode::kInvalid);
    CHECK(client.send("jobs", "1").room == 1);
    auto fits = client.send_async("jobs", "2");
    auto refused = client.send_async("jobs", "3");
    fits.get();
    CHECK(code_of([&] { refused.get(); }) == ErrorCode::kFull);
    Worker worker = client.receive("nowhere", [](Job&) { return Outcome(); });
    CHECK(code_of([&] { worker.wait(); }) == ErrorCode::kNotFound);
}

TEST_CASE("a message is taken back, moved in time, and dead letters are redriven", "[client]") {
    Daemon daemon(ROCKDOVED_PATH);
    Client client(quick(daemon));
    client.create_queue("jobs");
    client.create_queue("other");
    const Receipt later = client.send("jobs", Message{"later"}.delay(1h));
    const Receipt never = client.send("jobs", Message{"never"}.delay(1h));
    client.cancel(never.id);
    CHECK(code_of([&] { client.cancel(never.id); }) == ErrorCode::kNotFound);
    client.reschedule(later.id, Clock::now() - 1s);  // the broker's clock is its own: "now" may be ahead of it
    CHECK(code_of([&] { client.reschedule(later.id, Clock::now()); }) == ErrorCode::kConflict);
    Receiver inbox = client.open_receiver("jobs");
    std::optional<Job> job = inbox.next(20s);
    REQUIRE(job);
    CHECK(job->body() == "later");
    CHECK(code_of([&] { client.cancel(later.id); }) == ErrorCode::kConflict);
    std::move(*job).reject("bad");
    CHECK(client.redrive("jobs", RedriveOptions().filter("priority > 4")) == 0);
    CHECK(client.redrive("jobs", RedriveOptions().reason("max_attempts")) == 0);
    CHECK(client.redrive("jobs", RedriveOptions().to("other").reason("rejected").limit(5).rate(100)) == 1);
    CHECK(code_of([&] { client.redrive("nowhere"); }) == ErrorCode::kNotFound);
    CHECK(code_of([&] { client.redrive("jobs", RedriveOptions().filter("(")); }) == ErrorCode::kInvalid);
    Receiver other = client.open_receiver("other");
    job = other.next(20s);
    REQUIRE(job);
    CHECK(job->id() == later.id);
}

TEST_CASE("a dedup id stores a message once", "[client]") {
    Daemon daemon(ROCKDOVED_PATH);
    Client client(quick(daemon));
    client.create_queue("jobs", QueueOptions().dedup_until_done());
    client.create_queue("window", QueueOptions().dedup_window(1h));
    for (const char* queue : {"jobs", "window"}) {
        const Receipt first = client.send(queue, Message{"x"}.dedup_id("d"));
        CHECK_FALSE(first.duplicate);
        const Receipt again = client.send(queue, Message{"x"}.dedup_id("d"));
        CHECK(again.duplicate);
        CHECK(again.id == first.id);
        CHECK(again.sequence == first.sequence);
        CHECK(code_of([&] { client.send(queue, Message{"y"}.dedup_id("d")); }) == ErrorCode::kDedupConflict);
        Receiver inbox = client.open_receiver(queue);
        std::optional<Job> job = inbox.next(20s);
        REQUIRE(job);
        std::move(*job).ack();
        CHECK(client.send(queue, Message{"x"}.dedup_id("d")).duplicate == (std::string(queue) == "window"));
    }
}

TEST_CASE("queues are made by the hundred, and a refusal reaches its own future", "[client][feature]") {
    const Daemon daemon(ROCKDOVED_PATH);
    Client client(quick(daemon));
    client.create_queue("many-50", QueueOptions().max_messages(1));
    std::vector<std::future<void>> made;
    for (int i = 0; i < 200; ++i) made.push_back(client.create_queue_async("many-" + std::to_string(i)));
    for (int i = 0; i < 200; ++i) {
        if (i == 50) {
            CHECK(code_of([&] { made[50].get(); }) == ErrorCode::kAlreadyExists);
        } else {
            made[static_cast<std::size_t>(i)].get();
        }
    }
    CHECK(show(client, "many-199").name() == "many-199");
    CHECK(show(client, "many-50").settings().max_messages() == 1);
    client.close();
    CHECK(code_of([&] { client.create_queue_async("late").get(); }) == ErrorCode::kClosed);
}

TEST_CASE("a worker acks, retries, releases and rejects", "[client][feature]") {
    Daemon daemon(ROCKDOVED_PATH);
    Client client(quick(daemon));
    client.create_queue("jobs", QueueOptions().backoff(10ms, 1, 10ms).max_attempts(3));
    std::mutex mutex;
    std::map<std::string, std::vector<int>> attempts;
    Worker worker = client.receive(
        "jobs",
        [&](Job& job) -> Outcome {
            const std::string body(job.body());
            std::size_t times = 0;
            {
                const std::lock_guard lock(mutex);
                attempts[body].push_back(job.attempt());
                times = attempts[body].size();
            }
            if (body == "flaky" && times == 1) throw std::runtime_error("first time fails");
            if (body == "hopeless") return Outcome::retry("never works");
            if (body == "shy" && times == 1) return Outcome::release();
            if (body == "poison") throw Reject("poisonous");
            return {};
        },
        WorkerOptions{}.concurrency(4));
    for (const char* body : {"fine", "flaky", "hopeless", "shy", "poison"}) client.send("jobs", body);
    REQUIRE(comes_true([&] {
        const v1::QueueInfo info = show(client, "jobs");
        return info.acked() == 3 && info.dead() == 2;
    }));
    worker.stop();
    CHECK(attempts["fine"] == std::vector<int>{1});
    CHECK(attempts["flaky"] == std::vector<int>{1, 2});
    CHECK(attempts["hopeless"] == std::vector<int>{1, 2, 3});
    CHECK(attempts["shy"] == std::vector<int>{1, 1});
    CHECK(attempts["poison"] == std::vector<int>{1});
}

TEST_CASE("ten thousand pipelined messages come out in order", "[client][feature]") {
    Daemon daemon(ROCKDOVED_PATH);
    Client client(quick(daemon));
    client.create_queue("jobs");
    constexpr int kMessages = 10'000;
    std::vector<std::future<Receipt>> receipts;
    for (int i = 0; i < kMessages; ++i) receipts.push_back(client.send_async("jobs", std::to_string(i)));
    std::uint64_t sequence = 1;
    bool ascending = true;
    for (auto& receipt : receipts) ascending = ascending && receipt.get().sequence == sequence++;
    CHECK(ascending);
    std::promise<void> all;
    std::atomic<int> next{0};
    std::atomic<int> wrong{0};
    Worker worker = client.receive(
        "jobs",
        [&](Job& job) -> Outcome {
            const int mine = next++;
            if (job.body() != std::to_string(mine)) ++wrong;
            if (mine == kMessages - 1) all.set_value();
            return {};
        },
        WorkerOptions{}.prefetch(1'000));
    REQUIRE(all.get_future().wait_for(60s) == std::future_status::ready);
    CHECK(wrong == 0);
    CHECK(comes_true([&] { return show(client, "jobs").acked() == kMessages; }));
}

TEST_CASE("kill -9 while sending: every confirmed message is there, and none twice", "[client][feature][restart]") {
    Daemon daemon(ROCKDOVED_PATH);
    Client client(quick(daemon));
    client.create_queue("jobs");
    std::atomic<bool> enough{false};
    std::atomic<int> confirmed{0};
    std::set<int> sent;
    struct Finish {
        std::atomic<bool>& enough;
        std::thread thread;
        ~Finish() {  // also when the test fails half way
            enough = true;
            if (thread.joinable()) thread.join();
        }
    } sender{enough, {}};
    sender.thread = std::thread([&] {
        std::vector<std::pair<int, std::future<Receipt>>> window;
        const auto take = [&] {
            window.front().second.get();
            sent.insert(window.front().first);
            window.erase(window.begin());
            ++confirmed;
        };
        for (int i = 0; !enough; ++i) {
            window.emplace_back(i, client.send_async("jobs", std::to_string(i)));
            if (window.size() == 100) take();
        }
        while (!window.empty()) take();
    });
    for (int round = 0; round < 3; ++round) {
        const int before = confirmed;
        CHECK(comes_true([&] { return confirmed > before + 500; }));
        daemon.kill9();
        daemon.start();
    }
    const int before = confirmed;
    CHECK(comes_true([&] { return confirmed > before + 500; }));
    enough = true;
    sender.thread.join();

    std::mutex mutex;
    std::map<int, int> received;
    Worker worker = client.receive(
        "jobs",
        [&](Job& job) -> Outcome {
            const std::lock_guard lock(mutex);
            ++received[std::stoi(std::string(job.body()))];
            return {};
        },
        WorkerOptions{}.prefetch(1'000));
    REQUIRE(comes_true([&] {
        const v1::QueueInfo info = show(client, "jobs");
        return info.ready() + info.started() + info.waiting() == 0;
    }));
    worker.stop();
    CHECK(received.size() == sent.size());
    CHECK(std::all_of(received.begin(), received.end(), [](const auto& entry) { return entry.second == 1; }));
    CHECK(std::all_of(sent.begin(), sent.end(), [&](int i) { return received.count(i) == 1; }));
}

TEST_CASE("broker restart in mid-handler: the ack is still accepted", "[client][feature][restart]") {
    Daemon daemon(ROCKDOVED_PATH);
    Client client(quick(daemon));
    client.create_queue("jobs");
    client.send("jobs", "x");
    std::binary_semaphore entered(0), go_on(0);
    std::atomic<int> calls{0};
    Worker worker = client.receive("jobs", [&](Job&) -> Outcome {
        ++calls;
        entered.release();
        if (!go_on.try_acquire_for(60s)) throw std::runtime_error("not let go");
        return {};
    });
    REQUIRE(entered.try_acquire_for(20s));
    daemon.kill9();
    daemon.start();
    REQUIRE(
        comes_true([&] { return client.state() == ConnectionState::kReady && show(client, "jobs").consumers() == 1; }));
    CHECK(show(client, "jobs").started() == 1);
    go_on.release();
    CHECK(comes_true([&] { return show(client, "jobs").acked() == 1; }));
    CHECK(show(client, "jobs").ready() == 0);
    CHECK(calls == 1);
}

TEST_CASE("a drained broker says goodbye, and the client comes back", "[client][feature][restart]") {
    Daemon daemon(ROCKDOVED_PATH);
    Client client(quick(daemon));
    client.create_queue("jobs");
    client.send("jobs", "1");
    CHECK(daemon.stop() == 0);
    auto waiting = client.send_async("jobs", "2");
    daemon.start();
    CHECK(waiting.get().sequence == 2);
}

TEST_CASE("a lease is kept as long as the handler runs", "[client][feature][lease]") {
    Daemon daemon(ROCKDOVED_PATH);
    Client client(quick(daemon));
    client.create_queue("jobs", QueueOptions().lease(1s));
    client.send("jobs", "slow");
    std::atomic<int> calls{0};
    std::promise<void> done;
    Worker worker = client.receive(
        "jobs",
        [&](Job& job) -> Outcome {
            if (++calls > 1) return {};
            // Three leases long, unless it is taken away.
            std::binary_semaphore stopped(0);
            const std::stop_callback on_stop(job.stop_token(), [&] { stopped.release(); });
            if (stopped.try_acquire_for(3s)) return Outcome::reject("lost");
            done.set_value();
            return {};
        },
        WorkerOptions{}.concurrency(2));
    REQUIRE(done.get_future().wait_for(20s) == std::future_status::ready);
    CHECK(comes_true([&] { return show(client, "jobs").acked() == 1; }));
    CHECK(calls == 1);
}

TEST_CASE("after a lost lease every settle fails with kStaleLease", "[client][feature][lease]") {
    Daemon daemon(ROCKDOVED_PATH);
    Client client(quick(daemon));
    client.create_queue("jobs", QueueOptions().lease(1s).backoff(10ms, 1, 10ms));
    client.send("jobs", "x");
    Receiver inbox = client.open_receiver("jobs", WorkerOptions{}.longest(100ms));  // then it goes back
    Job first = inbox.next();
    Job second = inbox.next();
    CHECK(second.attempt() == 2);
    CHECK(second.fence() > first.fence());
    CHECK(first.stop_token().stop_requested());
    CHECK(code_of([&] { std::move(first).ack(); }) == ErrorCode::kStaleLease);
    std::move(second).ack();
    CHECK(show(client, "jobs").acked() == 1);
}

TEST_CASE("a newer client with the same producer_id fences the older", "[client][feature]") {
    Daemon daemon(ROCKDOVED_PATH);
    Client older(quick(daemon).producer_id("billing"));
    older.create_queue("jobs");
    older.send("jobs", "1");
    Client newer(quick(daemon).producer_id("billing"));
    newer.send("jobs", "2");
    CHECK(code_of([&] { older.send("jobs", "3"); }) == ErrorCode::kFenced);
    newer.send("jobs", "4");
    CHECK(show(newer, "jobs").ready() == 3);
}

TEST_CASE("a deleted queue ends its workers with the reason", "[client][feature]") {
    Daemon daemon(ROCKDOVED_PATH);
    Client client(quick(daemon));
    client.create_queue("jobs");
    Worker worker = client.receive("jobs", [](Job&) { return Outcome(); });
    REQUIRE(comes_true([&] { return show(client, "jobs").consumers() == 1; }));
    v1::Frame request;
    request.mutable_queue_delete()->set_name("jobs");
    REQUIRE(call(client, request, 10s));
    CHECK(code_of([&] { worker.wait(); }) == ErrorCode::kNotFound);
}

TEST_CASE("of several endpoints the one that lives is found", "[client][feature]") {
    Daemon daemon(ROCKDOVED_PATH);
    Client client(ClientOptions("rockdove://127.0.0.1:1,127.0.0.1:" + std::to_string(daemon.port())));
    CHECK(endpoint(client) == "127.0.0.1:" + std::to_string(daemon.port()));
    CHECK(client.state() == ConnectionState::kReady);
}

TEST_CASE("stopping a worker gives back what it had not begun, without counting an attempt", "[client][feature]") {
    Daemon daemon(ROCKDOVED_PATH);
    Client client(quick(daemon));
    client.create_queue("jobs");
    for (int i = 0; i < 10; ++i) client.send("jobs", std::to_string(i));
    std::binary_semaphore entered(0), go_on(0);
    Worker worker = client.receive(
        "jobs",
        [&](Job&) -> Outcome {
            entered.release();
            if (!go_on.try_acquire_for(20s)) throw std::runtime_error("not let go");
            return {};
        },
        WorkerOptions{}.prefetch(10));
    REQUIRE(entered.try_acquire_for(20s));
    auto stopped = std::async(std::launch::async, [&] { worker.stop(); });
    REQUIRE(comes_true([&] { return show(client, "jobs").ready() == 9; }));
    go_on.release();
    stopped.get();
    Receiver inbox = client.open_receiver("jobs", WorkerOptions{}.prefetch(20));
    for (int i = 1; i < 10; ++i) {
        std::optional<Job> job = inbox.next(10s);
        REQUIRE(job);
        CHECK(job->body() == std::to_string(i));
        CHECK(job->attempt() == 1);
        std::move(*job).ack();
    }
}

TEST_CASE("C-2 what waits in a worker that dies has lost no attempt", "[client][feature]") {
    Daemon daemon(ROCKDOVED_PATH);
    Client client(quick(daemon));
    client.create_queue("jobs", QueueOptions{}.max_attempts(1));
    for (int i = 0; i < 100; ++i) client.send("jobs", "job " + std::to_string(i));
    std::binary_semaphore entered{0}, go{0};
    {
        Client doomed(quick(daemon));
        Worker worker = doomed.receive(
            "jobs",
            [&](Job& job) -> Outcome {
                entered.release();
                (void)go.try_acquire_for(20s);
                CHECK(job.attempt() == 1);
                return {};
            },
            WorkerOptions{}.explicit_start().prefetch(100));
        REQUIRE(entered.try_acquire_for(20s));
        CHECK(comes_true([&] { return show(client, "jobs").buffered() == 99; }));
        CHECK(show(client, "jobs").started() == 1);
        go.release();
        doomed.close(Millis{0});
    }
    std::atomic<int> done = 0, first_tries = 0;
    Worker worker = client.receive(
        "jobs",
        [&](Job& job) -> Outcome {
            first_tries += job.attempt() == 1 ? 1 : 0;
            ++done;
            return {};
        },
        WorkerOptions{}.explicit_start().concurrency(4).prefetch(50));
    CHECK(comes_true([&] {
        const v1::QueueInfo info = show(client, "jobs");
        return info.ready() + info.buffered() + info.started() == 0;
    }));
    CHECK(done >= 99);
    CHECK(done == first_tries);
    CHECK(show(client, "jobs").dead() <= 1);
}

TEST_CASE("C-3 something urgent overtakes what waits in a worker", "[client][feature]") {
    Daemon daemon(ROCKDOVED_PATH);
    Client client(quick(daemon));
    client.create_queue("jobs");
    std::binary_semaphore entered{0}, go{0};
    std::mutex mutex;
    std::vector<std::string> order;
    for (int i = 0; i < 5; ++i) client.send("jobs", "usual " + std::to_string(i));
    Worker worker = client.receive(
        "jobs",
        [&](Job& job) -> Outcome {
            {
                const std::lock_guard lock(mutex);
                order.emplace_back(job.body());
            }
            if (job.body() == "usual 0") {
                entered.release();
                (void)go.try_acquire_for(20s);
            }
            return {};
        },
        WorkerOptions{}.explicit_start().prefetch(5));
    REQUIRE(entered.try_acquire_for(20s));
    client.send("jobs", Message{"urgent"}.priority(9));
    CHECK(comes_true([&] { return show(client, "jobs").ready() == 1; }));  // the last usual one made way for it
    go.release();
    CHECK(comes_true([&] { return show(client, "jobs").acked() == 6; }));
    const std::lock_guard lock(mutex);
    CHECK(order[0] == "usual 0");
    CHECK(std::find(order.begin(), order.end(), "urgent") < std::find(order.begin(), order.end(), "usual 4"));
}

TEST_CASE("S-6 at most once: what was delivered never comes again", "[client][feature]") {
    Daemon daemon(ROCKDOVED_PATH);
    Client client(quick(daemon));
    client.create_queue("ticks");
    std::atomic<int> seen = 0;
    {
        Worker worker = client.receive(
            "ticks",
            [&](Job&) -> Outcome {
                ++seen;
                throw std::runtime_error("whatever");
            },
            WorkerOptions{}.ack_on_delivery());
        for (int i = 0; i < 20; ++i) client.send("ticks", "tick");
        CHECK(comes_true([&] { return seen == 20; }));
    }
    const v1::QueueInfo info = show(client, "ticks");
    CHECK(info.acked() == 20);
    CHECK(info.retried() == 0);
    CHECK(info.ready() == 0);
}

TEST_CASE("a filter receives what matches, and a wrong one says where", "[client][feature]") {
    Daemon daemon(ROCKDOVED_PATH);
    Client client(quick(daemon));
    client.create_queue("jobs");
    for (const char* region : {"eu", "us", "eu"}) client.send("jobs", Message{region}.header("region", region));
    Receiver europe = client.open_receiver("jobs", WorkerOptions{}.filter("header.region = 'eu'").prefetch(10));
    const Job first = europe.next();
    const Job second = europe.next();
    CHECK(first.body() == "eu");
    CHECK(second.body() == "eu");
    CHECK_FALSE(europe.next(100ms).has_value());
    CHECK(show(client, "jobs").ready() == 1);
    Receiver wrong = client.open_receiver("jobs", WorkerOptions{}.filter("header.region ="));
    CHECK(code_of([&] { (void)wrong.next(10s); }) == ErrorCode::kInvalid);
}

TEST_CASE("what is published goes to every subscription that wants it", "[client][feature]") {
    Daemon daemon(ROCKDOVED_PATH);
    Client client(quick(daemon));
    client.create_topic("orders", TopicOptions().retain_age(1h));
    client.create_topic("orders", TopicOptions().retain_age(1h).if_not_exists());
    CHECK(code_of([&] { client.create_topic("orders"); }) == ErrorCode::kAlreadyExists);
    CHECK(client.publish("orders", Message{"early"}.subject("order.eu.created")).routed == 0);
    CHECK(code_of([&] { client.publish("orders", Message{"x"}.mandatory()); }) == ErrorCode::kUnroutable);
    CHECK(code_of([&] { client.publish("nowhere", "x"); }) == ErrorCode::kNotFound);

    Receiver audit = client.open_subscription("orders", SubscriptionOptions().durable("audit").from_start());
    Job early = audit.next();
    CHECK(early.body() == "early");
    CHECK(early.queue() == "orders/audit");
    std::move(early).ack();
    std::mutex mutex;
    std::multiset<std::string> created;
    Worker billing = client.subscribe(
        "orders",
        [&](Job& job) -> Outcome {
            const std::lock_guard lock(mutex);
            created.emplace(job.body());
            return {};
        },
        SubscriptionOptions().durable("billing").subject("order.*.created"));
    Receiver live = client.open_subscription("orders");
    // Attaching goes on in the background: until all three are there.
    std::uint64_t probes = 0;
    REQUIRE(comes_true([&] {
        ++probes;
        return client.publish("orders", Message{"probe"}.subject("order.eu.created")).routed == 3;
    }));
    const Receipt a = client.publish("orders", Message{"a"}.subject("order.eu.created").mandatory());
    std::future<Receipt> b = client.publish_async("orders", Message{"b"}.subject("order.eu.deleted"));
    CHECK(a.routed == 3);
    CHECK(b.get().routed == 2);
    const auto until = [&](Receiver& from, const std::string& last) {
        std::vector<std::string> bodies, ids;
        for (std::string body; body != last;) {
            Job job = from.next();
            body = job.body();
            if (body == "a") CHECK(job.id() == a.id);
            if (body != "probe") bodies.push_back(body);
            CHECK(job.missed() == 0);
            std::move(job).ack();
        }
        return bodies;
    };
    CHECK(until(audit, "b") == std::vector<std::string>{"a", "b"});
    CHECK(until(live, "b") == std::vector<std::string>{"a", "b"});
    REQUIRE(comes_true([&] {
        const std::lock_guard lock(mutex);
        return created.count("a") == 1;
    }));
    const std::lock_guard lock(mutex);
    CHECK(created.count("b") == 0);
}

TEST_CASE("subscriptions come back when the broker does: durable ones where they were", "[client][feature]") {
    Daemon daemon(ROCKDOVED_PATH);
    Client client(quick(daemon));
    client.create_topic("events");
    Receiver durable = client.open_subscription("events", SubscriptionOptions().durable("d"));
    Receiver live = client.open_subscription("events");
    REQUIRE(comes_true([&] { return client.publish("events", "before").routed == 2; }));
    daemon.kill9();
    daemon.start();
    REQUIRE(comes_true([&] { return client.publish("events", "after").routed == 2; }));
    client.publish("events", "last");
    const auto until_last = [](Receiver& from, bool acks) {
        std::size_t after = 0;
        for (;;) {
            Job job = from.next();
            const std::string body(job.body());
            if (acks) std::move(job).ack();
            if (body == "after") ++after;
            if (body == "last") return after;
        }
    };
    CHECK(until_last(durable, true) >= 1);
    CHECK(until_last(live, false) >= 1);  // done when it was sent
}

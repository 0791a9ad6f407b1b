// Consumers with filters: each gets what it wants, in the usual order; the rest stays for others.
#include <catch2/catch.hpp>

#include "server/core/limits.h"
#include "tests/support/core_fixture.h"

namespace rockdove::test {
namespace {

using Bodies = std::vector<std::string>;

ConsumeOptions wanting(const std::string& filter, std::uint32_t credit = 100, const std::string& name = "picky") {
    ConsumeOptions options;
    options.credit = credit;
    options.name = name;
    options.filter = filter;
    return options;
}

ConsumeOptions wanting_all(std::uint32_t credit = 100) {
    ConsumeOptions options;
    options.number = 2;
    options.credit = credit;
    return options;
}

TEST_CASE("a consumer with a filter gets what matches; the rest stays, in its place", "[core][filter]") {
    QueueSettings settings;
    settings.durability = GENERATE(Durability::kSync, Durability::kMemory);
    QueueFixture queue(settings);
    queue.publish({"b1", "a1", "b2", "a2", "c1"});
    REQUIRE(queue.consume(wanting("body<b")));
    CHECK(queue.take_bodies() == Bodies{"a1", "a2"});
    queue.publish({"c2", "a3"});
    CHECK(queue.take_bodies() == Bodies{"a3"});
    CHECK(queue.info().ready == 4);
    CHECK(queue.explain(1).gate == core::Gate::kNotWanted);
    REQUIRE(queue.consume(wanting_all()));
    CHECK(queue.take_bodies() == Bodies{"b1", "b2", "c1", "c2"});
}

TEST_CASE("several filters share a queue; what two want goes to one", "[core][filter]") {
    QueueFixture queue;
    REQUIRE(queue.consume(wanting("body<b", 100, "a")));
    ConsumeOptions both = wanting("body<c", 100, "ab");
    both.number = 2;
    REQUIRE(queue.consume(both));
    queue.publish({"a1", "b1", "a2", "b2", "c1"});
    const std::vector<Received> got = queue.take();
    REQUIRE(got.size() == 4);
    for (const Received& message : got) CHECK((message.consumer == 2 || message.body[0] == 'a'));
    CHECK(queue.info().ready == 1);
}

TEST_CASE("a message that fails may be wanted by another consumer afterwards", "[core][filter]") {
    QueueFixture queue;
    REQUIRE(queue.consume(wanting("body<b")));
    queue.publish({"b1", "a1"});
    const Received first = queue.next();
    CHECK(first.body == "a1");
    queue.retry(first, Millis(0));
    CHECK(queue.next().attempt == 2);
    REQUIRE(queue.consume(wanting_all(1)));
    const Received other = queue.next();
    CHECK(other.body == "b1");
    queue.retry(other, Millis(0));
    CHECK(queue.next().consumer == 2);  // still not for the first
}

TEST_CASE("priority and key order hold with filters", "[core][filter][priority][key]") {
    QueueFixture queue;
    Batch batch;
    base::MessageTraits urgent;
    urgent.priority = 9;
    batch.add("a1", {}, "k");
    batch.add("b2", {}, "k");
    batch.add("a3", {}, "k");
    batch.add("b4", urgent);
    batch.add("a5", urgent);
    queue.publish(batch);
    REQUIRE(queue.consume(wanting("body<b", 1)));
    const Received first = queue.next();
    CHECK(first.body == "a5");
    queue.ack(first);
    const Received second = queue.next();
    CHECK(second.body == "a1");
    queue.ack(second);
    CHECK(queue.take().empty());  // a3 waits behind b2, which nobody here wants
    REQUIRE(queue.consume(wanting_all(1)));
    const Received b4 = queue.next();
    CHECK(b4.body == "b4");
    queue.ack(b4);
    const Received b2 = queue.next();
    CHECK(b2.body == "b2");
    queue.ack(b2);
    CHECK(queue.next().body == "a3");
}

TEST_CASE("a filter looks past at most 1,000 messages that nobody wants", "[core][filter]") {
    QueueFixture queue;
    for (std::size_t i = 0; i < core::kLookPast - 1; ++i) queue.publish({"z"});
    queue.publish({"a1"});
    queue.publish({"z"});
    queue.publish({"a2"});
    REQUIRE(queue.consume(wanting("body<b")));
    CHECK(queue.take_bodies() == Bodies{"a1"});
    CHECK(queue.peek(1, 2'000)->items.size() == core::kLookPast + 2);
    REQUIRE(queue.consume(wanting_all(1)));  // makes room
    CHECK(queue.take_bodies() == Bodies{"z", "a2"});
}

TEST_CASE("a filter reads what is not in memory", "[core][filter]") {
    QueueFixture queue;
    for (int i = 0; i < 20; ++i) queue.publish({std::string(100'000, 'z')});
    queue.publish({"a1"});
    for (int i = 0; i < 20; ++i) queue.publish({std::string(100'000, 'z')});
    queue.publish({"a2"});
    REQUIRE(queue.consume(wanting("body<b")));
    CHECK(queue.take_bodies() == Bodies{"a1", "a2"});
    queue.restart();
    queue.reconnect();
    REQUIRE(queue.consume(wanting_all(1'000)));
    CHECK(queue.take_bodies().size() == 40);
}

TEST_CASE("a filter goes with explicit_start, ack_on_delivery and oldest_every", "[core][filter]") {
    QueueSettings settings;
    settings.oldest_every = 2;
    QueueFixture queue(settings);
    Batch batch;
    for (const char* body : {"a1", "b2", "a3"}) batch.add(body);
    base::MessageTraits urgent;
    urgent.priority = 9;
    for (const char* body : {"a4", "b5", "a6"}) batch.add(body, urgent);
    queue.publish(batch);
    ConsumeOptions options = wanting("body<b");
    options.explicit_start = GENERATE(false, true);
    options.ack_on_delivery = !options.explicit_start;
    REQUIRE(queue.consume(options));
    CHECK(queue.take_bodies() == Bodies{"a4", "a1", "a6", "a3"});
    CHECK(queue.info().buffered == (options.explicit_start ? 4U : 0U));
    CHECK(queue.info().acked == (options.explicit_start ? 0U : 4U));
}

}  // namespace
}  // namespace rockdove::test

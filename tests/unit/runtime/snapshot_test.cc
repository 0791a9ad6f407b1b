// Pictures of several shards and their sum.
#include "server/runtime/snapshot.h"

#include <catch2/catch.hpp>

namespace rockdove::runtime {
namespace {

ShardSnapshot::QueueRow row(const std::string& ns, const std::string& name) {
    ShardSnapshot::QueueRow out;
    out.ns = ns;
    out.info.name = name;
    return out;
}

TEST_CASE("the broker's picture is the sum of its shards'", "[runtime][snapshot]") {
    std::vector<ShardSnapshot> shards(2);
    shards[0].epoch = 7;
    shards[1].epoch = 9;
    for (ShardSnapshot& shard : shards) {
        shard.sessions = 3;
        shard.namespaces = 2;
        shard.queues = 5;
        shard.counters.accepted = 10;
        shard.store.commits = 4;
        shard.store.disk_free_bytes = 1000;
    }
    shards[1].store.disk_free_bytes = 900;
    shards[1].commits.p99 = std::chrono::milliseconds(3);
    shards[1].publish_refusal = "low";
    shards[1].failed = true;
    shards[0].rows = {row("b", "q"), row("c", "q")};
    shards[1].rows = {row("a", "q"), row("b", "p")};
    for (const char* name : {"t/d", "t/a", "t/c", "t/b"}) {
        ShardSnapshot::SubscriptionRow subscription{"a", {}};
        subscription.info.queue.name = name;
        ShardSnapshot& shard = shards[name[2] % 2];
        shard.subscriptions.push_back(subscription);
        shard.topics.push_back(ShardSnapshot::TopicRow{"a", {}});
    }
    const ShardSnapshot sum = sum_up(shards, 3);
    CHECK(sum.epoch == 7);
    CHECK(sum.sessions == 6);
    CHECK(sum.namespaces == 4);
    CHECK(sum.queues == 10);
    CHECK(sum.counters.accepted == 20);
    CHECK(sum.store.commits == 8);
    CHECK(sum.store.disk_free_bytes == 900);
    CHECK(sum.commits.p99 == std::chrono::milliseconds(3));
    CHECK(sum.publish_refusal == "low");
    CHECK(sum.failed);
    REQUIRE(sum.rows.size() == 3);  // the first by name, wherever they are
    CHECK(sum.rows[0].ns == "a");
    CHECK(sum.rows[1].info.name == "p");
    CHECK(sum.rows[2].ns == "b");
    CHECK(sum.topics.size() == 3);
    REQUIRE(sum.subscriptions.size() == 3);
    CHECK(sum.subscriptions[0].info.queue.name == "t/a");
    CHECK(sum.subscriptions[2].info.queue.name == "t/c");
}

}  // namespace
}  // namespace rockdove::runtime

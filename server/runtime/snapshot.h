// Pictures of shards for metrics, stats and health: one of each, taken on its thread, and their sum.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "protocol/base/clock.h"
#include "protocol/base/ids.h"
#include "server/core/namespace.h"
#include "server/core/topic.h"
#include "storage/committer.h"
#include "storage/message_store.h"

namespace rockdove::runtime {

class Shard;

// Made on the shard's thread.
struct ShardSnapshot {
    ShardId shard;
    bool failed = false;
    std::uint64_t epoch = 0;
    Lsn lsn;
    std::string cluster_id;
    TimePoint started;
    TimePoint now;
    std::size_t sessions = 0;
    std::size_t consumers = 0;
    std::size_t namespaces = 0;
    std::size_t queues = 0;
    core::Counters counters;
    storage::StoreStats store;  // at most about a second old
    storage::CommitTimes commits;
    std::string publish_refusal;  // why publishes are refused now; empty: they are not
    struct QueueRow {
        std::string ns;
        core::QueueInfo info;
    };
    struct TopicRow {
        std::string ns;
        core::TopicInfo info;
    };
    struct SubscriptionRow {
        std::string ns;
        core::SubscriptionInfo info;
    };
    // Of each at most `max_queues`, by name.
    std::vector<QueueRow> rows;
    std::vector<TopicRow> topics;
    std::vector<SubscriptionRow> subscriptions;
};

// Asks every shard, on its own thread, and calls `done` on the thread of the one that answers last; at once if the only
// shard is asked on its own thread. Never called if a shard has stopped. Any thread; `shards` are by id.
void take_snapshots(const std::vector<Shard*>& shards, std::size_t max_queues,
                    std::function<void(std::vector<ShardSnapshot>)> done);

// The whole broker: counts are sums, times of commits those of the slowest shard, the disk the one with the least room,
// and the rest shard 0's. A state that one shard is in (failed, stalled, publishes refused) is the broker's.
ShardSnapshot sum_up(std::vector<ShardSnapshot> shards, std::size_t max_queues);

}  // namespace rockdove::runtime

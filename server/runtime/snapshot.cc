#include "server/runtime/snapshot.h"

#include <algorithm>
#include <boost/asio.hpp>
#include <memory>
#include <mutex>
#include <tuple>

#include "server/runtime/shard.h"

namespace rockdove::runtime {

namespace {

// Answers of shards that are still missing some. Shared by the shards' threads, under its lock.
struct Round {
    std::mutex mutex;
    std::vector<ShardSnapshot> answers;
    std::size_t missing;
    std::function<void(std::vector<ShardSnapshot>)> done;
};

void answer(Round& round, std::size_t index, ShardSnapshot snapshot) {
    {
        const std::lock_guard lock(round.mutex);
        round.answers[index] = std::move(snapshot);
        if (--round.missing > 0) return;
    }
    round.done(std::move(round.answers));
}

void add(core::Counters& sum, const core::Counters& more) {
    sum.accepted += more.accepted;
    sum.refused += more.refused;
    sum.duplicate += more.duplicate;
    sum.delivered += more.delivered;
    sum.acked += more.acked;
    sum.retried += more.retried;
    sum.released += more.released;
    sum.died += more.died;
    sum.expired += more.expired;
    sum.redriven += more.redriven;
    sum.expired_leases += more.expired_leases;
    sum.damaged += more.damaged;
}

void add(storage::StoreStats& sum, const storage::StoreStats& more) {
    sum.commits += more.commits;
    sum.syncs += more.syncs;
    sum.bytes_written += more.bytes_written;
    sum.data_bytes += more.data_bytes;
    sum.memory_bytes += more.memory_bytes;
    sum.write_stalled = sum.write_stalled || more.write_stalled;
    if (more.disk_free_bytes < sum.disk_free_bytes) {
        sum.disk_free_bytes = more.disk_free_bytes;
        sum.disk_total_bytes = more.disk_total_bytes;
    }
}

void add(ShardSnapshot& sum, ShardSnapshot& more) {
    sum.failed = sum.failed || more.failed;
    sum.sessions += more.sessions;
    sum.consumers += more.consumers;
    sum.namespaces += more.namespaces;
    sum.queues += more.queues;
    add(sum.counters, more.counters);
    add(sum.store, more.store);
    sum.commits.count += more.commits.count;
    sum.commits.p50 = std::max(sum.commits.p50, more.commits.p50);
    sum.commits.p99 = std::max(sum.commits.p99, more.commits.p99);
    if (sum.publish_refusal.empty()) sum.publish_refusal = more.publish_refusal;
    std::move(more.rows.begin(), more.rows.end(), std::back_inserter(sum.rows));
    std::move(more.topics.begin(), more.topics.end(), std::back_inserter(sum.topics));
    std::move(more.subscriptions.begin(), more.subscriptions.end(), std::back_inserter(sum.subscriptions));
}

template <class Rows, class Name>
void keep_first(Rows& rows, std::size_t most, Name name) {
    std::sort(rows.begin(), rows.end(), [&](const auto& a, const auto& b) {
        return std::tie(a.ns, name(a.info)) < std::tie(b.ns, name(b.info));
    });
    if (rows.size() > most) rows.resize(most);
}

}  // namespace

void take_snapshots(const std::vector<Shard*>& shards, std::size_t max_queues,
                    std::function<void(std::vector<ShardSnapshot>)> done) {
    const auto round = std::make_shared<Round>();
    round->answers.resize(shards.size());
    round->missing = shards.size();
    round->done = std::move(done);
    for (std::size_t i = 0; i < shards.size(); ++i) {
        asio::dispatch(shards[i]->context(),
                       [round, i, shard = shards[i], max_queues] { answer(*round, i, shard->snapshot(max_queues)); });
    }
}

ShardSnapshot sum_up(std::vector<ShardSnapshot> shards, std::size_t max_queues) {
    ShardSnapshot sum = std::move(shards.front());
    for (std::size_t i = 1; i < shards.size(); ++i) add(sum, shards[i]);
    if (shards.size() > 1) {  // else they are sorted
        keep_first(
            sum.rows, max_queues, [](const core::QueueInfo& info) -> const auto& { return info.name; });
        keep_first(
            sum.topics, max_queues, [](const core::TopicInfo& info) -> const auto& { return info.name; });
        keep_first(
            sum.subscriptions, max_queues,
            [](const core::SubscriptionInfo& info) -> const auto& { return info.queue.name; });
    }
    return sum;
}

}  // namespace rockdove::runtime

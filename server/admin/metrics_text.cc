#include "server/admin/metrics_text.h"

#include <algorithm>

#include "server/metrics/process.h"

namespace rockdove::admin {
namespace {

using metrics::Kind;
using metrics::Labels;
using metrics::TextWriter;
using runtime::ShardSnapshot;

template <class Value>
void one(TextWriter& out, std::string_view name, Kind kind, std::string_view help, Value value,
         const Labels& labels = {}) {
    out.family(name, kind, help);
    out.sample(labels, value);
}

void counters(TextWriter& out, const ShardSnapshot& shard) {
    const core::Counters& c = shard.counters;
    const std::pair<const char*, std::pair<const char*, std::uint64_t>> rows[] = {
        {"rockdove_messages_accepted_total", {"Messages stored for the first time.", c.accepted}},
        {"rockdove_messages_refused_total", {"Messages refused.", c.refused}},
        {"rockdove_messages_duplicate_total", {"Messages sent again that were there already.", c.duplicate}},
        {"rockdove_messages_delivered_total", {"Deliveries to consumers.", c.delivered}},
        {"rockdove_messages_acked_total", {"Messages done.", c.acked}},
        {"rockdove_messages_retried_total", {"Messages sent back to be tried again.", c.retried}},
        {"rockdove_messages_released_total", {"Messages handed back without counting an attempt.", c.released}},
        {"rockdove_messages_died_total", {"Messages given up: now dead letters.", c.died}},
        {"rockdove_messages_expired_total",
         {"Messages whose time was over: dropped, or among those given up.", c.expired}},
        {"rockdove_messages_redriven_total", {"Dead letters sent round again.", c.redriven}},
        {"rockdove_messages_damaged_total", {"Messages that failed their checksum and are not delivered.", c.damaged}},
        {"rockdove_leases_expired_total", {"Leases that ended before their message was settled.", c.expired_leases}},
        {"rockdove_commits_total", {"Commits written to the store.", shard.store.commits}},
        {"rockdove_syncs_total", {"Commits that waited for the disk.", shard.store.syncs}},
        {"rockdove_store_written_bytes_total", {"Bytes handed to the store.", shard.store.bytes_written}},
    };
    for (const auto& [name, row] : rows) one(out, name, Kind::kCounter, row.first, row.second);
}

void gauges(TextWriter& out, const ShardSnapshot& shard) {
    const storage::StoreStats& store = shard.store;
    const std::pair<const char*, std::pair<const char*, std::uint64_t>> rows[] = {
        {"rockdove_connections", {"Connections of clients.", shard.sessions}},
        {"rockdove_consumers", {"Attached consumers.", shard.consumers}},
        {"rockdove_queues", {"Queues, with and without series of their own.", shard.queues}},
        {"rockdove_disk_free_bytes", {"Free space on the disk of the data directory.", store.disk_free_bytes}},
        {"rockdove_disk_size_bytes", {"Size of that disk.", store.disk_total_bytes}},
        {"rockdove_store_data_bytes", {"Live data in the store, estimated.", store.data_bytes}},
        {"rockdove_store_memory_bytes", {"Buffers and caches of the store.", store.memory_bytes}},
        {"rockdove_store_write_stalled",
         {"1 while the store has let nobody write for 2 seconds.", store.write_stalled ? 1u : 0u}},
        {"rockdove_publishes_refused", {"1 while all publishes are refused.", shard.publish_refusal.empty() ? 0u : 1u}},
    };
    for (const auto& [name, row] : rows) one(out, name, Kind::kGauge, row.first, row.second);
    const auto seconds = [](std::chrono::nanoseconds time) { return std::chrono::duration<double>(time).count(); };
    out.family("rockdove_commit_duration_seconds", Kind::kGauge, "Time of a commit, since the start.");
    out.sample({{"quantile", "0.5"}}, seconds(shard.commits.p50));
    out.sample({{"quantile", "0.99"}}, seconds(shard.commits.p99));
}

void by_shard(TextWriter& out, const std::vector<ShardSnapshot>& shards) {
    one(out, "rockdove_shards", Kind::kGauge, "Shards of the broker.", shards.size());
    using Value = std::uint64_t (*)(const ShardSnapshot&);
    const std::tuple<const char*, Kind, const char*, Value> families[] = {
        {"rockdove_shard_epoch", Kind::kGauge, "Grows with each start on the shard's directory.",
         [](const ShardSnapshot& shard) { return shard.epoch; }},
        {"rockdove_shard_namespaces", Kind::kGauge, "Namespaces of a shard.",
         [](const ShardSnapshot& shard) { return std::uint64_t{shard.namespaces}; }},
        {"rockdove_shard_connections", Kind::kGauge, "Connections of a shard.",
         [](const ShardSnapshot& shard) { return std::uint64_t{shard.sessions}; }},
        {"rockdove_shard_commits_total", Kind::kCounter, "Commits written to a shard's store.",
         [](const ShardSnapshot& shard) { return shard.store.commits; }},
    };
    for (const auto& [name, kind, help, value] : families) {
        out.family(name, kind, help);
        for (const ShardSnapshot& shard : shards) {
            out.sample({{"shard", std::to_string(shard.shard.value)}}, value(shard));
        }
    }
}

double age_seconds(const ShardSnapshot& shard, std::int64_t since_ms) {
    if (since_ms == 0) return 0;
    return static_cast<double>(std::max<std::int64_t>(0, base::to_unix_ms(shard.now) - since_ms)) / 1000;
}

Labels labels_of(const ShardSnapshot::QueueRow& row) { return {{"namespace", row.ns}, {"queue", row.info.name}}; }

void queues(TextWriter& out, const ShardSnapshot& shard) {
    using Info = core::QueueInfo;
    out.family("rockdove_queue_messages", Kind::kGauge, "Messages of a queue by state.");
    const std::pair<const char*, std::uint64_t Info::*> states[] = {
        {"ready", &Info::ready},     {"scheduled", &Info::scheduled}, {"buffered", &Info::buffered},
        {"started", &Info::started}, {"waiting", &Info::waiting},     {"dead", &Info::dead}};
    for (const auto& row : shard.rows) {
        for (const auto& [state, member] : states) {
            Labels labels = labels_of(row);
            labels.emplace_back("state", state);
            out.sample(labels, row.info.*member);
        }
    }
    const std::tuple<const char*, Kind, const char*, std::uint64_t Info::*> families[] = {
        {"rockdove_queue_bytes", Kind::kGauge, "Bytes of a queue, without dead letters.", &Info::bytes},
        {"rockdove_queue_consumers", Kind::kGauge, "Consumers of a queue.", &Info::consumers},
        {"rockdove_queue_accepted_total", Kind::kCounter, "Messages a queue accepted.", &Info::accepted},
        {"rockdove_queue_acked_total", Kind::kCounter, "Messages of a queue that are done.", &Info::acked},
        {"rockdove_queue_retried_total", Kind::kCounter, "Messages of a queue sent back to be tried again.",
         &Info::retried},
        {"rockdove_queue_died_total", Kind::kCounter, "Messages of a queue given up.", &Info::died},
        {"rockdove_queue_expired_total", Kind::kCounter, "Messages of a queue whose time was over.", &Info::expired},
        {"rockdove_queue_dead_redriven_total", Kind::kCounter, "Dead letters of a queue sent round again.",
         &Info::redriven},
        {"rockdove_queue_dead_evicted_total", Kind::kCounter, "Dead letters of a queue that went because of dead_max.",
         &Info::dead_evicted},
        {"rockdove_queue_dead_not_moved_total", Kind::kCounter,
         "Dead letters of a queue that stayed because dead_letter_to was missing or full.", &Info::not_moved},
    };
    for (const auto& [name, kind, help, member] : families) {
        out.family(name, kind, help);
        for (const auto& row : shard.rows) out.sample(labels_of(row), row.info.*member);
    }
    out.family("rockdove_queue_oldest_message_age_seconds", Kind::kGauge,
               "Age of the oldest message of a queue; 0 if empty.");
    for (const auto& row : shard.rows) out.sample(labels_of(row), age_seconds(shard, row.info.oldest_commit_time_ms));
}

void topics(TextWriter& out, const ShardSnapshot& shard) {
    using Info = core::TopicInfo;
    const std::tuple<const char*, Kind, const char*, std::uint64_t Info::*> families[] = {
        {"rockdove_topic_messages", Kind::kGauge, "Messages that a topic keeps.", &Info::messages},
        {"rockdove_topic_bytes", Kind::kGauge, "Bytes of those.", &Info::bytes},
        {"rockdove_topic_accepted_total", Kind::kCounter, "Messages a topic accepted.", &Info::accepted},
        {"rockdove_topic_unrouted_total", Kind::kCounter, "Messages of a topic that no subscription wanted.",
         &Info::unrouted},
    };
    for (const auto& [name, kind, help, member] : families) {
        out.family(name, kind, help);
        for (const auto& row : shard.topics) {
            out.sample({{"namespace", row.ns}, {"topic", row.info.name}}, row.info.*member);
        }
    }
}

void subscriptions(TextWriter& out, const ShardSnapshot& shard) {
    using Row = ShardSnapshot::SubscriptionRow;
    const auto labels = [](const Row& row) {
        return Labels{{"namespace", row.ns}, {"topic", row.info.topic}, {"subscription", row.info.name}};
    };
    using Value = std::uint64_t (*)(const Row&);
    const std::tuple<const char*, Kind, const char*, Value> families[] = {
        {"rockdove_subscription_lag_messages", Kind::kGauge, "Messages that a subscription is not done with.",
         [](const Row& row) { return row.info.lag_messages; }},
        {"rockdove_subscription_missed_total", Kind::kCounter,
         "Messages that a subscription lost: the topic does not keep them any more, or it was full.",
         [](const Row& row) { return row.info.record.missed; }},
        {"rockdove_subscription_dead_messages", Kind::kGauge, "Dead letters of a subscription.",
         [](const Row& row) { return row.info.queue.dead; }},
        {"rockdove_subscription_consumers", Kind::kGauge, "Consumers of a subscription.",
         [](const Row& row) { return row.info.queue.consumers; }},
    };
    for (const auto& [name, kind, help, value] : families) {
        out.family(name, kind, help);
        for (const Row& row : shard.subscriptions) out.sample(labels(row), value(row));
    }
    out.family("rockdove_subscription_lag_seconds", Kind::kGauge,
               "Age of the oldest message that a subscription is not done with; 0 if there is none.");
    for (const Row& row : shard.subscriptions) out.sample(labels(row), age_seconds(shard, row.info.lag_oldest_ms));
}

void process_metrics(TextWriter& out, const metrics::ProcessStats& process) {
    one(out, "process_resident_memory_bytes", Kind::kGauge, "Resident memory.", process.resident_bytes);
    one(out, "process_cpu_seconds_total", Kind::kCounter, "Processor time, user and system.", process.cpu_seconds);
    one(out, "process_open_fds", Kind::kGauge, "Open file descriptors.", process.open_files);
    one(out, "process_max_fds", Kind::kGauge, "Most file descriptors allowed.", process.open_files_limit);
    one(out, "process_threads", Kind::kGauge, "Threads.", process.threads);
    one(out, "process_start_time_seconds", Kind::kGauge, "Start of the process, Unix time.",
        process.start_time_seconds);
}

}  // namespace

std::string shard_metrics(std::vector<ShardSnapshot> shards) {
    TextWriter out;
    by_shard(out, shards);
    const ShardSnapshot broker = runtime::sum_up(std::move(shards), kMetricsQueues);
    counters(out, broker);
    gauges(out, broker);
    queues(out, broker);
    topics(out, broker);
    subscriptions(out, broker);
    return out.take();
}

void add_process_metrics(metrics::Registry& registry) {
    registry.gauge("rockdove_build_info", "Always 1; the version is in the label.", {{"version", ROCKDOVE_VERSION}})
        .set(1);
    registry.collector([](TextWriter& out) { process_metrics(out, metrics::read_process_stats()); });
}

}  // namespace rockdove::admin

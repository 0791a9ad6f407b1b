// `rockdove stats`: what the broker tells about itself.
#include "tools/ctl/stats.h"

#include "tools/ctl/commands.h"
#include "tools/ctl/text/units.h"

namespace rockdove::ctl {

Json stats_json(const v1::Stats& stats) {
    Json out = Json::object();
    out["broker_version"] = stats.broker_version();
    out["cluster_id"] = stats.cluster_id();
    out["started_time"] = format_time(stats.started_ms());
    out["time"] = format_time(stats.time_ms());
    out["uptime_seconds"] = static_cast<double>(stats.time_ms() - stats.started_ms()) / 1000;
    out["connections"] = stats.connections();
    out["consumers"] = stats.consumers();
    out["queues"] = stats.queues();
    out["accepted"] = stats.accepted();
    out["refused"] = stats.refused();
    out["delivered"] = stats.delivered();
    out["acked"] = stats.acked();
    out["retried"] = stats.retried();
    out["died"] = stats.died();
    out["expired"] = stats.expired();
    out["duplicate"] = stats.duplicate();
    out["expired_leases"] = stats.expired_leases();
    out["commits"] = stats.commits();
    out["syncs"] = stats.syncs();
    out["commit_p50_seconds"] = static_cast<double>(stats.commit_p50_us()) / 1e6;
    out["commit_p99_seconds"] = static_cast<double>(stats.commit_p99_us()) / 1e6;
    out["disk_free_bytes"] = stats.disk_free_bytes();
    out["disk_total_bytes"] = stats.disk_total_bytes();
    out["data_bytes"] = stats.data_bytes();
    out["resident_bytes"] = stats.resident_bytes();
    out["shard_epoch"] = stats.shard_epoch();
    out["lsn"] = stats.lsn();
    out["data_dir"] = stats.data_dir();
    out["open_files"] = stats.open_files();
    out["open_files_limit"] = stats.open_files_limit();
    return out;
}

namespace {

int run(Context& context) {
    v1::Frame request;
    request.mutable_stats_request();
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer) return context.fail(answer.error());
    const Json record = stats_json(answer->stats());
    std::vector<Column> fields;
    for (const auto& [key, value] : record.items()) {
        const bool number = value.is_number();
        const Kind kind = !number                     ? Kind::kText
                          : key.ends_with("_seconds") ? Kind::kSeconds
                          : key.ends_with("_bytes")   ? Kind::kBytes
                                                      : Kind::kCount;
        // Commit times are shorter than a millisecond on good disks; a duration would show them as 0.
        fields.push_back({key, key, key.starts_with("commit_p") ? Kind::kText : kind});
    }
    return context.print_record(record, fields, "cluster_id");
}

}  // namespace

void add_stats(CLI::App& root, Context& context) {
    CLI::App* command = root.add_subcommand("stats", "Show the broker's counters");
    command->callback([&context] { context.command = [&context] { return run(context); }; });
}

}  // namespace rockdove::ctl

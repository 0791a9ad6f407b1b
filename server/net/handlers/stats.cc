// What the broker tells about itself.
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "server/net/handlers/handlers.h"

namespace rockdove::net {

namespace {

std::uint64_t resident_bytes() {
    std::ifstream in("/proc/self/statm");
    std::uint64_t total = 0;
    std::uint64_t resident = 0;
    in >> total >> resident;
    return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

std::uint64_t open_files() {
    std::error_code error;
    std::uint64_t count = 0;
    for (auto it = std::filesystem::directory_iterator("/proc/self/fd", error);
         !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
        ++count;
    }
    return count;
}

// Sums over the broker; epoch and lsn are those of the shard that is asked.
void send_stats(Session& session, std::uint64_t request_id, std::vector<runtime::ShardSnapshot> shards) {
    const runtime::ShardSnapshot own = shards[session.shard().id().value];
    const runtime::ShardSnapshot snapshot = runtime::sum_up(std::move(shards), 0);
    v1::Frame reply;
    reply.set_request_id(request_id);
    v1::Stats& stats = *reply.mutable_stats();
    stats.set_broker_version(session.options().broker_version);
    stats.set_cluster_id(snapshot.cluster_id);
    stats.set_started_ms(to_unix_ms(snapshot.started));
    stats.set_time_ms(to_unix_ms(snapshot.now));
    stats.set_connections(snapshot.sessions);
    stats.set_consumers(snapshot.consumers);
    stats.set_queues(snapshot.queues);
    stats.set_accepted(snapshot.counters.accepted);
    stats.set_refused(snapshot.counters.refused);
    stats.set_delivered(snapshot.counters.delivered);
    stats.set_acked(snapshot.counters.acked);
    stats.set_retried(snapshot.counters.retried);
    stats.set_died(snapshot.counters.died);
    stats.set_expired(snapshot.counters.expired);
    stats.set_duplicate(snapshot.counters.duplicate);
    stats.set_expired_leases(snapshot.counters.expired_leases);
    stats.set_commits(snapshot.store.commits);
    stats.set_syncs(snapshot.store.syncs);
    stats.set_commit_p50_us(static_cast<std::uint64_t>(snapshot.commits.p50.count() / 1000));
    stats.set_commit_p99_us(static_cast<std::uint64_t>(snapshot.commits.p99.count() / 1000));
    stats.set_disk_free_bytes(snapshot.store.disk_free_bytes);
    stats.set_disk_total_bytes(snapshot.store.disk_total_bytes);
    stats.set_data_bytes(snapshot.store.data_bytes);
    stats.set_resident_bytes(resident_bytes());
    stats.set_shard_epoch(own.epoch);
    stats.set_lsn(own.lsn.value);
    stats.set_data_dir(session.options().data_dir);
    stats.set_open_files(open_files());
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) stats.set_open_files_limit(limit.rlim_cur);
    session.send(reply);
}

}  // namespace

bool handle_stats(Session& session, const protocol::FrameView& frame) {
    if (!session.begin_round()) {
        return refuse(session, frame, Error(ErrorCode::kRateLimited, "too many requests for statistics at a time"));
    }
    runtime::Shard& shard = session.shard();
    runtime::take_snapshots(
        session.shards(), 0,
        [weak = session.weak_from_this(), &shard, request_id = frame.request_id](auto snapshots) mutable {
            // From the thread of the shard that answered last to the session's, where alone it may be touched.
            asio::dispatch(shard.context(),
                           [weak = std::move(weak), &shard, request_id, snapshots = std::move(snapshots)]() mutable {
                               const auto self = weak.lock();
                               if (!self) return;
                               self->end_round();
                               if (!self->open()) return;
                               send_stats(*self, request_id, std::move(snapshots));
                               shard.request_turn();
                           });
        });
    return true;
}

}  // namespace rockdove::net

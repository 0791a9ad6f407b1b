// The daemon: builds all parts, starts them in order, waits for signals, stops them in reverse.
//
// Order of a start: data directory with those of all shards (and their locks), HTTP, recovery, client address, the ready
// line on stdout. So a second daemon on the same directory ends before it has touched a port, and /readyz tells about a
// long recovery.
// Runs on: the main thread; run() blocks until the end.
// Owns:    everything.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "server/admin/http_server.h"
#include "server/admin/status.h"
#include "server/app/config.h"
#include "server/app/exit_code.h"
#include "server/app/signals.h"
#include "server/app/stores.h"
#include "server/app/temporary_directory.h"
#include "server/metrics/registry.h"
#include "server/net/listener.h"
#include "server/runtime/placement.h"
#include "server/runtime/shard.h"

namespace rockdove::app {

class App {
public:
    // `sources` is what `config` was loaded from: read again on HUP.
    App(Config config, ConfigSources sources);
    App(const App&) = delete;
    App& operator=(const App&) = delete;
    ~App();

    // The exit code. What went wrong has been said on stderr and in the log.
    int run();

private:
    std::optional<Failure> start();
    std::optional<Failure> start_log();
    std::optional<Failure> open_stores();
    std::optional<Failure> start_http();
    std::optional<Failure> start_shards();
    [[nodiscard]] base::TimePoint last_time();
    void add_shard(std::uint32_t id, const runtime::ShardOptions& options);
    void note_shard_count();
    std::optional<Failure> start_listener();
    void announce_ready();
    // Until a stop or a failure.
    Event serve();
    void stop();
    void stop_shards();
    void drain_sessions();
    // Runs it on the shard's thread, and waits.
    static void on_shard(runtime::Shard& shard, const std::function<void()>& work);
    void reload();
    void note_failure(const base::Error& error);
    int report(const Failure& failure);
    void tear_down();
    [[noreturn]] void end_failed();

    Config config_;
    const ConfigSources sources_;
    const Settings& settings() const { return config_.settings(); }

    Signals signals_;  // before everything that has threads
    metrics::Registry metrics_;
    admin::BrokerStatus status_;
    std::optional<TemporaryDirectory> temporary_;
    std::string data_dir_;
    Stores stores_;
    std::unique_ptr<admin::HttpServer> http_;
    std::vector<std::unique_ptr<runtime::Shard>> shards_;  // by id
    std::vector<runtime::Shard*> running_;                 // the same, for those who do not own them
    std::unique_ptr<runtime::Placement> placement_;
    std::unique_ptr<net::Listener> listener_;

    std::mutex failure_mutex_;            // the shards' threads write, the main thread reads
    std::optional<base::Error> failure_;  // the first one
};

}  // namespace rockdove::app

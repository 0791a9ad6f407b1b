// The daemon: builds all parts, starts them in order, waits for signals, stops them in reverse.
//
// Order of a start: data directory (with its lock), HTTP, recovery, client address, the ready line on stdout. So a
// second daemon on the same directory ends before it has touched a port, and /readyz tells about a long recovery. Runs
// on: the main thread; run() blocks until the end. Owns:    everything.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "server/admin/http_server.h"
#include "server/admin/status.h"
#include "server/app/config.h"
#include "server/app/exit_code.h"
#include "server/app/signals.h"
#include "server/app/temporary_directory.h"
#include "server/metrics/registry.h"
#include "server/net/listener.h"
#include "server/runtime/shard.h"
#include "storage/rocksdb/rocksdb_store.h"

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
    std::optional<Failure> open_store();
    std::optional<Failure> start_http();
    std::optional<Failure> start_shard();
    std::optional<Failure> start_listener();
    void announce_ready();
    // Until a stop or a failure.
    Event serve();
    void stop();
    void drain_sessions();
    void on_shard(const std::function<void()>& work);  // runs it on the shard's thread, and waits
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
    std::unique_ptr<storage::RocksdbStore> store_;
    std::unique_ptr<admin::HttpServer> http_;
    std::unique_ptr<runtime::Shard> shard_;
    std::unique_ptr<net::Listener> listener_;

    std::mutex failure_mutex_;  // the shard's thread writes, the main thread reads
    base::Error failure_{base::ErrorCode::kInternal, ""};
};

}  // namespace rockdove::app

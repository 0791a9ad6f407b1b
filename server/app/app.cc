#include "server/app/app.h"
#include "server/net/wire_format.h"

#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio.hpp>
#include <cstdio>
#include <filesystem>
#include <future>
#include <thread>

#include "server/admin/metrics_text.h"
#include "server/admin/routes.h"
#include "server/app/logging.h"
#include "server/app/startup_pages.h"

namespace rockdove::app {
namespace {

using namespace std::chrono_literals;

// A failed process is gone within two seconds (RELIABILITY R5), whatever its disk, terminal or locks do.
constexpr auto kFailedWithin = 1500ms;
// Descriptors that are not connections: files of a shard's store; log, HTTP.
constexpr std::uint64_t kStoreFiles = 520;
constexpr std::uint64_t kOtherFiles = 120;
// A start needs room for what it flushes; less if publishes are to be accepted with less.
constexpr std::uint64_t kStartFreeBytes = std::uint64_t{64} << 20;

// A restart helps after a failed write or a full disk, never against damaged files.
int exit_code_after(const base::Error& store_failure) {
    return store_failure.code == base::ErrorCode::kConflict ? kExitData : kExitIo;
}

void limit_process() {
    ::umask(077);
    const rlimit no_core{0, 0};  // message bodies must not end up in core files
    ::setrlimit(RLIMIT_CORE, &no_core);
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
}

void check_file_limit(std::uint64_t max_connections, std::uint64_t shards) {
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY) return;
    if (files.rlim_cur >= max_connections + shards * kStoreFiles + kOtherFiles) return;
    spdlog::warn("fewer file descriptors than limits.max_connections needs limit={} connections={} shards={}",
                 files.rlim_cur, max_connections, shards);
}

std::uint64_t disk_size(const std::string& path) {
    std::error_code error;
    const std::filesystem::space_info space = std::filesystem::space(path, error);
    return error ? 0 : space.capacity;
}

Failure address_failure(const boost::system::error_code& error, const std::string& setting, const Address& address) {
    const bool in_use = error == boost::asio::error::address_in_use;
    const bool denied = error == boost::asio::error::access_denied;
    return Failure{in_use   ? kExitUnavailable
                   : denied ? kExitPermission
                            : kExitConfig,
                   setting + ": cannot listen on " + format_address(address) + ": " + error.message()};
}

}  // namespace

App::App(Config config, ConfigSources sources) : config_(std::move(config)), sources_(std::move(sources)) {}

App::~App() { tear_down(); }

// Parts log until they are gone. A start that failed half-way leaves a store that is closed as well as it can be.
void App::tear_down() {
    stop_shards();
    if (http_) http_->stop();
    listener_.reset();
    placement_.reset();
    shards_.clear();
    (void)stores_.close();
    stores_.clear();
    stop_logging();
}

int App::run() {
    if (const auto failure = start()) return report(*failure);
    const Event event = serve();
    if (event == Event::kFailed) end_failed();
    stop();
    return kExitClean;
}

std::optional<Failure> App::start() {
    const auto begin = std::chrono::steady_clock::now();
    if (auto failure = start_log()) return failure;
    limit_process();
    spdlog::info("starting version={} config={} pid={}", ROCKDOVE_VERSION,
                 field(config_.file().empty() ? "none" : config_.file()), ::getpid());
    for (auto step : {&App::open_stores, &App::start_http, &App::start_shards, &App::start_listener}) {
        if (auto failure = (this->*step)()) return failure;
    }
    check_file_limit(settings().max_connections, stores_.size());
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    metrics_.gauge_callback("rockdove_start_duration_seconds", "Time from start to ready, with recovery.",
                            [took] { return took.count(); });
    spdlog::info("ready data_dir={} listen={} http={} shards={} cluster={} epoch={} seconds={:.3f}", field(data_dir_),
                 format_address(Address{settings().listen_client.host, listener_->port()}),
                 http_ ? format_address(Address{settings().listen_http.host, http_->port()}) : "off", stores_.size(),
                 stores_[0].opened().cluster_id, stores_[0].opened().epoch, took.count());
    status_.phase = admin::Phase::kReady;
    drop_startup_pages();
    announce_ready();
    return std::nullopt;
}

std::optional<Failure> App::start_log() {
    LogOptions options;
    options.level = settings().log_level;
    options.json = settings().log_format == "json";
    options.file = settings().log_file;
    if (const auto started = start_logging(options); !started) return Failure{kExitConfig, started.error().text};
    if (settings().insecure_allow_plaintext) {
        spdlog::warn("listening without encryption and login was consented to listen={} http={}",
                     format_address(settings().listen_client), format_address(settings().listen_http));
    }
    return std::nullopt;
}

std::optional<Failure> App::open_stores() {
    data_dir_ = std::filesystem::absolute(settings().data_dir).lexically_normal().string();
    while (data_dir_.size() > 1 && data_dir_.back() == '/') data_dir_.pop_back();
    if (sources_.dev) data_dir_ = temporary_.emplace().path();
    storage::OpenOptions options;
    options.path = data_dir_;
    options.memory_bytes = settings().storage_memory.value;
    options.test_clock = sources_.test_clock;
    options.log = spdlog::get("store");
    const FreeSpace& low = settings().disk_low;
    if (low.percent == 0) options.min_free_bytes = std::min(kStartFreeBytes, low.bytes);
    return stores_.open(options, static_cast<std::uint32_t>(settings().shards),
                        default_shards(std::thread::hardware_concurrency()));
}

std::optional<Failure> App::start_http() {
    const Address& address = settings().listen_http;
    if (address.off()) return std::nullopt;
    metrics_.gauge_callback("rockdove_ready", "1 when recovered, listening and not draining.",
                            [this] { return status_.phase == admin::Phase::kReady ? 1.0 : 0.0; });
    admin::add_process_metrics(metrics_);
    const auto listen = [&](std::uint16_t port) {
        admin::HttpOptions options;
        options.host = address.host;
        options.port = port;
        options.allowed_hosts = settings().http_hosts;
        http_ = std::make_unique<admin::HttpServer>(options);
        admin::add_routes(*http_, status_, metrics_);
        return http_->start();
    };
    auto started = listen(address.port);
    const bool may_move = sources_.dev && config_.origin("listen.http") == "default";
    if (!started && started.error().code == base::ErrorCode::kConflict && may_move) started = listen(0);
    if (started) return std::nullopt;
    const base::ErrorCode code = started.error().code;
    return Failure{code == base::ErrorCode::kConflict    ? kExitUnavailable
                   : code == base::ErrorCode::kForbidden ? kExitPermission
                                                         : kExitConfig,
                   "listen.http: cannot listen on " + started.error().text};
}

std::optional<Failure> App::start_shards() {
    runtime::ShardOptions options;
    options.namespaces.queue_defaults = queue_defaults(settings());
    options.format = std::make_shared<net::WireFormat>();
    options.namespaces.create_on_use = settings().create_on_use;
    options.min_free_bytes = settings().disk_low.of(disk_size(data_dir_));
    if (sources_.test_clock) {
        options.frozen_at = last_time();
        spdlog::warn("running on a test clock: time stands still until it is moved time_ms={}",
                     base::to_unix_ms(*options.frozen_at));
        metrics_.gauge_callback("rockdove_test_clock", "1: time stands still until it is moved; absent otherwise.",
                                [] { return 1.0; });
    }
    std::vector<storage::MessageStore*> stores;
    for (std::uint32_t id = 0; id < stores_.size(); ++id) {
        add_shard(id, options);
        stores.push_back(&stores_[id]);
    }
    placement_ = std::make_unique<runtime::Placement>(running_, settings().create_on_use);
    if (const auto loaded = placement_->load(stores); !loaded) {
        return Failure{kExitData, "data directory " + data_dir_ + ": " + loaded.error().text};
    }
    for (std::uint32_t id = 0; id < stores_.size(); ++id) {
        if (const auto started = shards_[id]->start(); !started) {
            return Failure{kExitData, "data directory " + shard_directory(data_dir_, id) + ": " + started.error().text};
        }
    }
    note_shard_count();
    status_.shards = &running_;
    return std::nullopt;
}

// Where a test clock goes on: the latest time of all shards, since an advance that nobody was told of may have reached
// some of them only. The machine's time in a new directory.
base::TimePoint App::last_time() {
    std::int64_t last_ms = 0;
    for (std::uint32_t id = 0; id < stores_.size(); ++id) last_ms = std::max(last_ms, stores_[id].opened().time_ms);
    if (last_ms != 0) return base::from_unix_ms(last_ms);
    return std::chrono::time_point_cast<base::Millis>(std::chrono::system_clock::now());
}

void App::add_shard(std::uint32_t id, const runtime::ShardOptions& options) {
    shards_.push_back(
        std::make_unique<runtime::Shard>(base::ShardId(static_cast<std::uint16_t>(id)), stores_[id], options));
    running_.push_back(shards_.back().get());
    shards_.back()->on_failure([this](const base::Error& error) {
        note_failure(error);
        // From now on the process ends in time even if the main thread is stuck.
        std::thread([code = exit_code_after(error)] {
            std::this_thread::sleep_for(kFailedWithin);
            ::_exit(code);
        }).detach();
        signals_.post_failure();
    });
}

// Before a namespace can be placed on a new shard, its loss must be one that is noticed.
void App::note_shard_count() {
    std::promise<void> noted;
    on_shard(*shards_[0], [&] { placement_->keep_shard_count(stores_.recorded(), [&] { noted.set_value(); }); });
    noted.get_future().wait();  // a store that fails ends the process
}

void App::note_failure(const base::Error& error) {
    const std::lock_guard lock(failure_mutex_);
    if (!failure_) failure_ = error;
}

std::optional<Failure> App::start_listener() {
    net::ListenerOptions options;
    options.host = settings().listen_client.host;
    options.port = settings().listen_client.port;
    options.max_connections = settings().max_connections;
    options.max_message_bytes = settings().max_message.value;
    options.heartbeat = settings().heartbeat;
    options.broker_version = ROCKDOVE_VERSION;
    options.data_dir = data_dir_;
    try {
        try {
            listener_ = std::make_unique<net::Listener>(running_, *placement_, options);
        } catch (const boost::system::system_error& error) {
            const bool may_move = sources_.dev && config_.origin("listen.client") == "default";
            if (error.code() != boost::asio::error::address_in_use || !may_move) throw;
            options.port = 0;
            listener_ = std::make_unique<net::Listener>(running_, *placement_, options);
        }
    } catch (const boost::system::system_error& error) {
        return address_failure(error.code(), "listen.client", settings().listen_client);
    }
    on_shard(*shards_[0], [this] { listener_->start(); });
    return std::nullopt;
}

void App::announce_ready() {
    std::string line = "ready rockdove://" + format_address(Address{settings().listen_client.host, listener_->port()});
    if (http_) line += " http://" + format_address(Address{settings().listen_http.host, http_->port()});
    std::puts(line.c_str());
    std::fflush(stdout);
}

Event App::serve() {
    signals_.set_impatient(false);
    while (true) {
        switch (const Event event = signals_.wait()) {
            case Event::kFailed:
            case Event::kStop:
                return event;
            case Event::kReload:
                reload();
                break;
            case Event::kReopen:
                if (const auto reopened = reopen_log(); !reopened) {
                    spdlog::error("the log could not be opened anew err={}", field(reopened.error().text));
                }
                break;
            case Event::kNone:
                break;
        }
    }
}

void App::on_shard(runtime::Shard& shard, const std::function<void()>& work) {
    std::promise<void> done;
    boost::asio::post(shard.context(), [&] {
        work();
        done.set_value();
    });
    done.get_future().wait();
}

// Tells clients to go, waits until they have, at most the drain time, or until somebody loses patience.
void App::drain_sessions() {
    const auto drained = std::make_shared<std::promise<void>>();
    auto gone = drained->get_future();
    const auto left = std::make_shared<std::atomic<std::size_t>>(shards_.size());  // the shards' threads count
    // Shard 0 first: from then on no session moves to another one.
    for (const auto& shard : shards_) {
        on_shard(*shard, [&] {
            if (shard == shards_.front()) listener_->stop_accepting();
            shard->close_sessions("draining", settings().drain_timeout, [drained, left] {
                if (--*left == 0) drained->set_value();
            });
        });
    }
    while (gone.wait_for(0s) != std::future_status::ready) {
        const Event event = signals_.wait_until(std::chrono::steady_clock::now() + 50ms);
        if (event == Event::kFailed) end_failed();
        if (event == Event::kStop) {
            spdlog::warn("asked to stop again: not waiting for clients any longer");
            return;
        }
    }
}

// Shard 0 last: the others' namespaces are placed there.
void App::stop_shards() {
    for (auto shard = shards_.rbegin(); shard != shards_.rend(); ++shard) (*shard)->stop();
}

void App::stop() {
    spdlog::info("draining timeout={}", format_duration(settings().drain_timeout));
    status_.phase = admin::Phase::kDraining;
    drain_sessions();
    signals_.set_impatient(true);
    stop_shards();
    status_.shards = nullptr;
    if (const auto closed = stores_.close(); !closed) {
        note_failure(closed.error());
        end_failed();
    }
    if (http_) http_->stop();
    spdlog::info("stopped");
}

void App::reload() {
    auto loaded = load_config(sources_);
    const bool ok = loaded.has_value();
    metrics_
        .counter("rockdove_config_reloads_total", "Readings of the configuration on HUP.",
                 {{"result", ok ? "ok" : "failed"}})
        .add();
    if (!ok) {
        spdlog::error("the configuration was not reloaded; the old one stays err={}", field(loaded.error().text));
        return;
    }
    for (const Setting& setting : all_settings()) {
        if (setting.reloadable || literal(setting, loaded->settings()) == literal(setting, settings())) continue;
        spdlog::warn("this setting has changed, but needs a restart setting={}", setting.key);
    }
    const std::string changed = config_.take_reloadable(*loaded);
    set_log_level(settings().log_level);
    spdlog::info("configuration reloaded changed={}", field(changed.empty() ? "nothing" : changed));
}

// A start that failed: nothing was promised to anyone yet.
int App::report(const Failure& failure) {
    status_.phase = admin::Phase::kFailed;
    const bool log_is_stderr = settings().log_file.empty();
    const bool json = settings().log_format == "json";
    const auto log = spdlog::get("app");
    const bool plain = !log || !log_is_stderr || !json;
    if (log && (json || !log_is_stderr)) {
        log->critical("cannot start err={} exit={}", field(failure.text), failure.exit_code);
    }
    tear_down();  // so that this line is the last
    if (plain) std::fprintf(stderr, "rockdoved: %s\n", failure.text.c_str());
    return failure.exit_code;
}

// The store is in an unknown state: nothing is closed or flushed through it, nothing confirmed can be lost by that.
void App::end_failed() {
    status_.phase = admin::Phase::kFailed;
    const base::Error failure = [this] {
        const std::lock_guard lock(failure_mutex_);
        return failure_.value_or(base::Error(base::ErrorCode::kInternal, ""));
    }();
    const int code = exit_code_after(failure);
    spdlog::critical(
        "stopped after a failure of the store; {} err={} exit={}",
        code == kExitData ? "its files are damaged, restore the data directory from a copy" : "start again to recover",
        field(failure.text), code);
    stop_logging();
    if (temporary_) temporary_->remove();
    ::_exit(code);
}

}  // namespace rockdove::app

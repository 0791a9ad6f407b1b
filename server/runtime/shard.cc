#include "server/runtime/shard.h"

#include <algorithm>

#include "server/runtime/log.h"
#include "storage/keys.h"

namespace rockdove::runtime {

namespace {

// Staged and not yet submitted; past it sessions stop reading until the disk has caught up.
constexpr std::size_t kStageBytes = 32 << 20;
// A timer that fires this late was held up (a stopped process, a busy machine): what waits in the sockets, such as
// extensions of leases, is read first (RELIABILITY R14).
constexpr Millis kLateTimer{500};
constexpr Millis kLateGrace{50};
constexpr std::chrono::seconds kHousekeeping{1};
// A drain hangs up on clients that hold nothing and have been silent for so long after they were told.
constexpr std::chrono::seconds kQuietBeforeHangUp{1};
constexpr std::chrono::milliseconds kLookForIdle{20};

Error outcome_unknown(const std::string& what) {
    return {ErrorCode::kOutcomeUnknown,
            "it is unknown whether this was stored (" + what + "); send it again under the same producer sequence"};
}

Error not_stored(const std::string& what) { return {ErrorCode::kUnavailable, "not stored: " + what}; }

void log_line(const std::string& text) { log("core").warn("{}", text); }

}  // namespace

Shard::Shard(ShardId id, storage::MessageStore& store, ShardOptions options)
    : id_(id),
      store_(store),
      options_(std::move(options)),
      clock_(options_.frozen_at ? BrokerClock(*options_.frozen_at) : BrokerClock(store.opened().time_ms)),
      started_(clock_.now()),
      tasks_([](const std::string& name, const std::string& what) {
          log("core").error("task ended by an exception task={:?} err={:?}", name, what);
      }),
      random_(std::random_device{}()) {
    window_.drop = [this](const core::WindowBudget::Trailing& block) {
        for (const auto& [name, ns] : namespaces_) {
            if (ns->id() == block.ns) ns->drop_payload(block);
        }
    };
    stage_.begin(Lsn(store_.opened().last_lsn.value + 1), store_.opened().epoch);
    stage_.set_committed(store_.opened().last_lsn);
}

Shard::~Shard() { stop(); }

// --- life -------------------------------------------------------------------------------------------------------

core::Namespace& Shard::add_namespace(NamespaceId id, const std::string& name) {
    core::NamespaceOptions options = options_.namespaces;
    options.shard = static_cast<std::uint8_t>(id_.value);
    auto ns = std::make_unique<core::Namespace>(
        id, name, options, stage_, static_cast<core::Outlet&>(*this), *reader_, window_,
        [this] { return std::uniform_real_distribution<double>(0.0, 1.0)(random_); }, *options_.format, log_line);
    core::Namespace& added = *ns;
    namespaces_.emplace(name, std::move(ns));
    next_namespace_ = std::max(next_namespace_, id.value + 1);
    return added;
}

Result<void> Shard::recover() {
    std::vector<std::pair<std::string, storage::NamespaceRecord>> found;
    std::optional<Error> failure;
    const auto [begin, end] = storage::tag_range(storage::kSystemNamespace, storage::Tag::kNamespace);
    Result<void> scanned = store_.scan(begin, end, [&](const storage::RecordView& record) {
        Result<storage::KeyView> key = storage::parse_key(record.key);
        Result<storage::NamespaceRecord> ns = storage::NamespaceRecord::decode(record.payload);
        if (!key || !ns || record.damaged) {
            failure = Error(ErrorCode::kInternal, "the record of a namespace cannot be read");
            return false;
        }
        found.emplace_back(std::string(key->name), *ns);
        return true;
    });
    if (failure) return *failure;
    if (!scanned) return scanned;
    for (const auto& [name, record] : found) {
        core::Namespace& ns = add_namespace(record.id, name);
        if (Result<void> ok = ns.recover(store_, record); !ok) {
            return Error(ok.error().code, "namespace \"" + name + "\": " + ok.error().text);
        }
    }
    return {};
}

Result<void> Shard::start() {
    // A commit that is under way may well hold.
    const auto read_failed = [this](const Error& error) { stop_failed(error, outcome_unknown(error.text)); };
    reader_ = std::make_unique<ReadThread>(
        store_, context_, [this] { request_turn(); }, read_failed);
    if (Result<void> ok = recover(); !ok) {
        reader_->stop();
        return ok;
    }
    stats_ = store_.stats();
    check_store(stats_);
    committer_ = std::make_unique<storage::Committer>(store_, [this](Lsn lsn, const storage::CommitResult& result) {
        asio::post(context_, [this, lsn, result] { commit_done(lsn, result); });
    });
    thread_ = std::thread([this] {
        thread_id_ = std::this_thread::get_id();
        const auto work = asio::make_work_guard(context_);
        context_.run();
    });
    asio::post(context_, [this] {
        thread_id_ = std::this_thread::get_id();
        if (id_.value == 0) open_namespace("default");
        tasks_.spawn("second_loop", context_.get_executor(), second_loop());
        request_turn();
    });
    return {};
}

void Shard::stop() {
    if (!thread_.joinable()) return;
    asio::post(context_, [this] {
        stopping_ = true;
        // What is staged is submitted, and its completion ends the thread. After a failure nothing completes any more.
        if (!failed_ && !committing_) end_turn();
        if (failed_ || !committing_) context_.stop();
    });
    thread_.join();
    committer_->stop();
    reader_->stop();
}

core::Namespace& Shard::open_namespace(std::string_view name) {
    if (name.empty()) name = "default";
    if (const auto it = namespaces_.find(name); it != namespaces_.end()) return *it->second;
    core::Namespace& ns = add_namespace(NamespaceId(next_namespace_), std::string(name));
    ns.refuse_publishes(refusal_);
    storage::NamespaceRecord record;
    record.id = ns.id();
    stage_.writes().put(storage::namespace_key(name), record.encode());
    stage_.writes().require_sync();
    request_turn();
    return ns;
}

void Shard::stage_record(std::string key, std::string payload, core::Reply done) {
    stage_.writes().put(std::move(key), std::move(payload));
    stage_.writes().require_sync();
    stage_.after_commit(std::move(done));
    request_turn();
}

// --- sessions ---------------------------------------------------------------------------------------------------

void Shard::add_session(SessionId id, std::weak_ptr<SessionPort> session) { sessions_[id] = std::move(session); }

void Shard::remove_session(SessionId id) { sessions_.erase(id); }

std::shared_ptr<SessionPort> Shard::find_session(SessionId id) const {
    const auto it = sessions_.find(id);
    return it == sessions_.end() ? nullptr : it->second.lock();
}

void Shard::request_flush(SessionId id) { to_flush_.push_back(id); }

void Shard::flush_sessions() {
    std::vector<SessionId> ids;
    ids.swap(to_flush_);
    for (const SessionId id : ids) {
        if (const auto session = find_session(id)) session->flush();
    }
}

void Shard::confirm(const core::Confirmation& confirmation) {
    if (const auto session = find_session(confirmation.session)) session->confirm(confirmation);
}

void Shard::deliver(const core::Delivery& delivery) {
    if (const auto session = find_session(delivery.session)) session->deliver(delivery);
}

void Shard::settled(const core::SettleReply& reply) {
    if (const auto session = find_session(reply.session)) session->settled(reply);
}

void Shard::started(const core::StartReply& reply) {
    if (const auto session = find_session(reply.session)) session->started(reply);
}

void Shard::recall(const core::Recall& recall) {
    if (const auto session = find_session(recall.session)) session->recall(recall);
}

void Shard::fail(SessionId id, std::uint64_t request_id, const Error& error) {
    if (const auto session = find_session(id)) session->fail(id, request_id, error);
}

void Shard::consumer_closed(SessionId id, std::uint64_t consumer, const Error& error) {
    if (const auto session = find_session(id)) session->consumer_closed(id, consumer, error);
}

void Shard::reserve(SessionId id, std::size_t bytes) {
    if (const auto session = find_session(id)) session->reserve(id, bytes);
}

bool Shard::has_room(SessionId id) const {
    const auto session = find_session(id);
    return session && session->has_room(id);
}

asio::awaitable<void> Shard::close_loop(std::string reason, Millis grace, std::function<void()> done) {
    for (const auto& [id, weak] : std::unordered_map(sessions_)) {
        if (const auto session = weak.lock()) session->say_goodbye(reason, Millis(1'000));
    }
    flush_sessions();
    const auto begin = std::chrono::steady_clock::now();
    asio::steady_timer wait(context_);
    while (!sessions_.empty() && std::chrono::steady_clock::now() < begin + grace) {
        wait.expires_after(std::min<std::chrono::steady_clock::duration>(kLookForIdle, grace));
        co_await wait.async_wait(asio::use_awaitable);
        const auto quiet_since = std::chrono::steady_clock::now() - kQuietBeforeHangUp;
        if (quiet_since < begin) continue;  // they have just been told
        for (const auto& [id, weak] : std::unordered_map(sessions_)) {
            if (const auto session = weak.lock(); session && session->idle(quiet_since)) session->hang_up();
        }
    }
    if (!sessions_.empty()) {
        log("core").warn("clients still hold messages at the end of the drain, closing connections={} waited_ms={}",
                         sessions_.size(), grace.count());
    }
    for (const auto& [id, weak] : std::unordered_map(sessions_)) {
        if (const auto session = weak.lock()) session->hang_up();
    }
    done();
}

void Shard::close_sessions(const std::string& reason, Millis grace, std::function<void()> done) {
    tasks_.spawn("close_loop", context_.get_executor(), close_loop(reason, grace, std::move(done)));
}

// --- turns and commits ------------------------------------------------------------------------------------------

void Shard::request_turn() {
    if (turn_requested_) return;
    turn_requested_ = true;
    asio::post(context_, [this] {
        turn_requested_ = false;
        end_turn();
    });
}

bool Shard::stage_full() const { return stage_.writes().bytes() > kStageBytes || !moves_.empty(); }

asio::awaitable<void> Shard::wait_for_room() { co_await room_.async_wait(asio::as_tuple(asio::use_awaitable)); }

void Shard::run_effects(const std::vector<core::Effect>& effects, const Error* failure) {
    for (const core::Effect& effect : effects) core::execute(effect, failure, *this);
}

void Shard::end_turn() {
    if (failed_) return flush_sessions();
    const TimePoint time = now();
    for (const auto& [name, ns] : namespaces_) ns->end_turn(time);
    run_effects(stage_.take_immediate(), nullptr);
    if (!committing_) submit();
    if (!committing_ && !moves_.empty() && stage_.writes().empty() && !stopping_) make_clock_move();
    flush_sessions();
    arm_timer();
}

void Shard::submit() {
    for (const auto& [name, ns] : namespaces_) ns->seal();
    if (stage_.writes().empty() && !keep_time_) {
        // Nothing to write: what waits for no commit may be said now.
        for (const auto& [name, ns] : namespaces_) ns->on_nothing_to_commit();
        if (stage_.has_effects()) run_effects(stage_.take_effects(), nullptr);
        return;
    }
    storage::CommitStamp stamp;
    stamp.lsn = stage_.lsn();
    stamp.time_ms = to_unix_ms(now());
    in_flight_ = stage_.take_effects();
    committing_ = true;
    keep_time_ = false;
    written_ += stage_.writes().bytes();
    if (disk_low()) {
        ask_store();
        if (refusal_.empty()) refuse_publishes(low_disk_text());
    }
    ++commits_;
    syncs_ += stage_.writes().sync() ? 1 : 0;
    committer_->submit(stage_.take_writes(), stamp);
    stage_.begin(Lsn(stamp.lsn.value + 1), stage_.epoch());
}

void Shard::commit_done(Lsn lsn, const storage::CommitResult& result) {
    if (failed_) return;
    if (result.outcome != storage::CommitOutcome::kDurable) {
        const std::string what = result.error.empty() ? "the store refused a commit" : result.error;
        const bool unknown = result.outcome == storage::CommitOutcome::kUnknown;
        const Error why(result.damaged ? ErrorCode::kConflict : ErrorCode::kInternal, what);
        stop_failed(why, unknown ? outcome_unknown(what) : not_stored(what));
        return;
    }
    stage_.set_committed(lsn);
    committing_ = false;
    room_.cancel();
    const std::vector<core::Effect> effects = std::exchange(in_flight_, {});
    run_effects(effects, nullptr);
    for (const auto& [name, ns] : namespaces_) ns->on_committed();
    end_turn();
    if (stopping_ && !committing_) context_.stop();
}

// ARCHITECTURE section 6.3: never resume in place. Everybody who waits is told, then the process ends.
void Shard::stop_failed(const Error& why, const Error& why_submitted) {
    if (failed_) return;
    failed_ = true;
    const Error why_staged = not_stored(why.text);
    log("core").critical("store failed, stopping shard={} err={:?}", id_.value, why.text);
    run_effects(std::exchange(in_flight_, {}), &why_submitted);
    run_effects(stage_.take_effects(), &why_staged);
    for (const ClockMove& move : std::exchange(moves_, {})) move.done(&why_staged);
    for (const auto& [id, weak] : std::unordered_map(sessions_)) {
        if (const auto session = weak.lock()) session->close(why_staged);
    }
    flush_sessions();
    room_.cancel();
    if (failed_callback_) failed_callback_(why);
    if (stopping_) context_.stop();
}

// --- time -------------------------------------------------------------------------------------------------------

void Shard::arm_timer() {
    TimePoint next = TimePoint::max();
    for (const auto& [name, ns] : namespaces_) next = std::min(next, ns->next_time());
    if (next == timer_at_) return;
    timer_at_ = next;
    // A test clock does not come nearer by waiting.
    if (next == TimePoint::max() || (clock_.frozen() && next > now())) {
        timer_.cancel();
        return;
    }
    const Millis wait = std::clamp(next - now(), Millis(0), Millis(3'600'000));
    timer_.expires_after(wait);
    timer_.async_wait([this](boost::system::error_code error) {
        if (!error) on_timer();
    });
}

void Shard::on_timer() {
    const TimePoint time = now();
    if (!late_timer_ && !clock_.frozen() && timer_at_ != TimePoint::max() && time > timer_at_ + kLateTimer) {
        late_timer_ = true;
        timer_.expires_after(kLateGrace);
        timer_.async_wait([this](boost::system::error_code error) {
            if (!error) on_timer();
        });
        return;
    }
    late_timer_ = false;
    timer_at_ = TimePoint::max();
    if (failed_) return;
    for (const auto& [name, ns] : namespaces_) ns->on_time(time);
    end_turn();
}

void Shard::move_clock(TimePoint to, core::Reply done) {
    RD_CHECK(clock_.frozen() && to >= clock_target());
    if (failed_) {
        const Error failure(ErrorCode::kUnavailable, "the broker is stopping after a failure of its store");
        return done(&failure);
    }
    moves_.push_back(ClockMove{to, std::move(done)});
    request_turn();
}

// Everything staged so far is committed: no delivery is on its way whose lease could end before its consumer has it.
void Shard::make_clock_move() {
    const ClockMove move = std::move(moves_.front());
    moves_.pop_front();
    clock_.move_to(move.to);
    for (const auto& [name, ns] : namespaces_) ns->pass_time(move.to);
    stage_.writes().require_sync();
    stage_.after_commit(move.done);
    keep_time_ = true;
    if (moves_.empty()) room_.cancel();  // sessions read on
    request_turn();                      // dispatches at the new time, and commits
}

asio::awaitable<void> Shard::second_loop() {
    while (!stopping_) {
        second_.expires_after(kHousekeeping);
        co_await second_.async_wait(asio::as_tuple(asio::use_awaitable));
        on_second();
    }
}

void Shard::on_second() {
    const auto steady = std::chrono::steady_clock::now();
    for (const auto& [id, weak] : std::unordered_map(sessions_)) {
        if (const auto session = weak.lock()) session->check_deadlines(steady);
    }
    flush_sessions();
    ask_store();
}

// On the read thread: asking for the disk's free space may wait for the disk.
void Shard::ask_store() {
    if (asking_store_) return;
    asking_store_ = true;
    asked_at_ = written_;
    reader_->run([this] { asio::post(context_, [this, stats = store_.stats()] { check_store(stats); }); });
}

// A small disk can fill between two looks, so what was written since the last one counts: each byte may lie there three
// times (log, table, merged table).
bool Shard::disk_low() const {
    return options_.min_free_bytes != 0 && stats_.disk_total_bytes != 0 &&
           stats_.disk_free_bytes < options_.min_free_bytes + 3 * (written_ - measured_at_);
}

std::string Shard::low_disk_text() const {
    return "the disk is low: " + std::to_string(stats_.disk_free_bytes >> 20) + " MiB free, publishes need " +
           std::to_string(options_.min_free_bytes >> 20) +
           " MiB (storage.disk_low) and room for what is being written; free some space, or let consumers drain";
}

void Shard::check_store(const storage::StoreStats& stats) {
    stats_ = stats;
    measured_at_ = asked_at_;
    asking_store_ = false;
    std::string why;
    if (disk_low()) {
        why = low_disk_text();
    } else if (stats.write_stalled) {
        why = "the store is catching up with earlier writes; try again in a moment";
    }
    refuse_publishes(std::move(why));
}

void Shard::refuse_publishes(std::string why) {
    if (why.empty() != refusal_.empty()) {
        if (why.empty()) {
            log("core").info("publishes are accepted again shard={}", id_.value);
        } else {
            log("core").warn("publishes are refused shard={} reason={:?}", id_.value, why);
        }
    }
    refusal_ = std::move(why);
    for (const auto& [name, ns] : namespaces_) ns->refuse_publishes(refusal_);
}

ShardSnapshot Shard::snapshot(std::size_t max_queues) const {
    ShardSnapshot snapshot;
    snapshot.shard = id_;
    snapshot.failed = failed_;
    snapshot.epoch = stage_.epoch();
    snapshot.lsn = stage_.committed();
    snapshot.cluster_id = store_.opened().cluster_id;
    snapshot.started = started_;
    snapshot.now = now();
    snapshot.sessions = sessions_.size();
    snapshot.namespaces = namespaces_.size();
    for (const auto& [name, ns] : namespaces_) {
        snapshot.consumers += ns->consumer_count();
        snapshot.queues += ns->queue_count();
        const core::Counters& c = ns->counters();
        core::Counters& sum = snapshot.counters;
        sum.accepted += c.accepted;
        sum.refused += c.refused;
        sum.duplicate += c.duplicate;
        sum.delivered += c.delivered;
        sum.acked += c.acked;
        sum.retried += c.retried;
        sum.released += c.released;
        sum.died += c.died;
        sum.expired += c.expired;
        sum.redriven += c.redriven;
        sum.expired_leases += c.expired_leases;
        sum.damaged += c.damaged;
        const auto room = [max_queues](const auto& rows) {
            return static_cast<std::uint32_t>(max_queues - std::min(max_queues, rows.size()));
        };
        for (core::QueueInfo& info : ns->list_queues("", "", room(snapshot.rows))) {
            snapshot.rows.push_back(ShardSnapshot::QueueRow{name, std::move(info)});
        }
        for (core::TopicInfo& info : ns->list_topics("", "", room(snapshot.topics))) {
            snapshot.topics.push_back(ShardSnapshot::TopicRow{name, std::move(info)});
        }
        for (core::SubscriptionInfo& info : *ns->list_subscriptions("", "", room(snapshot.subscriptions))) {
            snapshot.subscriptions.push_back(ShardSnapshot::SubscriptionRow{name, std::move(info)});
        }
    }
    snapshot.store = stats_;
    snapshot.store.commits = commits_;
    snapshot.store.syncs = syncs_;
    snapshot.commits = committer_->times();
    snapshot.publish_refusal = refusal_;
    return snapshot;
}

}  // namespace rockdove::runtime

// Dead letters and tasks: what an operator asks. The work itself is in queue_dead.cc and task.cc.
#include "server/core/namespace.h"

namespace rockdove::core {

namespace {

constexpr double kMaxRate = 1e6;
constexpr double kMinRate = 1e-4;

// Error: kInvalid, naming those that there are.
Result<void> check_reason(std::string_view reason) {
    if (reason.empty()) return {};
    std::string known;
    for (int value = 1; value <= UINT8_MAX; ++value) {
        const std::string_view name = storage::death_reason_name(static_cast<storage::DeathReason>(value));
        if (name == "unknown") break;
        if (name == reason) return {};
        known += (known.empty() ? "" : ", ") + std::string(name);
    }
    return Error(ErrorCode::kInvalid, "reason \"" + std::string(reason.substr(0, 64)) +
                                          "\" is none of those that messages die of: " + known);
}

}  // namespace

void Namespace::list_dead(std::string_view name, const DeadReadRequest& request, Answer<DeadPage> done) {
    Queue* queue = find_queue(name);
    if (queue == nullptr) return done(not_found(name));
    DeadReadRequest all = request;
    all.end = queue->next_sequence();
    queue->read_dead(all, [done = std::move(done)](DeadPage page) {
        if (page.failure) return done(*page.failure);
        done(std::move(page));
    });
}

void Namespace::delete_dead(std::string_view name, const std::vector<Sequence>& sequences, Answer<std::uint64_t> done) {
    Queue* queue = find_queue(name);
    if (queue == nullptr) return done(not_found(name));
    const std::uint64_t removed = queue->delete_dead(sequences);
    shared_.stage.writes().require_sync();
    answer_after_commit(removed, std::move(done));
}

void Namespace::purge_dead(std::string_view name, Answer<std::uint64_t> done) {
    Queue* queue = find_queue(name);
    if (queue == nullptr) return done(not_found(name));
    const std::uint64_t removed = queue->purge_dead();
    shared_.stage.writes().require_sync();
    answer_after_commit(removed, std::move(done));
}

void Namespace::redrive(const RedriveRequest& request, TimePoint now, Answer<TaskInfo> done) {
    const Queue* from = find_queue(request.queue);
    if (from == nullptr) return done(not_found(request.queue));
    const Queue* to = request.to.empty() ? from : find_queue(request.to);
    if (to == nullptr) return done(not_found(request.to));
    if (Result<void> ok = check_reason(request.reason); !ok) return done(ok.error());
    if (const auto filter = shared_.format.filter(request.filter, now); !filter) return done(filter.error());
    if (request.rate != 0 && !(request.rate >= kMinRate && request.rate <= kMaxRate)) {
        return done(Error(ErrorCode::kInvalid, "rate = " + std::to_string(request.rate) +
                                                   " is out of range: 0 (no limit), or 0.0001 to 1,000,000 a second"));
    }
    if (tasks_.full()) {
        return done(Error(ErrorCode::kRateLimited, "namespace \"" + name_ + "\" has " +
                                                       std::to_string(kMaxActiveTasks) +
                                                       " tasks under way, its limit; wait for one or cancel it: "
                                                       "rockdove task list"));
    }
    storage::TaskRecord task;
    task.dry_run = request.dry_run;
    task.queue = from->id();
    task.queue_name = from->name();
    task.to = to->id();
    task.to_name = to->name();
    task.reason = request.reason;
    task.filter = request.filter;
    task.place = request.place;
    task.limit = request.limit;
    task.rate = request.rate;
    task.created_ms = to_unix_ms(now);
    task.end = from->next_sequence();
    task.total = from->dead_count();
    const std::uint64_t number = tasks_.begin(std::move(task));
    shared_.stage.writes().require_sync();
    answer_after_commit(*tasks_.find(number), std::move(done));
}

void Namespace::cancel_task(std::uint64_t number, TimePoint now, Answer<TaskInfo> done) {
    const Result<TaskInfo> task = show_task(number);
    if (!task) return done(task.error());
    if (task->record.state != storage::TaskState::kRunning) {
        return done(Error(ErrorCode::kConflict, "task " + std::to_string(number) + " has ended already"));
    }
    tasks_.cancel(number, now);
    shared_.stage.writes().require_sync();
    answer_after_commit(*tasks_.find(number), std::move(done));
}

Result<TaskInfo> Namespace::show_task(std::uint64_t number) const {
    if (std::optional<TaskInfo> task = tasks_.find(number)) return *std::move(task);
    return Error(ErrorCode::kNotFound, "task " + std::to_string(number) + " not found in namespace \"" + name_ +
                                           "\"; those that ended long ago are forgotten: rockdove task list");
}

}  // namespace rockdove::core

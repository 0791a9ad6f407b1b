#include "server/core/task.h"

#include <algorithm>
#include <cmath>

#include "server/core/queue.h"
#include "storage/keys.h"

namespace rockdove::core {

namespace {

using storage::DeathReason;
using storage::TaskRecord;
using storage::TaskState;

constexpr Millis kTryAgain{1'000};  // while the target is full

DeathReason last_reason(const storage::DeadRecord& letter) {
    return letter.deaths.empty() ? DeathReason::kNone : letter.deaths.back().reason;
}

void count_reason(TaskRecord& task, DeathReason reason) {
    for (auto& [known, count] : task.reasons) {
        if (known == reason) {
            ++count;
            return;
        }
    }
    task.reasons.emplace_back(reason, 1);
}

bool limit_reached(const TaskRecord& task) { return task.limit != 0 && task.moved >= task.limit; }

// Messages of one step: a tenth of what the rate allows in a second.
std::uint32_t step_messages(const TaskRecord& task) {
    std::uint64_t most = kTaskMessages;
    if (task.rate > 0) most = std::min(most, static_cast<std::uint64_t>(std::max(1.0, task.rate / 10)));
    return static_cast<std::uint32_t>(most);
}

}  // namespace

// --- life -------------------------------------------------------------------------------------------------------

void Tasks::load(std::uint64_t number, TaskRecord record) {
    if (record.state == TaskState::kRunning) {
        active_.insert(number);
        if (record.dry_run) {
            record.next = Sequence(1);
            record.looked = record.moved = record.skipped = record.failed = 0;
            record.reasons.clear();
        }
    }
    tasks_[number].record = std::move(record);
}

std::uint64_t Tasks::begin(TaskRecord record) {
    const std::uint64_t number = tasks_.empty() ? 1 : tasks_.rbegin()->first + 1;
    Task& task = tasks_[number];
    task.record = std::move(record);
    active_.insert(number);
    put(number, task);
    return number;
}

void Tasks::cancel(std::uint64_t number, TimePoint now) {
    if (find_active(number) != nullptr) finish(number, TaskState::kCancelled, {}, now);
}

void Tasks::finish(std::uint64_t number, TaskState state, std::string text, TimePoint now) {
    Task& task = tasks_.at(number);
    task.record.state = state;
    task.record.text = std::move(text);
    task.record.finished_ms = to_unix_ms(now);
    task.waits.clear();
    task.page.reset();
    active_.erase(number);
    put(number, task);
    forget_oldest();
}

void Tasks::forget_oldest() {
    while (tasks_.size() - active_.size() > kMaxFinishedTasks) {
        auto oldest = tasks_.end();
        for (auto it = tasks_.begin(); it != tasks_.end(); ++it) {
            if (active_.contains(it->first)) continue;
            if (oldest == tasks_.end() || it->second.record.finished_ms < oldest->second.record.finished_ms)
                oldest = it;
        }
        shared_.stage.writes().remove(storage::task_key(shared_.ns, oldest->first));
        tasks_.erase(oldest);
    }
}

Tasks::Task* Tasks::find_active(std::uint64_t number) {
    return active_.contains(number) ? &tasks_.at(number) : nullptr;
}

std::optional<TaskInfo> Tasks::find(std::uint64_t number) const {
    const auto it = tasks_.find(number);
    if (it == tasks_.end()) return std::nullopt;
    return TaskInfo{number, it->second.record, it->second.waits};
}

std::vector<TaskInfo> Tasks::list() const {
    std::vector<TaskInfo> all;
    all.reserve(tasks_.size());
    for (auto it = tasks_.rbegin(); it != tasks_.rend(); ++it) {
        all.push_back(TaskInfo{it->first, it->second.record, it->second.waits});
    }
    return all;
}

// --- steps ------------------------------------------------------------------------------------------------------

TimePoint Tasks::next_time() const {
    TimePoint next = TimePoint::max();
    for (const std::uint64_t number : active_) {
        const Task& task = tasks_.at(number);
        if (!task.busy) next = std::min(next, task.wake);
    }
    return next;
}

void Tasks::run(TimePoint now, const std::string& refusal) {
    if (active_.empty()) return;
    for (const std::uint64_t number : std::set(active_)) run_one(number, now, refusal);
}

// Goes on until it has to wait for a commit, a read or its time.
void Tasks::run_one(std::uint64_t number, TimePoint now, const std::string& refusal) {
    while (Task* task = find_active(number)) {
        if (task->busy || task->wake > now) return;
        if (task->page) {
            step(number, *task, now, refusal);
        } else {
            read(number, *task, now);
        }
        task = find_active(number);
        if (task != nullptr && shared_.find(task->record.queue) == nullptr) {
            finish(number, TaskState::kFailed, "queue \"" + task->record.queue_name + "\" was deleted", now);
        }
    }
}

// Whether the task is about this letter.
bool Tasks::concerns(const Task& task, const DeadLetter& letter) {
    const storage::DeadRecord& dead = letter.record;
    const std::string_view reason = storage::death_reason_name(last_reason(dead));
    if (!task.record.reason.empty() && task.record.reason != reason) return false;
    if (!task.filter) return true;
    base::MessageFacts facts;
    facts.state = "dead";
    facts.reason = reason;
    if (!dead.deaths.empty()) facts.consumer = dead.deaths.back().consumer;
    facts.attempts = dead.attempts;
    facts.sequence = static_cast<std::int64_t>(letter.sequence.value);
    facts.commit_time_ms = dead.commit_time_ms;
    return task.filter(dead.message, facts);
}

void Tasks::read(std::uint64_t number, Task& task, TimePoint now) {
    Queue* from = shared_.find(task.record.queue);
    if (from == nullptr) return;
    if (!task.record.filter.empty() && !task.filter) {
        // Ages in it are those of when the task began, before and after a restart.
        Result<MessagePredicate> filter =
            shared_.format.filter(task.record.filter, from_unix_ms(task.record.created_ms));
        if (!filter) return finish(number, TaskState::kFailed, filter.error().text, now);
        task.filter = *std::move(filter);
    }
    DeadReadRequest request;
    request.first = task.record.next;
    request.end = task.record.end;
    request.limit = step_messages(task.record);
    request.max_bytes = kTaskBytes;
    task.busy = true;
    from->read_dead(request, [this, number](DeadPage page) {
        Task* reader = find_active(number);
        if (reader == nullptr) return;
        reader->busy = false;
        reader->page = std::move(page);
    });
}

void Tasks::step(std::uint64_t number, Task& task, TimePoint now, const std::string& refusal) {
    const DeadPage page = *std::exchange(task.page, std::nullopt);
    TaskRecord& record = task.record;
    Queue* from = shared_.find(record.queue);
    Queue* to = shared_.find(record.to);
    if (from == nullptr) return;
    if (to == nullptr) {
        return finish(number, TaskState::kFailed, "queue \"" + record.to_name + "\" was deleted", now);
    }
    if (page.failure) return finish(number, TaskState::kFailed, page.failure->text, now);
    task.waits.clear();
    if (!refusal.empty() && !record.dry_run) return wait(task, refusal, now);

    const std::uint64_t moved_before = record.moved;
    const Sequence next_before = record.next;
    bool stopped = false;
    for (const DeadLetter& letter : page.letters) {
        stopped = limit_reached(record) || !take(task, letter, *from, *to, now);
        if (stopped) break;
        record.next = Sequence(letter.sequence.value + 1);
    }
    if (limit_reached(record) || (!stopped && page.next.value == 0)) {
        return finish(number, TaskState::kDone, {}, now);
    }
    if (!stopped) record.next = page.next;
    const std::uint64_t moved = record.moved - moved_before;
    if (record.rate > 0 && moved != 0 && !record.dry_run && !stopped) {
        // From when this step was due, so that small delays do not add up, unless it could not go on for long.
        const Millis pause(static_cast<std::int64_t>(std::ceil(1'000.0 * static_cast<double>(moved) / record.rate)));
        task.wake = (task.wake + pause < now ? now : task.wake) + pause;
    }
    if (!record.dry_run && record.next != next_before) put(number, task);
}

bool Tasks::take(Task& task, const DeadLetter& letter, Queue& from, Queue& to, TimePoint now) {
    TaskRecord& record = task.record;
    if (!from.has_dead(letter.sequence)) return true;
    if (letter.damaged) {
        ++record.failed;
    } else if (concerns(task, letter)) {
        if (letter.record.redrives >= kMaxRedrives) {
            ++record.skipped;
        } else {
            if (!record.dry_run && !from.redrive(letter, to, record.place, now)) {
                wait(task, "queue \"" + record.to_name + "\" is full", now);
                return false;
            }
            ++record.moved;
            count_reason(record, last_reason(letter.record));
        }
    }
    ++record.looked;
    return true;
}

void Tasks::wait(Task& task, std::string why, TimePoint now) {
    task.waits = std::move(why);
    task.wake = now + kTryAgain;
}

void Tasks::put(std::uint64_t number, Task& task) {
    task.busy = true;
    shared_.stage.writes().put(storage::task_key(shared_.ns, number), task.record.encode());
    shared_.stage.after_commit(Reply([this, number](const Error* failure) {
        Task* waiter = find_active(number);
        if (failure == nullptr && waiter != nullptr) waiter->busy = false;
    }));
}

}  // namespace rockdove::core

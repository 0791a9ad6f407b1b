// Tasks of the broker: long administrative work that goes on in small steps beside everything else. So far each is a
// redrive of dead letters (SEMANTICS L-4).
//
// Runs on: the shard's thread. A step moves a bounded number of messages and bytes in one commit, with the task's record;
//          letters are read on another thread, and the next step waits for the commit of this one.
// Owns:    the tasks of a namespace, the last finished ones too.
// Restart: a task goes on where its last commit left it; a dry run begins again.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "server/core/shared.h"
#include "storage/record.h"

namespace rockdove::core {

struct TaskInfo {
    std::uint64_t number = 0;
    storage::TaskRecord record;
    std::string waits;  // why it cannot go on now; empty: it does
};

class Tasks {
public:
    explicit Tasks(Shared& shared) : shared_(shared) {}
    Tasks(const Tasks&) = delete;
    Tasks& operator=(const Tasks&) = delete;

    void load(std::uint64_t number, storage::TaskRecord record);

    [[nodiscard]] bool full() const { return active_.size() >= kMaxActiveTasks; }
    // Its number. It begins when its record is committed.
    std::uint64_t begin(storage::TaskRecord record);
    // What it has moved stays moved.
    void cancel(std::uint64_t number, TimePoint now);
    [[nodiscard]] std::optional<TaskInfo> find(std::uint64_t number) const;
    [[nodiscard]] std::vector<TaskInfo> list() const;  // the newest first

    // Once a turn. `refusal`: why publishes are refused; redrives wait then.
    void run(TimePoint now, const std::string& refusal);
    [[nodiscard]] TimePoint next_time() const;

private:
    struct Task {
        storage::TaskRecord record;
        bool busy = false;             // waits for a commit or a read
        std::optional<DeadPage> page;  // what was read for the next step
        TimePoint wake;                // not before
        MessagePredicate filter;
        std::string waits;
    };

    [[nodiscard]] Task* find_active(std::uint64_t number);
    void run_one(std::uint64_t number, TimePoint now, const std::string& refusal);
    void read(std::uint64_t number, Task& task, TimePoint now);
    [[nodiscard]] static bool concerns(const Task& task, const DeadLetter& letter);
    void step(std::uint64_t number, Task& task, TimePoint now, const std::string& refusal);
    // False: it has to wait, and why is noted.
    bool take(Task& task, const DeadLetter& letter, Queue& from, Queue& to, TimePoint now);
    void wait(Task& task, std::string why, TimePoint now);
    void finish(std::uint64_t number, storage::TaskState state, std::string text, TimePoint now);
    void put(std::uint64_t number, Task& task);  // busy until that is committed
    void forget_oldest();

    Shared& shared_;
    std::map<std::uint64_t, Task> tasks_;
    std::set<std::uint64_t> active_;
};

}  // namespace rockdove::core

#include "tools/ctl/task_view.h"

#include <unistd.h>

#include "tools/ctl/text/units.h"

namespace rockdove::ctl {
namespace {

constexpr Millis kLook{200};
constexpr int kBarCells = 22;

const char* state_word(v1::TaskState state) {
    switch (state) {
        case v1::TASK_RUNNING:
            return "running";
        case v1::TASK_WAITING:
            return "waiting";
        case v1::TASK_DONE:
            return "done";
        case v1::TASK_FAILED:
            return "failed";
        case v1::TASK_CANCELLED:
            return "cancelled";
        default:
            return "unknown";
    }
}

std::string progress_line(const v1::TaskInfo& task, double rate) {
    const std::uint64_t total = std::max(task.total(), task.looked());
    const auto filled = total == 0 ? 0 : static_cast<int>(kBarCells * task.looked() / total);
    std::string line = "task " + std::to_string(task.task()) + "  [" +
                       std::string(static_cast<std::size_t>(filled), '#') +
                       std::string(static_cast<std::size_t>(kBarCells - filled), '.') + "]  " +
                       format_count(task.looked()) + "/" + format_count(total);
    if (rate > 0) {
        const double left = static_cast<double>(total - task.looked()) / rate;
        line += "  " + format_count(static_cast<std::uint64_t>(rate)) + "/s  " +
                format_duration(Millis(static_cast<std::int64_t>(left * 1000))) + " left";
    }
    if (task.state() == v1::TASK_WAITING) line += "  waits: " + task.text();
    return line;
}

}  // namespace

Json task_json(const v1::TaskInfo& task) {
    const v1::Redrive& redrive = task.redrive();
    Json out = Json::object();
    out["task"] = task.task();
    out["kind"] = task.kind();
    out["state"] = state_word(task.state());
    out["queue"] = redrive.queue();
    out["to"] = redrive.to();
    out["reason"] = redrive.reason();
    out["filter"] = redrive.filter();
    out["place"] = redrive.place() == v1::PLACE_ORIGINAL ? "original"
                   : redrive.place() == v1::PLACE_END    ? "end"
                                                         : "by key";
    out["limit"] = redrive.limit();
    out["rate"] = redrive.rate();
    out["dry_run"] = redrive.dry_run();
    out["total"] = task.total();
    out["looked"] = task.looked();
    out["moved"] = task.moved();
    out["skipped"] = task.skipped();
    out["failed"] = task.failed();
    Json& reasons = out["reasons"] = Json::object();
    for (const v1::ReasonCount& reason : task.reasons()) reasons[reason.reason()] = reason.count();
    out["text"] = task.text();
    out["created_time"] = format_time(task.created_ms());
    out["finished_time"] = task.finished_ms() == 0 ? Json() : Json(format_time(task.finished_ms()));
    return out;
}

const std::vector<Column>& task_columns() {
    static const std::vector<Column> kColumns = {{"task", "TASK"},
                                                 {"kind", "KIND"},
                                                 {"state", "STATE", Kind::kState},
                                                 {"queue", "QUEUE"},
                                                 {"to", "TO"},
                                                 {"total", "TOTAL", Kind::kCount},
                                                 {"moved", "MOVED", Kind::kCount},
                                                 {"skipped", "SKIPPED", Kind::kCount},
                                                 {"failed", "FAILED", Kind::kCount},
                                                 {"created_time", "CREATED", Kind::kTime},
                                                 {"text", "TEXT"},
                                                 {"dry_run", "DRY_RUN", Kind::kText, true},
                                                 {"reason", "REASON", Kind::kText, true},
                                                 {"limit", "LIMIT", Kind::kCount, true},
                                                 {"rate", "RATE", Kind::kText, true},
                                                 {"finished_time", "FINISHED", Kind::kTime, true}};
    return kColumns;
}

std::string reasons_text(const v1::TaskInfo& task) {
    std::string text;
    for (const v1::ReasonCount& reason : task.reasons()) {
        text += (text.empty() ? "" : ", ") + reason.reason() + " " + format_count(reason.count());
    }
    return text;
}

bool task_ended(const v1::TaskInfo& task) {
    return task.state() != v1::TASK_RUNNING && task.state() != v1::TASK_WAITING;
}

base::Result<v1::TaskInfo> watch_task(Context& context, v1::TaskInfo task, Interrupt& interrupt, bool progress) {
    using Steady = std::chrono::steady_clock;
    const bool terminal = progress && ::isatty(STDERR_FILENO) == 1;
    const auto begin = Steady::now();
    const std::uint64_t looked_before = task.looked();
    std::string said;
    while (!task_ended(task)) {
        if (terminal) {
            const double elapsed = std::chrono::duration<double>(Steady::now() - begin).count();
            const double rate = elapsed > 0 ? static_cast<double>(task.looked() - looked_before) / elapsed : 0;
            write_all(2, "\r\x1b[K" + progress_line(task, rate));
        } else if (progress && task.state() == v1::TASK_WAITING && task.text() != said) {
            said = task.text();
            context.say("Task " + std::to_string(task.task()) + " waits: " + said);
        }
        if (interrupt.wait_until(Steady::now() + kLook)) break;
        v1::Frame request;
        request.mutable_task_show()->set_task(task.task());
        base::Result<v1::Frame> answer = context.ask(std::move(request));
        if (!answer) {
            if (terminal) write_all(2, "\n");
            return answer.error();
        }
        task = answer->task_info();
    }
    if (terminal) write_all(2, "\r\x1b[K" + progress_line(task, 0) + "\n");
    return task;
}

int report_task(Context& context, const v1::TaskInfo& task) {
    const std::string name = "Task " + std::to_string(task.task());
    if (!task_ended(task)) {
        context.say(name + " goes on; stop it with: rockdove task cancel " + std::to_string(task.task()));
        return kInterrupted;
    }
    std::string counts = format_count(task.moved()) + " moved";
    if (task.skipped() != 0) counts += ", " + format_count(task.skipped()) + " redriven too often already";
    counts += ", " + format_count(task.failed()) + " failed.";
    if (task.state() == v1::TASK_DONE) {
        context.say("Done: " + counts);
        if (task.skipped() + task.failed() == 0) return kOk;
        return task.moved() == 0 ? kFailed : kPartly;
    }
    context.say(name + " " + state_word(task.state()) + (task.text().empty() ? ": " : " (" + task.text() + "): ") +
                counts);
    return task.moved() == 0 ? kFailed : kPartly;
}

}  // namespace rockdove::ctl

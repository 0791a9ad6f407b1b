// `rockdove task list|show|watch|cancel`: long work that the broker does by itself.
#include "tools/ctl/commands.h"
#include "tools/ctl/task_view.h"

namespace rockdove::ctl {
namespace {

int list(Context& context, const ListFlags& flags) {
    v1::Frame request;
    request.mutable_task_list();
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer) return context.fail(answer.error());
    std::vector<Json> rows;
    for (const v1::TaskInfo& task : answer->task_list_reply().tasks()) rows.push_back(task_json(task));
    return context.print_list("tasks", std::move(rows), task_columns(), "task", flags);
}

int show(Context& context, std::uint64_t number) {
    v1::Frame request;
    request.mutable_task_show()->set_task(number);
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer) return context.fail(answer.error());
    return context.print_record(task_json(answer->task_info()), task_columns(), "task");
}

int watch(Context& context, std::uint64_t number) {
    Interrupt interrupt;
    v1::Frame request;
    request.mutable_task_show()->set_task(number);
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer) return context.fail(answer.error());
    const base::Result<v1::TaskInfo> task = watch_task(context, answer->task_info(), interrupt);
    if (!task) return context.fail(task.error());
    if (context.format() != OutputFormat::kAuto) {
        if (const int result = context.print_record(task_json(*task), task_columns(), "task"); result != kOk)
            return result;
    }
    return report_task(context, *task);
}

int cancel(Context& context, std::uint64_t number) {
    v1::Frame request;
    request.mutable_task_cancel()->set_task(number);
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer) return context.fail(answer.error());
    const v1::TaskInfo& task = answer->task_info();
    if (context.format() != OutputFormat::kAuto) return context.print_record(task_json(task), task_columns(), "task");
    context.say("Task " + std::to_string(number) + " cancelled: " + std::to_string(task.moved()) +
                " were moved, the others stay where they are.");
    return kOk;
}

void add_verb(CLI::App& task, Context& context, const char* name, const char* help,
              int (*run)(Context&, std::uint64_t)) {
    CLI::App* command = task.add_subcommand(name, help);
    auto number = std::make_shared<std::uint64_t>(0);
    command->add_option("task", *number, "Number of the task")->required()->option_text("TASK");
    command->callback(
        [&context, number, run] { context.command = [&context, number, run] { return run(context, *number); }; });
}

}  // namespace

void add_task(CLI::App& root, Context& context) {
    CLI::App* task =
        root.add_subcommand("task", "Look at long work of the broker, such as redrives; cancel it")->alias("tasks");
    task->require_subcommand(1);
    CLI::App* command =
        task->add_subcommand("list", "List tasks, the newest first; ended ones are kept for a while")->alias("ls");
    auto flags = std::make_shared<ListFlags>();
    add_list_flags(*command, *flags);
    command->callback([&context, flags] { context.command = [&context, flags] { return list(context, *flags); }; });
    add_verb(*task, context, "show", "Show one task", show);
    add_verb(*task, context, "watch", "Show the progress of a task until it ends", watch);
    add_verb(*task, context, "cancel", "Stop a task; what it has done stays done", cancel);
}

}  // namespace rockdove::ctl

// `rockdove dlq redrive QUEUE`: shows what would be moved, asks, and watches the broker's task do it.
#include <iostream>

#include "tools/ctl/commands.h"
#include "tools/ctl/confirm.h"
#include "tools/ctl/task_view.h"
#include "tools/ctl/text/units.h"

namespace rockdove::ctl {
namespace {

struct Options {
    std::string queue, to, reason, rate, limit, filter, place;
    ConfirmFlags confirm;
    bool no_wait = false;
};

base::Result<v1::TaskInfo> begin(Context& context, const Options& options, bool dry_run) {
    v1::Frame request;
    v1::Redrive& redrive = *request.mutable_redrive();
    redrive.set_queue(options.queue);
    redrive.set_to(options.to);
    redrive.set_reason(options.reason);
    redrive.set_limit(parse_count(options.limit).value_or(0));
    if (!options.rate.empty()) redrive.set_rate(parse_rate(options.rate).value_or(0));
    redrive.set_dry_run(dry_run);
    redrive.set_filter(options.filter);
    if (options.place == "original") redrive.set_place(v1::PLACE_ORIGINAL);
    if (options.place == "end") redrive.set_place(v1::PLACE_END);
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer) return answer.error();
    return answer->task_info();
}

// "Did you mean" for the queue that was not found.
Failure about(Context& context, const base::Error& error, const Options& options) {
    const bool target = !options.to.empty() && error.text.find("\"" + options.to + "\"") != std::string::npos;
    return context.about_queue(error, target ? options.to : options.queue);
}

std::string describe_count(const v1::TaskInfo& counted) {
    std::string text = format_count(counted.moved()) + (counted.moved() == 1 ? " message" : " messages");
    if (counted.moved() != 0) text += ", reasons: " + reasons_text(counted);
    text += ".";
    if (counted.skipped() != 0) {
        text += "  " + format_count(counted.skipped()) + " redriven too often already would stay.";
    }
    return text + "  " + (counted.redrive().to() == counted.redrive().queue() ? "Back to: " : "To: ") +
           counted.redrive().to() + ".";
}

// Empty: go ahead. Otherwise the program's exit code.
std::optional<int> stop_before_redrive(Context& context, const Options& options, Interrupt& interrupt) {
    if (options.confirm.yes && !options.confirm.dry_run) return std::nullopt;
    base::Result<v1::TaskInfo> counted = begin(context, options, true);
    if (counted) counted = watch_task(context, *std::move(counted), interrupt, false);
    if (!counted) return context.fail(about(context, counted.error(), options));
    if (counted->state() != v1::TASK_DONE) {
        return interrupt.raised() ? static_cast<int>(kInterrupted) : report_task(context, *counted);
    }
    context.say(describe_count(*counted));
    if (options.confirm.dry_run) {
        if (context.format() == OutputFormat::kAuto) return kOk;
        return context.print_record(task_json(*counted), task_columns(), "task");
    }
    if (counted->moved() == 0) return kOk;
    if (!context.can_ask()) {
        return context.fail(usage_failure("would have to ask before it redrives them, and there is no terminal",
                                          "--yes to go ahead, --dry-run to see what would happen"));
    }
    write_all(2, "Redrive them? [y/N] ");
    if (!interrupt.wait_readable(0)) return static_cast<int>(kInterrupted);
    std::string answer;
    std::getline(std::cin, answer);
    if (answer == "y" || answer == "Y" || answer == "yes") return std::nullopt;
    context.say("Nothing was done.");
    return kFailed;
}

int run(Context& context, const Options& options) {
    Interrupt interrupt;
    if (const auto stop = stop_before_redrive(context, options, interrupt)) return *stop;
    base::Result<v1::TaskInfo> task = begin(context, options, false);
    if (!task) return context.fail(about(context, task.error(), options));
    if (!options.no_wait) task = watch_task(context, *std::move(task), interrupt);
    if (!task) return context.fail(task.error());
    if (context.format() != OutputFormat::kAuto) {
        if (const int result = context.print_record(task_json(*task), task_columns(), "task"); result != kOk)
            return result;
    }
    if (!options.no_wait) return report_task(context, *task);
    context.say("Task " + std::to_string(task->task()) + " has begun; look at it with: rockdove task watch " +
                std::to_string(task->task()));
    return kOk;
}

}  // namespace

void add_dlq_redrive(CLI::App& dlq, Context& context) {
    CLI::App* command =
        dlq.add_subcommand("redrive", "Send dead letters round again, as new messages with their old id");
    auto options = std::make_shared<Options>();
    add_queue_argument(*command, options->queue);
    command->add_option("--to", options->to, "To this queue instead of back to the same")->type_name("QUEUE");
    command->add_option("--reason", options->reason, "Only those that died of this last, such as max_attempts");
    add_filter_flag(*command, options->filter);
    command
        ->add_option("--place", options->place,
                     "Where they stand; else: with a key at the old place, others at the end")
        ->check(CLI::IsMember({"original", "end"}));
    command->add_option("--rate", options->rate, "Not faster than this")->check(rate_check());
    command->add_option("--limit", options->limit, "At most so many, the oldest first")->check(count_check());
    command->add_flag("--no-wait", options->no_wait, "Leave the broker to it");
    add_confirm_flags(*command, options->confirm);
    command->callback(
        [&context, options] { context.command = [&context, options] { return run(context, *options); }; });
}

}  // namespace rockdove::ctl

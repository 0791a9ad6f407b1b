// `rockdove queue delete QUEUE` and `rockdove queue purge QUEUE`: both show counts and ask first.
#include "tools/ctl/commands.h"
#include "tools/ctl/confirm.h"
#include "tools/ctl/queue_info.h"
#include "tools/ctl/text/units.h"

namespace rockdove::ctl {
namespace {

struct Options {
    std::string name;
    bool if_exists = false;
    bool if_empty = false;
    ConfirmFlags confirm;
};

base::Result<v1::QueueInfo> look(Context& context, const std::string& name) {
    v1::Frame request;
    request.mutable_queue_show()->set_name(name);
    base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer) return answer.error();
    return answer->queue_info();
}

std::uint64_t living(const v1::QueueInfo& info) {
    return info.ready() + info.started() + info.waiting() + info.scheduled() + info.buffered();
}

int report(Context& context, const Options& options, const char* verb, std::uint64_t count) {
    context.say("Queue \"" + options.name + "\" " + verb + ", " + format_count(count) + " messages removed.");
    if (context.format() == OutputFormat::kAuto) return kOk;
    const Json record = Json{{"name", options.name}, {"done", verb}, {"messages", count}};
    return context.print_record(record, {{"name", "NAME"}, {"done", "DONE"}, {"messages", "MESSAGES", Kind::kCount}},
                                "name");
}

int remove(Context& context, const Options& options) {
    const base::Result<v1::QueueInfo> info = look(context, options.name);
    if (!info) {
        const bool gone = info.error().code == base::ErrorCode::kNotFound && options.if_exists;
        return gone ? report(context, options, "not there", 0)
                    : context.fail(context.about_queue(info.error(), options.name));
    }
    const std::string action = "delete queue \"" + options.name + "\" with " + format_count(living(*info)) +
                               " messages and " + format_count(info->dead()) + " dead letters";
    if (const auto stop = stop_before(context, options.confirm, options.name, action)) return *stop;
    v1::Frame request;
    request.mutable_queue_delete()->set_name(options.name);
    request.mutable_queue_delete()->set_if_exists(options.if_exists);
    request.mutable_queue_delete()->set_if_empty(options.if_empty);
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer) return context.fail(answer.error());
    return report(context, options, "deleted", answer->ok().count());
}

int purge(Context& context, const Options& options) {
    const base::Result<v1::QueueInfo> info = look(context, options.name);
    if (!info) return context.fail(context.about_queue(info.error(), options.name));
    const std::string action = "purge " + format_count(living(*info) - info->started()) + " messages from queue \"" +
                               options.name + "\" (" + format_count(info->started()) + " started ones stay)";
    if (const auto stop = stop_before(context, options.confirm, options.name, action)) return *stop;
    v1::Frame request;
    request.mutable_queue_purge()->set_name(options.name);
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer) return context.fail(answer.error());
    return report(context, options, "purged", answer->ok().count());
}

}  // namespace

void add_queue_delete(CLI::App& queue, Context& context) {
    CLI::App* command = queue.add_subcommand("delete", "Delete a queue and all its messages")->alias("rm");
    auto options = std::make_shared<Options>();
    add_queue_argument(*command, options->name);
    command->add_flag("--if-exists", options->if_exists, "It is fine if there is no such queue");
    command->add_flag("--if-empty", options->if_empty, "Only if no message is in it");
    add_confirm_flags(*command, options->confirm);
    command->callback(
        [&context, options] { context.command = [&context, options] { return remove(context, *options); }; });

    CLI::App* clear = queue.add_subcommand("purge", "Remove all messages that nobody works on");
    auto cleared = std::make_shared<Options>();
    add_queue_argument(*clear, cleared->name);
    add_confirm_flags(*clear, cleared->confirm);
    clear->callback(
        [&context, cleared] { context.command = [&context, cleared] { return purge(context, *cleared); }; });
}

}  // namespace rockdove::ctl

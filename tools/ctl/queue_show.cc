// `rockdove queue show QUEUE`
#include "tools/ctl/commands.h"
#include "tools/ctl/queue_info.h"

namespace rockdove::ctl {
namespace {

int run(Context& context, const std::string& name) {
    v1::Frame request;
    request.mutable_queue_show()->set_name(name);
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer) return context.fail(context.about_queue(answer.error(), name));
    const v1::QueueInfo& info = answer->queue_info();
    const int result = context.print_record(queue_json(info, context.broker_now_ms()), queue_show_fields(), "name");
    const std::string trouble = queue_trouble(info, context.broker_now_ms());
    if (!trouble.empty() && context.stdout_is_terminal()) context.say(info.name() + ": " + trouble + ".");
    return result;
}

}  // namespace

void add_queue_show(CLI::App& queue, Context& context) {
    CLI::App* command = queue.add_subcommand("show", "Show one queue: counts and settings");
    auto name = std::make_shared<std::string>();
    add_queue_argument(*command, *name);
    command->callback([&context, name] { context.command = [&context, name] { return run(context, *name); }; });
}

}  // namespace rockdove::ctl

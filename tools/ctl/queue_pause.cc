// `rockdove queue pause QUEUE` and `rockdove queue resume QUEUE`
#include "tools/ctl/commands.h"
#include "tools/ctl/queue_info.h"

namespace rockdove::ctl {
namespace {

int run(Context& context, const std::string& name, bool paused) {
    v1::Frame request;
    request.mutable_queue_pause()->set_name(name);
    request.mutable_queue_pause()->set_paused(paused);
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer) return context.fail(context.about_queue(answer.error(), name));
    return print_queue(context, answer->queue_info(),
                       paused ? "paused: it accepts messages and delivers none" : "resumed");
}

void add(CLI::App& queue, Context& context, const char* verb, const char* help, bool paused) {
    CLI::App* command = queue.add_subcommand(verb, help);
    auto name = std::make_shared<std::string>();
    add_queue_argument(*command, *name);
    command->callback([&context, name, paused] {
        context.command = [&context, name, paused] { return run(context, *name, paused); };
    });
}

}  // namespace

void add_queue_pause(CLI::App& queue, Context& context) {
    add(queue, context, "pause", "Stop delivering; sending goes on", true);
    add(queue, context, "resume", "Deliver again", false);
}

}  // namespace rockdove::ctl

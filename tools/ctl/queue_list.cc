// `rockdove queue list [PREFIX]`
#include "client/src/call.h"
#include "tools/ctl/commands.h"
#include "tools/ctl/queue_info.h"
#include "tools/ctl/text/units.h"

namespace rockdove::ctl {
namespace {

struct Options {
    std::string prefix;
    ListFlags list;
};

int run(Context& context, const Options& options) {
    std::vector<Json> rows;
    std::string trouble;
    std::string after;
    do {
        v1::Frame request;
        request.mutable_queue_list()->set_prefix(options.prefix);
        request.mutable_queue_list()->set_after(after);
        const base::Result<v1::Frame> answer = context.ask(std::move(request));
        if (!answer) return context.fail(answer.error());
        const v1::QueueListReply& page = answer->queue_list_reply();
        for (const v1::QueueInfo& info : page.queues()) {
            rows.push_back(queue_json(info, context.broker_now_ms()));
            const std::string why = queue_trouble(info, context.broker_now_ms());
            if (!why.empty()) trouble += " " + info.name() + ": " + why + ".";
        }
        after = page.next();
    } while (!after.empty());
    const std::size_t count = rows.size();
    const int result = context.print_list("queues", std::move(rows), queue_list_columns(), "name", options.list);
    if (result == kOk && !context.structured() && context.stdout_is_terminal()) {
        context.say(format_count(count) + (count == 1 ? " queue." : " queues.") + trouble);
    }
    return result;
}

}  // namespace

void add_queue_list(CLI::App& queue, Context& context) {
    CLI::App* command = queue.add_subcommand("list", "List queues with their counts")->alias("ls");
    auto options = std::make_shared<Options>();
    command->add_option("prefix", options->prefix, "Only names that begin with this")->option_text("[PREFIX]");
    add_list_flags(*command, options->list);
    command->callback(
        [&context, options] { context.command = [&context, options] { return run(context, *options); }; });
}

}  // namespace rockdove::ctl

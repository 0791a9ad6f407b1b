// `rockdove queue create QUEUE` and `rockdove queue update QUEUE`
#include "tools/ctl/commands.h"
#include "tools/ctl/queue_info.h"
#include "tools/ctl/queue_settings.h"

namespace rockdove::ctl {
namespace {

struct Options {
    std::string name;
    bool if_not_exists = false;
    QueueSettingFlags settings;
};

int create(Context& context, const Options& options) {
    v1::Frame request;
    v1::QueueCreate& create = *request.mutable_queue_create();
    create.set_name(options.name);
    create.set_if_not_exists(options.if_not_exists);
    *create.mutable_settings() = to_settings(options.settings);
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer) return context.fail(answer.error());
    return print_queue(context, answer->queue_info(), options.if_not_exists ? "is there" : "created");
}

int update(Context& context, const Options& options) {
    v1::Frame request;
    request.mutable_queue_update()->set_name(options.name);
    *request.mutable_queue_update()->mutable_settings() = to_settings(options.settings);
    if (request.queue_update().settings().ByteSizeLong() == 0) {
        return context.fail(usage_failure("nothing to change", "name at least one setting, such as --lease 1m"));
    }
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer) {
        const std::string other = options.settings.dead_letter_to.value_or("");
        const bool named = !other.empty() && answer.error().text.find("\"" + other + "\" (dead") != std::string::npos;
        return context.fail(context.about_queue(answer.error(), named ? other : options.name));
    }
    return print_queue(context, answer->queue_info(), "updated");
}

}  // namespace

void add_queue_create(CLI::App& queue, Context& context) {
    CLI::App* command = queue.add_subcommand("create", "Create a queue");
    auto options = std::make_shared<Options>();
    add_queue_argument(*command, options->name);
    command->add_flag("--if-not-exists", options->if_not_exists, "A queue with these settings may be there already");
    add_setting_flags(*command, options->settings);
    command->callback(
        [&context, options] { context.command = [&context, options] { return create(context, *options); }; });

    CLI::App* change = queue.add_subcommand("update", "Change settings of a queue; what is not named stays");
    auto changed = std::make_shared<Options>();
    add_queue_argument(*change, changed->name);
    add_setting_flags(*change, changed->settings);
    change->callback(
        [&context, changed] { context.command = [&context, changed] { return update(context, *changed); }; });
}

}  // namespace rockdove::ctl

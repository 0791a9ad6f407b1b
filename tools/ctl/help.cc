// `rockdove help [COMMAND...]`
#include "tools/ctl/commands.h"
#include "tools/ctl/text/suggest.h"
#include "tools/ctl/tree.h"

namespace rockdove::ctl {
namespace {

int run(Context& context, const CLI::App& root, const std::vector<std::string>& words) {
    const CLI::App* app = &root;
    for (const std::string& word : words) {
        const CLI::App* sub = find_subcommand(*app, word);
        if (sub == nullptr) {
            std::vector<std::string> names;
            for (const CLI::App* known : subcommands(*app)) names.push_back(known->get_name());
            return context.fail(
                usage_failure("there is no command \"" + word + "\"." + did_you_mean(word, names), "rockdove help"));
        }
        app = sub;
    }
    if (context.format() == OutputFormat::kAuto || context.format() == OutputFormat::kTable ||
        context.format() == OutputFormat::kWide) {
        return context.print_text(help_text(*app));
    }
    return context.print_record(tree_json(*app), {{"name", "NAME"}, {"description", "DESCRIPTION"}}, "name");
}

}  // namespace

void add_help(CLI::App& root, Context& context) {
    CLI::App* command = root.add_subcommand("help", "Explain a command");
    auto words = std::make_shared<std::vector<std::string>>();
    command->add_option("command", *words, "The command, such as: queue create")->option_text("[COMMAND...]");
    command->callback([&root, &context, words] {
        context.command = [&root, &context, words] { return run(context, root, *words); };
    });
}

}  // namespace rockdove::ctl

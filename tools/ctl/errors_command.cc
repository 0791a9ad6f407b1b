// `rockdove errors` and `rockdove errors show CODE`
#include "tools/ctl/commands.h"
#include "tools/ctl/text/suggest.h"

namespace rockdove::ctl {
namespace {

Json entry_json(const ErrorEntry& entry) {
    return Json{{"name", entry.name},      {"code", entry.code},       {"retryable", entry.retryable},
                {"exit_code", entry.exit}, {"meaning", entry.meaning}, {"cause", entry.cause},
                {"advice", entry.advice},  {"look", entry.look}};
}

int list(Context& context, const ListFlags& flags) {
    std::vector<Json> rows;
    for (const ErrorEntry& entry : error_catalog()) rows.push_back(entry_json(entry));
    const std::vector<Column> columns = {{"name", "NAME"},
                                         {"code", "CODE", Kind::kCount},
                                         {"retryable", "RETRY"},
                                         {"exit_code", "EXIT", Kind::kCount},
                                         {"meaning", "MEANING"},
                                         {"cause", "CAUSE", Kind::kText, true},
                                         {"advice", "ADVICE", Kind::kText, true},
                                         {"look", "LOOK", Kind::kText, true}};
    return context.print_list("errors", std::move(rows), columns, "name", flags);
}

int show(Context& context, const std::string& name) {
    const ErrorEntry* entry = find_error(name);
    if (entry == nullptr) {
        std::vector<std::string> names;
        for (const ErrorEntry& known : error_catalog()) names.emplace_back(known.name);
        Failure failure =
            usage_failure("there is no error code \"" + name + "\"." + did_you_mean(name, names), "rockdove errors");
        failure.exit = kNotFound;
        return context.fail(failure);
    }
    const std::vector<Column> fields = {{"name", "NAME"},      {"code", "CODE"},       {"retryable", "RETRY"},
                                        {"exit_code", "EXIT"}, {"meaning", "MEANING"}, {"cause", "CAUSE"},
                                        {"advice", "ADVICE"},  {"look", "LOOK"}};
    return context.print_record(entry_json(*entry), fields, "name");
}

}  // namespace

void add_errors(CLI::App& root, Context& context) {
    CLI::App* command = root.add_subcommand("errors", "Explain the error codes");
    command->require_subcommand(0, 1);
    auto flags = std::make_shared<ListFlags>();
    add_list_flags(*command, *flags);
    command->callback([&context, flags] {
        if (!context.command) context.command = [&context, flags] { return list(context, *flags); };
    });
    CLI::App* one = command->add_subcommand("show", "Explain one code: cause, advice, where to look");
    auto name = std::make_shared<std::string>();
    one->add_option("code", *name, "Name or number, such as stale_lease or 20")->required()->option_text("CODE");
    one->callback([&context, name] { context.command = [&context, name] { return show(context, *name); }; });
}

}  // namespace rockdove::ctl

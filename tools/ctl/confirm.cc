#include "tools/ctl/confirm.h"

#include <iostream>

namespace rockdove::ctl {

void add_confirm_flags(CLI::App& command, ConfirmFlags& flags) {
    command.add_flag("-y,--yes", flags.yes, "Do not ask");
    command.add_flag("--dry-run", flags.dry_run, "Only say what would be done");
}

std::optional<int> stop_before(Context& context, const ConfirmFlags& flags, const std::string& name,
                               const std::string& action) {
    if (flags.dry_run) {
        context.say("Dry run: would " + action + ".");
        return kOk;
    }
    if (flags.yes) return std::nullopt;
    if (!context.can_ask()) {
        return context.fail(usage_failure("would have to ask before it can " + action + ", and there is no terminal",
                                          "--yes to go ahead, --dry-run to see what would happen"));
    }
    write_all(2, "Type \"" + name + "\" to " + action + ": ");
    std::string answer;
    std::getline(std::cin, answer);
    if (answer == name) return std::nullopt;
    context.say("Nothing was done.");
    return kFailed;
}

}  // namespace rockdove::ctl

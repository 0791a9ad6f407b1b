// The question before something is destroyed.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "tools/ctl/context.h"

namespace rockdove::ctl {

struct ConfirmFlags {
    bool yes = false;
    bool dry_run = false;
};

void add_confirm_flags(CLI::App& command, ConfirmFlags& flags);

// Empty: go ahead. Otherwise the program's exit code: --dry-run (0, after saying what would be done), nobody there to
// be asked (2), or another answer than `name` (1). `action` reads on after "Type NAME to": "purge 12,431 messages".
std::optional<int> stop_before(Context& context, const ConfirmFlags& flags, const std::string& name,
                               const std::string& action);

}  // namespace rockdove::ctl

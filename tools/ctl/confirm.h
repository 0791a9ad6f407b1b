// The question before something is destroyed.
#pragma once

#include <optional>
#include <string>

#include "tools/ctl/context.h"

namespace rockdove::ctl {

struct ConfirmFlags {
    bool yes = false;
    bool dry_run = false;
};

// Empty: go ahead. Otherwise the program's exit code: --dry-run (0, after saying what would be done), nobody there to
// be asked (2), or another answer than `name` (1). `action` reads on after "Type NAME to": "purge 12,431 messages".
std::optional<int> stop_before(Context& context, const ConfirmFlags& flags, const std::string& name,
                               const std::string& action);

}  // namespace rockdove::ctl

// Commands that work on a data directory while no broker has it open: `rockdove inspect` and `rockdove recover`.
#pragma once

#include <CLI/CLI.hpp>

#include "tools/ctl/context.h"

namespace rockdove::ctl {

void add_inspect(CLI::App& root, Context& context);
void add_recover(CLI::App& root, Context& context);

}  // namespace rockdove::ctl

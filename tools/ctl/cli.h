// The whole command line: builds the tree, parses, runs the command that was named.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "tools/ctl/context.h"

namespace rockdove::ctl {

void build_tree(CLI::App& root, Context& context);

// `words` without the program's name. Returns the exit code; never throws.
int run_command_line(std::vector<std::string> words);

}  // namespace rockdove::ctl

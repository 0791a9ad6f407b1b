// What the user asked for: flags and sub-commands of `rockdoved`.
#pragma once

#include <string>
#include <vector>

#include "protocol/base/result.h"
#include "server/app/config.h"

namespace rockdove::app {

enum class Action { kRun, kConfigCheck, kConfigShow, kConfigExample, kConfigTable, kPrint };

struct CommandLine {
    Action action = Action::kRun;
    std::string text;      // kPrint: help or version, to be written to stdout
    ConfigSources config;  // without the environment
};

// Error: kInvalid, with a hint where to read on.
Result<CommandLine> parse_command_line(int argc, const char* const* argv);

// "NAME=value", as the process was started with.
std::vector<std::string> process_environment();

}  // namespace rockdove::app

// Reading CLI11's tree of commands: for help, completion and "did you mean".
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "tools/ctl/text/errors.h"
#include "tools/ctl/text/view.h"

namespace rockdove::ctl {

// Visible subcommands by their first names, in the order they were added.
std::vector<CLI::App*> subcommands(const CLI::App& app);
// The subcommand of this name or alias; null if there is none.
CLI::App* find_subcommand(const CLI::App& app, const std::string& name);
// Flags that may be used with `app`: its own and those of all above it, with their dashes.
std::vector<std::string> flag_names(const CLI::App& app);
// The option that `word` ("--url", "-n") names for `app`; null if there is none.
const CLI::Option* find_flag(const CLI::App& app, const std::string& word);

// How far the words lead down the tree.
struct Walk {
    const CLI::App* app;                // the deepest command named
    std::vector<std::string> words;     // plain words behind it
    const CLI::Option* open = nullptr;  // the last word is a flag that still wants its value
};
Walk walk(const CLI::App& root, const std::vector<std::string>& words);

// What was wrong with a command line that CLI11 refused, in our words.
Failure explain_parse_error(const CLI::App& root, const std::vector<std::string>& words, const CLI::ParseError& error);

// Help with the command's whole name in its usage line.
std::string help_text(const CLI::App& app);

// The whole tree: name, description, flags, subcommands.
Json tree_json(const CLI::App& app);

}  // namespace rockdove::ctl

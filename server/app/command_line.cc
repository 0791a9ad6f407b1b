#include "server/app/command_line.h"

#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

namespace rockdove::app {
namespace {

// A flag that is short for one setting.
struct Short {
    const char* flag;
    const char* key;
    const char* help;
};
constexpr Short kShorts[] = {
    {"--data-dir", "server.data_dir", "Where messages are kept [/var/lib/rockdove]"},
    {"--shards", "server.shards", "Number of shards [0: as many as are there, and at least one per 4 processors]"},
    {"--listen", "listen.client", "Address for clients [127.0.0.1:7625]; port 0 picks a free one"},
    {"--http", "listen.http", "Address for health and metrics [127.0.0.1:8625], or off"},
    {"--log-level", "log.level", "trace, debug, info, warning, error, critical or off [info]"},
    {"--log-format", "log.format", "text or json [text]"},
};

constexpr const char* kFooter =
    "\nSignals: TERM and INT drain and stop, a second one stops at once; HUP reloads; USR1 reopens the log.\n"
    "Exit codes: 0 clean, 64 usage, 65 damaged or newer data, 69 port in use, 70 internal, 73 cannot lock or create,\n"
    "74 I/O error, 77 permission, 78 configuration.";

Result<CommandLine> usage(const std::string& text) {
    return Error(ErrorCode::kInvalid, text + "\nTry: rockdoved --help");
}

}  // namespace

Result<CommandLine> parse_command_line(int argc, const char* const* argv) {
    CommandLine line;
    std::vector<FlagValue>& flags = line.config.flags;
    bool version = false;
    bool print_config = false;

    CLI::App app("Rockdove, a message broker that keeps its queues on disk.", "rockdoved");
    app.footer(kFooter);
    app.fallthrough();
    app.add_flag("--version", version, "Print the version");
    app.add_option("--config", line.config.file, "Configuration file [/etc/rockdove/rockdove.toml, if it exists]")
        ->type_name("FILE");
    app.add_flag("--dev", line.config.dev,
                 "A throw-away broker: temporary directory, loopback, free ports if the usual ones are taken, queues "
                 "created on first use; everything is removed on exit");
    app.add_flag("--test-clock", line.config.test_clock,
                 "For tests: time stands still, and moves by: rockdove clock advance 3d. Only on a new data directory, "
                 "which then stays one for tests");
    for (const Short& one : kShorts) {
        const auto take = [&flags, &one](const std::string& text) {
            flags.push_back(FlagValue{one.key, text, one.flag});
        };
        app.add_option_function<std::string>(one.flag, take, one.help)->type_name("VALUE")->trigger_on_parse();
    }
    app.add_flag_callback(
           "--create-on-use",
           [&flags] {
               flags.push_back(FlagValue{"namespaces.create_on_use", "true", "--create-on-use"});
           },
           "Create queues on first use")
        ->trigger_on_parse();
    std::vector<std::string> sets;
    app.add_option("--set", sets, "Any setting, such as --set limits.heartbeat=10s; may be repeated")
        ->type_name("KEY=VALUE")
        ->type_size(1)
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    app.add_flag("--print-config", print_config, "Print every setting with its value and origin, and exit");
    CLI::App* config = app.add_subcommand("config", "Check, show or explain the configuration");
    CLI::App* check = config->add_subcommand("check", "Say what is wrong with the configuration; exit 0 or 78");
    CLI::App* show = config->add_subcommand("show", "The same as --print-config");
    CLI::App* example = config->add_subcommand("example", "Print a commented configuration file");
    CLI::App* table = config->add_subcommand("table", "Print all settings as a Markdown table");
    config->require_subcommand(1);

    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        line.action = Action::kPrint;
        // CLI11 prints the help of the innermost command that was named.
        line.text = (config->parsed() ? config : &app)->help();
        return line;
    } catch (const CLI::ParseError& error) {
        return usage(error.what());
    }
    if (version) {
        line.action = Action::kPrint;
        line.text = std::string("rockdoved ") + ROCKDOVE_VERSION + "\n";
        return line;
    }
    for (const std::string& text : sets) {
        const std::size_t equals = text.find('=');
        if (equals == std::string::npos || equals == 0) return usage("--set " + text + ": expected KEY=VALUE");
        flags.push_back(FlagValue{text.substr(0, equals), text.substr(equals + 1), "--set"});
    }
    if (print_config || show->parsed()) line.action = Action::kConfigShow;
    if (check->parsed()) line.action = Action::kConfigCheck;
    if (example->parsed()) line.action = Action::kConfigExample;
    if (table->parsed()) line.action = Action::kConfigTable;
    return line;
}

std::vector<std::string> process_environment() {
    std::vector<std::string> out;
    for (char** variable = environ; *variable != nullptr; ++variable) out.emplace_back(*variable);
    return out;
}

}  // namespace rockdove::app

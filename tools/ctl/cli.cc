#include "tools/ctl/cli.h"

#include <csignal>

#include "tools/bench/bench.h"
#include "tools/ctl/commands.h"
#include "tools/ctl/text/units.h"
#include "tools/ctl/tree.h"
#include "tools/inspect/inspect.h"

namespace rockdove::ctl {
namespace {

void add_global_flags(CLI::App& root, Context& context) {
    Globals& globals = context.globals;
    const std::string group = "Global flags";
    root.add_option("--url", globals.url, "Broker; else ROCKDOVE_URL, else rockdove://localhost:7625")
        ->type_name("URL")
        ->group(group);
    root.add_option("--timeout", globals.timeout, "Longest time for each operation")
        ->check(duration_check())
        ->group(group);
    root.add_option("-o,--output", globals.output, "table, wide, json, jsonl, yaml, csv or name")
        ->check(CLI::IsMember({"auto", "table", "wide", "json", "jsonl", "yaml", "csv", "name"}))
        ->type_name("FORMAT")
        ->group(group);
    root.add_option("--color", globals.color, "auto, always or never")
        ->check(CLI::IsMember({"auto", "always", "never"}))
        ->type_name("WHEN")
        ->group(group);
    root.add_flag("-v,--verbose", globals.verbose, "Log protocol frames to stderr")->group(group);
}

// Global flags may stand anywhere; a word that happens to be a command's name stays a plain word.
void let_globals_through(CLI::App& app) {
    for (CLI::App* sub : app.get_subcommands([](CLI::App*) { return true; })) {
        sub->fallthrough();
        let_globals_through(*sub);
    }
}

// Words that are still being typed are not for CLI11 to judge.
bool is_completion(const std::vector<std::string>& words) { return words.front() == "__complete"; }

std::vector<std::string> words_to_complete(const std::vector<std::string>& words) {
    const bool marked = words.size() > 1 && words[1] == "--";
    return {words.begin() + (marked ? 2 : 1), words.end()};
}

int run_command(Context& context) {
    try {
        return context.command();
    } catch (const Error& error) {
        return context.fail(to_failure(error));
    } catch (const std::exception& error) {
        return context.fail(local_failure(error.what()));
    }
}

}  // namespace

void build_tree(CLI::App& root, Context& context) {
    root.name("rockdove");
    root.description("Rockdove: send and receive messages, look after queues.\nStart with: rockdove examples first");
    root.require_subcommand(1);
    add_global_flags(root, context);
    add_send(root, context);
    add_receive(root, context);
    add_publish(root, context);
    add_subscribe(root, context);
    add_queue(root, context);
    add_topic(root, context);
    add_subscription(root, context);
    add_message(root, context);
    add_explain(root, context);
    add_dlq(root, context);
    add_task(root, context);
    add_stats(root, context);
    add_doctor(root, context);
    add_clock(root, context);
    add_inspect(root, context);
    add_recover(root, context);
    add_bench(root, context);
    add_examples(root, context);
    add_errors(root, context);
    add_completion(root, context);
    add_version(root, context);
    add_help(root, context);
    let_globals_through(root);
}

int run_command_line(std::vector<std::string> words) {
    std::signal(SIGPIPE, SIG_IGN);  // a reader that went away shows as a failed write
    Context context;
    CLI::App root;
    build_tree(root, context);
    if (words.empty()) {
        write_all(2, help_text(root));
        return kUsage;
    }
    if (is_completion(words)) return complete(context, root, words_to_complete(words));
    try {
        root.parse(std::vector<std::string>(words.rbegin(), words.rend()));
    } catch (const CLI::CallForHelp&) {
        return context.print_text(help_text(*walk(root, words).app));
    } catch (const CLI::ParseError& error) {
        return context.fail(explain_parse_error(root, words, error));
    }
    return run_command(context);
}

}  // namespace rockdove::ctl

// Flags and checks that commands share.
#include "tools/ctl/commands.h"
#include "tools/ctl/text/units.h"

namespace rockdove::ctl {
namespace {

template <class Parse>
CLI::Validator check(Parse parse, const char* type, const char* expected) {
    CLI::Validator validator(
        [parse, expected](std::string& text) -> std::string {
            return parse(text) ? "" : "\"" + text + "\" is not " + expected;
        },
        type);
    return validator;
}

}  // namespace

void add_list_flags(CLI::App& command, ListFlags& flags) {
    command.add_option("--columns", flags.columns, "Columns to show, separated by commas")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->type_name("NAMES");
    command.add_option("--sort", flags.sort, "Sort by this column; -COLUMN turns it round")->type_name("COLUMN");
    command.add_option("--limit", flags.limit, "Show at most so many")->type_name("N");
    command.add_flag("--no-headers", flags.no_headers, "Leave out the line of titles");
}

// An empty one would mean everything: more likely a variable that is not set.
void add_filter_flag(CLI::App& command, std::string& filter) {
    command
        .add_option("--filter", filter, "Only messages that match, such as \"priority >= 7 AND header.region = 'eu'\"")
        ->check(check([](const std::string& text) { return text.find_first_not_of(" \t") != std::string::npos; },
                      "EXPR", "a filter; try: rockdove examples filter"));
}

CLI::Option* add_queue_argument(CLI::App& command, std::string& queue) {
    return command.add_option("queue", queue, "Name of the queue")
        ->required()
        ->type_name("QUEUE")
        ->option_text("QUEUE");
}

CLI::Validator duration_check() {
    return check([](const std::string& text) { return parse_duration(text).has_value(); }, "DURATION",
                 "a duration such as 250ms, 30s, 5m, 1h30m or 2d");
}

CLI::Validator time_check() {
    // What the C++ library's clock can tell.
    constexpr auto kLatest = std::chrono::floor<Millis>(Clock::time_point::max()).time_since_epoch().count();
    return check(
        [](const std::string& text) {
            const auto time = parse_time(text);
            return time && *time >= 0 && *time <= kLatest;
        },
        "TIME", "a time in UTC such as 2027-03-01T08:00:00Z, before the year 2262");
}

CLI::Validator size_check() {
    return check([](const std::string& text) { return parse_size(text).has_value(); }, "SIZE",
                 "a size such as 1024, 64KiB, 512MiB or 1GB");
}

CLI::Validator count_check() {
    return check([](const std::string& text) { return parse_count(text).has_value(); }, "N", "a number such as 100000");
}

CLI::Validator rate_check() {
    return check([](const std::string& text) { return parse_rate(text).has_value(); }, "RATE",
                 "a rate such as 500/s, 30/m or 10/h");
}

}  // namespace rockdove::ctl

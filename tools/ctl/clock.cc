// `rockdove clock show` and `rockdove clock advance DURATION`: the broker's time, and moving that of a test clock.
#include "tools/ctl/commands.h"
#include "tools/ctl/text/units.h"

namespace rockdove::ctl {
namespace {

int print(Context& context, const base::Result<v1::Frame>& answer) {
    if (!answer) return context.fail(answer.error());
    const v1::ClockInfo& info = answer->clock_info();
    const Json record = Json{{"time", format_time(info.time_ms())}, {"test_clock", info.test_clock()}};
    return context.print_record(record, {{"time", "TIME", Kind::kTime}, {"test_clock", "TEST_CLOCK"}}, "time");
}

int show(Context& context) {
    v1::Frame request;
    request.mutable_clock_show();
    return print(context, context.ask(std::move(request)));
}

int advance(Context& context, const std::string& by) {
    v1::Frame request;
    request.mutable_clock_advance()->set_advance_ms(static_cast<std::uint64_t>(parse_duration(by)->count()));
    return print(context, context.ask(std::move(request)));
}

}  // namespace

void add_clock(CLI::App& root, Context& context) {
    CLI::App* clock = root.add_subcommand("clock", "Show the broker's time, or move it in a test");
    clock->require_subcommand(1);
    CLI::App* shown = clock->add_subcommand("show", "Show the broker's time, and whether it is a test clock");
    shown->callback([&context] { context.command = [&context] { return show(context); }; });

    CLI::App* moved = clock->add_subcommand(
        "advance", "Move the time of a broker that runs with --test-clock; ends when what fell due has happened");
    auto by = std::make_shared<std::string>();
    moved->add_option("duration", *by, "How far, such as 90s, 5m or 3d")
        ->required()
        ->check(duration_check())
        ->type_name("DURATION")
        ->option_text("DURATION");
    moved->callback([&context, by] { context.command = [&context, by] { return advance(context, *by); }; });
}

}  // namespace rockdove::ctl

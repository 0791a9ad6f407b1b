// `rockdove version`
#include "tools/ctl/commands.h"

namespace rockdove::ctl {
namespace {

constexpr int kProtocolVersion = 1;

int run(Context& context, bool ask_broker) {
    Json record = Json{{"version", ROCKDOVE_VERSION}, {"protocol", kProtocolVersion}};
    std::vector<Column> fields = {{"version", "VERSION"}, {"protocol", "PROTOCOL"}};
    if (ask_broker) {
        v1::Frame request;
        request.mutable_stats_request();
        const base::Result<v1::Frame> answer = context.ask(std::move(request));
        if (!answer) return context.fail(answer.error());
        record["broker_version"] = answer->stats().broker_version();
        fields.push_back({"broker_version", "BROKER_VERSION"});
    }
    if (context.format() == OutputFormat::kAuto && !ask_broker)
        return context.print_text("rockdove " ROCKDOVE_VERSION "\n");
    return context.print_record(record, fields, "version");
}

}  // namespace

void add_version(CLI::App& root, Context& context) {
    CLI::App* command = root.add_subcommand("version", "Show the version of this program");
    auto broker = std::make_shared<bool>(false);
    command->add_flag("--broker", *broker, "Ask the broker for its version, too");
    command->callback([&context, broker] { context.command = [&context, broker] { return run(context, *broker); }; });
}

}  // namespace rockdove::ctl

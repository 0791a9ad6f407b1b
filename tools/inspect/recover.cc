// `rockdove recover DIR --accept-loss`: goes on with less than was confirmed, after a start was refused.
#include "storage/rocksdb/recover.h"

#include "tools/inspect/inspect.h"
#include "tools/inspect/offline.h"

namespace rockdove::ctl {
namespace {

template <class T>
Json value_or_null(const std::optional<T>& value) {
    return value ? Json(*value) : Json();
}

int run(Context& context, const std::string& directory, bool accept_loss) {
    if (!accept_loss) {
        return context.fail(usage_failure(
            "recover gives up confirmed messages that can no longer be read",
            "look first (rockdove inspect " + directory + "), copy the directory, then add --accept-loss"));
    }
    const auto outcome = storage::accept_loss(offline_options(directory));
    if (const auto* failure = std::get_if<storage::OpenFailure>(&outcome)) {
        return context.fail(offline_failure(*failure, directory));
    }
    const auto& loss = std::get<storage::AcceptedLoss>(outcome);
    context.say(loss.needed ? loss.summary : "Nothing is missing; nothing was changed.");
    if (context.format() == OutputFormat::kAuto) return kOk;
    const Json record = Json{{"path", directory},
                             {"needed", loss.needed},
                             {"lost_commits", value_or_null(loss.commits)},
                             {"lost_sequence_numbers", value_or_null(loss.sequence_numbers)},
                             {"lsn", loss.last_lsn},
                             {"logs_dropped", loss.logs_dropped},
                             {"summary", loss.summary}};
    return context.print_record(record,
                                {{"path", "PATH"},
                                 {"needed", "NEEDED"},
                                 {"lost_commits", "LOST_COMMITS", Kind::kCount},
                                 {"lsn", "LSN", Kind::kCount},
                                 {"logs_dropped", "LOGS_DROPPED"}},
                                "path");
}

}  // namespace

void add_recover(CLI::App& root, Context& context) {
    CLI::App* command =
        root.add_subcommand("recover", "Go on with a damaged data directory, giving up what is missing");
    auto directory = std::make_shared<std::string>();
    auto accept = std::make_shared<bool>(false);
    command->add_option("directory", *directory, "The data directory")->required()->option_text("DIR");
    command->add_flag("--accept-loss", *accept, "Yes, confirmed messages may be lost");
    command->callback([&context, directory, accept] {
        context.command = [&context, directory, accept] { return run(context, *directory, *accept); };
    });
}

}  // namespace rockdove::ctl

// `rockdove dlq list [PREFIX]`: the queues that have dead letters.
#include <map>

#include "tools/ctl/commands.h"
#include "tools/ctl/text/units.h"

namespace rockdove::ctl {
namespace {

constexpr std::uint32_t kSample = 100;

struct Options {
    std::string prefix;
    ListFlags list;
};

base::Result<Json> row(Context& context, const v1::QueueInfo& info) {
    v1::Frame request;
    request.mutable_dead_list()->set_queue(info.name());
    request.mutable_dead_list()->set_limit(kSample);
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer) return answer.error();
    std::map<std::string, std::uint64_t> reasons;
    for (const v1::DeadLetter& letter : answer->dead_list_reply().letters()) {
        if (letter.deaths_size() != 0) ++reasons[letter.deaths(letter.deaths_size() - 1).reason()];
    }
    Json out = Json::object();
    out["queue"] = info.name();
    out["dead"] = info.dead();
    out["evicted"] = info.dead_evicted();
    out["sampled"] = answer->dead_list_reply().letters_size();
    if (context.structured()) {
        out["reasons"] = reasons;
    } else {
        std::string text;
        for (const auto& [reason, count] : reasons) {
            text += (text.empty() ? "" : ", ") + reason + " " + format_count(count);
        }
        out["reasons"] = text;
    }
    return out;
}

int run(Context& context, const Options& options) {
    std::vector<Json> rows;
    std::string after;
    do {
        v1::Frame request;
        request.mutable_queue_list()->set_prefix(options.prefix);
        request.mutable_queue_list()->set_after(after);
        const base::Result<v1::Frame> answer = context.ask(std::move(request));
        if (!answer) return context.fail(answer.error());
        for (const v1::QueueInfo& info : answer->queue_list_reply().queues()) {
            if (info.dead() == 0) continue;
            base::Result<Json> found = row(context, info);
            if (found) {
                rows.push_back(*std::move(found));
            } else if (found.error().code != base::ErrorCode::kNotFound) {  // deleted in the meantime
                return context.fail(found.error());
            }
        }
        after = answer->queue_list_reply().next();
    } while (!after.empty());
    const bool none = rows.empty();
    const std::vector<Column> columns = {{"queue", "QUEUE"},
                                         {"dead", "DEAD", Kind::kCount},
                                         {"reasons", "REASONS"},
                                         {"evicted", "EVICTED", Kind::kCount, true},
                                         {"sampled", "SAMPLED", Kind::kCount, true}};
    const int result = context.print_list("queues", std::move(rows), columns, "queue", options.list);
    if (none && !context.structured() && context.stdout_is_terminal()) context.say("No dead letters.");
    return result;
}

}  // namespace

void add_dlq_list(CLI::App& dlq, Context& context) {
    CLI::App* command =
        dlq.add_subcommand("list", "List queues with dead letters, and what the oldest hundred of each died of")
            ->alias("ls");
    auto options = std::make_shared<Options>();
    command->add_option("prefix", options->prefix, "Only names that begin with this")->option_text("[PREFIX]");
    add_list_flags(*command, options->list);
    command->callback(
        [&context, options] { context.command = [&context, options] { return run(context, *options); }; });
}

}  // namespace rockdove::ctl

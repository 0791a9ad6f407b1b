// `rockdove queue keys list QUEUE` and `rockdove queue keys resume QUEUE [KEY]`
#include "tools/ctl/commands.h"
#include "tools/ctl/text/units.h"

namespace rockdove::ctl {
namespace {

struct Options {
    std::string name, key;
    bool all = false;
    ListFlags list;
};

int list(Context& context, const Options& options) {
    v1::Frame request;
    request.mutable_queue_keys()->set_name(options.name);
    request.mutable_queue_keys()->set_limit(1000);
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer) return context.fail(context.about_queue(answer.error(), options.name));
    std::vector<Json> rows;
    for (const v1::PausedKey& key : answer->queue_keys_reply().keys()) {
        Json row = Json::object();
        row["key"] = key.key();
        row["dead_sequence"] = key.seq();
        row["since"] = format_time(key.since_ms());
        row["behind"] = key.behind();
        rows.push_back(std::move(row));
    }
    const std::vector<Column> columns = {{"key", "KEY"},
                                         {"dead_sequence", "DEAD_SEQ", Kind::kCount},
                                         {"since", "SINCE", Kind::kTime},
                                         {"behind", "BEHIND", Kind::kCount}};
    return context.print_list("keys", std::move(rows), columns, "key", options.list);
}

int resume(Context& context, const Options& options) {
    if (options.key.empty() != options.all) {
        return context.fail(usage_failure("which key?", "name one, or give --all"));
    }
    v1::Frame request;
    request.mutable_queue_key_resume()->set_name(options.name);
    request.mutable_queue_key_resume()->set_key(options.key);
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer) return context.fail(context.about_queue(answer.error(), options.name));
    const std::uint64_t count = answer->ok().count();
    Json record = Json::object();
    record["queue"] = options.name;
    record["resumed"] = count;
    if (context.format() != OutputFormat::kAuto) {
        return context.print_record(record, {{"queue", "QUEUE"}, {"resumed", "RESUMED", Kind::kCount}}, "queue");
    }
    context.say(format_count(count) + (count == 1 ? " key goes on" : " keys go on"));
    return 0;
}

}  // namespace

void add_queue_keys(CLI::App& queue, Context& context) {
    CLI::App* keys = queue.add_subcommand("keys", "Ordering keys that stopped with a dead message");
    keys->require_subcommand(1);

    CLI::App* show = keys->add_subcommand("list", "List keys that wait to be resumed")->alias("ls");
    auto listed = std::make_shared<Options>();
    add_queue_argument(*show, listed->name);
    add_list_flags(*show, listed->list);
    show->callback([&context, listed] { context.command = [&context, listed] { return list(context, *listed); }; });

    CLI::App* go_on = keys->add_subcommand("resume", "Let a key go on, past its dead message");
    auto resumed = std::make_shared<Options>();
    add_queue_argument(*go_on, resumed->name);
    go_on->add_option("key", resumed->key, "The key");
    go_on->add_flag("--all", resumed->all, "All keys of the queue");
    go_on->callback(
        [&context, resumed] { context.command = [&context, resumed] { return resume(context, *resumed); }; });
}

}  // namespace rockdove::ctl

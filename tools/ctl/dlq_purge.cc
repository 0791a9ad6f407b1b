// `rockdove dlq purge QUEUE` and `rockdove dlq delete QUEUE SEQUENCE...`: both show counts and ask first.
#include "tools/ctl/commands.h"
#include "tools/ctl/confirm.h"
#include "tools/ctl/text/units.h"

namespace rockdove::ctl {
namespace {

struct Options {
    std::string queue;
    std::vector<std::uint64_t> sequences;
    ConfirmFlags confirm;
};

std::string letters(std::uint64_t count) {
    return format_count(count) + (count == 1 ? " dead letter" : " dead letters");
}

int run(Context& context, const Options& options, const char* done) {
    v1::Frame look;
    look.mutable_queue_show()->set_name(options.queue);
    const base::Result<v1::Frame> shown = context.ask(std::move(look));
    if (!shown) return context.fail(context.about_queue(shown.error(), options.queue));
    const std::uint64_t count = options.sequences.empty() ? shown->queue_info().dead() : options.sequences.size();
    const std::string action = "delete " + letters(count) + " of queue \"" + options.queue + "\"";
    if (const auto stop = stop_before(context, options.confirm, options.queue, action)) return *stop;
    v1::Frame request;
    v1::DeadDelete& remove = *request.mutable_dead_delete();
    remove.set_queue(options.queue);
    remove.set_all(options.sequences.empty());
    for (const std::uint64_t sequence : options.sequences) remove.add_seqs(sequence);
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer) return context.fail(answer.error());
    const std::uint64_t gone = answer->ok().count();
    context.say("Queue \"" + options.queue + "\": " + letters(gone) + " deleted.");
    if (gone < options.sequences.size()) {
        context.say(format_count(options.sequences.size() - gone) + " were not there.");
    }
    int result = kOk;
    if (context.format() != OutputFormat::kAuto) {
        const Json record = Json{{"queue", options.queue}, {"done", done}, {"letters", gone}};
        result = context.print_record(
            record, {{"queue", "QUEUE"}, {"done", "DONE"}, {"letters", "LETTERS", Kind::kCount}}, "queue");
    }
    if (result != kOk || gone >= options.sequences.size()) return result;
    return gone == 0 ? kNotFound : kPartly;
}

}  // namespace

void add_dlq_purge(CLI::App& dlq, Context& context) {
    CLI::App* purge = dlq.add_subcommand("purge", "Delete all dead letters of a queue");
    auto all = std::make_shared<Options>();
    add_queue_argument(*purge, all->queue);
    add_confirm_flags(*purge, all->confirm);
    purge->callback([&context, all] { context.command = [&context, all] { return run(context, *all, "purged"); }; });

    CLI::App* command = dlq.add_subcommand("delete", "Delete single dead letters, by sequence")->alias("rm");
    auto options = std::make_shared<Options>();
    add_queue_argument(*command, options->queue);
    command->add_option("sequences", options->sequences, "Sequences, as dlq show prints them")
        ->required()
        ->option_text("SEQUENCE...");
    add_confirm_flags(*command, options->confirm);
    command->callback(
        [&context, options] { context.command = [&context, options] { return run(context, *options, "deleted"); }; });
}

}  // namespace rockdove::ctl

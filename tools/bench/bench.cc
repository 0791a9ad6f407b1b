// `rockdove bench W1|W2`: flags, the queue, the result line.
#include "tools/bench/bench.h"

#include "client/src/call.h"
#include "tools/bench/workload.h"
#include "tools/ctl/commands.h"
#include "tools/ctl/text/units.h"

namespace rockdove::ctl {
namespace {

void delete_queue(Context& context, const std::string& queue) {
    v1::Frame request;
    request.mutable_queue_delete()->set_name(queue);
    request.mutable_queue_delete()->set_if_exists(true);
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer) throw std::runtime_error("cannot delete queue " + queue + ": " + answer.error().text);
}

int run(Context& context, bench::Run run) {
    if (run.workload == "W1" && !run.ack.empty()) return context.fail(usage_failure("--ack belongs to W2"));
    if (run.workload == "W2" && run.producers != 1) return context.fail(usage_failure("W2 has one producer"));
    if (run.workload == "W2" && run.ack.empty()) run.ack = "multi";
    delete_queue(context, run.queue);
    QueueOptions settings;
    settings.durability(run.mode == "strict" ? Durability::kSync : Durability::kAsync);
    context.client().create_queue(run.queue, settings);
    const ClientOptions options = context.globals.url.empty() ? ClientOptions() : ClientOptions(context.globals.url);
    run.endpoint = endpoint(context.client());
    if (const auto hello = welcome(context.client())) run.name_space = hello->namespace_();
    Json result = bench::measure(run, options);
    delete_queue(context, run.queue);
    // Exactly one line, as tables of results want it, and without the envelope of other commands.
    if (context.format() == OutputFormat::kJson || context.format() == OutputFormat::kJsonl) {
        return context.print_text(to_json_line(result));
    }
    std::vector<Column> fields;
    for (const auto& [key, value] : result.items()) fields.push_back({key, key});
    return context.print_record(result, fields, "workload");
}

}  // namespace

void add_bench(CLI::App& root, Context& context) {
    CLI::App* command = root.add_subcommand("bench", "Measure a broker: W1 durable enqueue, W2 work queue");
    auto options = std::make_shared<bench::Run>();
    options->mode = "strict";
    options->queue = "rockdove.bench";
    command->add_option("workload", options->workload, "W1 or W2")
        ->required()
        ->check(CLI::IsMember({"W1", "W2"}))
        ->option_text("W1|W2");
    command->add_option("--mode", options->mode, "strict: confirmed when on disk; relaxed: when handed to the system")
        ->check(CLI::IsMember({"strict", "relaxed"}))
        ->capture_default_str();
    command->add_option("--size", options->body_bytes, "Bytes of a body")
        ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 20))
        ->capture_default_str();
    command->add_option("--producers", options->producers, "W1: connections that send")
        ->check(CLI::Range(std::size_t{1}, std::size_t{64}))
        ->capture_default_str();
    command
        ->add_option("--ack", options->ack,
                     "W2: multi, acknowledgements are gathered (default); each, one for each message")
        ->check(CLI::IsMember({"multi", "each"}));
    command->add_option("--window", options->window, "Most messages sent and not confirmed, and prefetch")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{65535}))
        ->capture_default_str();
    command->add_option("--seconds", options->seconds, "Measured time")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    command->add_option("--warm-up", options->warm_up_s, "Seconds before it")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    command->add_option("--queue", options->queue, "Is deleted before and after!")->capture_default_str();
    command->add_option("--pid", options->pid, "The broker's process, for its costs");
    command->add_option("--disk", options->disk, "Its disk's name, for flushes per second: vda");
    command->callback(
        [&context, options] { context.command = [&context, options] { return run(context, *options); }; });
}

}  // namespace rockdove::ctl

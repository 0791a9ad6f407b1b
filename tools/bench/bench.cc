// `rockdove bench WORKLOAD`: flags, the queue, the result line.
#include "tools/bench/bench.h"

#include "client/src/call.h"
#include "tools/bench/backlog.h"
#include "tools/bench/fan_out.h"
#include "tools/bench/footprint.h"
#include "tools/bench/roles.h"
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

void create_queue(Context& context, const bench::Run& run, const std::string& queue) {
    delete_queue(context, queue);
    QueueOptions settings;
    settings.durability(run.mode == "strict" ? Durability::kSync : Durability::kAsync);
    context.client().create_queue(queue, settings);
}

void delete_topic(Context& context, const std::string& topic) {
    v1::Frame request;
    request.mutable_topic_delete()->set_name(topic);
    request.mutable_topic_delete()->set_if_exists(true);
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer) throw std::runtime_error("cannot delete topic " + topic + ": " + answer.error().text);
}

void create_topic(Context& context, const bench::Run& run) {
    delete_queue(context, run.queue);
    delete_topic(context, run.queue);
    v1::Frame request;
    request.mutable_topic_create()->set_name(run.queue);
    request.mutable_topic_create()->mutable_settings()->set_durability(run.mode == "none"     ? v1::MEMORY
                                                                       : run.mode == "strict" ? v1::SYNC
                                                                                              : v1::ASYNC);
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer) throw std::runtime_error("cannot create topic " + run.queue + ": " + answer.error().text);
}

int run(Context& context, bench::Run run) {
    if (run.mode.empty()) run.mode = run.workload == "W4" ? "none" : "strict";
    const bool fans_out = run.workload.starts_with("W4");
    if (run.mode == "none" && run.workload != "W4") return context.fail(usage_failure("--mode none belongs to W4"));
    if (run.workload != "W1" && run.producers != 1) return context.fail(usage_failure("only W1 has several producers"));
    if (!fans_out && run.subjects + run.others != 0) {
        return context.fail(usage_failure("--subjects and --others belong to W4"));
    }
    if (run.others != 0 && run.subjects == 0) run.subjects = 1;
    if ((run.workload == "W3" || run.workload == "W4-behind") && run.body_bytes < sizeof(std::int64_t)) {
        return context.fail(usage_failure("bodies of W3 and W4-behind carry a time: --size 8 or more"));
    }
    if (run.workload != "W3" && run.flood != 0) return context.fail(usage_failure("--flood belongs to W3"));
    if (run.workload == "W7" && (run.pid == 0 || run.connections + run.queues == 0)) {
        return context.fail(usage_failure("W7 needs --pid, and --connections or --queues"));
    }
    if (run.queues != 0 && run.workload != "W7" && run.workload != "W6-fill") {
        return context.fail(usage_failure("--queues belongs to W6-fill and W7"));
    }
    const bool none = run.workload == "W6-first";
    if (!run.ack.empty() && run.workload != "W2" && (!none || run.ack != "none")) {
        return context.fail(usage_failure("--ack multi|each belongs to W2, none to W6-first"));
    }
    if (run.workload == "W2" && run.ack == "none") return context.fail(usage_failure("W2 acknowledges"));
    if (run.workload == "W2" && run.ack.empty()) run.ack = "multi";
    const ClientOptions options = context.globals.url.empty() ? ClientOptions() : ClientOptions(context.globals.url);
    const bool new_queue = run.workload <= "W4" || fans_out || run.workload == "W6-fill";
    if (new_queue) {
        if (fans_out) {
            create_topic(context, run);
        } else if (run.queues == 0) {
            create_queue(context, run, run.queue);
        }
        for (std::size_t i = 0; i < run.queues; ++i) create_queue(context, run, bench::numbered_queue(run.queue, i));
        run.endpoint = endpoint(context.client());
        if (const auto hello = welcome(context.client())) run.name_space = hello->namespace_();
    }
    if (run.flood != 0) {
        create_queue(context, run, bench::flood_queue(run));
    }
    Json result = run.workload == "W4"          ? bench::fan_out(run)
                  : run.workload == "W4-behind" ? bench::catch_up(run, options)
                  : run.workload == "W6-fill"   ? bench::fill(run, options)
                  : run.workload == "W6-first"  ? bench::first(run, options)
                  : run.workload == "W6-drain"  ? bench::drain(run, options)
                  : run.workload == "W7"        ? bench::footprint(run, options)
                                                : bench::measure(run, options);
    if (fans_out) delete_topic(context, run.queue);
    if (run.workload <= "W3" || run.workload == "W6-drain") delete_queue(context, run.queue);
    if (run.flood != 0) delete_queue(context, bench::flood_queue(run));
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
    CLI::App* command =
        root.add_subcommand("bench", "Measure a broker: enqueue, work queue, latency, fan-out, backlog, footprint");
    auto options = std::make_shared<bench::Run>();
    options->queue = "rockdove.bench";
    command
        ->add_option(
            "workload", options->workload,
            "W1 durable enqueue, W2 work queue, W3 latency at a fixed rate,\n"
            "W4 fan-out, W4-behind catching up, W6-fill, W6-first, W6-drain a deep queue and restarts, W7 footprint")
        ->required()
        ->check(CLI::IsMember({"W1", "W2", "W3", "W4", "W4-behind", "W6-fill", "W6-first", "W6-drain", "W7"}))
        ->option_text("WORKLOAD");
    command
        ->add_option("--mode", options->mode,
                     "strict: confirmed when on disk (default); relaxed: when handed to the system;\n"
                     "none: W4, nothing is stored (default there)")
        ->check(CLI::IsMember({"strict", "relaxed", "none"}))
        ->option_text("strict|relaxed|none");
    command->add_option("--subscribers", options->subscribers, "W4: connections that subscribe")
        ->check(CLI::Range(std::size_t{1}, std::size_t{64}))
        ->capture_default_str();
    command->add_option("--subjects", options->subjects, "W4: subjects to use in turn; 0: no subject")
        ->check(CLI::Range(std::size_t{0}, std::size_t{1'000'000}))
        ->capture_default_str();
    command
        ->add_option(
            "--pace", options->pace,
            "W4-behind: messages a second that the subscriber which was away\nworks off; 0: as many as it gets")
        ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{100'000'000}))
        ->capture_default_str();
    command->add_option("--others", options->others, "W4: further subscriptions, with patterns that match nothing")
        ->check(CLI::Range(std::size_t{0}, std::size_t{100'000}))
        ->capture_default_str();
    command->add_option("--size", options->body_bytes, "Bytes of a body")
        ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 20))
        ->capture_default_str();
    command->add_option("--consumers", options->consumers, "W2, acks in batches: workers, of one connection")
        ->check(CLI::Range(1, 1000));
    command->add_option("--keys", options->keys, "W1, W2: ordering keys to use in turn; 0: none");
    command->add_option("--producers", options->producers, "W1: connections that send")
        ->check(CLI::Range(std::size_t{1}, std::size_t{64}))
        ->capture_default_str();
    command
        ->add_option("--ack", options->ack,
                     "W2: multi, acknowledgements are gathered (default); each, one for each message;\n"
                     "none: W6-first, which gives its message back")
        ->check(CLI::IsMember({"multi", "each", "none"}))
        ->option_text("multi|each|none");
    command->add_option("--rate", options->rate, "W3, W4-behind: messages per second")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{100'000}))
        ->capture_default_str();
    command
        ->add_option("--flood", options->flood,
                     "W3: meanwhile fill another queue with messages of this size; 0: do not")
        ->check(CLI::Range(std::size_t{0}, std::size_t{1} << 20))
        ->capture_default_str();
    command->add_option("--count", options->count, "W6, W4-behind: messages")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000'000}))
        ->capture_default_str();
    command->add_option("--since", options->since_ns, "W6: when the broker was started, ns since 1970; adds first_s")
        ->check(CLI::NonNegativeNumber);
    command->add_option("--connections", options->connections, "W7: idle connections to open")
        ->check(CLI::Range(std::size_t{0}, std::size_t{20'000}));
    command
        ->add_option("--queues", options->queues,
                     "W7: empty queues to create; W6-fill: numbered queues to fill\nin turn, message by message")
        ->check(CLI::Range(std::size_t{0}, std::size_t{1'000'000}));
    command->add_option("--prefetch", options->window, "W6: most messages delivered and not acknowledged; as --window");
    // What the caller of W6 knows goes into the result line as it is.
    command->add_option("--after", options->after, "W6: how the broker was stopped")
        ->check(CLI::IsMember({"kill", "stop"}));
    for (const char* name : {"rss_full_mb", "dir_mb", "stop_ms"}) {
        command->add_option_function<double>(
            std::string("--") + name, [options, name](double value) { options->remarks[name] = value; },
            "W6: for the result line");
    }
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

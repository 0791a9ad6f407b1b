// `rockdove receive QUEUE` and `rockdove subscribe TOPIC`: prints messages, or runs a command for each. A message is acked after its output was
// written, or after its command has ended well.
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>

#include "tools/ctl/command_runner.h"
#include "tools/ctl/commands.h"
#include "tools/ctl/message_printer.h"
#include "tools/ctl/place.h"
#include "tools/ctl/receiving.h"
#include "tools/ctl/text/units.h"

namespace rockdove::ctl {
namespace {

constexpr std::uint32_t kPrefetch = 1000;
constexpr std::uint64_t kMostHeld = 65'535;  // credit is bounded by the protocol
constexpr Millis kPatience{5 * 60'000};

struct Options {
    std::string queue;  // or topic
    bool from_topic = false;
    std::vector<std::string> subjects;
    std::string durable, from;
    std::optional<std::uint64_t> count;
    bool follow = false;
    std::string wait, lease, format, exec;
    std::size_t concurrency = 1;
    std::string filter;
    bool release = false;
    bool explicit_start = false;
    bool ack_on_delivery = false;
    bool quiet = false;
};

// Nothing given: one message. --follow: no end.
std::optional<std::uint64_t> most_of(const Options& options) {
    if (options.count) return options.count;
    if (options.follow) return std::nullopt;
    return 1;
}

std::optional<Millis> wait_of(const Options& options) {
    if (!options.wait.empty()) return parse_duration(options.wait);
    if (options.follow) return std::nullopt;
    return Millis{5000};
}

std::optional<Failure> check(const Context& context, const Options& options) {
    if (!options.format.empty() && context.globals.output != "auto") {
        return usage_failure("--format and -o exclude each other");
    }
    if (!options.exec.empty() && (!options.format.empty() || options.release || context.globals.output != "auto")) {
        return usage_failure("--exec does not go with --format, --release or -o", "let the command print");
    }
    if (options.explicit_start && options.ack_on_delivery) {
        return usage_failure("--explicit-start and --ack-on-delivery exclude each other");
    }
    if (options.ack_on_delivery && (options.release || options.count || !options.follow)) {
        return usage_failure("--ack-on-delivery needs --follow, without -n or --release",
                             "what the broker sends is done: what came beyond the last one would be lost");
    }
    if (options.concurrency > 1 && options.exec.empty()) return usage_failure("--concurrency needs --exec");
    if (options.release && (options.follow || most_of(options).value_or(0) > kMostHeld)) {
        return usage_failure("--release holds all messages until the end: at most 65,535, and not with --follow",
                             "rockdove queue peek looks without receiving");
    }
    return std::nullopt;
}

// Acked output: each message is written by one call before its handler returns the ack. The library sends acks in
// batches, so this costs a write per message and nothing more.
class Printing {
public:
    Printing(Receiving& receiving, MessagePrinter printer) : receiving_(receiving), printer_(std::move(printer)) {}

    void begin() {
        text_.clear();
        printer_.begin(text_);
        flush();
    }
    // True: written. Otherwise nothing more will be.
    bool print(const Job& job) {
        text_.clear();
        printer_.append(text_, job);
        return flush();
    }
    void end() {
        text_.clear();
        printer_.end(text_);
        if (!broken_) flush();
    }

private:
    bool flush() {
        if (broken_ || write_all(STDOUT_FILENO, text_)) return !broken_;
        broken_ = true;
        if (errno == EPIPE) {
            receiving_.give_up(Ending::kOutputClosed);
        } else {
            receiving_.fail(local_failure(std::string("cannot write to stdout: ") + std::strerror(errno)));
        }
        return false;
    }

    Receiving& receiving_;
    MessagePrinter printer_;
    std::string text_;
    std::atomic<bool> broken_ = false;  // written by a handler, read by the command
};

void tell_missed(const Context& context, const Job& job) {
    if (job.missed() == 0) return;
    context.say("warning: " + format_count(job.missed()) +
                " messages were lost before this one: the topic no longer keeps them, or the subscription was full");
}

Handler printing_handler(const Context& context, Receiving& receiving, Printing& printing) {
    return [&context, &receiving, &printing](Job& job) -> Outcome {
        if (!receiving.begin_one()) return Outcome::release();
        tell_missed(context, job);
        const bool written = printing.print(job);
        receiving.finish_one(written);
        return written ? Outcome::ack() : Outcome::release();
    };
}

Handler running_handler(Context& context, Receiving& receiving, const std::string& command) {
    return [&context, &receiving, command](Job& job) -> Outcome {
        if (!receiving.begin_one()) return Outcome::release();
        tell_missed(context, job);
        const CommandEnd end = run_for_job(command, job);
        const Settlement settlement = settlement_of(end, receiving.interrupted());
        if (!end.error.empty()) context.say("rockdove: " + reason_of(end));
        receiving.finish_one(settlement == Settlement::kAck);
        switch (settlement) {
            case Settlement::kAck:
                return Outcome::ack();
            case Settlement::kRelease:
                return Outcome::release();
            case Settlement::kReject:
                return Outcome::reject(reason_of(end));
            case Settlement::kRetry:
                break;
        }
        return Outcome::retry(reason_of(end));
    };
}

WorkerOptions worker_options(const Options& options, std::uint32_t prefetch) {
    WorkerOptions worker;
    worker.prefetch(prefetch).concurrency(options.concurrency).filter(options.filter);
    worker.explicit_start(options.explicit_start).ack_on_delivery(options.ack_on_delivery);
    if (!options.lease.empty()) worker.lease(parse_duration(options.lease).value_or(Millis{0}));
    if (!options.exec.empty()) worker.longest(std::chrono::hours{24 * 365});  // a command may take as long as it likes
    return worker;
}

SubscriptionOptions subscription_options(Context& context, const Options& options, std::uint32_t prefetch) {
    SubscriptionOptions subscription;
    subscription.worker(worker_options(options, prefetch));
    if (!options.durable.empty()) subscription.durable(options.durable);
    for (const std::string& pattern : options.subjects) subscription.subject(pattern);
    const auto from = parse_place(options.from, context.broker_now_ms());
    if (from && from->from() == v1::FROM_START) subscription.from_start();
    if (from && from->from() == v1::FROM_SEQ) subscription.from_sequence(from->seq());
    if (from && from->from() == v1::FROM_TIME) subscription.from(Clock::time_point(Millis(from->time_ms())));
    return subscription;
}

// Runs `handler` until the end, and makes sure that everything it returned has reached the broker.
Ending work(Context& context, const Options& options, Receiving& receiving, Interrupt& interrupt, Handler handler) {
    const std::uint64_t most = most_of(options).value_or(kPrefetch);
    const auto prefetch = static_cast<std::uint32_t>(options.exec.empty() ? std::min<std::uint64_t>(most, kPrefetch)
                                                                          : options.concurrency);
    Client& client = context.client(kPatience);
    Worker worker =
        options.from_topic
            ? client.subscribe(options.queue, std::move(handler), subscription_options(context, options, prefetch))
            : client.receive(options.queue, std::move(handler), worker_options(options, prefetch));
    std::thread watcher([&] {
        try {
            worker.wait();
        } catch (const Error& error) {
            receiving.fail(to_failure(error));
        }
    });
    receiving.start_waiting();
    const Ending ending = receiving.wait_for_end(interrupt);
    worker.pause();
    receiving.wait_for_handlers();
    worker.stop();
    watcher.join();
    if (!receiving.failure()) client.close(Millis{30'000});  // else it is asked once more, for a better text
    return ending;
}

// --release: prints without acking; everything goes back together, so that no message is seen twice.
Ending look(Context& context, const Options& options, Receiving& receiving, Interrupt& interrupt, Printing& printing) {
    const auto most = static_cast<std::uint32_t>(most_of(options).value_or(1));
    Client& client = context.client(kPatience);
    Receiver receiver = options.from_topic
                            ? client.open_subscription(options.queue, subscription_options(context, options, most))
                            : client.open_receiver(options.queue, worker_options(options, most));
    std::vector<Job> held;
    auto last = std::chrono::steady_clock::now();
    const Millis wait = wait_of(options).value_or(Millis{5000});
    while (held.size() < most && !interrupt.raised() && std::chrono::steady_clock::now() - last < wait) {
        std::optional<Job> job = receiver.next(std::min(wait, Millis{50}));
        if (!job) continue;
        last = std::chrono::steady_clock::now();
        held.push_back(std::move(*job));
        receiving.begin_one();
        const bool written = printing.print(held.back());
        receiving.finish_one(written);
        if (!written) return Ending::kOutputClosed;
    }
    if (interrupt.raised()) return Ending::kInterrupted;
    return held.size() == most ? Ending::kEnough : Ending::kIdle;
}

int conclude(Context& context, const Options& options, const Receiving& receiving, Ending ending) {
    if (receiving.failure()) {
        const Failure& failure = *receiving.failure();
        const ErrorEntry* entry = find_error(failure.code);
        const bool unknown = entry != nullptr && entry->name == "not_found" && !options.from_topic &&
                             failure.text.find("did you mean") == std::string::npos;
        const int exit = context.fail(
            unknown ? context.about_queue(base::Error(base::ErrorCode::kNotFound, failure.text), options.queue)
                    : failure);
        return receiving.good() > 0 ? static_cast<int>(kPartly) : exit;
    }
    const std::uint64_t all = receiving.good() + receiving.bad();
    if (!options.exec.empty() && !options.quiet) {
        context.say(format_count(receiving.good()) + " done, " + format_count(receiving.bad()) + " not.");
    }
    if (ending == Ending::kInterrupted) return kInterrupted;
    if (ending == Ending::kOutputClosed) return receiving.good() > 0 ? kPartly : kFailed;
    if (all == 0) {
        if (!options.quiet) {
            context.say("No message within " + format_duration(wait_of(options).value_or(Millis{0})) + ".");
        }
        return kTimedOut;
    }
    if (receiving.bad() > 0) return receiving.good() > 0 ? kPartly : kFailed;
    if (options.count && all < *options.count && !options.quiet) {
        context.say(format_count(all) + " of " + format_count(*options.count) + " messages; no more came within " +
                    format_duration(wait_of(options).value_or(Millis{0})) + ".");
    }
    return kOk;
}

int run(Context& context, const Options& options) {
    if (const auto failure = check(context, options)) return context.fail(*failure);
    MessageFormat format(options.format.empty() ? "%b\\n" : options.format);
    if (!format.ok()) return context.fail(usage_failure("--format: " + format.error()));
    Interrupt interrupt;  // before the client's threads
    Receiving receiving(most_of(options), wait_of(options));
    if (!options.exec.empty()) {
        const Ending ending =
            work(context, options, receiving, interrupt, running_handler(context, receiving, options.exec));
        return conclude(context, options, receiving, ending);
    }
    context.client(kPatience);  // no opening bracket before there is a broker
    Printing printing(receiving, MessagePrinter(context.format(), std::move(format)));
    printing.begin();
    Ending ending = Ending::kFailed;
    try {
        ending = options.release
                     ? look(context, options, receiving, interrupt, printing)
                     : work(context, options, receiving, interrupt, printing_handler(context, receiving, printing));
    } catch (const Error& error) {
        receiving.fail(to_failure(error));
    }
    printing.end();
    return conclude(context, options, receiving, ending);
}

}  // namespace

namespace {

// What `receive` and `subscribe` have in common.
void add_flags(CLI::App* command, Context& context, const std::shared_ptr<Options>& options) {
    command->add_option("-n,--count", options->count, "At most so many messages (1, or no end with --follow)")
        ->check(CLI::PositiveNumber)
        ->type_name("N");
    command->add_flag("-f,--follow", options->follow, "Go on until interrupted");
    command->add_option("--wait", options->wait, "End when no message came for so long (5s, or never with --follow)")
        ->check(duration_check());
    command->add_option("--lease", options->lease, "Time to settle a message; renewed while it is worked on")
        ->check(duration_check());
    command
        ->add_option("--format", options->format,
                     "What to print: %i id, %b body, %s sequence, %a attempt, %k key, %t commit time, %q queue, "
                     "%h{name} header, %%, \\n \\t \\0")
        ->type_name("TEXT");
    command
        ->add_option("--exec", options->exec, "Run this for each message: 0 acks, 75 releases, 65 rejects, else retry")
        ->type_name("CMD");
    command->add_option("--concurrency", options->concurrency, "Commands at a time")
        ->check(CLI::Range(std::size_t{1}, std::size_t{1024}))
        ->type_name("N");
    command->add_flag("--release", options->release, "Give the messages back instead of acking them");
    add_filter_flag(*command, options->filter);
    command->add_flag("--explicit-start", options->explicit_start,
                      "What waits for its turn has no lease, and counts no attempt");
    command->add_flag("--ack-on-delivery", options->ack_on_delivery,
                      "At most once: a message is done when it is sent (with --follow)");
    command->add_flag("-q,--quiet", options->quiet, "Do not print remarks");
    command->callback(
        [&context, options] { context.command = [&context, options] { return run(context, *options); }; });
}

}  // namespace

void add_receive(CLI::App& root, Context& context) {
    CLI::App* command =
        root.add_subcommand("receive", "Receive messages from a queue: print them, or run a command for each");
    auto options = std::make_shared<Options>();
    add_queue_argument(*command, options->queue);
    add_flags(command, context, options);
}

void add_subscribe(CLI::App& root, Context& context) {
    CLI::App* command = root.add_subcommand("subscribe", "Receive what is published to a topic, like receive");
    auto options = std::make_shared<Options>();
    options->from_topic = true;
    add_topic_argument(*command, options->queue);
    command
        ->add_option("--subject", options->subjects,
                     "Only these subjects, such as \"order.*.created\" or \"order.>\"; may be repeated")
        ->allow_extra_args(false)
        ->type_name("PATTERN");
    command->add_option("--durable", options->durable,
                        "Name of a subscription that keeps its place; without it this one ends with the command");
    command->add_option("--from", options->from, "Where a new one begins: with what comes next (end), if not given")
        ->check(place_check());
    add_flags(command, context, options);
}

}  // namespace rockdove::ctl

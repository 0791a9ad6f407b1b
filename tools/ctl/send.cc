// `rockdove send QUEUE [BODY]` and `rockdove publish TOPIC [BODY]`: one message, or a stream of them, pipelined; ends when
// all is confirmed.
#include <openssl/evp.h>

#include <array>
#include <chrono>

#include "client/src/call.h"
#include "protocol/base/check.h"
#include "tools/ctl/body_source.h"
#include "tools/ctl/commands.h"
#include "tools/ctl/place.h"
#include "tools/ctl/sent_count.h"
#include "tools/ctl/text/units.h"

namespace rockdove::ctl {
namespace {

using Steady = std::chrono::steady_clock;

// Long enough for a broker that is killed, started again and recovers a large store.
constexpr Millis kPatience{5 * 60'000};

struct Options {
    std::string queue;  // or topic
    bool to_topic = false;
    bool mandatory = false;
    std::string subject;
    std::optional<std::string> body;
    std::string each = "eof";
    std::vector<std::string> headers;
    std::string key, dedup_id, content_type, correlation_id, reply_to, delay, at, ttl, rate;
    std::optional<int> priority;
    std::optional<std::uint32_t> max_attempts;
    std::uint64_t count = 1;
    bool quiet = false;
};

constexpr std::string_view kSha256 = "{{sha256}}";

// Puts the hash of the body, in hex, where a dedup id has {{sha256}}.
std::string fill_in(std::string text, std::string_view body) {
    if (text.find(kSha256) == std::string::npos) return text;
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    RD_CHECK(EVP_Digest(body.data(), body.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1);
    std::string hex;
    for (unsigned int i = 0; i < size; ++i) {
        hex += "0123456789abcdef"[digest[i] >> 4];
        hex += "0123456789abcdef"[digest[i] & 15];
    }
    for (std::size_t at = text.find(kSha256); at != std::string::npos; at = text.find(kSha256, at + hex.size())) {
        text.replace(at, kSha256.size(), hex);
    }
    return text;
}

// A message with everything but its body. Throws Error (kInvalid).
Message make_message(const Options& options, std::string_view body) {
    Message message{std::string(body)};
    for (const std::string& header : options.headers) {
        const std::size_t colon = header.find(':');
        const std::size_t value = header.find_first_not_of(' ', colon + 1);
        message.header(header.substr(0, colon), value == std::string::npos ? "" : header.substr(value));
    }
    if (!options.subject.empty()) message.subject(options.subject);
    if (options.mandatory) message.mandatory();
    if (!options.key.empty()) message.key(options.key);
    if (!options.dedup_id.empty()) message.dedup_id(fill_in(options.dedup_id, body));
    if (!options.content_type.empty()) message.content_type(options.content_type);
    if (!options.correlation_id.empty()) message.correlation_id(options.correlation_id);
    if (!options.reply_to.empty()) message.reply_to(options.reply_to);
    if (options.max_attempts) message.max_attempts(*options.max_attempts);
    if (options.priority) message.priority(*options.priority);
    if (!options.delay.empty()) message.delay(parse_duration(options.delay).value_or(Millis{0}));
    if (const auto at = parse_time(options.at)) message.deliver_at(Clock::time_point(Millis{*at}));
    if (!options.ttl.empty()) message.ttl(parse_duration(options.ttl).value_or(Millis{0}));
    return message;
}

const char* durability_word(Durability durability) {
    return durability == Durability::kSync ? "sync" : durability == Durability::kAsync ? "async" : "memory";
}

Failure with_suggestion(Context& context, Failure failure, const std::string& queue) {
    const ErrorEntry* entry = find_error(failure.code);
    if (entry == nullptr || entry->name != "not_found") return failure;
    if (failure.text.find("did you mean") != std::string::npos) return failure;
    return context.about_queue(base::Error(base::ErrorCode::kNotFound, failure.text), queue);
}

int print_published(Context& context, const Options& options, const Receipt& receipt) {
    const Json record = Json{{"topic", options.queue},         {"id", receipt.id},
                             {"sequence", receipt.sequence},   {"routed", receipt.routed},
                             {"duplicate", receipt.duplicate}, {"durability", durability_word(receipt.durability)}};
    return context.print_record(record,
                                {{"id", "ID"},
                                 {"topic", "TOPIC"},
                                 {"sequence", "SEQ", Kind::kCount},
                                 {"routed", "ROUTED", Kind::kCount},
                                 {"duplicate", "DUPLICATE"}},
                                "id");
}

int send_one(Context& context, const Options& options, BodySource& source) {
    const auto body = source.next();
    if (!body) return source.failure() ? context.fail(*source.failure()) : static_cast<int>(kInterrupted);
    try {
        Client& client = context.client(kPatience);
        Message message = make_message(options, *body);
        const Receipt receipt = options.to_topic ? client.publish(options.queue, std::move(message))
                                                 : client.send(options.queue, std::move(message));
        if (context.format() == OutputFormat::kAuto) {
            if (options.to_topic && receipt.routed == 0 && !receipt.duplicate && !options.quiet) {
                context.say("No subscription of topic \"" + options.queue + "\" wants it.");
            }
            return options.quiet ? 0 : context.print_text(receipt.id + "\n");
        }
        if (options.to_topic) return print_published(context, options, receipt);
        const Json record = Json{{"queue", options.queue},
                                 {"id", receipt.id},
                                 {"sequence", receipt.sequence},
                                 {"duplicate", receipt.duplicate},
                                 {"durability", durability_word(receipt.durability)}};
        return context.print_record(
            record, {{"id", "ID"}, {"queue", "QUEUE"}, {"sequence", "SEQ", Kind::kCount}, {"duplicate", "DUPLICATE"}},
            "id");
    } catch (const Error& error) {
        return context.fail(with_suggestion(context, to_failure(error), options.queue));
    }
}

// Sends until the input ends, a signal comes or a message is refused.
std::optional<Failure> stream(Context& context, const Options& options, BodySource& source, Interrupt& interrupt,
                              SentCount& count) {
    Client& client = context.client(kPatience);
    const double per_second = parse_rate(options.rate).value_or(0);
    const auto began = Steady::now();
    std::uint64_t sent = 0;
    while (const auto body = source.next()) {
        for (std::uint64_t i = 0; i < options.count; ++i) {
            if (per_second > 0) {
                const auto due = began + std::chrono::duration<double>(static_cast<double>(sent) / per_second);
                if (interrupt.wait_until(std::chrono::time_point_cast<Steady::duration>(due))) return std::nullopt;
            }
            if (count.any_refused() || (sent % 256 == 0 && interrupt.raised())) return std::nullopt;
            Message message = make_message(options, *body);
            count.sent();
            ++sent;
            const auto answered = [&count](const Error* error, const Receipt* receipt) {
                if (error != nullptr) return count.refused(to_failure(*error));
                count.confirmed(receipt->duplicate);
            };
            if (options.to_topic) {
                client.publish_async(options.queue, std::move(message), answered);
            } else {
                client.send_async(options.queue, std::move(message), answered);
            }
        }
    }
    return source.failure();
}

int report(Context& context, const Options& options, const SentCount& count, double seconds) {
    const std::uint64_t confirmed = count.total_confirmed();
    if (context.structured()) {
        const Json record = Json{{options.to_topic ? "topic" : "queue", options.queue},
                                 {"confirmed", confirmed},
                                 {"duplicates", count.total_duplicates()},
                                 {"refused", count.total_refused()},
                                 {"seconds", seconds}};
        return context.print_record(record, {}, options.to_topic ? "topic" : "queue");
    }
    if (options.quiet) return kOk;
    const double rate = seconds > 0 ? static_cast<double>(confirmed) / seconds : 0;
    std::string text = format_count(confirmed) + (confirmed == 1 ? " message" : " messages") + " confirmed in " +
                       format_duration(Millis(static_cast<Millis::rep>(seconds * 1000)));
    if (confirmed > 1000) text += " (" + format_count(static_cast<std::uint64_t>(rate)) + "/s)";
    if (count.total_refused() > 0) text += ", " + format_count(count.total_refused()) + " not confirmed";
    context.say(text + ".");
    return kOk;
}

int send_stream(Context& context, const Options& options, BodySource& source, Interrupt& interrupt) {
    SentCount count;
    const auto began = Steady::now();
    std::optional<Failure> failure;
    try {
        failure = stream(context, options, source, interrupt, count);
    } catch (const Error& error) {  // not connected, or a property that can never be sent
        failure = to_failure(error);
    }
    count.wait_for_answers();
    const double seconds = std::chrono::duration<double>(Steady::now() - began).count();
    const int reported = report(context, options, count, seconds);
    if (count.first_failure()) failure = with_suggestion(context, *count.first_failure(), options.queue);
    if (failure) {
        const int exit = context.fail(*failure);
        return count.total_confirmed() > 0 ? static_cast<int>(kPartly) : exit;
    }
    return interrupt.raised() ? static_cast<int>(kInterrupted) : reported;
}

int run(Context& context, const Options& options) {
    for (const std::string& header : options.headers) {
        if (header.find(':') == std::string::npos || header.front() == ':') {
            return context.fail(usage_failure("\"" + header + "\" is not a header", "-H name:value"));
        }
    }
    Interrupt interrupt;  // before the client's threads
    const Each each = *parse_each(options.each);
    BodySource source(options.body, each, interrupt);
    if (source.failure()) return context.fail(*source.failure());
    const bool one = each == Each::kEof && options.count == 1;
    return one ? send_one(context, options, source) : send_stream(context, options, source, interrupt);
}

}  // namespace

namespace {

// What `send` and `publish` have in common.
void add_flags(CLI::App* command, Context& context, const std::shared_ptr<Options>& options) {
    command->add_option("body", options->body, "The body, or @FILE; without it stdin is read")
        ->option_text("[BODY|@FILE]");
    command->add_option("--each", options->each, "Cut the input into messages: line, json, nul, eof")
        ->check(CLI::IsMember({"line", "json", "nul", "eof"}))
        ->type_name("HOW");
    command->add_option("-H,--header", options->headers, "A header, may be repeated")
        ->allow_extra_args(false)
        ->type_name("NAME:VALUE");
    command->add_option("--key", options->key, "Ordering key");
    command->add_option("--delay", options->delay, "Deliver so long after it was stored")->check(duration_check());
    command->add_option("--at", options->at, "Deliver at that time, not before")
        ->check(time_check())
        ->excludes("--delay");
    command->add_option("--ttl", options->ttl, "Expires so long after it was stored")->check(duration_check());
    command->add_option("--max-attempts", options->max_attempts, "Tries of this message, instead of the queue's")
        ->check(CLI::Range(1, 1000));
    command->add_option("--dedup-id", options->dedup_id,
                        "Store messages of this id only once; {{sha256}} in it is the hash of the body");
    command->add_option("--priority", options->priority, "0 to 9, 9 is the most urgent")->check(CLI::Range(0, 9));
    command->add_option("--content-type", options->content_type, "Such as application/json");
    command->add_option("--correlation-id", options->correlation_id, "Ties it to another message");
    command->add_option("--reply-to", options->reply_to, "Queue that answers should go to");
    command->add_option("--count", options->count, "Send each body so many times")->check(CLI::PositiveNumber);
    command->add_option("--rate", options->rate, "At most so many messages per second")->check(rate_check());
    command->add_flag("-q,--quiet", options->quiet, "Do not print ids and counts");
    command->callback(
        [&context, options] { context.command = [&context, options] { return run(context, *options); }; });
}

}  // namespace

void add_send(CLI::App& root, Context& context) {
    CLI::App* command = root.add_subcommand("send", "Send messages to a queue; ends when the broker has stored them");
    auto options = std::make_shared<Options>();
    add_queue_argument(*command, options->queue);
    add_flags(command, context, options);
}

void add_publish(CLI::App& root, Context& context) {
    CLI::App* command =
        root.add_subcommand("publish", "Publish messages to a topic; ends when the broker has stored them");
    auto options = std::make_shared<Options>();
    options->to_topic = true;
    add_topic_argument(*command, options->queue);
    command->add_option("--subject", options->subject, "What it is about, in levels: order.eu.created");
    command->add_flag("--mandatory", options->mandatory, "Fail if no subscription wants it");
    add_flags(command, context, options);
}

}  // namespace rockdove::ctl

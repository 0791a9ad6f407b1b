// `rockdove explain QUEUE|ID`: what holds a message, and until when.
#include "tools/ctl/explain.h"

#include "protocol/base/ids.h"
#include "tools/ctl/commands.h"
#include "tools/ctl/text/units.h"

namespace rockdove::ctl {
namespace {

struct Options {
    std::string what, key, queue;
};

std::string until(const v1::Explanation& e, std::int64_t now_ms) {
    if (e.until_ms() == 0) return "";
    const Millis left(std::max<std::int64_t>(0, e.until_ms() - now_ms));
    return " until " + format_time(e.until_ms()) + " (in " + format_duration(left) + ")";
}

std::string word(v1::Gate gate) {
    std::string name = v1::Gate_Name(gate);
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return name;
}

std::string other(const v1::Explanation& e) {
    return e.behind_seq() == 0 ? "another message of its key"
                               : "message " + std::to_string(e.behind_seq()) + " of its key";
}

int run(Context& context, const Options& options) {
    v1::Frame request;
    const bool is_id = options.key.empty() && base::parse_message_id(options.what).has_value();
    if (is_id) {
        request.mutable_explain()->set_id(options.what);
        request.mutable_explain()->set_queue(options.queue);
    } else {
        request.mutable_explain()->set_queue(options.what);
        request.mutable_explain()->set_key(options.key);
    }
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer)
        return context.fail(is_id ? to_failure(answer.error()) : context.about_queue(answer.error(), options.what));
    const v1::Explanation& explanation = answer->explanation();
    const std::int64_t now_ms = context.broker_now_ms();
    return context.print_record(explanation_json(explanation, now_ms),
                                {{"queue", "QUEUE"},
                                 {"sequence", "SEQ", Kind::kCount},
                                 {"gate", "GATE"},
                                 {"until", "UNTIL", Kind::kTime},
                                 {"explanation", "EXPLANATION"}},
                                "gate");
}

}  // namespace

std::string gate_sentence(const v1::Explanation& e, std::int64_t now_ms) {
    const std::string queue = "\"" + e.queue() + "\"";
    switch (e.gate()) {
        case v1::OPEN:
            return "nothing holds it: it goes to the next consumer that has room";
        case v1::MESSAGE_STARTED:
            return "consumer " + e.consumer() + " works on it (attempt " + std::to_string(e.attempts()) +
                   "); its lease runs" + until(e, now_ms);
        case v1::MESSAGE_BUFFERED:
            return "consumer " + e.consumer() + " has it in its buffer, and has not begun";
        case v1::NOT_DUE:
            return "it is scheduled, and not due" + until(e, now_ms) + "; see: rockdove message reschedule";
        case v1::RETRY_WAIT:
            return "it failed " + std::to_string(e.attempts()) + " times" +
                   (e.last_error().empty() ? "" : " (" + e.last_error() + ")") + ", and waits for its next try" +
                   until(e, now_ms);
        case v1::QUEUE_PAUSED:
            return "the queue is paused; go on with: rockdove queue resume " + e.queue();
        case v1::KEY_STARTED:
            return other(e) + " is with consumer " + e.consumer() +
                   (e.until_ms() == 0 ? ", which has not begun" : "; its lease runs" + until(e, now_ms));
        case v1::KEY_WAITS:
            return other(e) + " failed, and waits for its next try" + until(e, now_ms) +
                   "; the key is held meanwhile (key_on_retry)";
        case v1::KEY_PAUSED:
            return "its key stopped with a dead letter; see: rockdove queue keys list " + e.queue();
        case v1::KEY_BEHIND:
            return other(e) + " comes first";
        case v1::NO_CONSUMER:
            return "nobody receives from queue " + queue;
        case v1::NO_CREDIT:
            return "all consumers of queue " + queue + " have as many messages as they want";
        case v1::NOT_WANTED:
            return "no consumer of queue " + queue + " that has room wants it: their filters do not match";
        case v1::MESSAGE_DEAD:
            return "it is a dead letter of queue " + queue;
        case v1::MESSAGE_GONE:
            return "it is not there any more: acked, cancelled, expired or purged, or never sent";
        case v1::QUEUE_EMPTY:
            return "there is nothing to deliver";
        default:
            return "unknown to this version of rockdove";
    }
}

Json explanation_json(const v1::Explanation& e, std::int64_t now_ms) {
    Json out = Json::object();
    out["queue"] = e.queue();
    out["sequence"] = e.seq() == 0 ? Json() : Json(e.seq());
    out["gate"] = word(e.gate());
    out["until"] = e.until_ms() == 0 ? Json() : Json(format_time(e.until_ms()));
    if (e.behind_seq() != 0) out["behind_sequence"] = e.behind_seq();
    if (!e.consumer().empty()) out["consumer"] = e.consumer();
    if (e.attempts() != 0) out["attempts"] = e.attempts();
    if (!e.last_error().empty()) out["last_error"] = e.last_error();
    out["explanation"] = gate_sentence(e, now_ms);
    return out;
}

void add_explain(CLI::App& root, Context& context) {
    CLI::App* command =
        root.add_subcommand("explain", "Say what holds a message, the next one of a queue, or one of its keys");
    auto options = std::make_shared<Options>();
    command->add_option("what", options->what, "A queue, or the id of a message")
        ->required()
        ->type_name("QUEUE|ID")
        ->option_text("QUEUE|ID");
    command->add_option("--key", options->key, "The next message of this ordering key");
    command->add_option("--queue", options->queue, "The message as it is in this subscription")
        ->type_name("TOPIC/NAME")
        ->excludes("--key");
    command->callback(
        [&context, options] { context.command = [&context, options] { return run(context, *options); }; });
}

}  // namespace rockdove::ctl

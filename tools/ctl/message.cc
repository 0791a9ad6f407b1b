// `rockdove message show|cancel|reschedule ID`
#include "protocol/base/ids.h"
#include "tools/ctl/commands.h"
#include "tools/ctl/explain.h"
#include "tools/ctl/message_json.h"
#include "tools/ctl/text/units.h"

namespace rockdove::ctl {
namespace {

struct Options {
    std::string id, delay, at;
};

int show(Context& context, const Options& options) {
    v1::Frame request;
    request.mutable_explain()->set_id(options.id);
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer) return context.fail(answer.error());
    const v1::Explanation& explanation = answer->explanation();
    Json out = explanation_json(explanation, context.broker_now_ms());
    out["id"] = options.id;
    v1::Frame look;
    look.mutable_queue_peek()->set_name(explanation.queue());
    look.mutable_queue_peek()->set_from_seq(explanation.seq());
    look.mutable_queue_peek()->set_limit(1);
    const base::Result<v1::Frame> peeked = context.ask(std::move(look));
    if (!peeked) return context.fail(peeked.error());
    const v1::QueuePeekReply& page = peeked->queue_peek_reply();
    if (page.messages_size() == 1 && page.messages(0).seq() == explanation.seq()) {
        const v1::Peeked& found = page.messages(0);
        std::string state = v1::State_Name(found.state());
        for (char& c : state) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        out["state"] = state;
        out["commit_time"] = format_time(found.commit_time_ms());
        const Json message = message_json(found.message());  // items() does not keep a temporary alive
        for (const auto& [key, value] : message.items()) out[key] = value;
    } else {
        out["state"] = explanation.gate() == v1::MESSAGE_DEAD ? "dead" : "gone";
    }
    const int printed = context.print_record(out,
                                             {{"id", "ID"},
                                              {"queue", "QUEUE"},
                                              {"sequence", "SEQ", Kind::kCount},
                                              {"state", "STATE", Kind::kState},
                                              {"commit_time", "COMMITTED", Kind::kTime},
                                              {"attempts", "ATTEMPTS", Kind::kCount},
                                              {"key", "KEY"},
                                              {"until", "UNTIL", Kind::kTime},
                                              {"explanation", "EXPLANATION"},
                                              {"body", "BODY"}},
                                             "state");
    return printed == 0 && out["state"] == "gone" ? static_cast<int>(kNotFound) : printed;
}

int print_done(Context& context, const Options& options, const char* done) {
    if (context.format() != OutputFormat::kAuto) {
        Json out = Json::object();
        out["id"] = options.id;
        out["done"] = done;
        return context.print_record(out, {{"id", "ID"}, {"done", "DONE"}}, "id");
    }
    context.say(std::string(done) + ": " + options.id);
    return 0;
}

int cancel(Context& context, const Options& options) {
    v1::Frame request;
    request.mutable_message_cancel()->set_id(options.id);
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    return answer ? print_done(context, options, "cancelled") : context.fail(answer.error());
}

int reschedule(Context& context, const Options& options) {
    if (options.delay.empty() == options.at.empty()) {
        return context.fail(usage_failure("when?", "give --delay 5m or --at TIME"));
    }
    v1::Frame request;
    v1::MessageReschedule& move = *request.mutable_message_reschedule();
    move.set_id(options.id);
    if (!options.delay.empty()) {
        move.set_delay_ms(static_cast<std::uint64_t>(parse_duration(options.delay).value_or(Millis{0}).count()));
    } else {
        move.set_not_before_ms(parse_time(options.at).value_or(0));
    }
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    return answer ? print_done(context, options, "rescheduled") : context.fail(answer.error());
}

std::string check_id(const std::string& text) {
    return base::parse_message_id(text) ? "" : "\"" + text + "\" is not the id of a message (26 characters)";
}

CLI::App* add(CLI::App& message, Context& context, const char* verb, const char* help,
              const std::shared_ptr<Options>& options, int (*run)(Context&, const Options&)) {
    CLI::App* command = message.add_subcommand(verb, help);
    command->add_option("id", options->id, "The message's id")
        ->required()
        ->check(check_id)
        ->type_name("ID")
        ->option_text("ID");
    command->callback(
        [&context, options, run] { context.command = [&context, options, run] { return run(context, *options); }; });
    return command;
}

}  // namespace

void add_message(CLI::App& root, Context& context) {
    CLI::App* message =
        root.add_subcommand("message", "Look at a single message, take it back, move its time")->alias("messages");
    message->require_subcommand(1);
    add(*message, context, "show", "Show where a message is, and why", std::make_shared<Options>(), show);
    add(*message, context, "cancel", "Take back a message that nobody has started", std::make_shared<Options>(),
        cancel);
    auto options = std::make_shared<Options>();
    CLI::App* moved =
        add(*message, context, "reschedule", "Give a message that is not due yet another time", options, reschedule);
    moved->add_option("--delay", options->delay, "Due so long from now")->check(duration_check());
    moved->add_option("--at", options->at, "Due at this time, such as 2027-03-01T08:00:00Z")
        ->check(time_check())
        ->excludes("--delay");
}

}  // namespace rockdove::ctl

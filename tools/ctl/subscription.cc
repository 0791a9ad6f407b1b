// `rockdove subscription ...`
#include "tools/ctl/commands.h"
#include "tools/ctl/confirm.h"
#include "tools/ctl/place.h"
#include "tools/ctl/queue_info.h"
#include "tools/ctl/queue_settings.h"
#include "tools/ctl/text/units.h"

namespace rockdove::ctl {
namespace {

struct Options {
    std::string name;  // TOPIC/NAME
    std::string topic, from, to, to_queue;
    std::vector<std::string> subjects;
    std::optional<std::string> filter;
    QueueSettingFlags settings;
    bool if_exists = false, if_not_exists = false;
    ConfirmFlags confirm;
    ListFlags list;
};

std::string state_word(const v1::SubscriptionInfo& info) {
    if (info.queue().paused()) return "paused";
    if (info.behind() != 0) return "catching_up";
    return "ok";
}

Json subscription_json(const v1::SubscriptionInfo& info, std::int64_t now_ms) {
    const bool empty = info.lag_oldest_ms() == 0;
    const std::int64_t age_ms = empty ? 0 : std::max<std::int64_t>(0, now_ms - info.lag_oldest_ms());
    Json out = Json::object();
    out["name"] = info.topic() + "/" + info.name();
    out["topic"] = info.topic();
    out["state"] = state_word(info);
    out["lag_messages"] = info.lag_messages();
    out["lag_seconds"] = empty ? Json() : Json(static_cast<double>(age_ms) / 1000);
    out["behind"] = info.behind();
    out["missed"] = info.missed();
    out["consumers"] = info.queue().consumers();
    out["ephemeral"] = info.ephemeral();
    out["subjects"] = Json::array();
    for (const std::string& subject : info.settings().subjects()) out["subjects"].push_back(subject);
    out["filter"] = info.settings().filter();
    out["to_queue"] = info.settings().to_queue();
    const Json queue = queue_json(info.queue(), now_ms);
    for (const auto& [key, value] : queue.items()) {
        if (!out.contains(key)) out[key] = value;
    }
    return out;
}

const std::vector<Column>& list_columns() {
    static const std::vector<Column> kColumns = {{"name", "NAME"},
                                                 {"state", "STATE", Kind::kState},
                                                 {"lag_messages", "LAG", Kind::kCount},
                                                 {"lag_seconds", "BEHIND", Kind::kSeconds},
                                                 {"missed", "MISSED", Kind::kCount},
                                                 {"dead", "DEAD", Kind::kCount},
                                                 {"consumers", "CONSUMERS", Kind::kCount},
                                                 {"subjects", "SUBJECTS"},
                                                 {"filter", "FILTER", Kind::kText, true},
                                                 {"to_queue", "TO_QUEUE", Kind::kText, true},
                                                 {"ephemeral", "EPHEMERAL", Kind::kText, true},
                                                 {"behind", "STILL_TO_LOOK_AT", Kind::kCount, true},
                                                 {"started", "STARTED", Kind::kCount, true},
                                                 {"waiting", "WAITING", Kind::kCount, true},
                                                 {"acked", "ACKED", Kind::kCount, true}};
    return kColumns;
}

const std::vector<Column>& lag_columns() {
    static const std::vector<Column> kColumns = {{"name", "NAME"},
                                                 {"lag_messages", "MESSAGES", Kind::kCount},
                                                 {"lag_seconds", "SECONDS", Kind::kSeconds},
                                                 {"behind", "STILL_TO_LOOK_AT", Kind::kCount},
                                                 {"missed", "MISSED", Kind::kCount},
                                                 {"consumers", "CONSUMERS", Kind::kCount}};
    return kColumns;
}

std::vector<Column> show_fields() {
    std::vector<Column> fields;
    for (Column column : list_columns()) {
        column.wide = false;
        fields.push_back(std::move(column));
    }
    for (const Column& column : queue_show_fields()) {
        const bool there =
            std::any_of(fields.begin(), fields.end(), [&](const Column& field) { return field.key == column.key; });
        if (!there) fields.push_back(column);
    }
    return fields;
}

template <class Request>
void name(const Options& options, Request& request) {
    const auto parts = split_subscription(options.name).value_or(std::pair<std::string, std::string>());
    request.set_topic(parts.first);
    request.set_name(parts.second);
}

void fill(const Options& options, v1::SubscriptionSettings& settings) {
    for (const std::string& subject : options.subjects) settings.add_subjects(subject);
    if (options.filter) settings.set_filter(*options.filter);
    const v1::QueueSettings queue = to_settings(options.settings);
    if (queue.ByteSizeLong() != 0) *settings.mutable_queue() = queue;
}

int print_subscription(Context& context, const v1::SubscriptionInfo& info, const std::string& done) {
    if (context.format() != OutputFormat::kAuto) {
        return context.print_record(subscription_json(info, context.broker_now_ms()), show_fields(), "name");
    }
    context.say("Subscription \"" + info.topic() + "/" + info.name() + "\" " + done + ".");
    return kOk;
}

int ask_and_print(Context& context, v1::Frame request, const std::string& done) {
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer) return context.fail(answer.error());
    return print_subscription(context, answer->subscription_info(), done);
}

int list_as(Context& context, const Options& options, const std::vector<Column>& columns) {
    std::vector<Json> rows;
    std::string after;
    do {
        v1::Frame request;
        request.mutable_subscription_list()->set_topic(options.topic);
        request.mutable_subscription_list()->set_after(after);
        const base::Result<v1::Frame> answer = context.ask(std::move(request));
        if (!answer) return context.fail(answer.error());
        for (const v1::SubscriptionInfo& info : answer->subscription_list_reply().subscriptions()) {
            rows.push_back(subscription_json(info, context.broker_now_ms()));
        }
        after = answer->subscription_list_reply().next();
    } while (!after.empty());
    return context.print_list("subscriptions", std::move(rows), columns, "name", options.list);
}

int list(Context& context, const Options& options) { return list_as(context, options, list_columns()); }
int lag(Context& context, const Options& options) { return list_as(context, options, lag_columns()); }

base::Result<v1::SubscriptionInfo> look(Context& context, const Options& options) {
    v1::Frame request;
    name(options, *request.mutable_subscription_show());
    base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer) return answer.error();
    return answer->subscription_info();
}

int show(Context& context, const Options& options) {
    const base::Result<v1::SubscriptionInfo> info = look(context, options);
    if (!info) return context.fail(info.error());
    return context.print_record(subscription_json(*info, context.broker_now_ms()), show_fields(), "name");
}

int create(Context& context, const Options& options) {
    v1::Frame request;
    v1::SubscriptionCreate& create = *request.mutable_subscription_create();
    name(options, create);
    create.set_if_not_exists(options.if_not_exists);
    fill(options, *create.mutable_settings());
    create.mutable_settings()->set_to_queue(options.to_queue);
    if (const auto from = parse_place(options.from, context.broker_now_ms())) *create.mutable_from() = *from;
    return ask_and_print(context, std::move(request), options.if_not_exists ? "is there" : "created");
}

int update(Context& context, const Options& options) {
    v1::Frame request;
    name(options, *request.mutable_subscription_update());
    fill(options, *request.mutable_subscription_update()->mutable_settings());
    if (request.subscription_update().settings().ByteSizeLong() == 0) {
        return context.fail(
            usage_failure("nothing to change", "name at least one setting, such as --subject \"order.>\""));
    }
    return ask_and_print(context, std::move(request), "updated");
}

int report_removed(Context& context, const std::string& name, const char* done, std::uint64_t count) {
    context.say("Subscription \"" + name + "\" " + done + ", " + format_count(count) + " messages not delivered.");
    if (context.format() == OutputFormat::kAuto) return kOk;
    const Json record = Json{{"name", name}, {"done", done}, {"messages", count}};
    return context.print_record(record, {{"name", "NAME"}, {"done", "DONE"}, {"messages", "MESSAGES", Kind::kCount}},
                                "name");
}

int remove(Context& context, const Options& options) {
    const base::Result<v1::SubscriptionInfo> info = look(context, options);
    if (!info) {
        const bool gone = info.error().code == base::ErrorCode::kNotFound && options.if_exists;
        return gone ? report_removed(context, options.name, "not there", 0) : context.fail(info.error());
    }
    const std::string action = "delete subscription \"" + options.name + "\" with " +
                               format_count(info->lag_messages()) + " messages to come and " +
                               format_count(info->queue().dead()) + " dead letters";
    if (const auto stop = stop_before(context, options.confirm, options.name, action)) return *stop;
    v1::Frame request;
    name(options, *request.mutable_subscription_delete());
    request.mutable_subscription_delete()->set_if_exists(options.if_exists);
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer) return context.fail(answer.error());
    return report_removed(context, options.name, "deleted", answer->ok().count());
}

int seek(Context& context, const Options& options) {
    const base::Result<v1::SubscriptionInfo> info = look(context, options);
    if (!info) return context.fail(info.error());
    const std::string action =
        "move subscription \"" + options.name + "\" to " + options.to + ": " +
        format_count(info->lag_messages() - std::min(info->lag_messages(), info->queue().started())) +
        " messages that wait in it are forgotten";
    if (const auto stop = stop_before(context, options.confirm, options.name, action)) return *stop;
    v1::Frame request;
    name(options, *request.mutable_subscription_seek());
    *request.mutable_subscription_seek()->mutable_to() = *parse_place(options.to, context.broker_now_ms());
    return ask_and_print(context, std::move(request), "moved to " + options.to);
}

int replay(Context& context, const Options& options) {
    v1::Frame request;
    v1::SubscriptionReplay& replay = *request.mutable_subscription_replay();
    name(options, replay);
    *replay.mutable_from() = *parse_place(options.from, context.broker_now_ms());
    if (const auto to = parse_place(options.to, context.broker_now_ms())) *replay.mutable_to() = *to;
    return ask_and_print(context, std::move(request), "replays from " + options.from);
}

CLI::App* add_verb(CLI::App& noun, Context& context, const char* verb, const char* text,
                   std::shared_ptr<Options> options, int (*run)(Context&, const Options&)) {
    CLI::App* command = noun.add_subcommand(verb, text);
    command->callback(
        [&context, options, run] { context.command = [&context, options, run] { return run(context, *options); }; });
    return command;
}

void add_settings(CLI::App& command, Options& options) {
    command
        .add_option("--subject", options.subjects,
                    "Only these subjects, such as \"order.*.created\" or \"order.>\"; may be repeated")
        ->allow_extra_args(false)
        ->type_name("PATTERN");
    command.add_option("--filter", options.filter, "Only messages that match as well, \"\": all")->type_name("EXPR");
    add_setting_flags(command, options.settings);
}

}  // namespace

void add_subscription(CLI::App& root, Context& context) {
    CLI::App* noun = root.add_subcommand("subscription", "Subscriptions of topics: create, look at, move, replay")
                         ->alias("subscriptions");
    noun->require_subcommand(1);
    const auto make = [] { return std::make_shared<Options>(); };

    for (const bool of_lag : {false, true}) {
        auto options = make();
        CLI::App* command = of_lag ? add_verb(*noun, context, "lag",
                                              "How far subscriptions are behind: messages, time, lost", options, lag)
                                   : add_verb(*noun, context, "list", "List subscriptions", options, list);
        if (!of_lag) command->alias("ls");
        command->add_option("topic", options->topic, "Only those of this topic")->option_text("[TOPIC]");
        add_list_flags(*command, options->list);
    }

    auto options = make();
    CLI::App* command = add_verb(*noun, context, "show", "Show one subscription: lag, counts, settings", options, show);
    add_subscription_argument(*command, options->name);

    options = make();
    command = add_verb(*noun, context, "create", "Create a durable subscription", options, create);
    add_subscription_argument(*command, options->name);
    command->add_flag("--if-not-exists", options->if_not_exists, "One with these settings may be there already");
    command->add_option("--from", options->from, "Where it begins: with what comes next (end), if not given")
        ->check(place_check());
    command->add_option("--to-queue", options->to_queue, "A queue that gets the messages instead")->type_name("QUEUE");
    add_settings(*command, *options);

    options = make();
    command = add_verb(*noun, context, "update", "Change a subscription; what is not named stays", options, update);
    add_subscription_argument(*command, options->name);
    add_settings(*command, *options);

    options = make();
    command = add_verb(*noun, context, "delete", "Delete a subscription", options, remove);
    command->alias("rm");
    add_subscription_argument(*command, options->name);
    command->add_flag("--if-exists", options->if_exists, "It is fine if there is no such subscription");
    add_confirm_flags(*command, options->confirm);

    options = make();
    command = add_verb(*noun, context, "seek", "Go on at another place; what waits is forgotten", options, seek);
    add_subscription_argument(*command, options->name);
    command->add_option("--to", options->to, "The place; 1h is an hour ago")->required()->check(place_check());
    add_confirm_flags(*command, options->confirm);

    options = make();
    command = add_verb(*noun, context, "replay", "Deliver messages once more, beside those that come anyway", options,
                       replay);
    add_subscription_argument(*command, options->name);
    command->add_option("--from", options->from, "The first; 1h is an hour ago")->required()->check(place_check());
    command->add_option("--to", options->to, "Behind the last; up to now, if not given")->check(place_check());
}

}  // namespace rockdove::ctl

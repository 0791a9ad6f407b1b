// `rockdove topic ...`
#include "tools/ctl/commands.h"
#include "tools/ctl/confirm.h"
#include "tools/ctl/place.h"
#include "tools/ctl/text/units.h"

namespace rockdove::ctl {
namespace {

struct Options {
    std::string name, prefix, durability, retain_age, retain_bytes, retain_messages, ttl, dedup_window;
    std::optional<bool> retain_until_done, retain_last, best_effort;
    bool if_exists = false, if_not_exists = false;
    ConfirmFlags confirm;
    ListFlags list;
};

std::uint64_t ms(const std::string& checked) {
    return static_cast<std::uint64_t>(parse_duration(checked).value_or(Millis{0}).count());
}

Json seconds(std::uint64_t value_ms) {
    if (value_ms % 1000 == 0) return value_ms / 1000;
    return static_cast<double>(value_ms) / 1000;
}

const char* durability_word(v1::Durability durability) {
    return durability == v1::MEMORY ? "memory" : durability == v1::ASYNC ? "async" : "sync";
}

Json topic_json(const v1::TopicInfo& info, std::int64_t now_ms) {
    const v1::TopicSettings& settings = info.settings();
    const bool empty = info.oldest_commit_time_ms() == 0;
    Json out = Json::object();
    out["name"] = info.name();
    out["id"] = info.id();
    out["subscriptions"] = info.subscriptions();
    out["messages"] = info.messages();
    out["bytes"] = info.bytes();
    out["oldest_time"] = empty ? Json() : Json(format_time(info.oldest_commit_time_ms()));
    out["oldest_seconds"] =
        empty ? Json()
              : seconds(static_cast<std::uint64_t>(std::max<std::int64_t>(0, now_ms - info.oldest_commit_time_ms())));
    out["first_sequence"] = info.first_seq();
    out["next_sequence"] = info.next_seq();
    out["last_values"] = info.last_values();
    out["accepted"] = info.accepted();
    out["refused"] = info.refused();
    out["unrouted"] = info.unrouted();
    out["created_time"] = format_time(info.created_ms());
    out["durability"] = durability_word(settings.durability());
    out["retain_age_seconds"] = seconds(settings.retain_age_ms());
    out["retain_bytes"] = settings.retain_bytes();
    out["retain_messages"] = settings.retain_messages();
    out["retain_until_done"] = settings.retain_until_done();
    out["retain_last"] = settings.retain_last();
    out["best_effort"] = settings.best_effort();
    out["ttl_seconds"] = seconds(settings.ttl_ms());
    out["dedup_window_seconds"] = seconds(settings.dedup_window_ms());
    return out;
}

std::vector<Column> columns(bool of_list) {
    return {{"name", "NAME"},
            {"subscriptions", "SUBSCRIPTIONS", Kind::kCount},
            {"messages", "MESSAGES", Kind::kCount},
            {"bytes", "BYTES", Kind::kBytes},
            {"oldest_seconds", "OLDEST", Kind::kSeconds},
            {"accepted", "ACCEPTED", Kind::kCount},
            {"unrouted", "UNROUTED", Kind::kCount, of_list},
            {"refused", "REFUSED", Kind::kCount, of_list},
            {"last_values", "LAST_VALUES", Kind::kCount, of_list},
            {"first_sequence", "FIRST", Kind::kCount, of_list},
            {"next_sequence", "NEXT", Kind::kCount, of_list},
            {"durability", "DURABILITY", Kind::kText, of_list},
            {"retain_age_seconds", "RETAIN_AGE", Kind::kSeconds, of_list},
            {"retain_bytes", "RETAIN_BYTES", Kind::kBytes, of_list},
            {"retain_messages", "RETAIN_MESSAGES", Kind::kCount, of_list},
            {"retain_until_done", "RETAIN_UNTIL_DONE", Kind::kText, of_list},
            {"retain_last", "RETAIN_LAST", Kind::kText, of_list},
            {"best_effort", "BEST_EFFORT", Kind::kText, of_list},
            {"ttl_seconds", "TTL", Kind::kSeconds, of_list},
            {"dedup_window_seconds", "DEDUP_WINDOW", Kind::kSeconds, of_list},
            {"created_time", "CREATED", Kind::kTime, of_list}};
}

v1::TopicSettings to_settings(const Options& options) {
    v1::TopicSettings out;
    if (options.durability == "sync") out.set_durability(v1::SYNC);
    if (options.durability == "async") out.set_durability(v1::ASYNC);
    if (options.durability == "memory") out.set_durability(v1::MEMORY);
    if (!options.retain_age.empty()) out.set_retain_age_ms(ms(options.retain_age));
    if (!options.retain_bytes.empty()) out.set_retain_bytes(parse_size(options.retain_bytes).value_or(0));
    if (!options.retain_messages.empty()) out.set_retain_messages(parse_count(options.retain_messages).value_or(0));
    if (options.retain_until_done) out.set_retain_until_done(*options.retain_until_done);
    if (options.retain_last) out.set_retain_last(*options.retain_last);
    if (options.best_effort) out.set_best_effort(*options.best_effort);
    if (!options.ttl.empty()) out.set_ttl_ms(ms(options.ttl));
    if (!options.dedup_window.empty()) out.set_dedup_window_ms(ms(options.dedup_window));
    return out;
}

void add_settings(CLI::App& command, Options& options) {
    const std::string group = "Settings";
    command
        .add_option("--durability", options.durability, "Confirm when on disk, when handed to the system, or at once")
        ->check(CLI::IsMember({"sync", "async", "memory"}))
        ->group(group);
    command.add_option("--retain-age", options.retain_age, "Keep messages so long, 0s: no bound")
        ->check(duration_check())
        ->group(group);
    command.add_option("--retain-bytes", options.retain_bytes, "Keep the last so many bytes, 0: no bound")
        ->check(size_check())
        ->group(group);
    command.add_option("--retain-messages", options.retain_messages, "Keep the last so many messages, 0: no bound")
        ->check(count_check())
        ->group(group);
    command
        .add_option("--retain-until-done", options.retain_until_done,
                    "With bounds: what all durable subscriptions are done with goes earlier")
        ->type_name("true|false")
        ->group(group);
    command
        .add_option("--retain-last", options.retain_last,
                    "Keep the last message of each ordering key, for new subscriptions")
        ->type_name("true|false")
        ->group(group);
    command
        .add_option("--best-effort", options.best_effort,
                    "A full subscription misses a message, instead of it being refused")
        ->type_name("true|false")
        ->group(group);
    command.add_option("--ttl", options.ttl, "Longest time a message may live, 0s: unlimited")
        ->check(duration_check())
        ->group(group);
    command.add_option("--dedup-window", options.dedup_window, "How long a dedup id counts")
        ->check(duration_check())
        ->group(group);
}

int print_topic(Context& context, const v1::TopicInfo& info, const std::string& done) {
    if (context.format() != OutputFormat::kAuto) {
        return context.print_record(topic_json(info, context.broker_now_ms()), columns(false), "name");
    }
    context.say("Topic \"" + info.name() + "\" " + done + ".");
    return kOk;
}

int list(Context& context, const Options& options) {
    std::vector<Json> rows;
    std::string after;
    do {
        v1::Frame request;
        request.mutable_topic_list()->set_prefix(options.prefix);
        request.mutable_topic_list()->set_after(after);
        const base::Result<v1::Frame> answer = context.ask(std::move(request));
        if (!answer) return context.fail(answer.error());
        for (const v1::TopicInfo& info : answer->topic_list_reply().topics()) {
            rows.push_back(topic_json(info, context.broker_now_ms()));
        }
        after = answer->topic_list_reply().next();
    } while (!after.empty());
    return context.print_list("topics", std::move(rows), columns(true), "name", options.list);
}

int show(Context& context, const Options& options) {
    v1::Frame request;
    request.mutable_topic_show()->set_name(options.name);
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer) return context.fail(answer.error());
    return context.print_record(topic_json(answer->topic_info(), context.broker_now_ms()), columns(false), "name");
}

int create(Context& context, const Options& options) {
    v1::Frame request;
    request.mutable_topic_create()->set_name(options.name);
    request.mutable_topic_create()->set_if_not_exists(options.if_not_exists);
    *request.mutable_topic_create()->mutable_settings() = to_settings(options);
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer) return context.fail(answer.error());
    return print_topic(context, answer->topic_info(), options.if_not_exists ? "is there" : "created");
}

int update(Context& context, const Options& options) {
    v1::Frame request;
    request.mutable_topic_update()->set_name(options.name);
    *request.mutable_topic_update()->mutable_settings() = to_settings(options);
    if (request.topic_update().settings().ByteSizeLong() == 0) {
        return context.fail(usage_failure("nothing to change", "name at least one setting, such as --retain-age 7d"));
    }
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer) return context.fail(answer.error());
    return print_topic(context, answer->topic_info(), "updated");
}

int report(Context& context, const std::string& name, const char* done, std::uint64_t count) {
    context.say("Topic \"" + name + "\" " + done + ", " + format_count(count) + " messages removed.");
    if (context.format() == OutputFormat::kAuto) return kOk;
    const Json record = Json{{"name", name}, {"done", done}, {"messages", count}};
    return context.print_record(record, {{"name", "NAME"}, {"done", "DONE"}, {"messages", "MESSAGES", Kind::kCount}},
                                "name");
}

int remove(Context& context, const Options& options) {
    v1::Frame look;
    look.mutable_topic_show()->set_name(options.name);
    const base::Result<v1::Frame> there = context.ask(std::move(look));
    if (!there) {
        const bool gone = there.error().code == base::ErrorCode::kNotFound && options.if_exists;
        return gone ? report(context, options.name, "not there", 0) : context.fail(there.error());
    }
    const v1::TopicInfo& info = there->topic_info();
    const std::string action = "delete topic \"" + options.name + "\" with " + format_count(info.messages()) +
                               " messages and " + format_count(info.subscriptions()) + " subscriptions";
    if (const auto stop = stop_before(context, options.confirm, options.name, action)) return *stop;
    v1::Frame request;
    request.mutable_topic_delete()->set_name(options.name);
    request.mutable_topic_delete()->set_if_exists(options.if_exists);
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    if (!answer) return context.fail(answer.error());
    return report(context, options.name, "deleted", answer->ok().count());
}

// A verb with options of its own.
CLI::App* add_verb(CLI::App& topic, Context& context, const char* verb, const char* text,
                   std::shared_ptr<Options> options, int (*run)(Context&, const Options&)) {
    CLI::App* command = topic.add_subcommand(verb, text);
    command->callback(
        [&context, options, run] { context.command = [&context, options, run] { return run(context, *options); }; });
    return command;
}

}  // namespace

void add_topic(CLI::App& root, Context& context) {
    CLI::App* topic = root.add_subcommand("topic", "Create, look at, change and delete topics")->alias("topics");
    topic->require_subcommand(1);
    const auto make = [] { return std::make_shared<Options>(); };

    auto options = make();
    CLI::App* command = add_verb(*topic, context, "list", "List topics with what they keep", options, list);
    command->alias("ls");
    command->add_option("prefix", options->prefix, "Only names that begin with this")->option_text("[PREFIX]");
    add_list_flags(*command, options->list);

    options = make();
    command = add_verb(*topic, context, "show", "Show one topic: what it keeps, and its settings", options, show);
    add_topic_argument(*command, options->name);

    options = make();
    command = add_verb(*topic, context, "create", "Create a topic", options, create);
    add_topic_argument(*command, options->name);
    command->add_flag("--if-not-exists", options->if_not_exists, "A topic with these settings may be there already");
    add_settings(*command, *options);

    options = make();
    command =
        add_verb(*topic, context, "update", "Change settings of a topic; what is not named stays", options, update);
    add_topic_argument(*command, options->name);
    add_settings(*command, *options);

    options = make();
    command =
        add_verb(*topic, context, "delete", "Delete a topic, its messages and its subscriptions", options, remove);
    command->alias("rm");
    add_topic_argument(*command, options->name);
    command->add_flag("--if-exists", options->if_exists, "It is fine if there is no such topic");
    add_confirm_flags(*command, options->confirm);
}

}  // namespace rockdove::ctl

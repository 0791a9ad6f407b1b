// `rockdove examples [TOPIC]`
#include "tools/ctl/commands.h"
#include "tools/ctl/text/examples.h"
#include "tools/ctl/text/suggest.h"

namespace rockdove::ctl {
namespace {

Json example_json(const Example& example) {
    return Json{{"topic", example.topic}, {"title", example.title}, {"text", example.text}};
}

int run(Context& context, const std::string& topic) {
    const std::vector<Column> columns = {{"topic", "TOPIC"}, {"title", "TITLE"}, {"text", "TEXT", Kind::kText, true}};
    if (topic.empty()) {
        std::vector<Json> rows;
        for (const Example& example : examples()) rows.push_back(example_json(example));
        return context.print_list("examples", std::move(rows), columns, "topic", ListFlags{});
    }
    const Example* example = find_example(topic);
    if (example == nullptr) {
        std::vector<std::string> topics;
        for (const Example& known : examples()) topics.emplace_back(known.topic);
        Failure failure = usage_failure("there are no examples on \"" + topic + "\"." + did_you_mean(topic, topics),
                                        "rockdove examples");
        failure.exit = kNotFound;
        return context.fail(failure);
    }
    if (context.format() == OutputFormat::kAuto) return context.print_text(example->text);
    return context.print_record(example_json(*example), columns, "topic");
}

}  // namespace

void add_examples(CLI::App& root, Context& context) {
    CLI::App* command = root.add_subcommand("examples", "Show worked examples");
    auto topic = std::make_shared<std::string>();
    command->add_option("topic", *topic, "Such as send, receive, exec")->option_text("[TOPIC]");
    command->callback([&context, topic] { context.command = [&context, topic] { return run(context, *topic); }; });
}

}  // namespace rockdove::ctl

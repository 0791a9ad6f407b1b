#include "tools/ctl/tree.h"

#include "tools/ctl/text/suggest.h"

namespace rockdove::ctl {
namespace {

std::string path_of(const CLI::App& app) {
    return app.get_parent() == nullptr ? app.get_name() : path_of(*app.get_parent()) + " " + app.get_name();
}

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

// "--url=x" without its value.
std::string flag_part(const std::string& word) {
    return word.starts_with("--") ? word.substr(0, word.find('=')) : word.substr(0, 2);
}

bool has_value_inside(const std::string& word) {
    return word.starts_with("--") ? word.find('=') != std::string::npos : word.size() > 2;
}

std::vector<std::string> names_of(const std::vector<CLI::App*>& apps) {
    std::vector<std::string> names;
    for (const CLI::App* app : apps) names.push_back(app->get_name());
    return names;
}

}  // namespace

std::vector<CLI::App*> subcommands(const CLI::App& app) {
    std::vector<CLI::App*> out;
    for (CLI::App* sub : const_cast<CLI::App&>(app).get_subcommands(
             [](CLI::App* candidate) { return !candidate->get_name().empty(); })) {
        out.push_back(sub);
    }
    return out;
}

CLI::App* find_subcommand(const CLI::App& app, const std::string& name) {
    for (CLI::App* sub : const_cast<CLI::App&>(app).get_subcommands([](CLI::App*) { return true; })) {
        if (sub->check_name(name)) return sub;
    }
    return nullptr;
}

std::vector<std::string> flag_names(const CLI::App& app) {
    std::vector<std::string> names;
    for (const CLI::App* at = &app; at != nullptr; at = at->get_parent()) {
        for (const CLI::Option* option : at->get_options()) {
            for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
            for (const std::string& name : option->get_snames()) names.push_back("-" + name);
        }
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
}

const CLI::Option* find_flag(const CLI::App& app, const std::string& word) {
    const std::string name = flag_part(word);
    for (const CLI::App* at = &app; at != nullptr; at = at->get_parent()) {
        for (const CLI::Option* option : at->get_options()) {
            if (!option->get_positional() && option->check_name(name)) return option;
        }
    }
    return nullptr;
}

Walk walk(const CLI::App& root, const std::vector<std::string>& words) {
    Walk out{&root, {}, nullptr};
    for (const std::string& word : words) {
        if (out.open != nullptr) {
            out.open = nullptr;
        } else if (word.size() > 1 && word.front() == '-') {
            const CLI::Option* option = find_flag(*out.app, word);
            if (option != nullptr && takes_value(*option) && !has_value_inside(word)) out.open = option;
        } else if (const CLI::App* sub = out.words.empty() ? find_subcommand(*out.app, word) : nullptr) {
            out.app = sub;
        } else {
            out.words.push_back(word);
        }
    }
    return out;
}

Failure explain_parse_error(const CLI::App& root, const std::vector<std::string>& words, const CLI::ParseError& error) {
    const Walk end = walk(root, words);
    const std::string path = path_of(*end.app);
    const std::vector<CLI::App*> below = subcommands(*end.app);
    if (!below.empty() && !end.words.empty()) {
        std::string list;
        for (const std::string& name : names_of(below)) list += (list.empty() ? "" : ", ") + name;
        return usage_failure("\"" + path + "\" has no command \"" + end.words.front() + "\"." +
                                 did_you_mean(end.words.front(), names_of(below)),
                             "one of " + list);
    }
    if (!below.empty() && dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
        return usage_failure("\"" + path + "\" needs a command", path + " --help");
    }
    if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
        for (const std::string& word : words) {
            if (word.size() < 2 || word.front() != '-' || find_flag(*end.app, word) != nullptr) continue;
            return usage_failure("\"" + path + "\" has no flag " + flag_part(word) + "." +
                                     did_you_mean(flag_part(word), flag_names(*end.app)),
                                 path + " --help");
        }
    }
    return usage_failure(error.what(), path + " --help");
}

std::string help_text(const CLI::App& app) {
    return app.help(app.get_parent() == nullptr ? "" : path_of(*app.get_parent()));
}

Json tree_json(const CLI::App& app) {
    Json out = Json{{"name", app.get_name()}, {"description", app.get_description()}};
    Json& flags = out["flags"] = Json::array();
    for (const CLI::Option* option : app.get_options()) {
        flags.push_back({{"name", option->get_name(false, true)},
                         {"description", option->get_description()},
                         {"takes_value", takes_value(*option)},
                         {"required", option->get_required()}});
    }
    Json& commands = out["commands"] = Json::array();
    for (const CLI::App* sub : subcommands(app)) commands.push_back(tree_json(*sub));
    return out;
}

}  // namespace rockdove::ctl

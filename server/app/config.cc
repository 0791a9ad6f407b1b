#include "server/app/config.h"

#include <algorithm>
#include <filesystem>

#include "server/app/config_file.h"

namespace rockdove::app {
namespace {

// `--dev` is for trying out and for tests: small temporary directories, queues that come by themselves.
constexpr std::pair<std::string_view, std::string_view> kDevDefaults[] = {
    {"namespaces.create_on_use", "true"}, {"storage.disk_low", "64MiB"}, {"server.drain_timeout", "2s"}};

std::string join(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += (text.empty() ? "" : "\n") + line;
    return text;
}

std::string unknown(std::string_view key, const std::string& origin) {
    const std::string meant = nearest(key, setting_keys());
    return origin + ": unknown setting \"" + std::string(key) + "\"" +
           (meant.empty() ? "" : "; did you mean \"" + meant + "\"?");
}

std::string section_of(std::string_view key) { return std::string(key.substr(0, key.find('.'))); }

}  // namespace

std::string environment_name(std::string_view key) {
    std::string name = "ROCKDOVE_";
    for (const char c : key) {
        if (c == '.') {
            name += "__";
        } else {
            name.push_back(static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
        }
    }
    return name;
}

void Config::set(const Setting& setting, std::string_view text, const std::string& origin,
                 std::vector<std::string>& errors) {
    if (const auto done = assign(setting, text, settings_); !done) {
        errors.push_back(origin + ": " + std::string(setting.key) + ": " + done.error().text);
    }
    origins_[static_cast<std::size_t>(&setting - all_settings().data())] = origin;
}

const std::string& Config::origin(std::string_view key) const {
    const Setting* setting = find_setting(key);
    RD_CHECK(setting != nullptr);
    return origins_[static_cast<std::size_t>(setting - all_settings().data())];
}

Result<Config> load_config(const ConfigSources& sources) {
    Config config;
    std::vector<std::string> errors;
    config.origins_.resize(all_settings().size());
    for (const Setting& setting : all_settings()) config.set(setting, setting.initial, "default", errors);
    RD_CHECK(errors.empty());  // the table contradicts itself
    if (sources.dev) {
        for (const auto& [key, text] : kDevDefaults) config.set(*find_setting(key), text, "flag --dev", errors);
    }

    config.file_ = sources.file;
    std::error_code ignored;
    if (config.file_.empty() && !sources.dev && std::filesystem::exists(kDefaultConfigPath, ignored)) {
        config.file_ = kDefaultConfigPath;
    }
    if (!config.file_.empty()) {
        std::vector<FileEntry> entries;
        read_config_file(config.file_, entries, errors);
        for (const FileEntry& entry : entries) config.set(*find_setting(entry.key), entry.text, entry.origin, errors);
    }

    for (const std::string& variable : sources.environment) {
        const std::string name = variable.substr(0, variable.find('='));
        // ROCKDOVE_URL and the like belong to clients; only names with a section are ours.
        if (!name.starts_with("ROCKDOVE_") || name.find("__") == std::string::npos) continue;
        const auto& settings = all_settings();
        const auto found = std::find_if(settings.begin(), settings.end(),
                                        [&](const Setting& s) { return environment_name(s.key) == name; });
        if (found == settings.end()) {
            std::vector<std::string> names;
            for (const Setting& setting : settings) names.push_back(environment_name(setting.key));
            const std::string meant = nearest(name, names);
            errors.push_back("environment: unknown variable " + name +
                             (meant.empty() ? "" : "; did you mean " + meant + "?"));
        } else {
            config.set(*found, std::string_view(variable).substr(std::min(variable.size(), name.size() + 1)),
                       "environment " + name, errors);
        }
    }

    for (const FlagValue& flag : sources.flags) {
        const Setting* setting = find_setting(flag.key);
        if (setting == nullptr) {
            errors.push_back(unknown(flag.key, "flag " + flag.flag));
        } else {
            config.set(*setting, flag.text, "flag " + flag.flag, errors);
        }
    }
    if (errors.empty()) errors = contradictions(config.settings_);
    if (sources.dev && errors.empty()) {
        // A directory that is removed at the end must be one that was made for it.
        if (config.origin("server.data_dir") != "default") {
            errors.emplace_back(
                "--dev keeps messages in a temporary directory and removes it; leave out server.data_dir");
        }
        if (!config.settings_.listen_client.loopback() || !config.settings_.listen_http.loopback()) {
            errors.emplace_back("--dev listens on loopback only");
        }
    }
    if (!errors.empty()) return Error(ErrorCode::kInvalid, join(errors));
    return config;
}

std::string Config::take_reloadable(const Config& newer) {
    std::string changed;
    for (std::size_t i = 0; i < all_settings().size(); ++i) {
        const Setting& setting = all_settings()[i];
        if (!setting.reloadable) continue;
        if (literal(setting, settings_) != literal(setting, newer.settings_)) {
            changed += (changed.empty() ? "" : ",") + std::string(setting.key);
        }
        std::visit([&](auto member) { settings_.*member = newer.settings_.*member; }, setting.member);
        origins_[i] = newer.origins_[i];
    }
    return changed;
}

std::string Config::show() const {
    std::string out;
    for (const Setting& setting : all_settings()) {
        std::string line = std::string(setting.key) + " = " + literal(setting, settings_);
        line.resize(std::max<std::size_t>(line.size(), 52), ' ');
        out += line + "  # " + origin(setting.key) + (setting.reloadable ? ", reloadable" : "") + "\n";
    }
    return out;
}

std::string example_config() {
    Settings defaults;
    std::string out =
        "# Rockdove's daemon: every setting with its default. An empty file is a working broker on loopback.\n"
        "# Durations: \"500ms\", \"30s\", \"1h30m\". Sizes: \"512KiB\", \"16MiB\". Each setting is also a variable,\n"
        "# ROCKDOVE_LISTEN__CLIENT for listen.client, and a flag, --set listen.client=...; flags win over variables,\n"
        "# variables over this file.\n\n"
        "# include = [\"conf.d/*.toml\"]\n";
    std::string section;
    for (const Setting& setting : all_settings()) {
        RD_CHECK(assign(setting, setting.initial, defaults).has_value());
        if (section_of(setting.key) != section) {
            section = section_of(setting.key);
            out += "\n[" + section + "]\n";
        }
        const std::string range = allowed(setting);
        out += "# " + std::string(setting.help) + (range.empty() ? "" : " (" + range + ")") +
               (setting.reloadable ? " Reloadable." : "") + "\n";
        out += "# " + std::string(setting.key.substr(section.size() + 1)) + " = " + literal(setting, defaults) + "\n";
    }
    return out;
}

std::string settings_table() {
    Settings defaults;
    std::string out = "| setting | default | allowed | meaning |\n|---|---|---|---|\n";
    const auto cell = [](std::string text) {
        for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.replace(at, 1, "\\|");
        return text;
    };
    for (const Setting& setting : all_settings()) {
        RD_CHECK(assign(setting, setting.initial, defaults).has_value());
        out += "| `" + std::string(setting.key) + "` | `" + literal(setting, defaults) + "` | " +
               cell(allowed(setting)) + " | " + cell(std::string(setting.help)) +
               (setting.reloadable ? " Reloadable." : "") + " |\n";
    }
    return out;
}

}  // namespace rockdove::app

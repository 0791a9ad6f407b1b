#include "server/app/config_file.h"

#include <glob.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "server/app/settings.h"

namespace rockdove::app {
namespace {

constexpr std::uintmax_t kMostBytes = 1 << 20;

std::string place(const std::string& path, const toml::source_region& source) {
    return path + ":" + std::to_string(source.begin.line) + ":" + std::to_string(source.begin.column);
}

bool is_section(std::string_view key) {
    const std::string prefix = std::string(key) + ".";
    return std::any_of(all_settings().begin(), all_settings().end(),
                       [&](const Setting& setting) { return setting.key.starts_with(prefix); });
}

// Names that could stand where an unknown one stands: settings and sections with the same parents.
std::string unknown_key(const std::string& key) {
    std::vector<std::string> candidates = setting_keys();
    for (const std::string& known : setting_keys()) candidates.push_back(known.substr(0, known.rfind('.')));
    const std::string meant = nearest(key, candidates);
    return "unknown key \"" + key + "\"" + (meant.empty() ? "" : "; did you mean \"" + meant + "\"?");
}

class Reader {
public:
    Reader(const std::string& path, std::vector<FileEntry>& entries, std::vector<std::string>& errors)
        : path_(path), entries_(entries), errors_(errors) {}

    void walk(const toml::table& table, const std::string& prefix, std::vector<std::string>* includes) {
        for (const auto& [toml_key, node] : table) {
            const std::string name(toml_key.str());
            const std::string key = prefix.empty() ? name : prefix + "." + name;
            if (key == "include" && includes != nullptr) {
                read_includes(node, *includes);
            } else if (key == "include") {
                fail(toml_key.source(), "an included file may not include others");
            } else if (const Setting* setting = find_setting(key)) {
                read_value(*setting, node);
            } else if (!is_section(key)) {
                fail(toml_key.source(), unknown_key(key));
            } else if (const toml::table* inner = node.as_table()) {
                walk(*inner, key, includes);
            } else {
                fail(node.source(), "\"" + key + "\" is a section: write [" + key + "]");
            }
        }
    }

private:
    void fail(const toml::source_region& source, const std::string& what) {
        errors_.push_back(place(path_, source) + ": " + what);
    }

    void read_includes(const toml::node& node, std::vector<std::string>& includes) {
        const toml::array* list = node.as_array();
        if (list == nullptr) return fail(node.source(), "include is a list of paths: [\"conf.d/*.toml\"]");
        for (const toml::node& item : *list) {
            if (const auto* text = item.as_string()) {
                includes.push_back(text->get());
            } else {
                fail(item.source(), "include is a list of paths: [\"conf.d/*.toml\"]");
            }
        }
    }

    void read_value(const Setting& setting, const toml::node& node) {
        const auto add = [&](std::string text) {
            entries_.push_back(FileEntry{std::string(setting.key), std::move(text), place(path_, node.source())});
        };
        const Member& member = setting.member;
        const auto wrong = [&](std::string_view expected) {
            fail(node.source(), std::string(setting.key) + ": expected " + std::string(expected));
        };
        if (std::holds_alternative<std::vector<std::string> Settings::*>(member)) {
            return node.is_array() ? read_list(setting, *node.as_array()) : wrong("a list of names");
        }
        if (std::holds_alternative<bool Settings::*>(member)) {
            return node.is_boolean() ? add(node.as_boolean()->get() ? "true" : "false") : wrong("true or false");
        }
        const bool whole = std::holds_alternative<std::uint64_t Settings::*>(member);
        const bool real = std::holds_alternative<double Settings::*>(member);
        const bool size = std::holds_alternative<Bytes Settings::*>(member);
        if (node.is_integer() && (whole || real || size)) return add(std::to_string(node.as_integer()->get()));
        if (node.is_floating_point() && real) {
            std::ostringstream text;
            text.precision(17);
            text << node.as_floating_point()->get();
            return add(text.str());
        }
        if (node.is_string() && !whole && !real) return add(node.as_string()->get());
        if (std::holds_alternative<Millis Settings::*>(member)) return wrong("a duration in quotes, such as \"30s\"");
        if (size) return wrong("a size, such as \"16MiB\" or a number of bytes");
        wrong(whole ? "a whole number" : real ? "a number" : "text in quotes");
    }

    void read_list(const Setting& setting, const toml::array& list) {
        std::string text;
        for (const toml::node& item : list) {
            const auto* name = item.as_string();
            if (name == nullptr || name->get().empty() || name->get().find(',') != std::string::npos) {
                return fail(item.source(), std::string(setting.key) + ": expected a list of names");
            }
            text += (text.empty() ? "" : ",") + name->get();
        }
        entries_.push_back(FileEntry{std::string(setting.key), std::move(text), place(path_, list.source())});
    }

    const std::string& path_;
    std::vector<FileEntry>& entries_;
    std::vector<std::string>& errors_;
};

void read_one(const std::string& path, std::vector<FileEntry>& entries, std::vector<std::string>& errors,
              std::vector<std::string>* includes) {
    std::error_code error;
    if (std::filesystem::is_directory(path, error)) {
        errors.push_back(path + ": is a directory");
        return;
    }
    std::ifstream in(path, std::ios::binary);
    if (!in) {
        errors.push_back(path + ": " + std::strerror(errno));
        return;
    }
    std::ostringstream text;
    text << in.rdbuf();
    if (text.view().size() > kMostBytes) {
        errors.push_back(path + ": larger than 1 MiB");
        return;
    }
    const toml::parse_result parsed = toml::parse(text.view(), path);
    if (!parsed) {
        errors.push_back(place(path, parsed.error().source()) + ": " + std::string(parsed.error().description()));
        return;
    }
    Reader(path, entries, errors).walk(parsed.table(), "", includes);
}

}  // namespace

void read_config_file(const std::string& path, std::vector<FileEntry>& entries, std::vector<std::string>& errors) {
    std::vector<std::string> includes;
    read_one(path, entries, errors, &includes);
    for (const std::string& include : includes) {
        const std::filesystem::path pattern = std::filesystem::path(path).parent_path() / include;
        glob_t found{};
        const int result = ::glob(pattern.c_str(), 0, nullptr, &found);
        // A pattern may match nothing (an empty conf.d); a plain name must exist.
        if (result == GLOB_NOMATCH && include.find_first_of("*?[") == std::string::npos) {
            errors.push_back(pattern.string() + ": included by " + path + ", does not exist");
        } else if (result != 0 && result != GLOB_NOMATCH) {
            errors.push_back(pattern.string() + ": included by " + path + ", cannot be read");
        }
        for (std::size_t i = 0; i < found.gl_pathc; ++i) read_one(found.gl_pathv[i], entries, errors, nullptr);
        ::globfree(&found);
    }
}

}  // namespace rockdove::app

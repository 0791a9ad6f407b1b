// The YAML half of view.h: block style, strings quoted whenever a reader could take them for something else.
#include <string>

#include "tools/ctl/text/view.h"

namespace rockdove::ctl {
namespace {

bool plain_is_safe(const std::string& text) {
    if (text.empty() || text.size() > 120) return false;
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '/'; };
    if (!letter(text.front()) || text.back() == ' ' || text.back() == ':') return false;
    for (char c : text) {
        const bool digit = c >= '0' && c <= '9';
        if (!letter(c) && !digit && std::string_view(" .-").find(c) == std::string_view::npos) return false;
    }
    // Words that YAML 1.1 or 1.2 reads as booleans or null.
    for (const char* word : {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}) {
        std::string folded = text;
        for (char& c : folded) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        if (folded == word) return false;
    }
    return true;
}

std::string scalar(const Json& value) {
    if (value.is_string() && plain_is_safe(value.get_ref<const std::string&>())) return value.get<std::string>();
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);  // a JSON scalar is a YAML scalar
}

bool is_block(const Json& value) { return value.is_structured() && !value.empty(); }

std::string key_text(const std::string& key) { return plain_is_safe(key) ? key : Json(key).dump(); }

void append(std::string& out, const Json& value, int indent);

// What follows "key:" or "-": a scalar on the same line, or a block on the lines below.
void append_child(std::string& out, const Json& value, int indent) {
    if (is_block(value)) {
        out += "\n";
        append(out, value, indent);
    } else {
        out += " " + (value.is_structured() ? (value.is_array() ? "[]" : "{}") : scalar(value)) + "\n";
    }
}

void append(std::string& out, const Json& value, int indent) {
    const std::string space(static_cast<std::size_t>(indent), ' ');
    if (value.is_object()) {
        for (const auto& [key, child] : value.items()) {
            out += space + key_text(key) + ":";
            append_child(out, child, indent + 2);
        }
    } else if (value.is_array()) {
        for (const Json& child : value) {
            if (child.is_object() && !child.empty()) {
                std::string block;
                append(block, child, indent + 2);
                block[static_cast<std::size_t>(indent)] = '-';  // the dash stands in the first key's indentation
                out += block;
            } else {
                out += space + "-";
                append_child(out, child, indent + 2);
            }
        }
    } else {
        out += space + scalar(value) + "\n";
    }
}

}  // namespace

std::string to_yaml(const Json& value) {
    std::string out;
    if (is_block(value)) {
        append(out, value, 0);
    } else {
        out = scalar(value) + "\n";
    }
    return out;
}

}  // namespace rockdove::ctl

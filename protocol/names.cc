#include "protocol/names.h"

#include <string>

namespace rockdove::base {

namespace {

bool allowed(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == ':' || c == '-';
}

std::string printable(std::string_view name) {
    std::string out;
    for (const char c : name.substr(0, 64)) out += c >= 0x20 && c < 0x7F ? c : '?';
    return out;
}

}  // namespace

Result<void> check_name(std::string_view what, std::string_view name) {
    const auto refuse = [&](const std::string& why) {
        return Error(ErrorCode::kInvalid, std::string(what) + " \"" + printable(name) + "\" " + why);
    };
    if (name.empty()) return Error(ErrorCode::kInvalid, std::string(what) + " is missing");
    if (name.size() > kMaxNameBytes) {
        return refuse("is " + std::to_string(name.size()) + " bytes long; at most " + std::to_string(kMaxNameBytes));
    }
    if (name.front() == '.') return refuse("starts with a dot");
    for (const char c : name) {
        if (!allowed(c)) return refuse("has a character outside A-Z a-z 0-9 . _ : -");
    }
    return {};
}

}  // namespace rockdove::base

#include "storage/rocksdb/format_file.h"

#include <sys/random.h>

#include <charconv>
#include <cstdio>
#include <map>
#include <optional>

#include "protocol/base/check.h"
#include "storage/value.h"

namespace rockdove::storage {
namespace {

constexpr std::string_view kTitle = "rockdove data directory\n";
constexpr std::string_view kChecksumName = "checksum ";
constexpr std::string_view kClockName = "clock";
constexpr std::string_view kTestClock = "test";

std::string hex32(std::uint32_t value) {
    char text[9];
    std::snprintf(text, sizeof text, "%08x", value);
    return text;
}

template <class Int>
std::optional<Int> number(const std::map<std::string_view, std::string_view>& fields, std::string_view name) {
    const auto found = fields.find(name);
    if (found == fields.end()) return std::nullopt;
    Int value = 0;
    const std::string_view text = found->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::map<std::string_view, std::string_view> fields_of(std::string_view lines) {
    std::map<std::string_view, std::string_view> fields;
    while (!lines.empty()) {
        const std::string_view line = lines.substr(0, lines.find('\n'));
        lines.remove_prefix(std::min(lines.size(), line.size() + 1));
        if (const std::size_t space = line.find(' '); space != std::string_view::npos) {
            fields.emplace(line.substr(0, space), line.substr(space + 1));
        }
    }
    return fields;
}

bool is_hex128(std::string_view text) {
    return text.size() == 32 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

std::string FormatFile::encode() const {
    std::string text(kTitle);
    text += "format " + std::to_string(version) + "\n";
    text += "oldest_reader " + std::to_string(oldest_reader) + "\n";
    text += "created_by " + created_by + "\n";
    text += "cluster_id " + cluster_id + "\n";
    text += "shard " + std::to_string(shard.value) + "\n";
    if (test_clock) text += std::string(kClockName) + " " + std::string(kTestClock) + "\n";
    return text + std::string(kChecksumName) + hex32(crc32c(text)) + "\n";
}

std::variant<FormatFile, OpenFailure> FormatFile::decode(std::string_view path, std::string_view content) {
    const std::string name(path);
    const OpenFailure damaged{OpenFailure::Reason::kDamaged,
                              name + " is damaged: it does not read as a Rockdove FORMAT file; restore it from a copy"};
    if (!content.starts_with(kTitle)) return damaged;
    const auto fields = fields_of(content);
    const auto version = number<std::uint32_t>(fields, "format");
    const auto oldest_reader = number<std::uint32_t>(fields, "oldest_reader");
    if (!version || !oldest_reader) return damaged;
    // Before the checksum, because a newer format may have another one.
    if (*oldest_reader > kFormatVersion) {
        const auto creator = fields.find("created_by");
        return OpenFailure{OpenFailure::Reason::kNewerFormat,
                           name + " says format " + std::to_string(*version) + " (made by Rockdove " +
                               (creator == fields.end() ? "?" : std::string(creator->second)) +
                               "); this is Rockdove " ROCKDOVE_VERSION ", which reads up to format " +
                               std::to_string(kFormatVersion) + ": start a newer one on this directory"};
    }
    const std::size_t end = content.rfind(kChecksumName);
    const auto shard = number<std::uint16_t>(fields, "shard");
    const auto cluster_id = fields.find("cluster_id");
    if (end == std::string_view::npos || !shard || cluster_id == fields.end() || !is_hex128(cluster_id->second) ||
        content.substr(end + kChecksumName.size()) != hex32(crc32c(content.substr(0, end))) + "\n") {
        return damaged;
    }
    FormatFile format;
    format.version = *version;
    format.oldest_reader = *oldest_reader;
    if (const auto creator = fields.find("created_by"); creator != fields.end()) format.created_by = creator->second;
    format.cluster_id = cluster_id->second;
    format.shard = ShardId(*shard);
    if (const auto clock = fields.find(kClockName); clock != fields.end())
        format.test_clock = clock->second == kTestClock;
    return format;
}

std::string new_cluster_id() {
    std::uint32_t words[4];
    RD_CHECK(::getrandom(words, sizeof words, 0) == static_cast<ssize_t>(sizeof words));
    return hex32(words[0]) + hex32(words[1]) + hex32(words[2]) + hex32(words[3]);
}

}  // namespace rockdove::storage

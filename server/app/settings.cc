#include "server/app/settings.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "protocol/base/ids.h"

namespace rockdove::app {
namespace {

using S = Settings;
constexpr double kKiB = 1024;
constexpr double kMiB = 1024 * kKiB;
constexpr double kGiB = 1024 * kMiB;
constexpr double kSecond = 1000;
constexpr double kHour = 3600 * kSecond;
constexpr double kDay = 24 * kHour;

// The table. A setting that does nothing has no place here.
const std::vector<Setting>& table() {
    static const std::vector<Setting> settings{
        {"server.data_dir", &S::data_dir, "/var/lib/rockdove", "Where messages are kept. One daemon per directory."},
        {"server.shards", &S::shards, "0",
         "Threads that share out the namespaces, each with a store of its own. 0: as many as the data directory "
         "has, at least one, or one per 4 processors. Can grow, not shrink.",
         0, base::kMaxShards},
        {"server.drain_timeout", &S::drain_timeout, "20s",
         "On TERM: how long clients may finish what they hold before connections are closed.", 0, kHour},

        {"listen.client", &S::listen_client, "127.0.0.1:7625", "Where clients connect. Port 0 picks a free one."},
        {"listen.http", &S::listen_http, "127.0.0.1:8625", R"(Health and metrics over HTTP. "off" is nowhere.)"},
        {"listen.http_hosts", &S::http_hosts, "",
         "Names under which HTTP may be asked for, beside localhost and the address it listens on."},
        {"listen.insecure_allow_plaintext", &S::insecure_allow_plaintext, "false",
         "Consent to listen beyond loopback although there is neither encryption nor login yet."},

        {"storage.disk_low", &S::disk_low, "auto",
         R"(Free disk space below which publishes are refused: a size, "5%", or "auto", the larger of 2 GiB and 5 %.)"},
        {"storage.memory", &S::storage_memory, "80MiB",
         "Memory for write buffers and block cache of the stores of all shards; each gets its part, at least 16 MiB.",
         16 * kMiB, 1024 * kGiB},

        {"limits.max_message", &S::max_message, "16MiB", "Largest message, body and headers.", kKiB, 16 * kMiB},
        {"limits.max_connections", &S::max_connections, "10000", "Connections at a time; more are turned away.", 1,
         1e6},
        {"limits.heartbeat", &S::heartbeat, "30s", "A connection silent for twice as long is closed.", kSecond, kHour},

        {"namespaces.create_on_use", &S::create_on_use, "false",
         "Create a queue when something is first sent to it or received from it."},

        {"queue_defaults.durability", &S::durability, "sync",
         "When a message is confirmed: on disk (sync), with the operating system (async), at once (memory).", 0, 0,
         "sync|async|memory"},
        {"queue_defaults.lease", &S::lease, "30s", "How long a consumer may hold a message unless it extends.", 100,
         kDay},
        {"queue_defaults.max_attempts", &S::max_attempts, "5", "Tries before a message becomes a dead letter.", 1,
         1000},
        {"queue_defaults.max_releases", &S::max_releases, "100",
         "Times a message may be handed back uncounted before it becomes a dead letter.", 0, 1e6},
        {"queue_defaults.backoff.first", &S::backoff_first, "1s", "Wait before the second try.", 0, 7 * kDay},
        {"queue_defaults.backoff.factor", &S::backoff_factor, "2", "Growth of the wait with each try.", 1, 100},
        {"queue_defaults.backoff.longest", &S::backoff_longest, "10m", "Longest wait.", 0, 7 * kDay},
        {"queue_defaults.backoff.jitter", &S::backoff_jitter, "0.1", "Random share of the wait, up or down.", 0, 1},
        {"queue_defaults.max_retry_delay", &S::max_retry_delay, "1d", "Longest wait a consumer may ask for.", 0,
         365 * kDay},
        {"queue_defaults.max_messages", &S::max_messages, "0", "Messages per queue; 0 is unlimited."},
        {"queue_defaults.max_bytes", &S::max_bytes, "0", "Bytes per queue; 0 is unlimited."},
        {"queue_defaults.overflow", &S::overflow, "reject",
         "What a full queue does: refuses new messages, or drops the least urgent, then oldest.", 0, 0,
         "reject|drop_oldest"},
        {"queue_defaults.dead_max", &S::dead_max, "100000", "Dead letters kept per queue; the oldest go first.", 1,
         1e7},
        {"queue_defaults.dead_letter_to", &S::dead_letter_to, "",
         "Queue that gets what dies in others, instead of their own dead letters; empty is none."},
        {"queue_defaults.reconnect_grace", &S::reconnect_grace, "5s",
         "How long a lost consumer may come back and keep what it holds.", 0, kHour / 6},
        {"queue_defaults.ttl", &S::ttl, "0s", "Longest time a message may live; 0 is unlimited.", 0, 3650 * kDay},
        {"queue_defaults.on_expire", &S::on_expire, "dead",
         "What becomes of a message whose time is over: a dead letter, or nothing.", 0, 0, "dead|drop"},
        {"queue_defaults.key_on_retry", &S::key_on_retry, "hold",
         "Whether a message that waits for its next try holds the later ones of its key.", 0, 0, "hold|pass"},
        {"queue_defaults.key_on_dead", &S::key_on_dead, "skip",
         "Whether the key of a dead message goes on, or stops until it is resumed.", 0, 0, "skip|pause"},
        {"queue_defaults.dedup_window", &S::dedup_window, "10m",
         "How long a dedup id counts, from the commit of its first message.", 1'000, 7 * kDay},
        {"queue_defaults.dedup_mode", &S::dedup_mode, "window",
         "Whether a dedup id counts for dedup_window, or until its message is done.", 0, 0, "window|until_done"},
        {"queue_defaults.oldest_every", &S::oldest_every, "0",
         "Every n-th message delivered is the oldest, whatever its priority; 0 is never.", 0, 1000},

        {"log.level", &S::log_level, "info", "Least severity that is logged.", 0, 0,
         "trace|debug|info|warning|error|critical|off", true},
        {"log.format", &S::log_format, "text", "Lines of key=\"value\", or of JSON.", 0, 0, "text|json"},
        {"log.file", &S::log_file, "", "File to append to, reopened on USR1; empty is standard error."},
    };
    return settings;
}

Error invalid(std::string text) { return Error(ErrorCode::kInvalid, std::move(text)); }

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out.push_back('\\');
        out.push_back(c);
    }
    return out + "\"";
}

std::string number(double value) {
    std::array<char, 32> buffer;
    const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
    return std::string(buffer.data(), result.ptr);
}

template <class T>
std::optional<T> parse_number(std::string_view text) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

Result<void> in_range(const Setting& setting, double value) {
    if (value >= setting.least && value <= setting.most) return {};
    return invalid("out of range, allowed is " + allowed(setting));
}

// One parser and one printer per type; the overload picks them.
Result<void> parse(const Setting& setting, std::string_view text, std::string& out) {
    if (!setting.choices.empty()) {
        const std::string list = "|" + std::string(setting.choices) + "|";
        if (text.empty() || list.find("|" + std::string(text) + "|") == std::string::npos) {
            return invalid(quoted(text) + " is none of " + std::string(setting.choices));
        }
    }
    for (const char c : text) {
        if (static_cast<unsigned char>(c) < 0x20) return invalid("control characters are not allowed");
    }
    out = text;
    return {};
}
Result<void> parse(const Setting&, std::string_view text, bool& out) {
    if (text != "true" && text != "false") return invalid(quoted(text) + " is neither true nor false");
    out = text == "true";
    return {};
}
Result<void> parse(const Setting& setting, std::string_view text, std::uint64_t& out) {
    const auto value = parse_number<std::uint64_t>(text);
    if (!value) return invalid(quoted(text) + " is not a whole number");
    out = *value;
    return in_range(setting, static_cast<double>(*value));
}
Result<void> parse(const Setting& setting, std::string_view text, double& out) {
    const auto value = parse_number<double>(text);
    if (!value || !std::isfinite(*value)) return invalid(quoted(text) + " is not a number");
    out = *value;
    return in_range(setting, *value);
}
Result<void> parse(const Setting& setting, std::string_view text, Millis& out) {
    const auto value = parse_duration(text);
    if (!value) return value.error();
    out = *value;
    return in_range(setting, static_cast<double>(value->count()));
}
Result<void> parse(const Setting& setting, std::string_view text, Bytes& out) {
    const auto value = parse_size(text);
    if (!value) return value.error();
    out.value = *value;
    return in_range(setting, static_cast<double>(*value));
}
Result<void> parse(const Setting&, std::string_view text, Address& out) {
    auto value = parse_address(text);
    if (!value) return value.error();
    out = std::move(*value);
    return {};
}
Result<void> parse(const Setting&, std::string_view text, FreeSpace& out) {
    if (text == "auto") {
        out = FreeSpace{std::uint64_t{2} << 30, 5};
        return {};
    }
    if (text.ends_with('%')) {
        const auto percent = parse_number<double>(text.substr(0, text.size() - 1));
        if (!percent || !(*percent >= 0 && *percent <= 99)) return invalid(quoted(text) + " is not 0% to 99%");
        out = FreeSpace{0, *percent};
        return {};
    }
    const auto bytes = parse_size(text);
    if (!bytes) return bytes.error();
    out = FreeSpace{*bytes, 0};
    return {};
}
Result<void> parse(const Setting&, std::string_view text, std::vector<std::string>& out) {
    out.clear();
    while (!text.empty()) {
        const std::string_view item = text.substr(0, text.find(','));
        text.remove_prefix(std::min(text.size(), item.size() + 1));
        if (item.empty() || item.find_first_of(" \t\"\\") != std::string_view::npos) {
            return invalid("expected names separated by commas, without blanks");
        }
        out.emplace_back(item);
    }
    return {};
}

std::string print(const std::string& value) { return quoted(value); }
std::string print(bool value) { return value ? "true" : "false"; }
std::string print(std::uint64_t value) { return std::to_string(value); }
std::string print(double value) { return number(value); }
std::string print(Millis value) { return quoted(format_duration(value)); }
std::string print(Bytes value) { return quoted(format_size(value.value)); }
std::string print(const Address& value) { return quoted(format_address(value)); }
std::string print(const FreeSpace& value) {
    if (value.bytes > 0 && value.percent > 0) return quoted("auto");
    return quoted(value.percent > 0 ? number(value.percent) + "%" : format_size(value.bytes));
}
std::string print(const std::vector<std::string>& value) {
    std::string out = "[";
    for (const std::string& item : value) out += (out.size() > 1 ? ", " : "") + quoted(item);
    return out + "]";
}

}  // namespace

bool Address::loopback() const { return off() || host == "::1" || host.starts_with("127."); }

std::string format_address(const Address& address) {
    if (address.off()) return "off";
    const bool v6 = address.host.find(':') != std::string::npos;
    return (v6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

std::uint64_t FreeSpace::of(std::uint64_t disk_total_bytes) const {
    return std::max(bytes, static_cast<std::uint64_t>(static_cast<double>(disk_total_bytes) * percent / 100));
}

Result<Address> parse_address(std::string_view text) {
    if (text.empty() || text == "off") return Address{};
    const auto bad = [text](std::string_view why) {
        return invalid(quoted(text) + " is not an address (" + std::string(why) +
                       R"(); write it like "127.0.0.1:7625" or "[::1]:7625")");
    };
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return bad("no port");
    const auto port = parse_number<std::uint16_t>(text.substr(colon + 1));
    if (!port) return bad("no port from 0 to 65535");
    std::string host(text.substr(0, colon));
    const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (brackets) host = host.substr(1, host.size() - 2);
    if (host == "localhost" && !brackets) host = "127.0.0.1";
    in6_addr binary;
    if (inet_pton(brackets ? AF_INET6 : AF_INET, host.c_str(), &binary) != 1) return bad("no IP address");
    return Address{std::move(host), *port};
}

base::QueueSettings queue_defaults(const Settings& settings) {
    base::QueueSettings queue;
    queue.durability = settings.durability == "sync"    ? base::Durability::kSync
                       : settings.durability == "async" ? base::Durability::kAsync
                                                        : base::Durability::kMemory;
    queue.lease = settings.lease;
    queue.max_attempts = static_cast<std::uint32_t>(settings.max_attempts);
    queue.max_releases = static_cast<std::uint32_t>(settings.max_releases);
    queue.backoff_first = settings.backoff_first;
    queue.backoff_factor = settings.backoff_factor;
    queue.backoff_longest = settings.backoff_longest;
    queue.backoff_jitter = settings.backoff_jitter;
    queue.max_retry_delay = settings.max_retry_delay;
    queue.max_messages = settings.max_messages;
    queue.max_bytes = settings.max_bytes.value;
    queue.dead_max = settings.dead_max;
    queue.dead_letter_to = settings.dead_letter_to;
    queue.reconnect_grace = settings.reconnect_grace;
    queue.ttl = settings.ttl;
    queue.on_expire = settings.on_expire == "drop" ? base::OnExpire::kDrop : base::OnExpire::kDead;
    queue.key_on_retry = settings.key_on_retry == "pass" ? base::KeyOnRetry::kPass : base::KeyOnRetry::kHold;
    queue.key_on_dead = settings.key_on_dead == "pause" ? base::KeyOnDead::kPause : base::KeyOnDead::kSkip;
    queue.overflow = settings.overflow == "drop_oldest" ? base::Overflow::kDropOldest : base::Overflow::kReject;
    queue.dedup_window = settings.dedup_window;
    queue.dedup_mode = settings.dedup_mode == "until_done" ? base::DedupMode::kUntilDone : base::DedupMode::kWindow;
    queue.oldest_every = static_cast<std::uint32_t>(settings.oldest_every);
    return queue;
}

const std::vector<Setting>& all_settings() { return table(); }

const Setting* find_setting(std::string_view key) {
    const auto& settings = table();
    const auto found = std::find_if(settings.begin(), settings.end(), [key](const Setting& s) { return s.key == key; });
    return found == settings.end() ? nullptr : &*found;
}

std::vector<std::string> setting_keys() {
    std::vector<std::string> keys;
    for (const Setting& setting : table()) keys.emplace_back(setting.key);
    return keys;
}

Result<void> assign(const Setting& setting, std::string_view text, Settings& settings) {
    return std::visit([&](auto member) { return parse(setting, text, settings.*member); }, setting.member);
}

std::string literal(const Setting& setting, const Settings& settings) {
    return std::visit([&](auto member) { return print(settings.*member); }, setting.member);
}

std::string allowed(const Setting& setting) {
    if (!setting.choices.empty()) return std::string(setting.choices);
    const bool duration = std::holds_alternative<Millis Settings::*>(setting.member);
    const bool size = std::holds_alternative<Bytes Settings::*>(setting.member);
    const bool counted = std::holds_alternative<std::uint64_t Settings::*>(setting.member) ||
                         std::holds_alternative<double Settings::*>(setting.member);
    if ((!duration && !size && !counted) || !std::isfinite(setting.most)) return {};
    const auto show = [&](double value) {
        if (duration) return format_duration(Millis(static_cast<std::int64_t>(value)));
        if (size) return format_size(static_cast<std::uint64_t>(value));
        return value == std::floor(value) ? std::to_string(static_cast<std::uint64_t>(value)) : number(value);
    };
    return show(setting.least) + " to " + show(setting.most);
}

std::vector<std::string> contradictions(const Settings& settings) {
    std::vector<std::string> out;
    const auto check = [&](std::string_view key, const Address& address) {
        if (address.loopback() || settings.insecure_allow_plaintext) return;
        out.push_back(std::string(key) + ": " + format_address(address) +
                      " can be reached from other machines, and there is neither encryption nor login yet; use a "
                      "loopback address, or consent with listen.insecure_allow_plaintext = true");
    };
    check("listen.client", settings.listen_client);
    check("listen.http", settings.listen_http);
    if (settings.listen_client.off()) out.emplace_back("listen.client: clients need an address to connect to");
    if (settings.data_dir.empty()) out.emplace_back("server.data_dir: must not be empty");
    if (settings.backoff_first > settings.backoff_longest) {
        out.emplace_back("queue_defaults.backoff.first: longer than queue_defaults.backoff.longest");
    } else if (const auto checked = base::check_settings(queue_defaults(settings)); !checked) {
        out.push_back("queue_defaults: " + checked.error().text);  // the table is wider than the rule
    }
    return out;
}

}  // namespace rockdove::app

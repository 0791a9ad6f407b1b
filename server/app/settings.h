// Every setting of the daemon, once: its key, type, default, range and meaning. The file reader, the environment,
// the flags, `rockdoved config show`, the example file and the reference page all come from this one table.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocol/base/queue_settings.h"
#include "protocol/base/result.h"
#include "server/app/units.h"

namespace rockdove::app {

struct Bytes {
    std::uint64_t value = 0;
};

// Where to listen: an IP address, or "localhost" for 127.0.0.1. Written "127.0.0.1:7625", "[::1]:7625"; "off" is
// nowhere.
struct Address {
    std::string host;
    std::uint16_t port = 0;
    [[nodiscard]] bool off() const { return host.empty(); }
    [[nodiscard]] bool loopback() const;
};
std::string format_address(const Address& address);  // with brackets around IPv6

// Free space that must be left on a disk: "2GiB", "5%", or "auto" for the larger of both.
struct FreeSpace {
    std::uint64_t bytes = 0;
    double percent = 0;
    [[nodiscard]] std::uint64_t of(std::uint64_t disk_total_bytes) const;
};

// The values in force. Members have no defaults of their own: the table has them.
struct Settings {
    std::string data_dir;
    std::uint64_t shards = 0;
    Millis drain_timeout{};

    Address listen_client;
    Address listen_http;
    std::vector<std::string> http_hosts;
    bool insecure_allow_plaintext = false;

    FreeSpace disk_low;
    Bytes storage_memory;

    Bytes max_message;
    std::uint64_t max_connections = 0;
    Millis heartbeat{};

    bool create_on_use = false;

    std::string durability;
    Millis lease{};
    std::uint64_t max_attempts = 0;
    std::uint64_t max_releases = 0;
    Millis backoff_first{};
    double backoff_factor = 0;
    Millis backoff_longest{};
    double backoff_jitter = 0;
    Millis max_retry_delay{};
    std::uint64_t max_messages = 0;
    Bytes max_bytes;
    std::uint64_t dead_max = 0;
    std::string dead_letter_to;
    Millis reconnect_grace{};
    Millis ttl{};
    std::string on_expire;
    std::string key_on_retry;
    std::string key_on_dead;
    Millis dedup_window{600'000};
    std::string dedup_mode = "window";
    std::string overflow = "reject";
    std::uint64_t oldest_every = 0;

    std::string log_level;
    std::string log_format;
    std::string log_file;
};

// What a new queue gets where its creator says nothing.
base::QueueSettings queue_defaults(const Settings& settings);

using Member = std::variant<std::string Settings::*, bool Settings::*, std::uint64_t Settings::*, double Settings::*,
                            Millis Settings::*, Bytes Settings::*, Address Settings::*, FreeSpace Settings::*,
                            std::vector<std::string> Settings::*>;

struct Setting {
    std::string_view key;  // "listen.client"
    Member member;
    std::string_view initial;  // the default, as one would write it in the environment
    std::string_view help;
    double least = 0;  // numbers only; durations in milliseconds, sizes in bytes
    double most = std::numeric_limits<double>::infinity();
    std::string_view choices = {};  // "text|json": nothing else is allowed
    bool reloadable = false;        // takes effect on SIGHUP
};

const std::vector<Setting>& all_settings();
const Setting* find_setting(std::string_view key);
// The keys as text, for "did you mean".
std::vector<std::string> setting_keys();

// Sets one value from text (environment and flags; the file reader turns its values into text first).
// Error: kInvalid, saying what is expected; the key is not in the text.
Result<void> assign(const Setting& setting, std::string_view text, Settings& settings);
// The value as a TOML literal.
std::string literal(const Setting& setting, const Settings& settings);
// "100ms to 1d", "text|json": what is allowed, for people; empty if anything is.
std::string allowed(const Setting& setting);
// What the table cannot say about single values: addresses that need a word of consent, pairs that must agree.
std::vector<std::string> contradictions(const Settings& settings);

Result<Address> parse_address(std::string_view text);

}  // namespace rockdove::app

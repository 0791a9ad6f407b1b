// ClientOptions, parsed and put together. Errors are thrown: kInvalid, kUnsupported.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/include/rockdove/client.h"

namespace rockdove::detail {

inline constexpr std::uint16_t kDefaultPort = 7625;
inline constexpr std::size_t kMaxEndpoints = 64;

struct Endpoint {
    std::string host;
    std::uint16_t port = kDefaultPort;

    friend bool operator==(const Endpoint&, const Endpoint&) = default;
};
// "host:port", with brackets around an IPv6 address.
std::string to_string(const Endpoint& endpoint);

// What one place (a URL, or the setters) has to say; absent: nothing.
struct Layer {
    std::vector<Endpoint> endpoints;
    bool tls = false;
    std::optional<std::string> user, password;
    std::optional<std::string> name_space, name, producer_id;
    std::optional<Millis> connect_timeout, operation_timeout, heartbeat, linger, backoff_first, backoff_longest;
    std::optional<std::size_t> pending_messages, pending_bytes, handler_threads;
    std::optional<bool> when_full_fail, wait_for_broker;
};

Layer parse_url(std::string_view url);
// "250ms", "10s", "2m", "1h".
Millis parse_duration(std::string_view what, std::string_view text);

struct Settings {
    Layer code;
    std::optional<Layer> url;
};

// Settings in force.
struct Config {
    std::vector<Endpoint> endpoints;
    std::string name_space, name, producer_id;
    Millis connect_timeout{5'000};
    Millis operation_timeout{30'000};
    Millis heartbeat{15'000};
    Millis linger{0};
    Millis backoff_first{100};
    Millis backoff_longest{15'000};
    std::size_t pending_messages = 100'000;
    std::size_t pending_bytes = 64U << 20U;
    std::size_t handler_threads = 64;
    bool when_full_fail = false;
    bool wait_for_broker = false;
};

// `environment`: the value of ROCKDOVE_URL, or empty.
Config resolve(const Settings& settings, std::string_view environment);

}  // namespace rockdove::detail

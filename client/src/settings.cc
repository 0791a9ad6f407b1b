#include "client/src/settings.h"

#include <array>
#include <charconv>
#include <limits>

#include "client/src/access.h"
#include "protocol/names.h"

namespace rockdove::detail {

namespace {

[[noreturn]] void invalid(std::string text) { throw Error(make_error_code(ErrorCode::kInvalid), std::move(text)); }

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::string percent_decoded(std::string_view what, std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out.push_back(text[i]);
            continue;
        }
        const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
        const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
        if (high < 0 || low < 0) invalid("URL: broken %-encoding in the " + std::string(what));
        const char byte = static_cast<char>(high * 16 + low);
        if (byte == '\0') invalid("URL: %00 in the " + std::string(what));
        out.push_back(byte);
        i += 2;
    }
    return out;
}

template <class Int>
Int parse_number(std::string_view what, std::string_view text) {
    Int value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) {
        invalid("URL: " + std::string(what) + " is not a number in range: \"" + std::string(text) + "\"");
    }
    return value;
}

bool parse_bool(std::string_view what, std::string_view text) {
    if (text == "true" || text == "1") return true;
    if (text == "false" || text == "0") return false;
    invalid("URL: " + std::string(what) + " must be true or false");
}

Endpoint parse_endpoint(std::string_view text) {
    Endpoint endpoint;
    std::string_view port;
    if (text.starts_with('[')) {
        const auto close = text.find(']');
        if (close == std::string_view::npos) invalid("URL: ] is missing after the IPv6 address");
        endpoint.host = std::string(text.substr(1, close - 1));
        const std::string_view rest = text.substr(close + 1);
        if (!rest.empty() && rest.front() != ':') invalid("URL: only :port may follow ]");
        if (!rest.empty()) port = rest.substr(1);
        if (!rest.empty() && port.empty()) invalid("URL: the port after : is missing");
    } else {
        const auto colon = text.find(':');
        if (colon != std::string_view::npos && text.find(':', colon + 1) != std::string_view::npos) {
            invalid("URL: an IPv6 address needs brackets, as in [::1]:7625");
        }
        endpoint.host = percent_decoded("host", text.substr(0, colon));
        if (colon != std::string_view::npos) {
            port = text.substr(colon + 1);
            if (port.empty()) invalid("URL: the port after : is missing");
        }
    }
    if (endpoint.host.empty()) invalid("URL: a host is empty");
    if (!port.empty()) endpoint.port = parse_number<std::uint16_t>("port", port);
    if (endpoint.port == 0) invalid("URL: port 0");
    return endpoint;
}

void parse_query(std::string_view key, const std::string& value, Layer& layer) {
    if (key == "name") {
        layer.name = value;
    } else if (key == "producer_id") {
        layer.producer_id = value;
    } else if (key == "connect_timeout") {
        layer.connect_timeout = parse_duration(key, value);
    } else if (key == "operation_timeout") {
        layer.operation_timeout = parse_duration(key, value);
    } else if (key == "heartbeat") {
        layer.heartbeat = parse_duration(key, value);
    } else if (key == "linger") {
        layer.linger = parse_duration(key, value);
    } else if (key == "backoff_longest") {
        layer.backoff_longest = parse_duration(key, value);
    } else if (key == "pending_messages") {
        layer.pending_messages = parse_number<std::size_t>(key, value);
    } else if (key == "pending_bytes") {
        layer.pending_bytes = parse_number<std::size_t>(key, value);
    } else if (key == "handler_threads") {
        layer.handler_threads = parse_number<std::size_t>(key, value);
    } else if (key == "wait_for_broker") {
        layer.wait_for_broker = parse_bool(key, value);
    } else if (key == "when_full") {
        if (value != "block" && value != "fail") invalid("URL: when_full must be block or fail");
        layer.when_full_fail = value == "fail";
    } else {
        invalid("URL: unknown key \"" + std::string(key) +
                "\" (known: name, producer_id, connect_timeout, operation_timeout, heartbeat, linger, backoff_longest, "
                "pending_messages, pending_bytes, when_full, wait_for_broker, handler_threads)");
    }
}

// Calls `each` with the parts of `text` between separators.
template <class Each>
void split(std::string_view text, char separator, Each each) {
    for (;;) {
        const auto at = text.find(separator);
        each(text.substr(0, at));
        if (at == std::string_view::npos) return;
        text.remove_prefix(at + 1);
    }
}

void check_range(std::string_view what, Millis value, Millis least, Millis most) {
    if (value < least || value > most) {
        invalid(std::string(what) + " must be " + std::to_string(least.count()) + " to " +
                std::to_string(most.count()) + " ms");
    }
}

void apply(const Layer& layer, Config& config) {
    const auto take = [](const auto& from, auto& to) {
        if (from) to = *from;
    };
    take(layer.name_space, config.name_space);
    take(layer.name, config.name);
    take(layer.producer_id, config.producer_id);
    take(layer.connect_timeout, config.connect_timeout);
    take(layer.operation_timeout, config.operation_timeout);
    take(layer.heartbeat, config.heartbeat);
    take(layer.linger, config.linger);
    take(layer.backoff_first, config.backoff_first);
    take(layer.backoff_longest, config.backoff_longest);
    take(layer.pending_messages, config.pending_messages);
    take(layer.pending_bytes, config.pending_bytes);
    take(layer.handler_threads, config.handler_threads);
    take(layer.when_full_fail, config.when_full_fail);
    take(layer.wait_for_broker, config.wait_for_broker);
    if (!layer.endpoints.empty()) config.endpoints = layer.endpoints;
}

void check(const Config& config) {
    if (config.endpoints.size() > kMaxEndpoints) {
        invalid("more than " + std::to_string(kMaxEndpoints) + " endpoints");
    }
    for (const auto* name : {&config.name_space, &config.producer_id}) {
        if (name->empty()) continue;
        const auto checked = base::check_name(name == &config.name_space ? "namespace" : "producer_id", *name);
        if (!checked) throw to_public(checked.error());
    }
    if (config.name.size() > 100) invalid("name is longer than 100 characters");
    const Millis day = std::chrono::hours{24};
    check_range("connect_timeout", config.connect_timeout, Millis{1}, day);
    check_range("operation_timeout", config.operation_timeout, Millis{1}, day);
    check_range("heartbeat", config.heartbeat, Millis{100}, day);
    check_range("linger", config.linger, Millis{0}, Millis{1000});
    check_range("backoff, first", config.backoff_first, Millis{1}, day);
    check_range("backoff, longest", config.backoff_longest, config.backoff_first, day);
    if (config.pending_messages == 0 || config.pending_bytes == 0) invalid("the pending limit must not be 0");
    if (config.handler_threads == 0 || config.handler_threads > 1024) invalid("handler_threads must be 1 to 1024");
}

}  // namespace

std::string to_string(const Endpoint& endpoint) {
    const bool v6 = endpoint.host.find(':') != std::string::npos;
    return (v6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" + std::to_string(endpoint.port);
}

Millis parse_duration(std::string_view what, std::string_view text) {
    constexpr std::array<std::pair<std::string_view, std::int64_t>, 4> kUnits{
        {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}}};
    for (const auto& [unit, factor] : kUnits) {
        if (!text.ends_with(unit)) continue;
        const std::string_view number = text.substr(0, text.size() - unit.size());
        std::int64_t value = 0;
        const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
        const bool whole = error == std::errc{} && end == number.data() + number.size() && !number.empty();
        if (whole && value >= 0 && value <= std::numeric_limits<std::int64_t>::max() / factor) {
            return Millis{value * factor};
        }
    }
    invalid(std::string(what) + " is not a duration such as 250ms, 10s, 2m or 1h: \"" + std::string(text) + "\"");
}

Layer parse_url(std::string_view url) {
    Layer layer;
    constexpr std::string_view kPlain = "rockdove://";
    constexpr std::string_view kTls = "rockdoves://";
    if (url.starts_with(kTls)) {
        layer.tls = true;
        url.remove_prefix(kTls.size());
    } else if (url.starts_with(kPlain)) {
        url.remove_prefix(kPlain.size());
    } else {
        invalid("URL: must begin with rockdove:// : \"" + std::string(url.substr(0, url.find("://"))) + "\"");
    }
    if (url.find('#') != std::string_view::npos) invalid("URL: no fragment (#) allowed");
    if (const auto at = url.find('?'); at != std::string_view::npos) {
        split(url.substr(at + 1), '&', [&](std::string_view pair) {
            const auto equals = pair.find('=');
            if (equals == std::string_view::npos) invalid("URL: key=value expected after ?");
            parse_query(percent_decoded("query", pair.substr(0, equals)),
                        percent_decoded("query", pair.substr(equals + 1)), layer);
        });
        url = url.substr(0, at);
    }
    if (const auto at = url.find('/'); at != std::string_view::npos) {
        if (at + 1 < url.size()) layer.name_space = percent_decoded("namespace", url.substr(at + 1));
        url = url.substr(0, at);
    }
    if (const auto at = url.rfind('@'); at != std::string_view::npos) {
        const std::string_view login = url.substr(0, at);
        const auto colon = login.find(':');
        layer.user = percent_decoded("user", login.substr(0, colon));
        if (colon != std::string_view::npos) layer.password = percent_decoded("password", login.substr(colon + 1));
        url = url.substr(at + 1);
    }
    split(url, ',', [&](std::string_view part) { layer.endpoints.push_back(parse_endpoint(part)); });
    return layer;
}

Config resolve(const Settings& settings, std::string_view environment) {
    Config config;
    std::optional<Layer> url = settings.url;
    if (!url && settings.code.endpoints.empty() && !environment.empty()) url = parse_url(environment);
    if (url) {
        if (url->tls) {
            throw Error(make_error_code(ErrorCode::kUnsupported),
                        "rockdoves:// asks for TLS, which this version does not have; it does not connect without");
        }
        if (url->user) {
            throw Error(make_error_code(ErrorCode::kUnsupported),
                        "the URL has a user, but this version has no login; it does not connect without");
        }
        apply(*url, config);
    }
    apply(settings.code, config);
    if (config.endpoints.empty()) config.endpoints.push_back(Endpoint{"localhost", kDefaultPort});
    check(config);
    return config;
}

}  // namespace rockdove::detail

namespace rockdove {

using detail::Settings;

ClientOptions::ClientOptions() : settings_(std::make_unique<Settings>()) {}
ClientOptions::ClientOptions(std::string_view url) : ClientOptions() { settings_->url = detail::parse_url(url); }
ClientOptions::ClientOptions(const char* url) : ClientOptions(std::string_view(url)) {}
ClientOptions::ClientOptions(const std::string& url) : ClientOptions(std::string_view(url)) {}
ClientOptions::ClientOptions(const ClientOptions& other) : settings_(std::make_unique<Settings>(*other.settings_)) {}
ClientOptions::ClientOptions(ClientOptions&&) noexcept = default;
ClientOptions& ClientOptions::operator=(const ClientOptions& other) {
    settings_ = std::make_unique<Settings>(*other.settings_);
    return *this;
}
ClientOptions& ClientOptions::operator=(ClientOptions&&) noexcept = default;
ClientOptions::~ClientOptions() = default;

ClientOptions& ClientOptions::endpoint(std::string host, std::uint16_t port) {
    settings_->code.endpoints.push_back(detail::Endpoint{std::move(host), port});
    return *this;
}
ClientOptions& ClientOptions::name_space(std::string name) {
    settings_->code.name_space = std::move(name);
    return *this;
}
ClientOptions& ClientOptions::name(std::string name) {
    settings_->code.name = std::move(name);
    return *this;
}
ClientOptions& ClientOptions::producer_id(std::string id) {
    settings_->code.producer_id = std::move(id);
    return *this;
}
ClientOptions& ClientOptions::connect_timeout(Millis time) {
    settings_->code.connect_timeout = time;
    return *this;
}
ClientOptions& ClientOptions::operation_timeout(Millis time) {
    settings_->code.operation_timeout = time;
    return *this;
}
ClientOptions& ClientOptions::heartbeat(Millis longest) {
    settings_->code.heartbeat = longest;
    return *this;
}
ClientOptions& ClientOptions::backoff(Millis first, Millis longest) {
    settings_->code.backoff_first = first;
    settings_->code.backoff_longest = longest;
    return *this;
}
ClientOptions& ClientOptions::pending_limit(std::size_t messages, std::size_t bytes) {
    settings_->code.pending_messages = messages;
    settings_->code.pending_bytes = bytes;
    return *this;
}
ClientOptions& ClientOptions::when_full_fail(bool fail) {
    settings_->code.when_full_fail = fail;
    return *this;
}
ClientOptions& ClientOptions::linger(Millis time) {
    settings_->code.linger = time;
    return *this;
}
ClientOptions& ClientOptions::wait_for_broker(bool wait) {
    settings_->code.wait_for_broker = wait;
    return *this;
}
ClientOptions& ClientOptions::handler_threads(std::size_t most) {
    settings_->code.handler_threads = most;
    return *this;
}

}  // namespace rockdove

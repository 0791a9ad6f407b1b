#include "tools/ctl/place.h"

#include <algorithm>

#include "tools/ctl/text/units.h"

namespace rockdove::ctl {

std::optional<v1::Position> parse_place(const std::string& text, std::int64_t now_ms) {
    v1::Position place;
    if (text == "start") {
        place.set_from(v1::FROM_START);
    } else if (text == "end") {
        place.set_from(v1::FROM_END);
    } else if (!text.empty() && text.size() < 16 &&
               std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; })) {
        place.set_from(v1::FROM_SEQ);
        place.set_seq(std::stoull(text));
        if (place.seq() == 0) return std::nullopt;
    } else if (const auto ago = parse_duration(text); ago && ago->count() > 0) {
        place.set_from(v1::FROM_TIME);
        place.set_time_ms(std::max<std::int64_t>(1, now_ms - ago->count()));
    } else if (const auto time = parse_time(text); time && *time > 0) {
        place.set_from(v1::FROM_TIME);
        place.set_time_ms(*time);
    } else {
        return std::nullopt;
    }
    return place;
}

CLI::Validator place_check() {
    return CLI::Validator(
        [](std::string& text) -> std::string {
            if (parse_place(text, 1'000'000'000'000)) return "";
            return "\"" + text +
                   "\" is not start, end, a sequence such as 4711, a time in UTC such as 2027-03-01T08:00:00Z, or a "
                   "duration such as 1h for an hour ago";
        },
        "start|end|TIME|SEQ");
}

std::optional<std::pair<std::string, std::string>> split_subscription(const std::string& text) {
    const std::size_t slash = text.find('/');
    if (slash == std::string::npos || slash == 0 || slash + 1 == text.size()) return std::nullopt;
    return std::pair(text.substr(0, slash), text.substr(slash + 1));
}

CLI::Option* add_subscription_argument(CLI::App& command, std::string& subscription) {
    const auto check = [](std::string& text) -> std::string {
        return split_subscription(text) ? "" : "\"" + text + "\" is not a subscription: give TOPIC/NAME";
    };
    return command.add_option("subscription", subscription, "The subscription: its topic, a slash, its name")
        ->required()
        ->check(CLI::Validator(check, "TOPIC/NAME"))
        ->option_text("TOPIC/NAME");
}

CLI::Option* add_topic_argument(CLI::App& command, std::string& topic) {
    return command.add_option("topic", topic, "Name of the topic")
        ->required()
        ->type_name("TOPIC")
        ->option_text("TOPIC");
}

}  // namespace rockdove::ctl

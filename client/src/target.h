// Where a message goes, as one string: a queue by its name, a topic behind a mark that no name has.
#pragma once

#include <string>
#include <string_view>

namespace rockdove::detail {

inline constexpr char kTopicMark = '\x01';
inline constexpr char kMandatoryMark =
    '\x02';  // a topic, for messages that must be wanted: a frame has one flag for all

struct Target {
    std::string_view name;
    bool topic = false;
    bool mandatory = false;
};

inline std::string topic_target(std::string_view topic, bool mandatory) {
    return std::string(1, mandatory ? kMandatoryMark : kTopicMark).append(topic);
}

inline Target read_target(std::string_view target) {
    if (target.empty() || (target.front() != kTopicMark && target.front() != kMandatoryMark)) return {target};
    return {target.substr(1), true, target.front() == kMandatoryMark};
}

}  // namespace rockdove::detail

// Worked examples by topic, printed by `rockdove examples`.
#pragma once

#include <span>
#include <string_view>

namespace rockdove::ctl {

struct Example {
    std::string_view topic;
    std::string_view title;
    std::string_view text;
};

std::span<const Example> examples();
const Example* find_example(std::string_view topic);

}  // namespace rockdove::ctl

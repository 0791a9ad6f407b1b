// `rockdove -v`: one line on stderr for each frame.
#pragma once

#include <string_view>

namespace rockdove::detail {

// `direction`: '>' to the broker, '<' from it. `frame` is without its length. Costs one atomic read when off.
void trace_frame(char direction, std::string_view frame);

}  // namespace rockdove::detail

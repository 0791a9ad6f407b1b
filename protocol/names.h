// Rules for names of namespaces, queues, consumers and producers (RELIABILITY 4.4): 1 to 128 characters of
// A-Z a-z 0-9 . _ : -, no leading dot. Names never become file names.
#pragma once

#include <string_view>

#include "protocol/base/result.h"

namespace rockdove::base {

inline constexpr std::size_t kMaxNameBytes = 128;

// `what` goes into the text: "queue name", "namespace". Error: kInvalid.
Result<void> check_name(std::string_view what, std::string_view name);

}  // namespace rockdove::base

// What `explain` says, in words.
#pragma once

#include <string>

#include "tools/ctl/context.h"

namespace rockdove::ctl {

// "waits for its next try until 10:41:42 (in 5 s): timeout"
std::string gate_sentence(const v1::Explanation& explanation, std::int64_t now_ms);
Json explanation_json(const v1::Explanation& explanation, std::int64_t now_ms);

}  // namespace rockdove::ctl

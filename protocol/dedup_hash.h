// How a dedup id and the body it came with are known inside the broker. On disk (storage/FORMAT.md), so it never changes.
// Any thread.
#pragma once

#include <string_view>

#include "protocol/base/message_traits.h"

namespace rockdove::protocol {

// `id` is not empty. Of the id the first 128 bits of its SHA-256: nobody can make two ids that are taken for one, and so
// suppress a message. Of the body XXH3-64, which tells honest mistakes.
base::DedupId dedup_hash(std::string_view id, std::string_view body);

}  // namespace rockdove::protocol

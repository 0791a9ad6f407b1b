// The chain: a hash over everything a shard ever committed, in order. Two copies of a shard with the same
// lsn and the same chain hold the same commits (storage/FORMAT.md).
#pragma once

#include <cstdint>

#include "storage/message_store.h"

namespace rockdove::storage {

// XXH3-64 over previous chain, stamp and the write set's operations. The same in every store.
std::uint64_t next_chain(std::uint64_t previous, const WriteSet& writes, const CommitStamp& stamp);

}  // namespace rockdove::storage

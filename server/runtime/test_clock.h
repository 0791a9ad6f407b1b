// Moves the time of a broker that runs on a test clock (SEMANTICS section 15), on all its shards alike.
#pragma once

#include <functional>
#include <vector>

#include "protocol/base/clock.h"
#include "protocol/base/result.h"

namespace rockdove::runtime {

class Shard;

// Ahead of the machine's clock: how far a test clock may be moved in all.
inline constexpr Millis kLongestTest{std::int64_t{100} * 365 * 86'400'000};

// Moves the clock by `by`; not past `latest`. Calls `done` with the new time when all shards stand there, and what fell due
// until then is durable. Several moves are made one after the other. `shards`: all, by id. Any shard's thread; `done` is
// called on any of them. Errors: kUnsupported (no test clock), kInvalid (past `latest`), kUnavailable (a store failed).
void advance_clock(const std::vector<Shard*>& shards, Millis by, TimePoint latest,
                   std::function<void(Result<TimePoint>)> done);

}  // namespace rockdove::runtime

// Which errors promise that nothing happened.
#pragma once

#include <chrono>

#include "rockdove/client.h"

namespace rdload {

// Shorter than the checker's limit for an operation without an end.
inline constexpr rockdove::Millis kOperationTimeout{20'000};
// The leases of the run's queues, tests/crash/run.py.
inline constexpr rockdove::Millis kLease{4'000};

inline bool outcome_unknown(const rockdove::Error& error) {
    return error.code() == rockdove::ErrorCode::kOutcomeUnknown || error.code() == rockdove::ErrorCode::kTimedOut ||
           error.code() == rockdove::ErrorCode::kInternal;
}

}  // namespace rdload

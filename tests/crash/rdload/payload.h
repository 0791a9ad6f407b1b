// Messages whose whole content follows from (mid, n, size); the same as tests/crash/payload.py makes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "rockdove/client.h"

namespace rdload {

rockdove::Message make_message(const std::string& mid, std::uint64_t n, std::size_t size);

// The mid of an intact message; empty if anything differs from what was sent.
std::optional<std::string> check_job(const rockdove::Job& job);
// As far as it can be read, for reports about damaged messages.
std::string mid_of(const rockdove::Job& job);

}  // namespace rdload

// Going on with less than was confirmed: `rockdove recover DIR --accept-loss`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "storage/rocksdb/open_failure.h"
#include "storage/rocksdb/open_options.h"

namespace rockdove::storage {

struct AcceptedLoss {
    bool needed = false;  // false: nothing was missing, nothing was changed
    // What was given up; empty if DURABLE did not say how far the store had confirmed.
    std::optional<std::uint64_t> commits;
    std::optional<std::uint64_t> sequence_numbers;
    std::uint64_t last_lsn = 0;  // the commit with which the store goes on
    bool logs_dropped = false;   // the tables were not complete either: all that was only in the logs is gone
    std::string summary;         // one sentence of all this
};

// Takes the lock, opens what can be opened, writes DURABLE anew, and adds a line to the file AUDIT. Whoever wants to
// keep the evidence copies the directory first. Of the options it uses path, file system, memory and log.
std::variant<AcceptedLoss, OpenFailure> accept_loss(const OpenOptions& options);

}  // namespace rockdove::storage

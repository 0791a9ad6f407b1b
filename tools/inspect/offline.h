// What the offline commands share: how a directory is opened, and what a refusal means for the exit code.
#pragma once

#include <string>

#include "storage/rocksdb/open_failure.h"
#include "storage/rocksdb/open_options.h"
#include "tools/ctl/text/errors.h"

namespace rockdove::ctl {

storage::OpenOptions offline_options(const std::string& directory);
Failure offline_failure(const storage::OpenFailure& failure, const std::string& directory);

}  // namespace rockdove::ctl

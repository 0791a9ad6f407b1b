// RocksDB's and the operating system's failures as ours: the only place that translates them (STYLE section 4).
#pragma once

#include <rocksdb/status.h>

#include <string>
#include <string_view>

#include "protocol/base/error.h"

namespace rockdove::storage {

// `doing` begins the text: "read record", "write durable mark".
Error to_error(std::string_view doing, const rocksdb::Status& status);

// The text alone: "doing: IO error: No space left on device: While appending to file: 000012.log".
std::string describe(std::string_view doing, const rocksdb::Status& status);

// The operating system refused for want of permission.
bool is_permission_denied(const rocksdb::Status& status);

}  // namespace rockdove::storage

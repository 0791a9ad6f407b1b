// The local file system as a store wants it: write-ahead logs are LogFiles, and one that is no longer needed is kept to
// become the next one instead of being removed.
#pragma once

#include <memory>
#include <string>

#include "storage/rocksdb/files.h"

namespace rockdove::storage {

// Of a log that waits for its next use: it holds nothing but zeros, or will once it is used.
inline constexpr char kSpareLogSuffix[] = ".spare";
// As many as there are write buffers: more would never be used.
inline constexpr std::size_t kMostSpareLogs = 2;

// For the store at `path`. Any thread. It knows nothing of the spares of an earlier one: remove those first.
std::shared_ptr<rocksdb::FileSystem> make_local_file_system(const std::string& path);

// Those that a process left behind. Not while the store is open.
rocksdb::IOStatus remove_spare_logs(const Directory& directory);

}  // namespace rockdove::storage

// A view of a file system in which one file ends early.
//
// RocksDB refuses a MANIFEST whose last, never finished record is torn. Through this view it reads what lies before;
// the file itself is not touched, and an opening for writing makes a new MANIFEST anyway.
#pragma once

#include <rocksdb/file_system.h>

#include <memory>
#include <string>

namespace rockdove::storage {

// `path` is as RocksDB names the file.
std::shared_ptr<rocksdb::FileSystem> with_shortened_file(const std::shared_ptr<rocksdb::FileSystem>& file_system,
                                                         const std::string& path, std::uint64_t bytes);

}  // namespace rockdove::storage

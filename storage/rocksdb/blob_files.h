// Blob files hold the blocks of messages; the tables point into them (options.cc).
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/file_system.h>

#include <string>

namespace rockdove::storage {

// Corruption if a blob file that the open database needs is missing, too short, or none at all. RocksDB itself looks at
// them only when a value is read, and would start on half a store. Reads a few bytes of each, not the values.
rocksdb::Status check_blob_files(rocksdb::DB& db, rocksdb::FileSystem& file_system, const std::string& path);

}  // namespace rockdove::storage

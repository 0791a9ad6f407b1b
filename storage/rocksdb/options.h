// How RocksDB is set up (RELIABILITY 5.1): the one place with its settings.
#pragma once

#include <rocksdb/options.h>

#include <memory>
#include <string>

namespace rocksdb {
class Env;
class FileSystem;
class Logger;
}  // namespace rocksdb

namespace rockdove::storage {

struct RocksdbSetup {
    std::shared_ptr<rocksdb::FileSystem> file_system;
    std::shared_ptr<rocksdb::Logger> info_log;
    std::uint64_t memory_bytes = 0;  // write buffers and block cache together
};

// A table with this many removals close together is compacted soon.
inline constexpr std::uint64_t kCompactedRemovals = 512;

// A smaller value lies in the table itself.
inline constexpr std::uint64_t kMinBlobBytes = 4096;

// An Env made of this file system and the system's clock and threads. It must outlive the database.
std::unique_ptr<rocksdb::Env> make_env(const RocksdbSetup& setup);

// `env`: of make_env(). For reading and for writing.
rocksdb::Options make_options(const RocksdbSetup& setup, rocksdb::Env* env);

}  // namespace rockdove::storage

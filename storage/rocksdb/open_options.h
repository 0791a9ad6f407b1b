// What is needed to open a data directory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "protocol/base/ids.h"

namespace rocksdb {
class FileSystem;
}
namespace spdlog {
class logger;
}

namespace rockdove::storage {

struct OpenOptions {
    std::string path;
    ShardId shard;
    bool create_if_missing = true;  // of the directory itself; its parent must exist
    // Less free space than this: refused before anything is written. A start may flush what the log holds.
    std::uint64_t min_free_bytes = std::uint64_t{64} << 20;
    // For write buffers and block cache together; two fifths are one write buffer.
    std::uint64_t memory_bytes = std::uint64_t{80} << 20;
    // For a directory made now; one that is there must have it. Empty: a new one, or whatever is there.
    std::string cluster_id;
    // Its times are those of a test clock. A directory is of one kind or the other for good: one made without it is not
    // opened with it, nor the other way round, and nothing is changed by the attempt.
    bool test_clock = false;
    // All file access goes through it. Empty: the operating system's; then owner, mode and kind of `path` are
    // checked as well.
    std::shared_ptr<rocksdb::FileSystem> file_system;
    // Empty: the default logger, under the name "storage".
    std::shared_ptr<spdlog::logger> log;
};

}  // namespace rockdove::storage

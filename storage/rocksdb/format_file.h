// The file FORMAT: what the data directory is, who wrote it, who may read it (storage/FORMAT.md).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "protocol/base/ids.h"
#include "storage/rocksdb/open_failure.h"

namespace rockdove::storage {

// Format that this program writes and the newest that it reads.
inline constexpr std::uint32_t kFormatVersion = 1;

struct FormatFile {
    std::uint32_t version = kFormatVersion;
    std::uint32_t oldest_reader = kFormatVersion;  // a program that reads at least this format may open it
    std::string created_by;                        // version of Rockdove
    std::string cluster_id;                        // 128 bits in hexadecimal
    ShardId shard;
    bool test_clock = false;  // its times are those of a test clock; for good

    [[nodiscard]] std::string encode() const;
    // Errors: kNewerFormat names both versions; kDamaged.
    static std::variant<FormatFile, OpenFailure> decode(std::string_view path, std::string_view content);
};

// 128 random bits in hexadecimal.
std::string new_cluster_id();

}  // namespace rockdove::storage

// The stored form of a record's value, the same in every store (storage/FORMAT.md):
//
//     format byte (1) | payload | CRC32C over key, format byte and payload (4 bytes, little-endian)
//
// The key is part of the checksum, so a value that turns up under another key is seen as damaged.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "storage/message_store.h"

namespace rockdove::storage {

inline constexpr char kValueFormat = 1;
inline constexpr std::size_t kSealBytes = 1 + sizeof(std::uint32_t);

// CRC32C (Castagnoli), as in iSCSI and RocksDB. `seed` is the checksum of the bytes before `bytes`.
std::uint32_t crc32c(std::string_view bytes, std::uint32_t seed = 0);

// What goes behind the payload.
std::uint32_t value_checksum(std::string_view key, std::string_view payload);

std::string seal(std::string_view key, std::string_view payload);

// Empty if format byte, key binding or checksum is wrong. The result points into `stored`.
std::optional<std::string_view> unseal(std::string_view key, std::string_view stored);

// The same as a visitor gets it: `damaged` instead of an empty optional.
RecordView unsealed_record(std::string_view key, std::string_view stored);

}  // namespace rockdove::storage

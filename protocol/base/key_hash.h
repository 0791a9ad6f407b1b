// How an ordering key is known inside the broker: by 64 bits. Two keys with the same hash would merely wait for each
// other. On disk (storage/FORMAT.md), so it never changes.
#pragma once

#include <cstdint>
#include <string_view>

namespace rockdove::base {

// FNV-1a, mixed as MurmurHash3 does at its end. 0 only for the empty key, which is none.
inline std::uint64_t key_hash(std::string_view key) {
    if (key.empty()) return 0;
    std::uint64_t hash = 0xCBF29CE484222325ULL;
    for (const char c : key) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
    hash = (hash ^ hash >> 33) * 0xFF51AFD7ED558CCDULL;
    hash = (hash ^ hash >> 33) * 0xC4CEB9FE1A85EC53ULL;
    hash ^= hash >> 33;
    return hash == 0 ? 1 : hash;
}

}  // namespace rockdove::base

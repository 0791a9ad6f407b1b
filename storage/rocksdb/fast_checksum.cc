#include "storage/rocksdb/fast_checksum.h"

#include <dlfcn.h>

#include <cstddef>
#include <cstdint>

#include "storage/value.h"

// As RocksDB declares it in util/crc32c.h, which is not installed.
// NOLINTBEGIN(readability-identifier-naming): its name
namespace rocksdb::crc32c {

[[gnu::visibility("default")]] std::uint32_t Extend(std::uint32_t crc, const char* data, std::size_t size);

std::uint32_t Extend(std::uint32_t crc, const char* data, std::size_t size) {
    return rockdove::storage::crc32c({data, size}, crc);
}

}  // namespace rocksdb::crc32c
// NOLINTEND(readability-identifier-naming)

namespace rockdove::storage {

bool rocksdb_checksums_are_fast() {
    return ::dlsym(RTLD_DEFAULT, "_ZN7rocksdb6crc32c6ExtendEjPKcm") ==
           reinterpret_cast<void*>(&rocksdb::crc32c::Extend);
}

}  // namespace rockdove::storage

// The checksum of a whole file that RocksDB keeps in its MANIFEST.
#pragma once

#include <rocksdb/file_checksum.h>

#include <memory>

namespace rockdove::storage {

// CRC32C under RocksDB's own name and in its form, so that its tools can check our files. Debian builds RocksDB without
// the processor's CRC instruction; this one uses it.
std::shared_ptr<rocksdb::FileChecksumGenFactory> file_checksum_factory();

}  // namespace rockdove::storage

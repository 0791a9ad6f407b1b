// RocksDB checks every byte that it writes or reads by CRC32C. Debian's build does it without the processor's
// instruction for it, and that was 40 % of the broker's time with messages of 1 KiB.
#pragma once

namespace rockdove::storage {

// True if RocksDB in this process uses our CRC32C: this library defines RocksDB's function, and the program's own
// definition is found before that of a shared library (symbol interposition, as with malloc). False if RocksDB is of a
// build that binds its functions directly; it then uses its own, which computes the same.
bool rocksdb_checksums_are_fast();

}  // namespace rockdove::storage

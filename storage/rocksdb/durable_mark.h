// The file DURABLE: how far the store had confirmed, kept apart from RocksDB, so that data which RocksDB no
// longer shows is missed at the next start (RELIABILITY 5.2, storage/FORMAT.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "storage/rocksdb/files.h"

namespace rockdove::storage {

struct DurableMark {
    std::uint64_t generation = 0;  // counts the writes of the file; the slot with the higher one is the newer
    std::uint32_t epoch = 0;
    // RocksDB's MANIFEST at that time, and how much of it was synced: RocksDB opens with a shorter one as if nothing
    // were missing.
    std::uint32_t manifest_number = 0;
    std::uint64_t manifest_bytes = 0;
    std::uint64_t sequence = 0;  // RocksDB's, of the last confirmed synced commit
    std::uint64_t lsn = 0;       // of the same
    std::uint64_t confirms = 0;  // synced commits since the store was made
    bool clean = false;          // the store was closed; nothing was written since

    friend bool operator==(const DurableMark&, const DurableMark&) = default;
};

inline constexpr std::size_t kMarkSlotBytes = 64;
// Each slot has a sector and a page of its own, so that one torn write cannot take both.
inline constexpr std::size_t kMarkSlotDistance = 4096;

std::string encode_mark(const DurableMark& mark);
std::optional<DurableMark> decode_mark(std::string_view slot);
// The newer of the two valid slots; nothing if there is none.
std::optional<DurableMark> newest_mark(std::string_view file);

// Writes the file. Runs on: one thread at a time. After an error it must not be used again.
class DurableMarkFile {
public:
    // Creates the file with `mark` in it, durable on return.
    static rocksdb::IOStatus create(const Directory& directory, const DurableMark& mark);
    // `last` is what the file holds now.
    rocksdb::IOStatus open(const Directory& directory, const DurableMark& last);
    // Writes the slot that is not the newest, then syncs. `mark.generation` is set here.
    rocksdb::IOStatus write(DurableMark mark);
    [[nodiscard]] const DurableMark& last() const { return last_; }

private:
    std::unique_ptr<rocksdb::FSRandomRWFile> file_;
    DurableMark last_;
};

}  // namespace rockdove::storage

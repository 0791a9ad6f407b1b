// Large values leave the buffer for blob files (options.cc).
#include <rocksdb/file_checksum.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

#include "storage/rocksdb/file_checksum.h"
#include "tests/unit/storage/rocksdb/data_dir.h"

namespace rockdove::storage {
namespace {

std::string checksum_by(rocksdb::FileChecksumGenFactory& factory, const std::vector<std::string>& pieces) {
    const auto generator = factory.CreateFileChecksumGenerator(rocksdb::FileChecksumGenContext());
    for (const std::string& piece : pieces) generator->Update(piece.data(), piece.size());
    generator->Finalize();
    return std::string(generator->Name()) + " " + generator->GetChecksum();
}

TEST_CASE("the checksum of a file is the one that RocksDB computes", "[storage]") {
    const std::vector<std::vector<std::string>> files = {
        {}, {"a"}, {std::string(5'000, 'x'), "", std::string("\0\xff", 2)}};
    for (const auto& pieces : files) {
        CHECK(checksum_by(*file_checksum_factory(), pieces) ==
              checksum_by(*rocksdb::GetFileChecksumGenCrc32cFactory(), pieces));
    }
    rocksdb::FileChecksumGenContext other;
    other.requested_checksum_func_name = "another";
    CHECK(file_checksum_factory()->CreateFileChecksumGenerator(other) == nullptr);
}

// One message in fifty stays: a job that waits for days, a dead letter. Its neighbours' space must come back.
TEST_CASE("the few blocks that stay do not hold the space of those that went", "[storage]") {
    constexpr std::uint64_t kBlocks = 3'000;
    constexpr std::uint64_t kBlockBytes = 32 * 1024;
    constexpr std::uint64_t kAlive = 64;
    const DataDir dir;
    OpenOptions options = dir.options();
    options.memory_bytes = 4 * 1024 * 1024;
    RocksdbStore::Outcome outcome = RocksdbStore::open(options);
    RocksdbStore& store = *std::get<std::unique_ptr<RocksdbStore>>(outcome);
    const auto key = [](std::uint64_t n) {
        return "k" + std::string(1, static_cast<char>(n >> 8)) + static_cast<char>(n);
    };
    for (std::uint64_t i = 1; i <= kBlocks; ++i) {
        WriteSet writes;
        writes.put(key(i), std::string(kBlockBytes, static_cast<char>('a' + i % 26)));
        if (i > kAlive && (i - kAlive) % 50 != 0) writes.remove(key(i - kAlive));
        REQUIRE(store.commit(writes, {Lsn(i), 1}).outcome == CommitOutcome::kDurable);
    }
    const std::uint64_t live = (kAlive + kBlocks / 50) * kBlockBytes;
    const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (store.stats().data_bytes > 8 * live && std::chrono::steady_clock::now() < patience) {
        REQUIRE(store.tick().outcome == CommitOutcome::kDurable);
        std::this_thread::yield();
    }
    INFO("live " << live << ", on disk " << store.stats().data_bytes << ", written " << kBlocks * kBlockBytes);
    CHECK(store.stats().data_bytes <= 8 * live);
    CHECK_FALSE(dir.names(".blob").empty());
    for (std::uint64_t i = 50 + kAlive; i <= kBlocks; i += 50) {
        const auto stored = store.get(key(i - kAlive));
        REQUIRE((stored && *stored));
        CHECK((*stored)->size() == kBlockBytes);
    }
}

}  // namespace
}  // namespace rockdove::storage

// Logs of the local file system: zeros laid out ahead, and logs that become the next ones.
#include "storage/rocksdb/log_file.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <set>

#include "storage/rocksdb/fast_checksum.h"
#include "storage/rocksdb/local_file_system.h"
#include "storage/rocksdb/wal_scan.h"
#include "tests/unit/storage/rocksdb/data_dir.h"

namespace rockdove::storage {
namespace {

using File = std::unique_ptr<rocksdb::FSWritableFile>;

void append(rocksdb::FSWritableFile& file, const std::string& bytes) {
    REQUIRE(file.Append(bytes, rocksdb::IOOptions(), nullptr).ok());
    REQUIRE(file.Sync(rocksdb::IOOptions(), nullptr).ok());
}

void write_log(rocksdb::FileSystem& file_system, const std::string& path, const std::string& bytes) {
    File file;
    REQUIRE(file_system.NewWritableFile(path, rocksdb::FileOptions(), &file, nullptr).ok());
    append(*file, bytes);
    REQUIRE(file->Close(rocksdb::IOOptions(), nullptr).ok());
}

ino_t inode(const std::string& path) {
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    return info.st_ino;
}

bool all_zero(const std::string& bytes) { return bytes.find_first_not_of('\0') == std::string::npos; }

TEST_CASE("a log has zeros laid out behind small commits", "[storage]") {
    const DataDir dir;
    std::filesystem::create_directory(dir.path());
    File file;
    REQUIRE(LogFile::create(dir.path("000001.log"), &file).ok());
    std::string expected;
    for (int i = 0; i < 300; ++i) {  // goes past what was laid out first
        const std::string piece(1'500, static_cast<char>('a' + i % 26));
        append(*file, piece);
        expected += piece;
        const std::string content = dir.read("000001.log");
        REQUIRE(content.size() >= expected.size());
        REQUIRE(content.size() <= expected.size() + kZeroesAhead);
        REQUIRE(content.compare(0, expected.size(), expected) == 0);
        REQUIRE(all_zero(content.substr(expected.size())));
    }
    CHECK(file->GetFileSize(rocksdb::IOOptions(), nullptr) == expected.size());
}

TEST_CASE("zeros are laid out for commits up to the limit", "[storage]") {
    for (const bool small : {true, false}) {
        const DataDir dir;
        std::filesystem::create_directory(dir.path());
        File file;
        REQUIRE(LogFile::create(dir.path("000001.log"), &file).ok());
        const std::string piece(kSmallCommitBytes + (small ? 0 : 64), 'x');
        for (int i = 0; i < 100; ++i) append(*file, piece);
        // By now the average has reached the limit, or has been above it for longer than zeros reach.
        const bool ahead = dir.read("000001.log").size() > 100 * piece.size();
        CHECK(ahead == small);
    }
}

TEST_CASE("a log that is no longer needed becomes the next one, and reads as zeros", "[storage]") {
    const DataDir dir;
    std::filesystem::create_directory(dir.path());
    const auto file_system = make_local_file_system(dir.path());
    const auto remove = [&](const std::string& name) {
        return file_system->DeleteFile(dir.path(name), rocksdb::IOOptions(), nullptr).ok();
    };
    const std::string old(300'000, 'x');
    for (int i = 1; i <= 3; ++i) write_log(*file_system, dir.path("00000" + std::to_string(i) + ".log"), old);
    const ino_t first = inode(dir.path("000002.log"));
    for (int i = 1; i <= 3; ++i) CHECK(remove("00000" + std::to_string(i) + ".log"));
    REQUIRE(dir.names("").size() == kMostSpareLogs);  // and no more
    REQUIRE(dir.names(kSpareLogSuffix).size() == kMostSpareLogs);
    for (const std::string& name : dir.names("")) {
        CHECK(dir.read(name).size() >= old.size());
        CHECK(all_zero(dir.read(name)));
    }

    write_log(*file_system, dir.path("000004.log"), "new");
    CHECK(inode(dir.path("000004.log")) == first);
    const std::string content = dir.read("000004.log");
    CHECK(content.starts_with("new"));
    CHECK(all_zero(content.substr(3)));
    CHECK(dir.names(kSpareLogSuffix).size() == kMostSpareLogs - 1);

    SECTION("other files are just files") {
        write_log(*file_system, dir.path("000005.sst"), "table");
        CHECK(dir.read("000005.sst") == "table");
        CHECK(remove("000005.sst"));
        CHECK(dir.names(".sst").empty());
        CHECK_FALSE(remove("000009.log"));  // there is none
        CHECK(dir.names(kSpareLogSuffix).size() == kMostSpareLogs - 1);
    }
    SECTION("a spare that somebody took away is made anew") {
        for (const std::string& name : dir.names(kSpareLogSuffix)) dir.remove(name);
        write_log(*file_system, dir.path("000005.log"), "new");
        CHECK(dir.read("000005.log").starts_with("new"));
    }
}

// A process that is killed leaves logs with zeros behind their end, old logs under new names, and spares.
TEST_CASE("logs that were used before hold nothing of their former life", "[storage]") {
    constexpr std::uint64_t kCommits = 3'000;
    const DataDir dir;
    OpenOptions options = dir.options();
    options.memory_bytes = 1024 * 1024;  // a log is full after some 400 KiB
    std::set<std::string> logs;
    {
        RocksdbStore::Outcome outcome = RocksdbStore::open(options);
        RocksdbStore& store = *std::get<std::unique_ptr<RocksdbStore>>(outcome);
        for (std::uint64_t lsn = 1; lsn <= kCommits; lsn += 50) {
            DataDir::fill(store, lsn, 50);
            for (const std::string& name : dir.names(".log")) logs.insert(name);
            CHECK(dir.names(kSpareLogSuffix).size() <= kMostSpareLogs);
        }
        CHECK(logs.size() > 5);  // they were switched
        const DataDir killed;
        std::filesystem::copy(dir.path(), killed.path(), std::filesystem::copy_options::recursive);
        killed.write("000001.log.spare", "of a process that was killed before it had zeroed it");
        for (const std::string& name : killed.names("OWNER")) killed.remove(name);
        std::filesystem::permissions(killed.path(), std::filesystem::perms::owner_all);
        const auto again = killed.open();
        CHECK(again->opened().last_lsn == Lsn(kCommits));
        CHECK(again->torn_at().empty());
        CHECK(DataDir::intact(*again, kCommits) == kCommits);
        CHECK(killed.names("000001.log.spare").empty());
        REQUIRE(store.close());
    }
    CHECK(dir.names(kSpareLogSuffix).empty());
    CHECK(DataDir::intact(*dir.open(), kCommits) == kCommits);
}

TEST_CASE("RocksDB uses the quick checksum", "[storage]") { CHECK(rocksdb_checksums_are_fast()); }

}  // namespace
}  // namespace rockdove::storage

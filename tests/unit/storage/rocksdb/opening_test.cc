// Which directories are opened, and what the refusal of the others says (RELIABILITY R10, R11, R12).
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "storage/rocksdb/format_file.h"
#include "tests/unit/storage/rocksdb/data_dir.h"

namespace rockdove::storage {
namespace {

using Reason = OpenFailure::Reason;
namespace fs = std::filesystem;

void check_refusal(const std::optional<OpenFailure>& refusal, Reason reason, int exit_code, const std::string& words) {
    REQUIRE(refusal);
    INFO(refusal->text);
    CHECK(refusal->reason == reason);
    CHECK(refusal->exit_code() == exit_code);
    CHECK(refusal->text.find(words) != std::string::npos);
}

TEST_CASE("a second opening is refused and names the process that holds the directory", "[storage][lock]") {
    const DataDir dir;
    const auto store = dir.open();
    const std::string pid = std::to_string(::getpid());
    check_refusal(dir.refusal(), Reason::kLocked, 73, "in use by process " + pid);

    // From another process too, where the operating system decides; and its looking must not free the lock.
    for (int attempt = 0; attempt < 2; ++attempt) {
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            const std::optional<OpenFailure> refusal = dir.refusal();
            const bool right = refusal && refusal->reason == Reason::kLocked &&
                               refusal->text.find("process " + pid) != std::string::npos;
            ::_exit(right ? 0 : 1);
        }
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status));
        CHECK(WEXITSTATUS(status) == 0);
    }
    DataDir::fill(*store, 1, 3);  // the first one notices nothing
}

TEST_CASE("the lock is free again when its holder is gone", "[storage][lock]") {
    const DataDir dir;
    { const auto store = dir.open(); }
    CHECK_FALSE(dir.refusal());
}

TEST_CASE("RocksDB writes no log file of its own", "[storage][rocksdb]") {
    const DataDir dir;
    { DataDir::fill(*dir.open(), 1, 3); }
    const auto store = dir.open();
    CHECK(dir.names("LOG").empty());
}

TEST_CASE("a new directory is for its owner alone", "[storage][place]") {
    const DataDir dir;
    const mode_t before = ::umask(077);  // as the daemon sets it
    { const auto store = dir.open(); }
    ::umask(before);
    CHECK((fs::status(dir.path()).permissions() & fs::perms::all) == fs::perms::owner_all);
    for (const std::string& name : dir.names("")) {
        INFO(name);
        CHECK((fs::status(dir.path(name)).permissions() & (fs::perms::group_all | fs::perms::others_all)) ==
              fs::perms::none);
    }
}

TEST_CASE("what is not a directory for us is refused and left alone", "[storage][place]") {
    const DataDir dir;
    SECTION("a file") {
        std::ofstream(dir.path()) << "text";
        check_refusal(dir.refusal(), Reason::kUnusable, 73, "is not a directory");
        CHECK(fs::is_regular_file(dir.path()));
    }
    SECTION("a symbolic link") {
        fs::create_directory(dir.beside("real"));
        fs::create_directory_symlink(dir.beside("real"), dir.path());
        check_refusal(dir.refusal(), Reason::kUnusable, 73, "symbolic link");
        CHECK(fs::is_empty(dir.beside("real")));
    }
    SECTION("a directory with something else in it") {
        fs::create_directory(dir.path());
        dir.write("holiday.jpg", "...");
        check_refusal(dir.refusal(), Reason::kUnusable, 73, "holiday.jpg");
        CHECK(dir.names("").size() == 1);
    }
    SECTION("a directory that others may write to") {
        fs::create_directory(dir.path());
        fs::permissions(dir.path(), fs::perms::all);
        check_refusal(dir.refusal(), Reason::kPermission, 77, "chmod 700");
        CHECK(fs::is_empty(dir.path()));
    }
    SECTION("a parent that does not exist") {
        OpenOptions options = dir.options();
        options.path = dir.beside("no/such");
        const RocksdbStore::Outcome outcome = RocksdbStore::open(options);
        REQUIRE(std::holds_alternative<OpenFailure>(outcome));
        check_refusal(std::get<OpenFailure>(outcome), Reason::kUnusable, 73, "parent directory does not exist");
        CHECK_FALSE(fs::exists(dir.beside("no")));
    }
    SECTION("nothing, when told not to create") {
        OpenOptions options = dir.options();
        options.create_if_missing = false;
        const RocksdbStore::Outcome outcome = RocksdbStore::open(options);
        REQUIRE(std::holds_alternative<OpenFailure>(outcome));
        check_refusal(std::get<OpenFailure>(outcome), Reason::kUnusable, 73, "does not exist");
        CHECK_FALSE(fs::exists(dir.path()));
    }
}

TEST_CASE("an empty directory, and one with only lost+found, becomes a store", "[storage][place]") {
    const DataDir dir;
    fs::create_directory(dir.path());
    fs::permissions(dir.path(), fs::perms::owner_all);
    if (GENERATE(true, false)) fs::create_directory(dir.path("lost+found"));
    { DataDir::fill(*dir.open(), 1, 2); }
    CHECK(DataDir::intact(*dir.open(), 2) == 2);
}

TEST_CASE("too little free space is refused with both numbers, and nothing changes", "[storage][place]") {
    const DataDir dir;
    { DataDir::fill(*dir.open(), 1, 2); }
    const auto before = dir.data_files();
    OpenOptions options = dir.options();
    options.min_free_bytes = std::uint64_t{1} << 60;
    const RocksdbStore::Outcome outcome = RocksdbStore::open(options);
    REQUIRE(std::holds_alternative<OpenFailure>(outcome));
    check_refusal(std::get<OpenFailure>(outcome), Reason::kIo, 74, "1099511627776 MiB are needed");
    CHECK((dir.data_files() == before));
}

TEST_CASE("a newer format is refused naming both versions, and nothing changes", "[storage][format]") {
    const DataDir dir;
    { DataDir::fill(*dir.open(), 1, 2); }
    FormatFile format;
    format.version = kFormatVersion + 6;
    format.oldest_reader = kFormatVersion + 5;
    format.created_by = "9.8.7";
    format.cluster_id = new_cluster_id();
    dir.write("FORMAT", format.encode());
    const auto before = dir.data_files();
    check_refusal(dir.refusal(), Reason::kNewerFormat, 65, "format 7");
    CHECK(dir.refusal()->text.find("9.8.7") != std::string::npos);
    CHECK(dir.refusal()->text.find(ROCKDOVE_VERSION) != std::string::npos);
    CHECK((dir.data_files() == before));
}

TEST_CASE("a missing or changed FORMAT is refused, and nothing changes", "[storage][format]") {
    const DataDir dir;
    { DataDir::fill(*dir.open(), 1, 2); }
    const int damage = GENERATE(range(0, 3));
    if (damage == 0) dir.remove("FORMAT");
    if (damage == 1) dir.write("FORMAT", "");
    if (damage == 2) dir.flip_bit("FORMAT", dir.read("FORMAT").find("cluster_id") * 8 + 13 * 8);
    const auto before = dir.data_files();
    check_refusal(dir.refusal(), Reason::kDamaged, 65, "FORMAT");
    CHECK((dir.data_files() == before));
}

TEST_CASE("the directory of another shard is refused", "[storage][format]") {
    const DataDir dir;
    { DataDir::fill(*dir.open(), 1, 2); }
    OpenOptions options = dir.options();
    options.shard = ShardId(5);
    const RocksdbStore::Outcome outcome = RocksdbStore::open(options);
    REQUIRE(std::holds_alternative<OpenFailure>(outcome));
    check_refusal(std::get<OpenFailure>(outcome), Reason::kUnusable, 73, "belongs to shard 0, not to shard 5");
}

TEST_CASE("a directory belongs to the test clock for good, or never, and an attempt changes nothing",
          "[storage][format]") {
    const DataDir dir;
    const bool test_clock = GENERATE(true, false);
    OpenOptions options = dir.options();
    options.test_clock = test_clock;
    for (const std::uint64_t lsn : {1, 3}) {
        RocksdbStore::Outcome outcome = RocksdbStore::open(options);
        REQUIRE(std::holds_alternative<std::unique_ptr<RocksdbStore>>(outcome));
        DataDir::fill(*std::get<std::unique_ptr<RocksdbStore>>(outcome), lsn, 2);
    }
    CHECK((dir.read("FORMAT").find("\nclock test\n") != std::string::npos) == test_clock);
    const auto before = dir.data_files();
    options.test_clock = !test_clock;
    const RocksdbStore::Outcome outcome = RocksdbStore::open(options);
    REQUIRE(std::holds_alternative<OpenFailure>(outcome));
    check_refusal(std::get<OpenFailure>(outcome), Reason::kClock, 78,
                  test_clock ? "Start with --test-clock" : "Leave out --test-clock");
    CHECK((dir.data_files() == before));
}

TEST_CASE("a creation that did not come to its end may be begun anew with another clock", "[storage][format]") {
    const DataDir dir;
    { DataDir::fill(*dir.open(), 1, 2); }
    dir.remove("FORMAT");
    dir.write("CREATING", "");
    OpenOptions options = dir.options();
    options.test_clock = true;
    CHECK(std::holds_alternative<std::unique_ptr<RocksdbStore>>(RocksdbStore::open(options)));
}

TEST_CASE("FORMAT reads back what was written", "[storage][format]") {
    FormatFile format;
    format.created_by = "0.1.0";
    format.cluster_id = new_cluster_id();
    format.shard = ShardId(7);
    format.test_clock = GENERATE(false, true);
    const auto decoded = FormatFile::decode("FORMAT", format.encode());
    REQUIRE(std::holds_alternative<FormatFile>(decoded));
    CHECK(std::get<FormatFile>(decoded).cluster_id == format.cluster_id);
    CHECK(std::get<FormatFile>(decoded).shard == ShardId(7));
    CHECK(std::get<FormatFile>(decoded).created_by == "0.1.0");
    CHECK(std::get<FormatFile>(decoded).test_clock == format.test_clock);
    CHECK(new_cluster_id() != format.cluster_id);
}

TEST_CASE("a creation that did not come to its end is begun anew", "[storage][place]") {
    const DataDir dir;
    { DataDir::fill(*dir.open(), 1, 2); }
    dir.remove("FORMAT");  // it is written last
    dir.write("CREATING", "");
    const auto store = dir.open();
    CHECK(store->opened().last_lsn == Lsn(0));
    CHECK(store->opened().epoch == 1);
    CHECK(dir.names("CREATING").empty());
}

}  // namespace
}  // namespace rockdove::storage

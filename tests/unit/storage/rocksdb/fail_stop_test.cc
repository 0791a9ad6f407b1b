// The first failed write or sync stops the store; nothing confirmed is lost by it (RELIABILITY R5 in small).
#include <catch2/catch.hpp>

#include "tests/support/power_cut_file_system.h"
#include "tests/unit/storage/rocksdb/data_dir.h"

namespace rockdove::storage {
namespace {

using test::PowerCutFileSystem;

OpenOptions options_on(const std::shared_ptr<PowerCutFileSystem>& disk) {
    OpenOptions options = DataDir().options();
    options.path = "/data";
    options.file_system = disk;
    options.memory_bytes = 400 * 1024;
    return options;
}

std::unique_ptr<RocksdbStore> open_on(const std::shared_ptr<PowerCutFileSystem>& disk) {
    RocksdbStore::Outcome outcome = RocksdbStore::open(options_on(disk));
    if (const auto* failure = std::get_if<OpenFailure>(&outcome)) FAIL(failure->text);
    return std::get<std::unique_ptr<RocksdbStore>>(std::move(outcome));
}

CommitResult commit(RocksdbStore& store, std::uint64_t lsn) {
    WriteSet writes;
    writes.put(DataDir::key(lsn), DataDir::value(lsn));
    writes.require_sync();
    return store.commit(writes, {Lsn(lsn), 0});
}

TEST_CASE("a failing disk: one unknown commit, then refusals; a reopening has all that was confirmed",
          "[storage][fail_stop]") {
    const auto disk = std::make_shared<PowerCutFileSystem>(1);
    auto store = open_on(disk);
    std::uint64_t lsn = 0;
    while (lsn < 10) REQUIRE(commit(*store, ++lsn).outcome == CommitOutcome::kDurable);
    disk->fail_from(GENERATE(1U, 2U));  // the write, or its sync
    const CommitResult failed = commit(*store, 11);
    CHECK(failed.outcome == CommitOutcome::kUnknown);
    CHECK(failed.error.find("Input/output error") != std::string::npos);
    disk->stop_failing();  // the disk is well again: that changes nothing
    CHECK(commit(*store, 12).outcome == CommitOutcome::kFailed);
    CHECK(store->tick().outcome == CommitOutcome::kFailed);
    CHECK(store->get(DataDir::key(1)).error().code == ErrorCode::kUnavailable);
    CHECK_FALSE(store->close());
    store.reset();
    store = open_on(disk);
    CHECK(DataDir::intact(*store, 10) == 10);
    CHECK(store->opened().last_lsn.value >= 10);
    CHECK(store->opened().last_lsn.value <= 11);
}

TEST_CASE("an error at any operation, starts included: no confirm is lost and nothing aborts", "[storage][fail_stop]") {
    for (std::uint64_t n = 1; n <= 150; ++n) {
        INFO("failing from operation " << n);
        const auto disk = std::make_shared<PowerCutFileSystem>(n);
        std::uint64_t confirmed = 0;
        disk->fail_from(n);
        RocksdbStore::Outcome outcome = RocksdbStore::open(options_on(disk));
        if (const auto* failure = std::get_if<OpenFailure>(&outcome)) {
            CHECK(failure->exit_code() == 74);
        } else {
            RocksdbStore& store = *std::get<std::unique_ptr<RocksdbStore>>(outcome);
            while (confirmed < 60 && commit(store, confirmed + 1).outcome == CommitOutcome::kDurable) ++confirmed;
        }
        outcome = OpenFailure{};
        disk->stop_failing();
        const auto store = open_on(disk);
        REQUIRE(DataDir::intact(*store, confirmed) == confirmed);
        CHECK(store->opened().last_lsn.value >= confirmed);
    }
}

TEST_CASE("a failing tick stops the store too", "[storage][fail_stop]") {
    const auto disk = std::make_shared<PowerCutFileSystem>(1);
    const auto store = open_on(disk);
    REQUIRE(commit(*store, 1).outcome == CommitOutcome::kDurable);
    disk->fail_from(1);
    CHECK(store->tick().outcome == CommitOutcome::kUnknown);
    disk->stop_failing();
    CHECK(commit(*store, 2).outcome == CommitOutcome::kFailed);
}

}  // namespace
}  // namespace rockdove::storage

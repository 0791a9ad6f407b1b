// Damage is refused with exit code 65, a sentence, and untouched files (RELIABILITY 5.2 and R8).
#include <catch2/catch.hpp>
#include <random>

#include "storage/rocksdb/recover.h"
#include "storage/rocksdb/wal_scan.h"
#include "tests/unit/storage/rocksdb/data_dir.h"

namespace rockdove::storage {
namespace {

using Reason = OpenFailure::Reason;

// 30 commits: 1-15 in a table, 16-30 in the log. Ended like a killed process, with DURABLE up to date.
void make_half_flushed(const DataDir& dir) {
    {
        const auto store = dir.open();
        DataDir::fill(*store, 1, 15);
    }
    const auto store = dir.open();
    DataDir::fill(*store, 16, 15);
    REQUIRE(store->tick().outcome == CommitOutcome::kDurable);
}

std::string newest_wal(const DataDir& dir) { return dir.names(".log").back(); }

void check_refused_unchanged(const DataDir& dir, Reason reason, const std::string& words) {
    const auto before = dir.data_files();
    const std::optional<OpenFailure> refusal = dir.refusal();
    REQUIRE(refusal);
    INFO(refusal->text);
    CHECK(refusal->reason == reason);
    CHECK(refusal->text.find(words) != std::string::npos);
    CHECK(refusal->text.find(dir.path()) != std::string::npos);
    CHECK((dir.data_files() == before));
    CHECK(dir.refusal());  // and again
    CHECK((dir.data_files() == before));
}

TEST_CASE("an undamaged directory opens with everything, after an end of any kind", "[storage][damage]") {
    const DataDir dir;
    make_half_flushed(dir);
    auto store = dir.open();
    CHECK(DataDir::intact(*store, 30) == 30);
    CHECK(store->torn_at().empty());
    REQUIRE(store->close());
    store.reset();
    store = dir.open();
    CHECK(DataDir::intact(*store, 30) == 30);
    CHECK(store->opened().last_lsn == Lsn(30));
}

TEST_CASE("a clipped MANIFEST is refused", "[storage][damage]") {
    const DataDir dir;
    make_half_flushed(dir);
    const std::string name = dir.names("MANIFEST").back();
    const std::string manifest = dir.read(name);
    const std::size_t clip = GENERATE(1, 10, 30, 60, 100, 150);
    REQUIRE(clip < manifest.size());
    dir.write(name, manifest.substr(0, manifest.size() - clip));
    check_refused_unchanged(dir, Reason::kDamaged, "damaged");
}

TEST_CASE("a deleted log is refused, with the number of commits missing", "[storage][damage]") {
    const DataDir dir;
    make_half_flushed(dir);
    dir.remove(newest_wal(dir));
    check_refused_unchanged(dir, Reason::kDamaged, "15 confirmed commits are missing");
    CHECK(dir.refusal()->text.find("recover " + dir.path() + " --accept-loss") != std::string::npos);
    CHECK(dir.refusal()->exit_code() == 65);
}

TEST_CASE("a deleted log is refused also after a clean end", "[storage][damage]") {
    const DataDir dir;
    {
        const auto store = dir.open();
        DataDir::fill(*store, 1, 10);
        REQUIRE(store->close());
    }
    dir.remove(newest_wal(dir));
    check_refused_unchanged(dir, Reason::kDamaged, "10 confirmed commits are missing");
}

TEST_CASE("a log cut anywhere is refused", "[storage][damage]") {
    const DataDir dir;
    make_half_flushed(dir);
    const std::string wal = dir.read_used(newest_wal(dir));
    std::mt19937 random(GENERATE(range(1U, 13U)));
    dir.write(newest_wal(dir), wal.substr(0, random() % wal.size()));
    check_refused_unchanged(dir, Reason::kDamaged, "missing");
}

TEST_CASE("a log cut at the border of a record is refused", "[storage][damage]") {
    const DataDir dir;
    make_half_flushed(dir);
    std::vector<std::uint64_t> borders;
    const Directory directory(rocksdb::FileSystem::Default(), dir.path());
    REQUIRE(scan_wal(directory, newest_wal(dir), [&](const WalEvent& event) { borders.push_back(event.offset); }).ok());
    REQUIRE(borders.size() == 16);  // the epoch's own and 15 commits
    const std::size_t kept = GENERATE(0, 1, 8, 15);
    dir.write(newest_wal(dir), dir.read(newest_wal(dir)).substr(0, borders[kept]));
    check_refused_unchanged(dir, Reason::kDamaged, "missing");
}

TEST_CASE("a flipped bit anywhere in the log is refused", "[storage][damage]") {
    const DataDir dir;
    make_half_flushed(dir);
    std::mt19937 random(GENERATE(range(1U, 17U)));
    dir.flip_bit(newest_wal(dir), random() % (dir.read_used(newest_wal(dir)).size() * 8));
    check_refused_unchanged(dir, Reason::kDamaged, "missing");
}

TEST_CASE("a flipped bit in the log is refused by what lies behind it, however old DURABLE is", "[storage][damage]") {
    const DataDir dir;
    std::string old_mark;
    {
        const auto store = dir.open();
        old_mark = dir.read("DURABLE");
        DataDir::fill(*store, 1, 30);
    }
    dir.write("DURABLE", old_mark);
    const std::size_t bytes = dir.read_used(newest_wal(dir)).size();
    dir.flip_bit(newest_wal(dir), bytes / 2 * 8);
    check_refused_unchanged(dir, Reason::kDamaged, "confirmed commits are missing");
}

TEST_CASE("a hole of zeros in the log is refused", "[storage][damage]") {
    const DataDir dir;
    make_half_flushed(dir);
    std::string wal = dir.read(newest_wal(dir));
    const std::size_t begin = GENERATE(0, 512, 2048);
    const std::size_t size = GENERATE(512, 2048);
    std::fill_n(wal.begin() + static_cast<std::ptrdiff_t>(begin), size, '\0');
    dir.write(newest_wal(dir), wal);
    check_refused_unchanged(dir, Reason::kDamaged, "missing");
}

TEST_CASE("a torn end that nobody was told of is cut off, and that is said", "[storage][damage]") {
    const DataDir dir;
    std::string old_mark;
    {
        const auto store = dir.open();
        DataDir::fill(*store, 1, 9);
        REQUIRE(store->tick().outcome == CommitOutcome::kDurable);
        old_mark = dir.read("DURABLE");
        WriteSet writes;
        writes.put(DataDir::key(10), DataDir::value(10));
        REQUIRE(store->commit(writes, {Lsn(10), 10}).outcome == CommitOutcome::kDurable);  // not synced
    }
    REQUIRE(dir.read("DURABLE") == old_mark);
    const std::string wal = dir.read_used(newest_wal(dir));
    switch (GENERATE(range(0, 4))) {
        case 0:
            dir.write(newest_wal(dir), wal.substr(0, wal.size() - 20));
            break;
        case 1:  // as when the zeros laid out ahead were there, and not all of the commit
            dir.write(newest_wal(dir), wal.substr(0, wal.size() - 20) + std::string(5'000, '\0'));
            break;
        case 2:  // the end came, the beginning did not
            dir.write(newest_wal(dir),
                      wal.substr(0, wal.size() - 200) + std::string(180, '\0') + wal.substr(wal.size() - 20));
            break;
        default:
            dir.flip_bit(newest_wal(dir), (wal.size() - 20) * 8);
    }
    {
        const auto store = dir.open();
        CHECK(store->opened().last_lsn == Lsn(9));
        CHECK(DataDir::intact(*store, 10) == 9);
        CHECK(store->torn_at().find(".log at byte") != std::string::npos);
        DataDir::fill(*store, 10, 5);
    }
    const auto store = dir.open();
    CHECK(store->torn_at().empty());
    CHECK(DataDir::intact(*store, 14) == 14);
}

TEST_CASE("damage in the zeros at the end of a log costs no commit", "[storage][damage]") {
    const DataDir dir;
    make_half_flushed(dir);
    const std::size_t end = dir.read_used(newest_wal(dir)).size();
    const std::size_t size = dir.read(newest_wal(dir)).size();
    REQUIRE(size > end + 100);
    std::mt19937 random(GENERATE(range(1U, 9U)));
    dir.flip_bit(newest_wal(dir), (end + 8 + random() % (size - end - 8)) * 8);
    const auto store = dir.open();
    CHECK(DataDir::intact(*store, 30) == 30);
    CHECK(store->opened().last_lsn == Lsn(30));
}

TEST_CASE("a deleted table is refused", "[storage][damage]") {
    const DataDir dir;
    make_half_flushed(dir);
    dir.remove(dir.names(".sst").front());
    check_refused_unchanged(dir, Reason::kDamaged, "damaged");
}

TEST_CASE("a table cut short is refused", "[storage][damage]") {
    const DataDir dir;
    make_half_flushed(dir);
    const std::string name = dir.names(".sst").front();
    dir.write(name, dir.read(name).substr(0, 200));
    check_refused_unchanged(dir, Reason::kDamaged, "damaged");
}

TEST_CASE("a blob file that is missing, cut short or overwritten is refused", "[storage][damage]") {
    const DataDir dir;
    make_half_flushed(dir);
    const std::string name = dir.names(".blob").front();
    const std::string content = dir.read(name);
    switch (GENERATE(range(0, 4))) {
        case 0:
            dir.remove(name);
            break;
        case 1:
            dir.write(name, content.substr(0, content.size() - 1));
            break;
        case 2:
            dir.write(name, std::string(content.size(), '\0'));
            break;
        default:  // its end was never written
            dir.write(name, content.substr(0, content.size() - 32) + std::string(32, '\0'));
    }
    check_refused_unchanged(dir, Reason::kDamaged, name);
}

TEST_CASE("a flipped bit in a table or blob file never gives a wrong record", "[storage][damage]") {
    const DataDir dir;
    make_half_flushed(dir);
    const std::string name = dir.names(GENERATE(".sst", ".blob")).front();
    std::mt19937 random(GENERATE(range(1U, 17U)));
    dir.flip_bit(name, random() % (dir.read(name).size() * 8));
    RocksdbStore::Outcome outcome = dir.try_open();
    if (const auto* failure = std::get_if<OpenFailure>(&outcome)) {
        CHECK(failure->reason == Reason::kDamaged);
        return;
    }
    RocksdbStore& store = *std::get<std::unique_ptr<RocksdbStore>>(outcome);
    std::uint64_t seen = 0;
    const Result<void> scanned = store.scan("k", "l", [&](const RecordView& record) {
        if (record.damaged) return true;
        const std::uint64_t lsn = std::stoull(std::string(record.key.substr(1)));
        CHECK(record.payload == DataDir::value(lsn));
        ++seen;
        return true;
    });
    CHECK((!scanned || seen == 30));  // an error, or all of it: never silently less
}

TEST_CASE("a missing CURRENT, or one that names another MANIFEST, is refused", "[storage][damage]") {
    const DataDir dir;
    make_half_flushed(dir);
    if (GENERATE(true, false)) {
        dir.remove("CURRENT");
    } else {
        dir.write("CURRENT", "MANIFEST-999999\n");
    }
    check_refused_unchanged(dir, Reason::kDamaged, "damaged");
}

TEST_CASE("without a readable DURABLE a store is refused", "[storage][damage]") {
    const DataDir dir;
    make_half_flushed(dir);
    if (GENERATE(true, false)) {
        dir.remove("DURABLE");
        check_refused_unchanged(dir, Reason::kDamaged, "DURABLE is missing");
    } else {
        dir.write("DURABLE", std::string(dir.read("DURABLE").size(), '\x5a'));
        check_refused_unchanged(dir, Reason::kDamaged, "DURABLE is not readable");
    }
}

TEST_CASE("one damaged slot of DURABLE is not a loss", "[storage][damage]") {
    const DataDir dir;
    make_half_flushed(dir);
    dir.flip_bit("DURABLE", GENERATE(30 * 8, (4096 + 30) * 8));
    CHECK(DataDir::intact(*dir.open(), 30) == 30);
}

TEST_CASE("after a clean end older files than those of the end are refused", "[storage][damage]") {
    const DataDir dir;
    {
        const auto store = dir.open();
        DataDir::fill(*store, 1, 10);
        REQUIRE(store->close());
    }
    const std::string wal = newest_wal(dir);
    const std::string content = dir.read_used(wal);
    dir.write(wal, content.substr(0, content.size() / 2));
    check_refused_unchanged(dir, Reason::kDamaged, "missing");
}

TEST_CASE("accepted loss: the store goes on, the loss is counted and written down", "[storage][damage][recover]") {
    const DataDir dir;
    make_half_flushed(dir);
    dir.remove(newest_wal(dir));
    REQUIRE(dir.refusal());
    const auto outcome = accept_loss(dir.options());
    REQUIRE(std::holds_alternative<AcceptedLoss>(outcome));
    const AcceptedLoss& loss = std::get<AcceptedLoss>(outcome);
    INFO(loss.summary);
    CHECK(loss.needed);
    CHECK(loss.commits == 15U);
    CHECK(loss.sequence_numbers > 15U);
    CHECK(loss.last_lsn == 15);
    CHECK_FALSE(loss.logs_dropped);
    CHECK(dir.read("AUDIT").find(R"("event":"accept_loss")") != std::string::npos);
    CHECK(dir.read("AUDIT").find(R"("commits":15)") != std::string::npos);
    {
        const auto store = dir.open();
        CHECK(store->opened().last_lsn == Lsn(15));
        CHECK(DataDir::intact(*store, 15) == 15);
        DataDir::fill(*store, 16, 10);
    }
    const auto again = accept_loss(dir.options());
    REQUIRE(std::holds_alternative<AcceptedLoss>(again));
    CHECK_FALSE(std::get<AcceptedLoss>(again).needed);
    CHECK(DataDir::intact(*dir.open(), 25) == 25);
}

TEST_CASE("accepted loss works for every kind of damage", "[storage][damage][recover]") {
    const DataDir dir;
    make_half_flushed(dir);
    const int damage = GENERATE(range(0, 7));
    if (damage == 0) dir.flip_bit(newest_wal(dir), dir.read_used(newest_wal(dir)).size() / 2 * 8);
    if (damage == 1) dir.remove("DURABLE");
    if (damage == 2) dir.remove(dir.names(".sst").front());
    if (damage == 3) dir.remove("CURRENT");
    if (damage == 4) {
        const std::string name = dir.names("MANIFEST").back();
        dir.write(name, dir.read(name).substr(0, dir.read(name).size() - 40));
    }
    if (damage == 5) dir.remove(dir.names(".blob").front());
    if (damage == 6) dir.write(dir.names(".blob").front(), "short");
    CAPTURE(damage);
    REQUIRE(dir.refusal());
    const auto outcome = accept_loss(dir.options());
    if (const auto* failure = std::get_if<OpenFailure>(&outcome)) FAIL(failure->text);
    CHECK(std::get<AcceptedLoss>(outcome).needed);
    const auto store = dir.open();
    CHECK(store->opened().last_lsn == Lsn(std::get<AcceptedLoss>(outcome).last_lsn));
    CHECK(DataDir::intact(*store, 30) == store->opened().last_lsn.value);
    CHECK(dir.names("AUDIT").size() == 1);
}

}  // namespace
}  // namespace rockdove::storage

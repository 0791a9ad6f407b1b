#include "storage/rocksdb/durable_mark.h"

#include <catch2/catch.hpp>

#include "storage/rocksdb/inspection.h"
#include "tests/unit/storage/rocksdb/data_dir.h"

namespace rockdove::storage {
namespace {

DurableMark example(std::uint64_t generation) {
    DurableMark mark;
    mark.generation = generation;
    mark.epoch = 3;
    mark.manifest_number = 5;
    mark.manifest_bytes = 1234;
    mark.sequence = 1000 + generation;
    mark.lsn = 900 + generation;
    mark.confirms = 800;
    return mark;
}

TEST_CASE("a mark reads back what was written, and notices every flipped bit", "[storage][durable]") {
    DurableMark mark = example(7);
    mark.clean = GENERATE(true, false);
    const std::string slot = encode_mark(mark);
    REQUIRE(slot.size() == kMarkSlotBytes);
    CHECK(decode_mark(slot) == mark);
    for (std::size_t bit = 0; bit < slot.size() * 8; ++bit) {
        std::string damaged = slot;
        damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
        CHECK_FALSE(decode_mark(damaged));
    }
    CHECK_FALSE(decode_mark(slot.substr(0, 63)));
}

TEST_CASE("the newer of two good slots counts, and one good slot is enough", "[storage][durable]") {
    const std::string older = encode_mark(example(4));
    const std::string newer = encode_mark(example(5));
    const std::string gap(kMarkSlotDistance - kMarkSlotBytes, '\0');
    const std::string bad(kMarkSlotBytes, 'x');
    CHECK(newest_mark(older + gap + newer)->generation == 5);
    CHECK(newest_mark(newer + gap + older)->generation == 5);
    CHECK(newest_mark(older + gap + bad)->generation == 4);
    CHECK(newest_mark(bad + gap + newer)->generation == 5);
    CHECK(newest_mark(older)->generation == 4);
    CHECK_FALSE(newest_mark(bad + gap + bad));
    CHECK_FALSE(newest_mark(""));
}

TEST_CASE("writes go to the two slots in turn", "[storage][durable]") {
    const test::TempDir temp;
    const Directory directory(rocksdb::FileSystem::Default(), temp.path());
    REQUIRE(DurableMarkFile::create(directory, example(0)).ok());
    DurableMarkFile file;
    REQUIRE(file.open(directory, example(0)).ok());
    for (std::uint64_t i = 1; i <= 5; ++i) {
        REQUIRE(file.write(example(100)).ok());
        std::string content;
        REQUIRE(directory.read(kDurableName, content).ok());
        CHECK(content.size() == kMarkSlotDistance + kMarkSlotBytes);
        CHECK(decode_mark(content.substr(i % 2 * kMarkSlotDistance))->generation == i);
        CHECK(decode_mark(content.substr((i + 1) % 2 * kMarkSlotDistance))->generation == i - 1);
    }
}

TEST_CASE("the mark follows synced commits at a tick and says when the store was closed", "[storage][durable]") {
    const DataDir dir;
    const auto mark = [&] { return *newest_mark(dir.read("DURABLE")); };
    auto store = dir.open();
    CHECK(mark().lsn == 0);
    CHECK(mark().epoch == 1);
    CHECK(mark().confirms == 1);  // the epoch itself
    DataDir::fill(*store, 1, 5);
    REQUIRE(store->tick().outcome == CommitOutcome::kDurable);
    CHECK(mark().lsn == 5);
    CHECK(mark().confirms == 6);
    CHECK_FALSE(mark().clean);
    const std::uint64_t generation = mark().generation;
    REQUIRE(store->tick().outcome == CommitOutcome::kDurable);
    CHECK(mark().generation == generation);  // nothing new

    WriteSet writes;
    writes.put("not", "synced");
    REQUIRE(store->commit(writes, {Lsn(6), 6}).outcome == CommitOutcome::kDurable);
    REQUIRE(store->tick().outcome == CommitOutcome::kDurable);
    CHECK(mark().lsn == 5);
    REQUIRE(store->close());
    CHECK(mark().lsn == 6);
    CHECK(mark().clean);
    store.reset();
    store = dir.open();
    CHECK_FALSE(mark().clean);
    CHECK(mark().epoch == 2);
}

TEST_CASE("an inspection shows what is there and changes nothing", "[storage][inspect]") {
    const DataDir dir;
    {
        const auto store = dir.open();
        CHECK(std::get<OpenFailure>(Inspection::open(dir.options())).reason == OpenFailure::Reason::kLocked);
        DataDir::fill(*store, 1, 5);
        REQUIRE(store->tick().outcome == CommitOutcome::kDurable);
    }
    const bool damage = GENERATE(false, true);
    if (damage) dir.flip_bit(dir.names(".log").back(), dir.read_used(dir.names(".log").back()).size() / 2 * 8);
    const auto before = dir.data_files();
    {
        const Inspection::Outcome outcome = Inspection::open(dir.options());
        REQUIRE(std::holds_alternative<std::unique_ptr<Inspection>>(outcome));
        const Inspection& inspection = *std::get<std::unique_ptr<Inspection>>(outcome);
        const InspectedDirectory& found = inspection.directory();
        CHECK(found.format == 1);
        CHECK(found.created_by == ROCKDOVE_VERSION);
        REQUIRE(found.durable);
        CHECK(found.durable->lsn == 5);
        CHECK(found.state.cluster_id.size() == 32);
        CHECK(found.state.epoch == 1);
        CHECK(found.files.size() >= 6);
        CHECK(found.objection.has_value() == damage);
        std::uint64_t records = 0;
        REQUIRE(inspection.scan("a", "z", [&](const RecordView&) { return ++records > 0; }));
        CHECK(records == found.state.last_lsn.value);
        CHECK((damage ? records < 5 : records == 5));
        CHECK(*inspection.get(DataDir::key(1)) == DataDir::value(1));
        CHECK((dir.data_files() == before));
    }
    CHECK((dir.data_files() == before));
    CHECK(dir.refusal().has_value() == damage);
}

}  // namespace
}  // namespace rockdove::storage

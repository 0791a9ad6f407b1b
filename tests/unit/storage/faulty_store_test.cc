#include "storage/faulty/faulty_store.h"

#include <catch2/catch.hpp>

#include "storage/memory/memory_store.h"

namespace rockdove::storage {
namespace {

CommitOutcome put(MessageStore& store, std::uint64_t lsn, const std::string& key) {
    WriteSet writes;
    writes.put(key, "value");
    return store.commit(writes, {Lsn(lsn), 0}).outcome;
}

TEST_CASE("an unknown commit may be there after the reopen, or not; a failed one never is", "[storage][faulty]") {
    const auto [fault, outcome, there] = GENERATE(table<Fault, CommitOutcome, bool>({
        {Fault::kFailed, CommitOutcome::kFailed, false},
        {Fault::kFenced, CommitOutcome::kFenced, false},
        {Fault::kUnknownLost, CommitOutcome::kUnknown, false},
        {Fault::kUnknownApplied, CommitOutcome::kUnknown, true},
    }));
    const auto backing = std::make_shared<MemoryBacking>();
    {
        FaultyStore store(std::make_unique<MemoryStore>(backing));
        store.fail_commit(2, fault);
        CHECK(put(store, 1, "first") == CommitOutcome::kDurable);
        CHECK(put(store, 2, "second") == outcome);
        CHECK(put(store, 3, "third") == CommitOutcome::kFailed);
        CHECK_FALSE(store.get("first"));
        CHECK_FALSE(store.close());
    }
    MemoryStore reopened(backing);
    CHECK(reopened.opened().last_lsn == Lsn(there ? 2 : 1));
    CHECK((*reopened.get("second")).has_value() == there);
    CHECK(*reopened.get("third") == std::nullopt);
}

TEST_CASE("a memory store opened again fences the older one", "[storage][memory]") {
    const auto backing = std::make_shared<MemoryBacking>();
    MemoryStore older(backing);
    MemoryStore newer(backing);
    CHECK(put(older, 1, "key") == CommitOutcome::kFenced);
    CHECK(put(older, 1, "key") == CommitOutcome::kFailed);
    CHECK(put(newer, 1, "key") == CommitOutcome::kDurable);
}

TEST_CASE("a damaged record is marked in scans and refused by get", "[storage][memory]") {
    const auto backing = std::make_shared<MemoryBacking>();
    MemoryStore store(backing);
    REQUIRE(put(store, 1, "key") == CommitOutcome::kDurable);
    CHECK_FALSE(backing->damage("other"));
    REQUIRE(backing->damage("key"));
    CHECK(store.get("key").error().code == ErrorCode::kInternal);
    int damaged = 0;
    REQUIRE(store.scan("a", "z", [&](const RecordView& record) {
        damaged += record.damaged && record.payload.empty() ? 1 : 0;
        return true;
    }));
    CHECK(damaged == 1);
}

}  // namespace
}  // namespace rockdove::storage

// One suite for every MessageStore.
#include <catch2/catch.hpp>
#include <set>

#include "storage/chain.h"
#include "tests/contract/store_fixture.h"

namespace rockdove::storage {
namespace {

using Records = std::vector<std::pair<std::string, std::string>>;

#define ON_EVERY_STORE(fixture)                                                                   \
    const StoreKind& kind = store_kinds()[GENERATE(range(std::size_t{0}, store_kinds().size()))]; \
    INFO("store: " << kind.name);                                                                 \
    StoreFixture fixture(kind)

TEST_CASE("a new store is empty and knows who it is", "[contract][storage]") {
    ON_EVERY_STORE(fixture);
    const StoreState& state = fixture.store().opened();
    CHECK(state.shard == ShardId(3));
    CHECK(state.epoch == 1);
    CHECK(state.last_lsn == Lsn(0));
    CHECK(state.chain == 0);
    CHECK(state.cluster_id.size() == 32);
    CHECK(fixture.scan("a", "z").empty());
    CHECK(fixture.get("a") == std::nullopt);
}

TEST_CASE("what was committed is read back, whatever bytes it has", "[contract][storage]") {
    ON_EVERY_STORE(fixture);
    const std::string key("k\0\xff\x01", 4);
    std::string payload(300'000, 'x');
    for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<char>(i * 31 + i / 256);
    REQUIRE(fixture.put(key, payload) == CommitOutcome::kDurable);
    REQUIRE(fixture.put("empty", "") == CommitOutcome::kDurable);
    CHECK(fixture.get(key) == payload);
    CHECK(fixture.get("empty") == "");
    CHECK(fixture.get("emptyish") == std::nullopt);
    CHECK(fixture.scan("a", "z") == Records{{"empty", ""}, {key, payload}});
}

TEST_CASE("operations of one commit apply in their order", "[contract][storage]") {
    ON_EVERY_STORE(fixture);
    WriteSet writes;
    writes.put("a", "1");
    writes.put("b", "2");
    writes.put("c", std::make_shared<const std::string>("3"));
    writes.remove("a");
    writes.put("a", "4");
    writes.remove_range("b", "d");
    writes.put("c", "5");
    writes.remove("nowhere");
    REQUIRE(fixture.commit(writes) == CommitOutcome::kDurable);
    CHECK(fixture.scan("a", "z") == Records{{"a", "4"}, {"c", "5"}});
}

TEST_CASE("a removed range keeps its end and what lies before it", "[contract][storage]") {
    ON_EVERY_STORE(fixture);
    WriteSet writes;
    for (const char* key : {"a", "b", "ba", "bb", "c", "d"}) writes.put(key, key);
    REQUIRE(fixture.commit(writes) == CommitOutcome::kDurable);
    writes.clear();
    writes.remove_range("b", "c");
    REQUIRE(fixture.commit(writes) == CommitOutcome::kDurable);
    CHECK(fixture.scan("a", "z") == Records{{"a", "a"}, {"c", "c"}, {"d", "d"}});
}

TEST_CASE("a scan goes in key order from begin up to but without end, and stops when told", "[contract][storage]") {
    ON_EVERY_STORE(fixture);
    for (const char* key : {"m", "a", "z", "b", "y"}) REQUIRE(fixture.put(key, key) == CommitOutcome::kDurable);
    CHECK(fixture.scan("b", "z") == Records{{"b", "b"}, {"m", "m"}, {"y", "y"}});
    CHECK(fixture.scan("z", "b").empty());
    CHECK(fixture.scan("m", "m").empty());
    int visited = 0;
    REQUIRE(fixture.store().scan("a", "zz", [&](const RecordView&) { return ++visited < 2; }));
    CHECK(visited == 2);
}

TEST_CASE("a scan sees one state, though commits go on meanwhile", "[contract][storage]") {
    ON_EVERY_STORE(fixture);
    for (const char* key : {"a", "b", "c"}) REQUIRE(fixture.put(key, "old") == CommitOutcome::kDurable);
    Records seen;
    REQUIRE(fixture.store().scan("a", "z", [&](const RecordView& record) {
        if (seen.empty()) {
            WriteSet writes;
            writes.put("b", "new");
            writes.remove("c");
            writes.put("d", "new");
            CHECK(fixture.commit(writes) == CommitOutcome::kDurable);
        }
        seen.emplace_back(record.key, record.payload);
        return true;
    }));
    CHECK(seen == Records{{"a", "old"}, {"b", "old"}, {"c", "old"}});
    CHECK(fixture.scan("a", "z") == Records{{"a", "old"}, {"b", "new"}, {"d", "new"}});
}

TEST_CASE("lsn, time and chain follow every commit and survive a reopen", "[contract][storage]") {
    ON_EVERY_STORE(fixture);
    const bool clean = GENERATE(true, false);
    std::uint64_t chain = 0;
    for (std::uint64_t lsn = 1; lsn <= 3; ++lsn) {
        WriteSet writes;
        writes.put("key", std::to_string(lsn));
        writes.require_sync();
        const CommitStamp stamp{Lsn(lsn), static_cast<std::int64_t>(5000 + lsn)};
        chain = next_chain(chain, writes, stamp);
        REQUIRE(fixture.store().commit(writes, stamp).outcome == CommitOutcome::kDurable);
    }
    CHECK(fixture.store().opened().last_lsn == Lsn(0));
    const std::string cluster_id = fixture.store().opened().cluster_id;
    if (clean) fixture.close();
    fixture.reopen();
    CHECK(fixture.store().opened().last_lsn == Lsn(3));
    CHECK(fixture.store().opened().time_ms == 5003);
    CHECK(fixture.store().opened().chain == chain);
    CHECK(fixture.store().opened().cluster_id == cluster_id);
    CHECK(fixture.get("key") == "3");
}

TEST_CASE("each open has the next epoch, also without a commit between", "[contract][storage]") {
    ON_EVERY_STORE(fixture);
    for (std::uint64_t epoch = 1; epoch <= 4; ++epoch) {
        CHECK(fixture.store().opened().epoch == epoch);
        if (epoch % 2 == 0) REQUIRE(fixture.put("a", "b") == CommitOutcome::kDurable);
        if (epoch < 3) fixture.close();
        fixture.reopen();
    }
}

TEST_CASE("a commit with nothing but its stamp counts", "[contract][storage]") {
    ON_EVERY_STORE(fixture);
    REQUIRE(fixture.commit(WriteSet()) == CommitOutcome::kDurable);
    fixture.reopen();
    CHECK(fixture.store().opened().last_lsn == Lsn(1));
}

TEST_CASE("a closed store refuses everything", "[contract][storage]") {
    ON_EVERY_STORE(fixture);
    REQUIRE(fixture.put("a", "b") == CommitOutcome::kDurable);
    fixture.close();
    CHECK(fixture.put("c", "d") == CommitOutcome::kFailed);
    CHECK(fixture.store().tick().outcome == CommitOutcome::kFailed);
    const Result<std::optional<std::string>> value = fixture.store().get("a");
    REQUIRE_FALSE(value);
    CHECK(value.error().code == ErrorCode::kUnavailable);
    const Result<void> scanned = fixture.store().scan("a", "z", [](const RecordView&) { return true; });
    REQUIRE_FALSE(scanned);
    CHECK(scanned.error().code == ErrorCode::kUnavailable);
}

TEST_CASE("a tick between commits changes nothing that is read", "[contract][storage]") {
    ON_EVERY_STORE(fixture);
    REQUIRE(fixture.put("a", "b") == CommitOutcome::kDurable);
    CHECK(fixture.store().tick().outcome == CommitOutcome::kDurable);
    CHECK(fixture.store().tick().outcome == CommitOutcome::kDurable);
    CHECK(fixture.scan("a", "z") == Records{{"a", "b"}});
    fixture.reopen();
    CHECK(fixture.store().opened().last_lsn == Lsn(1));
}

TEST_CASE("statistics count commits, synced commits and bytes", "[contract][storage]") {
    ON_EVERY_STORE(fixture);
    REQUIRE(fixture.put("key", "12345") == CommitOutcome::kDurable);
    WriteSet writes;
    writes.put("other", "1");
    REQUIRE(fixture.commit(writes) == CommitOutcome::kDurable);
    const StoreStats stats = fixture.store().stats();
    CHECK(stats.commits == 2);
    CHECK(stats.syncs == 1);
    CHECK(stats.bytes_written == 3 + 5 + 5 + 1);
    CHECK_FALSE(stats.write_stalled);
}

}  // namespace
}  // namespace rockdove::storage

// The placement table: who owns a new namespace, what is found again, and what contradicts itself.
#include "server/runtime/placement.h"

#include <catch2/catch.hpp>
#include <future>
#include <memory>

#include "server/runtime/shard.h"
#include "storage/keys.h"
#include "storage/memory/memory_store.h"
#include "storage/record.h"

namespace rockdove::runtime {
namespace {

using storage::MemoryBacking;
using storage::MemoryStore;

constexpr std::chrono::seconds kDeadline{20};

// The disks of some shards, which outlive their brokers.
std::vector<std::shared_ptr<MemoryBacking>> disks(std::uint16_t count) {
    std::vector<std::shared_ptr<MemoryBacking>> out;
    for (std::uint16_t id = 0; id < count; ++id) out.push_back(std::make_shared<MemoryBacking>(ShardId(id)));
    return out;
}

// Running shards with their placement table.
class Broker {
public:
    explicit Broker(const std::vector<std::shared_ptr<MemoryBacking>>& disks, bool create = true) {
        for (const auto& disk : disks) {
            const ShardId id(static_cast<std::uint16_t>(stores_.size()));
            stores_.push_back(std::make_unique<MemoryStore>(disk));
            shards_.push_back(std::make_unique<Shard>(id, *stores_.back(), ShardOptions()));
            running_.push_back(shards_.back().get());
            interfaces_.push_back(stores_.back().get());
        }
        placement_ = std::make_unique<Placement>(running_, create);
        loaded_ = placement_->load(interfaces_);
        if (!loaded_) return;
        for (const auto& shard : shards_) REQUIRE(shard->start());
    }
    ~Broker() {
        for (const auto& shard : shards_) shard->stop();
    }

    [[nodiscard]] const Result<void>& loaded() const { return loaded_; }
    MemoryStore& store(std::size_t shard) { return *stores_[shard]; }
    Placement& placement() { return *placement_; }

    // Runs it on the shard's thread and waits.
    void on(std::size_t shard, const std::function<void()>& work) {
        std::promise<void> done;
        asio::post(shards_[shard]->context(), [&] {
            work();
            done.set_value();
        });
        done.get_future().get();
    }
    // The owner's number, and -1 if there is none.
    int find(std::string_view name) {
        int owner = -1;
        on(0, [&] {
            const Result<Shard*> found = placement_->find(name);
            if (found) owner = (*found)->id().value;
        });
        return owner;
    }
    ErrorCode refused(std::string_view name) {
        ErrorCode code = ErrorCode::kInternal;
        on(0, [&] { code = placement_->find(name).error().code; });
        return code;
    }
    // What a session does: asks, waits until the placement is durable, and opens the namespace.
    int open(const std::string& name) {
        const int owner = find(name);
        REQUIRE(owner >= 0);
        std::promise<void> durable;
        on(0, [&] { asio::co_spawn(shards_[0]->context(), wait_durable(*placement_, name, durable), asio::detached); });
        REQUIRE(durable.get_future().wait_for(kDeadline) == std::future_status::ready);
        on(static_cast<std::size_t>(owner), [&] { shards_[static_cast<std::size_t>(owner)]->open_namespace(name); });
        return owner;
    }
    void keep_shard_count() {
        std::promise<void> kept;
        on(0, [&] { placement_->keep_shard_count(1, [&] { kept.set_value(); }); });
        REQUIRE(kept.get_future().wait_for(kDeadline) == std::future_status::ready);
    }

private:
    static asio::awaitable<void> wait_durable(Placement& placement, std::string name, std::promise<void>& durable) {
        while (!placement.durable(name)) co_await placement.wait();
        durable.set_value();
    }

    std::vector<std::unique_ptr<MemoryStore>> stores_;
    std::vector<std::unique_ptr<Shard>> shards_;
    std::vector<Shard*> running_;
    std::vector<storage::MessageStore*> interfaces_;
    std::unique_ptr<Placement> placement_;
    Result<void> loaded_;
};

// Writes a record behind the broker's back.
void put(const std::shared_ptr<MemoryBacking>& disk, const std::string& key, const std::string& payload) {
    MemoryStore store(disk);
    storage::WriteSet writes;
    writes.put(key, payload);
    storage::CommitStamp stamp;
    stamp.lsn = Lsn(store.opened().last_lsn.value + 1);
    REQUIRE(store.commit(writes, stamp).outcome == storage::CommitOutcome::kDurable);
}

TEST_CASE("a new namespace goes to the shard with the fewest, and stays there over restarts", "[runtime][placement]") {
    const auto disk = disks(3);
    {
        Broker broker(disk);
        CHECK(broker.open("default") == 0);
        CHECK(broker.open("a") == 1);
        CHECK(broker.open("b") == 2);
        CHECK(broker.open("c") == 0);
        CHECK(broker.open("d") == 1);
        CHECK(broker.open("a") == 1);
        broker.on(0, [&] { CHECK(broker.placement().counts() == std::vector<std::size_t>{2, 2, 1}); });
    }
    Broker broker(disk);
    REQUIRE(broker.loaded());
    broker.on(0, [&] { CHECK(broker.placement().counts() == std::vector<std::size_t>{2, 2, 1}); });
    CHECK(broker.find("b") == 2);
    CHECK(broker.find("c") == 0);
    CHECK(broker.find("") == 0);
    CHECK(broker.open("e") == 2);
}

TEST_CASE("namespaces of a broker with one shard stay on shard 0 when there are more", "[runtime][placement]") {
    auto disk = disks(1);
    {
        Broker broker(disk);
        CHECK(broker.open("a") == 0);
        CHECK(broker.open("b") == 0);
        broker.keep_shard_count();
        CHECK(*read_shard_count(broker.store(0)) == 1);
    }
    disk.push_back(std::make_shared<MemoryBacking>(ShardId(1)));
    Broker broker(disk);
    REQUIRE(broker.loaded());
    broker.keep_shard_count();
    CHECK(*read_shard_count(broker.store(0)) == 2);
    CHECK(broker.find("a") == 0);
    CHECK(broker.open("c") == 1);
}

TEST_CASE("a placement is durable before anybody may go on, and enough to find the owner", "[runtime][placement]") {
    const auto disk = disks(2);
    {
        Broker broker(disk);
        broker.on(0, [&] {
            CHECK((*broker.placement().find("a"))->id() == ShardId(1));
            CHECK_FALSE(broker.placement().durable("a"));  // the turn has not even ended
            CHECK((*broker.placement().find("a"))->id() == ShardId(1));
            CHECK_FALSE(broker.placement().durable("a"));
            CHECK(broker.placement().durable("default"));
        });
    }  // shard 1 never heard of it, as after a crash between two commits
    Broker broker(disk);
    REQUIRE(broker.loaded());
    broker.on(0, [&] { CHECK(broker.placement().durable("a")); });
    CHECK(broker.open("a") == 1);
}

TEST_CASE("what is no name, and what may not be created, has no owner", "[runtime][placement]") {
    const auto disk = disks(2);
    Broker(disk).open("known");
    Broker broker(disk, false);
    CHECK(broker.find("known") == 1);
    CHECK(broker.refused("unknown") == ErrorCode::kNotFound);
    CHECK(broker.refused("no spaces") == ErrorCode::kInvalid);
    CHECK(broker.find("default") == 0);
}

TEST_CASE("stores that are not of the same moment are refused, and the namespace is named", "[runtime][placement]") {
    const auto disk = disks(2);
    Broker(disk).open("mine");  // on shard 1
    storage::NamespaceRecord ns;
    ns.id = NamespaceId(9);
    storage::PlacementRecord far;
    far.shard = ShardId(7);
    const int what = GENERATE(0, 1, 2, 3);
    if (what == 0) put(disk[0], storage::namespace_key("mine"), ns.encode());
    if (what == 1) put(disk[1], storage::namespace_key("mine2"), ns.encode());
    if (what == 2) put(disk[0], storage::placement_key("mine3"), far.encode());
    if (what == 3) put(disk[1], storage::namespace_key("default"), ns.encode());
    const Broker broker(disk);
    REQUIRE_FALSE(broker.loaded());
    CHECK(broker.loaded().error().code == ErrorCode::kInternal);
    const char* names[] = {"\"mine\"", "\"mine2\"", "\"mine3\"", "\"default\""};
    CHECK_THAT(broker.loaded().error().text, Catch::Contains(names[what]) && Catch::Contains("one copy"));
}

TEST_CASE("a damaged placement or number of shards is an error, not another table", "[runtime][placement]") {
    const auto disk = disks(2);
    {
        Broker broker(disk);
        broker.keep_shard_count();
        broker.open("mine");
    }
    REQUIRE(disk[0]->damage(storage::placement_key("mine")));
    REQUIRE(disk[0]->damage(storage::shard_count_key()));
    MemoryStore store(disk[0]);
    CHECK(read_shard_count(store).error().code == ErrorCode::kInternal);
    const Broker broker(disk);
    CHECK(broker.loaded().error().code == ErrorCode::kInternal);
}

}  // namespace
}  // namespace rockdove::runtime

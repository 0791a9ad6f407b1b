// The list of blocks against a plain one: whatever is packed comes back as it was.
#include "server/core/block_list.h"

#include <catch2/catch.hpp>
#include <random>

#include "server/core/limits.h"

namespace rockdove::core {
namespace {

Block block_at(std::uint64_t first, std::uint32_t count, std::uint32_t bytes, std::int64_t time_ms) {
    Block block;
    block.first = Sequence(first);
    block.count = count;
    block.bytes = bytes;
    block.commit_time_ms = time_ms;
    block.lsn = Lsn(first);
    return block;
}

bool same(const Block& a, const Block& b) {
    return a.first == b.first && a.count == b.count && a.bytes == b.bytes && a.commit_time_ms == b.commit_time_ms;
}

// Gaps, clocks that go back, the widest values.
std::vector<Block> some_blocks(std::size_t count) {
    std::mt19937 random(7);
    std::vector<Block> blocks;
    std::uint64_t at = 1;
    std::int64_t time = 1'700'000'000'000;
    for (std::size_t i = 0; i < count; ++i) {
        if (random() % 50 == 0) at += random();
        const std::uint32_t messages = i == 100 ? UINT32_MAX : 1 + random() % 3;
        blocks.push_back(block_at(at, messages, i == 101 ? UINT32_MAX : random() % 5'000, time));
        at += messages;
        time += static_cast<std::int64_t>(random() % 2'000) - 100;
    }
    return blocks;
}

void push_all(BlockList& list, const std::vector<Block>& blocks, Lsn committed = Lsn(UINT64_MAX)) {
    for (const Block& block : blocks) {
        Block copy = block_at(block.first.value, block.count, block.bytes, block.commit_time_ms);
        REQUIRE(same(list.push_back(std::move(copy), committed), block));
        REQUIRE(same(list.back(), block));
    }
}

TEST_CASE("packed blocks are visited and come near as they were", "[core][blocks]") {
    const std::size_t count = GENERATE(1, kNearBlocks, kNearBlocks + 1, 1'000);
    const std::vector<Block> blocks = some_blocks(count);
    BlockList list;
    push_all(list, blocks);
    CHECK(list.size() == std::min(count, kNearBlocks));
    CHECK(list.far_blocks() == count - list.size());
    CHECK(list.oldest_commit_time_ms() == blocks.front().commit_time_ms);
    for (const std::size_t from : {std::size_t{0}, count / 2, count - 1}) {
        std::size_t at = from;
        list.each_from(blocks[from].first, [&](const Block& block) { return same(block, blocks.at(at++)); });
        CHECK(at == count);
    }
    std::size_t visited = 0;
    list.each_from(Sequence(0), [&](const Block&) { return ++visited < 3; });
    CHECK(visited == std::min<std::size_t>(count, 3));

    SECTION("one by one") {
        for (std::size_t i = 0; i < count; ++i) {
            REQUIRE(list.reach(i));
            REQUIRE(same(list[i], blocks[i]));
            REQUIRE(list.index_of(blocks[i].first) == i);
        }
        CHECK_FALSE(list.reach(count));
    }
    SECTION("by sequence") {
        list.reach(blocks[count / 2].first);
        CHECK(same(list[list.index_of(blocks[count / 2].first)], blocks[count / 2]));
        CHECK(list.size() <= std::max(kNearBlocks, count / 2 + 3 * kPackedBlocks));
        list.reach(Sequence(UINT64_MAX));
        CHECK(list.size() == count);
    }
    SECTION("consumed from the front") {
        for (std::size_t i = 0; i < count; ++i) {
            REQUIRE(list.reach(0));
            REQUIRE(same(list[0], blocks[i]));
            list[0].done = list[0].count;
            list.count_gone();
            list.drop_gone();
            if (i + 1 < count) REQUIRE(list.oldest_commit_time_ms() == blocks[i + 1].commit_time_ms);
        }
        CHECK(list.empty());
        CHECK(list.oldest_commit_time_ms() == 0);
    }
    SECTION("dropped") {
        const BlockList::Dropped dropped = list.drop_far();
        std::uint64_t messages = 0;
        for (std::size_t i = list.size(); i < count; ++i) messages += blocks[i].count;
        CHECK(dropped.messages == messages);
        if (messages != 0) {
            CHECK(dropped.first == blocks[list.size()].first);
            CHECK(dropped.end.value == blocks.back().end());
        }
        CHECK(list.far_blocks() == 0);
        CHECK_FALSE(list.reach(count));
    }
}

TEST_CASE("what is not committed yet, is in memory or was delivered is not packed", "[core][blocks]") {
    const std::vector<Block> blocks = some_blocks(1'000);
    BlockList list;
    SECTION("not committed") {
        push_all(list, blocks, Lsn(0));
        REQUIRE(list.reach(999));
        for (std::size_t i = 0; i < blocks.size(); ++i) CHECK(list[i].lsn == Lsn(blocks[i].first.value));  // kept
    }
    SECTION("in memory") {
        for (const Block& block : blocks) {
            Block copy = block_at(block.first.value, block.count, block.bytes, block.commit_time_ms);
            copy.payload = std::make_shared<Payload>();
            list.push_back(std::move(copy), Lsn(UINT64_MAX));
        }
        CHECK(list.far_blocks() == 0);
    }
    SECTION("delivered") {
        for (const Block& block : blocks) {
            Block copy = block_at(block.first.value, block.count, block.bytes, block.commit_time_ms);
            copy.touch();
            list.push_back(std::move(copy), Lsn(UINT64_MAX));
        }
        CHECK(list.far_blocks() == 0);
    }
}

}  // namespace
}  // namespace rockdove::core

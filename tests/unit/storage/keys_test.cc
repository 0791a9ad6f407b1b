#include "storage/keys.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <vector>

namespace rockdove::storage {
namespace {

TEST_CASE("keys parse to what they were made of", "[storage][keys]") {
    const NamespaceId ns(GENERATE(1U, 258U, UINT32_MAX));
    const QueueId queue(GENERATE(0U, 1U, 0x01000002U, UINT32_MAX));
    const Sequence seq(GENERATE(std::uint64_t{1}, std::uint64_t{255}, std::uint64_t{256}, kMaxSequence));
    struct Made {
        std::string key;
        Tag tag;
        bool has_sequence;
    };
    for (const Made& made :
         {Made{queue_key(ns, queue), Tag::kQueue, false}, Made{head_key(ns, queue), Tag::kHead, false},
          Made{block_key(ns, queue, seq), Tag::kBlock, true},
          Made{block_index_key(ns, queue, seq), Tag::kBlockIndex, true},
          Made{block_state_key(ns, queue, seq), Tag::kBlockState, true},
          Made{paused_key_key(ns, queue, seq.value), Tag::kKey, true},
          Made{returned_key(ns, queue, seq), Tag::kReturned, true}, Made{dead_key(ns, queue, seq), Tag::kDead, true},
          Made{topic_key(ns, queue), Tag::kTopic, false}, Made{subscription_key(ns, queue), Tag::kSubscription, false},
          Made{last_value_key(ns, queue, seq.value), Tag::kLastValue, true},
          Made{dedup_key(ns, queue, seq), Tag::kDedup, true}, Made{origin_key(ns, queue, seq), Tag::kOrigin, true}}) {
        const Result<KeyView> view = parse_key(made.key);
        REQUIRE(view);
        CHECK(view->ns == ns);
        CHECK(view->tag == made.tag);
        CHECK(view->queue == queue);
        CHECK(view->sequence == (made.has_sequence ? seq : Sequence(0)));
        // It lies in the ranges of its kind and queue, and in no other.
        const auto in = [&](const std::pair<std::string, std::string>& range) {
            return range.first <= made.key && made.key < range.second;
        };
        CHECK(in(tag_range(ns, made.tag)));
        CHECK(in(queue_range(ns, made.tag, queue)));
        CHECK_FALSE(in(tag_range(NamespaceId(ns.value - 1), made.tag)));
        CHECK_FALSE(in(tag_range(ns, Tag::kProducer)));
        if (queue.value != 0) CHECK_FALSE(in(queue_range(ns, made.tag, QueueId(queue.value - 1))));
        if (queue.value != UINT32_MAX) CHECK_FALSE(in(queue_range(ns, made.tag, QueueId(queue.value + 1))));
        // Shorter or longer it is no key.
        CHECK_FALSE(parse_key(std::string_view(made.key).substr(0, made.key.size() - 1)));
        CHECK_FALSE(parse_key(made.key + "x"));
    }
    CHECK(parse_key(producer_key(ns, "p-1"))->name == "p-1");
    CHECK(parse_key(namespace_key("default"))->name == "default");
    CHECK(parse_key(namespace_key("default"))->ns == kSystemNamespace);
    CHECK(parse_key(placement_key("jobs"))->name == "jobs");
    CHECK(parse_key(placement_key("jobs"))->tag == Tag::kPlacement);
    CHECK(parse_key(shard_count_key())->tag == Tag::kShardCount);
    CHECK_FALSE(parse_key(shard_count_key() + "x"));
    CHECK(parse_key(task_key(ns, UINT64_MAX))->task == UINT64_MAX);
    CHECK(parse_key(task_key(ns, 7))->tag == Tag::kTask);
    CHECK_FALSE(parse_key(task_key(ns, 7) + "x"));
    CHECK(parse_key(meta_key())->tag == Tag::kMeta);
}

TEST_CASE("keys sort by namespace, kind, queue and sequence", "[storage][keys]") {
    std::mt19937_64 dice(1);
    struct Item {
        std::uint32_t ns;
        std::uint32_t queue;
        std::uint64_t seq;
        auto operator<=>(const Item&) const = default;
    };
    std::vector<Item> items;
    for (int i = 0; i < 3'000; ++i) {
        items.push_back({static_cast<std::uint32_t>(dice() >> (dice() % 32)), static_cast<std::uint32_t>(dice()),
                         (dice() >> 16) >> (dice() % 48)});
    }
    std::sort(items.begin(), items.end());
    items.erase(std::unique(items.begin(), items.end()), items.end());
    std::string last;
    for (const Item& item : items) {
        const std::string key = block_key(NamespaceId(item.ns), QueueId(item.queue), Sequence(item.seq));
        CHECK(last < key);
        last = key;
    }
    CHECK(block_key(NamespaceId(1), QueueId(9), Sequence(9)) <
          block_index_key(NamespaceId(1), QueueId(1), Sequence(1)));
}

TEST_CASE("random bytes are no key, or one that parses within its bytes", "[storage][keys]") {
    std::mt19937_64 dice(2);
    for (int i = 0; i < 100'000; ++i) {
        std::string bytes(dice() % 24, '\0');
        for (char& c : bytes) c = static_cast<char>(dice());
        if (bytes.size() > 4) bytes[4] = "bdhimnpqrsx"[dice() % 11];
        const Result<KeyView> view = parse_key(bytes);
        if (!view) CHECK(view.error().code == ErrorCode::kInvalid);
    }
}

}  // namespace
}  // namespace rockdove::storage

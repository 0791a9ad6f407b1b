// Peek with a filter: pages of matches only, with a bounded look for each.
#include <catch2/catch.hpp>

#include "tests/support/core_fixture.h"

namespace rockdove::test {
namespace {

using Bodies = std::vector<std::string>;
using base::MessageFacts;
using core::PeekResult;

// A message is field 1, its body.
core::MessagePredicate ends_with(const std::string& text) {
    return [text](std::string_view encoded, const MessageFacts&) { return encoded.ends_with(text); };
}

Bodies bodies(const PeekResult& page) {
    Bodies out;
    for (const core::PeekItem& item : page.items) out.push_back(item.message.substr(2));
    return out;
}

// All pages, as a client asks for them; `pages` counts them.
Bodies peek_all(NamespaceFixture& queue, const core::MessagePredicate& filter, std::uint32_t limit, int* pages,
                std::size_t max_bytes = 1 << 20) {
    Bodies found;
    std::uint64_t from = 1;
    *pages = 0;
    do {
        const Result<PeekResult> page = queue.peek(from, limit, max_bytes, "q", filter);
        REQUIRE(page);
        CHECK(page->items.size() <= limit);
        CHECK((page->next.value == 0 || page->next.value > from));
        for (std::string& body : bodies(*page)) found.push_back(std::move(body));
        from = page->next.value;
        ++*pages;
    } while (from != 0);
    return found;
}

TEST_CASE("a page has matches only, and the next one begins behind the last", "[core][filter]") {
    QueueFixture queue;
    REQUIRE(queue.publish(numbered(100)).confirm);
    const Result<PeekResult> page = queue.peek(1, 3, 1 << 20, "q", ends_with("7"));
    CHECK(bodies(*page) == Bodies{"m7", "m17", "m27"});
    CHECK(page->next == Sequence(28));
    int pages = 0;
    CHECK(peek_all(queue, ends_with("7"), 3, &pages).size() == 10);
    CHECK(pages == 4);
    CHECK(peek_all(queue, ends_with("none"), 3, &pages).empty());
    CHECK(pages == 1);
    // Exactly as many as the page may have, the last message among them.
    CHECK(bodies(*queue.peek(1, 10, 1 << 20, "q", ends_with("0"))).size() == 10);
    CHECK(queue.peek(1, 10, 1 << 20, "q", ends_with("0"))->next == Sequence(0));
}

TEST_CASE("one request looks at no more than a thousand messages, and tells where to go on", "[core][filter]") {
    QueueFixture queue;
    for (std::size_t i = 0; i < 3; ++i) REQUIRE(queue.publish(numbered(1'000, i * 1'000 + 1)).confirm);
    std::size_t looked = 0;
    const auto count = [&looked](std::string_view encoded, const MessageFacts&) {
        ++looked;
        return encoded.ends_with("m2500");
    };
    const Result<PeekResult> first = queue.peek(1, 10, 1 << 20, "q", count);
    CHECK(first->items.empty());
    CHECK(first->next == Sequence(core::kPeekScanMessages + 1));
    CHECK(looked == core::kPeekScanMessages);
    int pages = 0;
    CHECK(peek_all(queue, count, 10, &pages) == Bodies{"m2500"});
    CHECK(pages == 3);
    // A page may be larger than that.
    CHECK(queue.peek(1, 2'500, 1 << 20, "q", ends_with(""))->items.size() == 2'500);
}

TEST_CASE("one request looks at no more than a mebibyte, but at one message at least", "[core][filter]") {
    QueueFixture queue;
    const bool on_disk = GENERATE(false, true);
    constexpr std::size_t kSize = 100'000;
    for (int i = 0; i < 40; ++i) REQUIRE(queue.publish({std::string(kSize, static_cast<char>('a' + i % 26))}).confirm);
    REQUIRE(queue.publish({std::string(3 << 20, 'Y')}).confirm);
    REQUIRE(queue.publish({std::string("Z")}).confirm);
    if (on_disk) {
        queue.restart();
        queue.reconnect();
    }
    std::size_t bytes = 0;
    const auto count = [&bytes](std::string_view encoded, const MessageFacts&) {
        bytes += encoded.size();
        return encoded.ends_with("Z");
    };
    std::uint64_t from = 1;
    std::size_t found = 0;
    while (from != 0) {
        bytes = 0;
        const Result<PeekResult> page = queue.peek(from, 10, 1'000, "q", count);
        CHECK((bytes <= core::kPeekScanBytes + kSize + 100 || page->next.value == 42));
        CHECK((page->next.value == 0 || page->next.value > from));
        found += page->items.size();
        from = page->next.value;
    }
    CHECK(found == 1);
}

TEST_CASE("a page of matches is bounded by bytes as one without a filter", "[core][filter]") {
    QueueFixture queue;
    REQUIRE(queue.publish(numbered(100)).confirm);
    int pages = 0;
    CHECK(peek_all(queue, ends_with("7"), 100, &pages, 9).size() == 10);
    CHECK(pages == 9);  // only the first two, of 4 and 5 bytes, fit one page
}

TEST_CASE("a filter is told what the queue knows of a message", "[core][filter]") {
    QueueFixture queue;
    const std::int64_t sent = to_unix_ms(queue.now());
    REQUIRE(queue.publish({"a", "b", "c"}).confirm);
    base::MessageTraits later;
    later.delay_ms = 60'000;
    Batch batch;
    batch.add("d", later);
    REQUIRE(queue.publish(batch).confirm);
    ConsumeOptions two;
    two.credit = 2;
    REQUIRE(queue.consume(two));
    const Received first = queue.next();
    queue.next();
    REQUIRE(queue.credit(0));
    REQUIRE(queue.retry(first, Millis(5'000)).settled);
    struct Seen {
        std::string state, reason, consumer;
        MessageFacts facts;
    };
    std::vector<Seen> seen;
    REQUIRE(queue.peek(1, 10, 1 << 20, "q", [&](std::string_view, const MessageFacts& facts) {
        seen.push_back({std::string(facts.state), std::string(facts.reason), std::string(facts.consumer), facts});
        return true;
    }));
    REQUIRE(seen.size() == 4);
    CHECK(seen[0].state == "waiting");
    CHECK(seen[0].reason == "failed");
    CHECK(seen[0].facts.attempts == 1);
    CHECK(seen[0].facts.visible_at_ms == sent + 5'000);
    CHECK(seen[1].state == "started");
    CHECK(seen[1].consumer == "worker");
    CHECK(seen[1].facts.visible_at_ms == sent + 30'000);
    CHECK(seen[2].state == "ready");
    CHECK(seen[2].facts.attempts == 0);
    CHECK(seen[2].facts.sequence == 3);
    CHECK(seen[2].facts.commit_time_ms == sent);
    CHECK_FALSE(seen[2].facts.visible_at_ms);
    CHECK(seen[3].state == "scheduled");
    CHECK(seen[3].facts.visible_at_ms == sent + 60'000);
}

TEST_CASE("a filter looks over all priorities in the order of the sequences", "[core][filter]") {
    QueueFixture queue;
    for (std::uint8_t i = 0; i < 50; ++i) {
        base::MessageTraits traits;
        traits.priority = i % 10;
        Batch batch;
        std::string body = "m";  // g++ 12 warns wrongly of "m" + std::to_string()
        batch.add(body += std::to_string(i), traits);
        REQUIRE(queue.publish(batch).confirm);
    }
    const bool on_disk = GENERATE(false, true);
    if (on_disk) {
        queue.restart();
        queue.reconnect();
    }
    int pages = 0;
    const Bodies found = peek_all(
        queue, [](std::string_view encoded, const MessageFacts&) { return encoded.size() == 5; }, 7, &pages);
    REQUIRE(found.size() == 40);  // two digits
    CHECK(found.front() == "m10");
    CHECK(found.back() == "m49");
    CHECK(std::is_sorted(found.begin(), found.end()));
}

}  // namespace
}  // namespace rockdove::test

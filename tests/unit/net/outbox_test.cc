#include "server/net/outbox.h"

#include <catch2/catch.hpp>

namespace rockdove::net {
namespace {

TEST_CASE("an outbox keeps its buffers while they are used, and gives them back when they are not", "[net][outbox]") {
    Outbox outbox;
    const auto send = [&outbox](std::size_t bytes) {
        outbox.pending().assign(bytes, 'x');
        (void)outbox.take();
        outbox.sent();
    };
    const auto kept = [&outbox] {  // of both its buffers, which change places with each write
        std::size_t bytes = 0;
        for (int i = 0; i < 2; ++i) {
            bytes += outbox.pending().capacity();
            (void)outbox.take();
            outbox.sent();
        }
        return bytes;
    };
    send(Outbox::kHighWater);
    CHECK(kept() >= Outbox::kHighWater);
    outbox.trim();  // it was used since the last call
    CHECK(kept() >= Outbox::kHighWater);
    outbox.trim();  // it was not
    CHECK(kept() <= 8 * 1024);
    send(3 * Outbox::kHighWater);  // one large answer is not kept at all
    CHECK(kept() <= 8 * 1024);
}

TEST_CASE("an outbox is above its high-water mark one byte past it, in flight or not", "[net][outbox]") {
    Outbox outbox;
    CHECK(outbox.empty());
    CHECK_FALSE(outbox.sending());
    outbox.pending().assign(Outbox::kHighWater, 'x');
    CHECK_FALSE(outbox.above_high_water());
    CHECK(outbox.take().size() == Outbox::kHighWater);
    CHECK(outbox.sending());
    CHECK(outbox.empty());
    outbox.pending() += "y";
    CHECK(outbox.above_high_water());
    CHECK(outbox.bytes() == Outbox::kHighWater + 1);
    outbox.sent();
    CHECK_FALSE(outbox.sending());
    CHECK_FALSE(outbox.above_high_water());
    CHECK(outbox.bytes() == 1);
}

TEST_CASE("what is put in while a write is under way leaves with the next one, in order", "[net][outbox]") {
    Outbox outbox;
    outbox.pending() += "a";
    CHECK(outbox.take() == "a");
    outbox.pending() += "b";
    outbox.pending() += "c";
    outbox.sent();
    CHECK(outbox.take() == "bc");
    outbox.sent();
    CHECK(outbox.bytes() == 0);
}

TEST_CASE("a burst's buffer is not kept by a connection that is idle afterwards", "[net][outbox]") {
    Outbox outbox;
    outbox.pending().assign(4 << 20, 'x');
    (void)outbox.take();
    outbox.sent();
    (void)outbox.take();  // the buffers have changed places
    outbox.sent();
    CHECK(outbox.pending().capacity() <= 256 * 1024);
}

TEST_CASE("many small things overflow an outbox, one large thing does not", "[net][outbox]") {
    Outbox outbox;
    outbox.pending() += "in flight";
    (void)outbox.take();
    outbox.pending().assign(Outbox::kHardLimit, 'x');
    outbox.note_item(Outbox::kHighWater);
    CHECK_FALSE(outbox.overflows(Outbox::kHardLimit));
    outbox.pending() += "y";
    CHECK(outbox.overflows(Outbox::kHardLimit));
    outbox.sent();
    outbox.pending().assign(16 << 20, 'x');
    outbox.note_item(16 << 20);
    CHECK_FALSE(outbox.overflows(Outbox::kHardLimit));
    (void)outbox.take();
    outbox.sent();
    outbox.pending().assign(Outbox::kHardLimit + 1, 'x');  // what was large has left
    CHECK(outbox.overflows(Outbox::kHardLimit));
}

TEST_CASE("the hard limit leaves room above the high-water mark for answers", "[net][outbox]") {
    CHECK(Outbox::kHardLimit >= 4 * Outbox::kHighWater);
}

}  // namespace
}  // namespace rockdove::net

// The blocks of a lane in order of sequence. Those around the cursor are at hand; behind them, what nobody has looked
// at yet is packed: a backlog of single messages costs some 6 bytes a block instead of 72 (ARCHITECTURE, "bounded
// memory however deep the backlog").
//
//   near: at hand, by index | packed: kPackedBlocks a piece | far: the newest, until they are packed
//
// A block behind the near ones has no payload and nothing done, but for what its subscription does not want of it. While nothing is packed the near ones are
// all there is, and nothing here costs more than a deque.
//
// Runs on: the shard's thread. References to near blocks hold until the block is dropped; a reference to back() until
// the next reach().
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "server/core/block.h"

namespace rockdove::core {

class BlockList {
public:
    // `packs`: false if any block may be wanted next; then all are near.
    explicit BlockList(bool packs = true) : packs_(packs) {}

    // Its first sequence must not lie below the end of back(). `committed`: see Stage.
    Block& push_back(Block block, Lsn committed);

    [[nodiscard]] bool empty() const { return near_.empty() && packed_.empty() && far_.empty(); }
    [[nodiscard]] const Block& back() const { return far_.empty() ? near_.back() : far_.back(); }
    [[nodiscard]] Block& back() { return far_.empty() ? near_.back() : far_.back(); }
    // The one before back(); null if there is none.
    [[nodiscard]] const Block* before_back() const;
    // Of the oldest that is not gone; 0 if there is none.
    [[nodiscard]] std::int64_t oldest_commit_time_ms() const;

    // The near blocks, by index. Gone ones stay until drop_gone().
    [[nodiscard]] std::size_t size() const { return near_.size(); }
    Block& operator[](std::size_t index) { return near_[index]; }
    const Block& operator[](std::size_t index) const { return near_[index]; }
    // Of the first near block that ends after `sequence`; size() if none does.
    [[nodiscard]] std::size_t index_of(Sequence sequence) const;
    // Makes blocks near until there is one at `index`; false if there are not that many.
    bool reach(std::size_t index) {
        while (index >= near_.size()) {
            if (!bring_near()) return false;
        }
        return true;
    }
    // The same for the block of `sequence`.
    void reach(Sequence sequence) {
        while ((near_.empty() || near_.back().end() <= sequence.value) && bring_near()) {
        }
    }

    void count_gone() { ++gone_; }  // a near block is gone
    void drop_gone();

    // Calls visit(const Block&) for all blocks that end after `from`, until it returns false.
    template <class Visit>
    void each_from(Sequence from, Visit&& visit) const;

    // What drop_far() took away: all blocks that are not near.
    struct Dropped {
        std::uint64_t messages = 0;
        std::uint64_t bytes = 0;
        std::uint64_t keyed = 0;  // blocks
        Sequence first;
        Sequence end;
    };
    Dropped drop_far();

    // Blocks that are not near, packed ones included.
    [[nodiscard]] std::size_t far_blocks() const { return packed_blocks_ + far_.size(); }

private:
    struct Packed {
        std::uint64_t end = 0;
        std::int64_t oldest_ms = 0;
        std::uint32_t blocks = 0;
        storage::LaneId lane = storage::kDefaultLane;
        // Per block: gap before it, count and whether it is keyed and has offsets and limits, bytes, commit time less that of the one
        // before, gaps between its messages if it has offsets, its limits, its source, what is done of it from the start.
        std::string bytes;
    };

    static Packed pack(std::deque<Block>::const_iterator first, const std::deque<Block>::const_iterator& end);
    static std::vector<Block> unpack(const Packed& packed);
    bool bring_near();

    bool packs_;
    std::deque<Block> near_;
    std::size_t gone_ = 0;  // of the near ones
    std::deque<Packed> packed_;
    std::size_t packed_blocks_ = 0;
    std::deque<Block> far_;
};

template <class Visit>
void BlockList::each_from(Sequence from, Visit&& visit) const {
    for (std::size_t i = index_of(from); i < near_.size(); ++i) {
        if (!visit(near_[i])) return;
    }
    auto packed = std::upper_bound(packed_.begin(), packed_.end(), from,
                                   [](Sequence s, const Packed& p) { return s.value < p.end; });
    for (; packed != packed_.end(); ++packed) {
        for (const Block& block : unpack(*packed)) {
            if (block.end() > from.value && !visit(block)) return;
        }
    }
    for (const Block& block : far_) {
        if (block.end() > from.value && !visit(block)) return;
    }
}

}  // namespace rockdove::core

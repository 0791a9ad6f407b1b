#include "server/core/block_list.h"

#include <iterator>

#include "protocol/base/bytes.h"
#include "protocol/base/check.h"
#include "server/core/limits.h"

namespace rockdove::core {

using base::ByteReader;
using base::ByteWriter;

Block& BlockList::push_back(Block block, Lsn committed) {
    if (packed_.empty() && far_.empty()) {
        // What was delivered, or will be from memory, stays near.
        const bool near =
            !packs_ || near_.size() < kNearBlocks || near_.back().payload || (near_.back().state && !near_.back().part);
        if (near) return near_.emplace_back(std::move(block));
    }
    if (far_.size() >= 2 * kPackedBlocks && far_[kPackedBlocks - 1].lsn <= committed) {
        const auto end = far_.begin() + kPackedBlocks;
        packed_.push_back(pack(far_.begin(), end));
        packed_blocks_ += kPackedBlocks;
        far_.erase(far_.begin(), end);
    }
    return far_.emplace_back(std::move(block));
}

const Block* BlockList::before_back() const {
    if (far_.size() > 1) return &far_[far_.size() - 2];
    if (!far_.empty()) return near_.empty() ? nullptr : &near_.back();  // packing leaves more than one behind
    return near_.size() > 1 ? &near_[near_.size() - 2] : nullptr;
}

std::int64_t BlockList::oldest_commit_time_ms() const {
    const auto oldest = std::find_if(near_.begin(), near_.end(), [](const Block& block) { return !block.gone(); });
    if (oldest != near_.end()) return oldest->message_time_ms();
    if (!packed_.empty()) return packed_.front().oldest_ms;
    return far_.empty() ? 0 : far_.front().message_time_ms();
}

std::size_t BlockList::index_of(Sequence sequence) const {
    const auto at = std::upper_bound(near_.begin(), near_.end(), sequence,
                                     [](Sequence s, const Block& block) { return s.value < block.end(); });
    return static_cast<std::size_t>(at - near_.begin());
}

void BlockList::drop_gone() {
    while (!near_.empty() && near_.front().gone()) {
        near_.pop_front();
        --gone_;
    }
    if (gone_ > 64 && gone_ > near_.size() / 2) {
        std::erase_if(near_, [](const Block& block) { return block.gone(); });
        gone_ = 0;
    }
}

BlockList::Dropped BlockList::drop_far() {
    Dropped dropped;
    const auto count = [&](const Block& block) {
        if (dropped.messages == 0) dropped.first = block.first;
        dropped.messages += block.count - block.done;
        dropped.bytes += block.bytes_left();
        dropped.keyed += block.keyed ? 1 : 0;
        dropped.end = Sequence(block.end());
    };
    for (const Packed& packed : packed_) {
        for (const Block& block : unpack(packed)) count(block);
    }
    for (const Block& block : far_) count(block);
    packed_.clear();
    packed_blocks_ = 0;
    far_.clear();
    return dropped;
}

namespace {

void pack_limits(ByteWriter& out, const Limits& limits, std::int64_t time) {
    out.varint(limits.expires_ms.size());
    for (const std::int64_t expires : limits.expires_ms) {
        out.signed_varint(expires - time);
        time = expires;
    }
    out.varint(limits.max_attempts.size());
    for (const std::uint32_t most : limits.max_attempts) out.varint(most);
}

std::unique_ptr<Limits> unpack_limits(ByteReader& in, std::int64_t time) {
    auto limits = std::make_unique<Limits>();
    limits->expires_ms.resize(in.varint());
    for (std::int64_t& expires : limits->expires_ms) expires = time += in.signed_varint();
    limits->max_attempts.resize(in.varint());
    for (std::uint32_t& most : limits->max_attempts) most = static_cast<std::uint32_t>(in.varint());
    return limits;
}

// What a subscription does not want of a block.
void pack_done(ByteWriter& out, const Block& block) {
    const Bits& done = block.state->done;
    for (std::uint32_t at = 0; at < block.count;) {
        const std::uint32_t first = done.find(at, true);
        const std::uint32_t end = first < block.count ? done.find(first, false) : block.count;
        out.varint(first - at);
        out.varint(end - first);
        at = end;
    }
}

void unpack_done(ByteReader& in, Block& block) {
    block.state = std::make_unique<BlockState>(block.count);
    block.state->stored = true;
    block.part = true;
    for (std::uint32_t at = 0; at < block.count;) {
        const std::uint32_t first = at + static_cast<std::uint32_t>(in.varint());
        at = first + static_cast<std::uint32_t>(in.varint());
        block.state->done.set(first, at);
        block.done += at - first;
    }
}

void pack_source(ByteWriter& out, const Block& block) {
    out.varint(block.source->log.value);
    out.signed_varint(static_cast<std::int64_t>(block.source->first.value - block.first.value));
    out.signed_varint(block.source->commit_time_ms - block.commit_time_ms);
}

std::unique_ptr<Source> unpack_source(ByteReader& in, const Block& block) {
    auto source = std::make_unique<Source>();
    source->log = QueueId(static_cast<std::uint32_t>(in.varint()));
    source->first = Sequence(block.first.value + static_cast<std::uint64_t>(in.signed_varint()));
    source->commit_time_ms = block.commit_time_ms + in.signed_varint();
    return source;
}

}  // namespace

BlockList::Packed BlockList::pack(std::deque<Block>::const_iterator first,
                                  const std::deque<Block>::const_iterator& end) {
    Packed packed;
    packed.oldest_ms = first->message_time_ms();
    std::uint64_t at = 0;
    std::int64_t time = 0;
    ByteWriter out(packed.bytes);
    for (; first != end; ++first) {
        RD_CHECK(!first->payload && (first->part || (!first->state && first->done == 0)));
        out.varint(first->first.value - at);
        out.varint(std::uint64_t{first->count} << 5 | (first->part ? 16 : 0) | (first->source ? 8 : 0) |
                   (first->keyed ? 4 : 0) | (first->limits ? 2 : 0) | (first->offsets ? 1 : 0));
        out.varint(first->bytes);
        out.signed_varint(first->commit_time_ms - time);
        if (first->offsets) {
            for (std::uint32_t i = 1; i < first->count; ++i) {
                out.varint((*first->offsets)[i] - (*first->offsets)[i - 1] - 1);
            }
        }
        if (first->limits) pack_limits(out, *first->limits, first->commit_time_ms);
        if (first->source) pack_source(out, *first);
        if (first->part) pack_done(out, *first);
        packed.lane = first->lane;
        at = first->end();
        time = first->commit_time_ms;
        ++packed.blocks;
    }
    packed.end = at;
    packed.bytes.shrink_to_fit();
    return packed;
}

std::vector<Block> BlockList::unpack(const Packed& packed) {
    std::vector<Block> blocks(packed.blocks);
    std::uint64_t at = 0;
    std::int64_t time = 0;
    ByteReader in(packed.bytes);
    for (Block& block : blocks) {
        block.first = Sequence(at + in.varint());
        const std::uint64_t count = in.varint();
        block.count = static_cast<std::uint32_t>(count >> 5);
        block.keyed = (count & 4) != 0;
        block.bytes = static_cast<std::uint32_t>(in.varint());
        block.commit_time_ms = time + in.signed_varint();
        block.lane = packed.lane;
        if ((count & 1) != 0) {
            block.offsets = std::make_unique<std::vector<std::uint32_t>>(1);
            while (block.offsets->size() < block.count) {
                block.offsets->push_back(block.offsets->back() + 1 + static_cast<std::uint32_t>(in.varint()));
            }
        }
        if ((count & 2) != 0) block.limits = unpack_limits(in, block.commit_time_ms);
        if ((count & 8) != 0) block.source = unpack_source(in, block);
        if ((count & 16) != 0) unpack_done(in, block);
        at = block.end();
        time = block.commit_time_ms;
    }
    RD_CHECK(in.ok() && in.at_end() && at == packed.end);
    return blocks;
}

bool BlockList::bring_near() {
    if (!packed_.empty()) {
        std::vector<Block> blocks = unpack(packed_.front());
        std::move(blocks.begin(), blocks.end(), std::back_inserter(near_));
        packed_blocks_ -= packed_.front().blocks;
        packed_.pop_front();
        return true;
    }
    if (far_.empty()) return false;
    std::move(far_.begin(), far_.end(), std::back_inserter(near_));
    far_.clear();
    return true;
}

}  // namespace rockdove::core

// Messages that were somewhere else before: redriven, or moved here when they died. They keep their id and their deaths.
#include <algorithm>
#include <iterator>

#include "protocol/base/bytes.h"
#include "server/core/queue.h"
#include "storage/keys.h"

namespace rockdove::core {

namespace {

// What an origin costs in memory, about.
std::size_t cost(const storage::OriginRecord& origin) {
    std::size_t bytes = 64 + sizeof origin;
    for (const storage::Death& death : origin.deaths)
        bytes += sizeof death + death.consumer.size() + death.error.size();
    return bytes;
}

}  // namespace

bool Queue::take_in(std::string_view message, const base::MessageTraits& traits, bool in_place,
                    storage::OriginRecord origin, TimePoint now) {
    const std::size_t bytes = cost(origin);
    if (origin_bytes_ + bytes > kOriginBytes) return false;
    std::string record;  // a copy: appending may drop the block that `message` lies in
    ByteWriter out(record);
    out.u8(static_cast<std::uint8_t>(storage::kMessageTag));
    out.string(message);
    const auto end = static_cast<std::uint32_t>(record.size());
    Records records;
    records.bytes = record;
    records.ends = {&end, 1};
    records.count = 1;
    records.traits = {&traits, 1};
    records.in_place = in_place;
    const Appended appended = append(records, now);
    if (appended.count == 0) return false;
    if (durable()) {
        shared_.stage.writes().put(storage::origin_key(shared_.ns, id_, appended.first), origin.encode());
    }
    origin_bytes_ += bytes;
    origins_.emplace(appended.first, std::move(origin));
    return true;
}

void Queue::load_origin(Sequence sequence, storage::OriginRecord record) {
    origin_bytes_ += cost(record);
    origins_.insert_or_assign(sequence, std::move(record));
}

Queue::Origins::iterator Queue::forget_origin(Origins::iterator origin) {
    if (durable()) shared_.stage.writes().remove(storage::origin_key(shared_.ns, id_, origin->first));
    origin_bytes_ -= cost(origin->second);
    return origins_.erase(origin);
}

void Queue::forget_origins(const Block& block, std::uint32_t first, std::uint32_t end) {
    if (origins_.empty()) return;
    const Sequence last = block.sequence(end - 1);
    for (auto it = origins_.lower_bound(block.sequence(first)); it != origins_.end() && it->first <= last;) {
        it = block.contains(it->first) ? forget_origin(it) : std::next(it);
    }
}

void Queue::forget_origins(Sequence first, Sequence end) {
    for (auto it = origins_.lower_bound(first); it != origins_.end() && it->first < end;) {
        it = find_block(it->first) == nullptr ? forget_origin(it) : std::next(it);
    }
}

std::optional<Sequence> Queue::find_moved(QueueId queue, Sequence sequence) const {
    for (const auto& [place, origin] : origins_) {
        if (origin.queue == queue && origin.sequence == sequence) return place;
    }
    return std::nullopt;
}

std::uint32_t Queue::with_same_origin(const Block& block, std::uint32_t first, std::uint32_t end) const {
    if (origins_.empty()) return end;
    const Sequence last = block.sequence(end - 1);
    for (auto it = origins_.lower_bound(block.sequence(first)); it != origins_.end() && it->first <= last; ++it) {
        if (block.contains(it->first)) return std::max(block.index_from(it->first), first + 1);
    }
    return end;
}

base::MessageId Queue::id_of(const Block& block, std::uint32_t index) const {
    if (block.source) return {block.source->commit_time_ms, block.source->log, block.source_sequence(index)};
    const Sequence sequence = block.sequence(index);
    if (const auto origin = origins_.find(sequence); origin != origins_.end()) {
        return {origin->second.commit_time_ms, origin->second.queue, origin->second.sequence};
    }
    return {block.commit_time_ms, id_, sequence};
}

}  // namespace rockdove::core

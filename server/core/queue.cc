// Publishing into blocks, and writing what changed. Next on a message's way: queue_dispatch.cc.
#include "server/core/queue.h"

#include <algorithm>

#include "server/core/topic.h"
#include "storage/keys.h"

namespace rockdove::core {

Queue::Queue(Shared& shared, QueueId id, storage::QueueRecord record)
    : shared_(shared), id_(id), record_(std::move(record)), dedup_(shared, id, durable()) {
    lane(storage::kDefaultLane);
    keys_.set_hold(record_.settings.key_on_retry == KeyOnRetry::kHold);
}

Queue::~Queue() { shared_.window.ahead -= ahead_bytes_; }

void Queue::touch() {
    if (touched_) return;
    touched_ = true;
    shared_.touched.push_back(this);
}

QueueInfo Queue::info() const {
    QueueInfo info;
    info.id = id_;
    info.name = record_.name;
    info.settings = record_.settings;
    info.paused = record_.paused;
    info.created_ms = record_.created_ms;
    info.started = started_;
    info.waiting = waiting_.size();
    info.dead = dead_.size() + dying_.size() + leaving_messages_;
    info.scheduled = scheduled_;
    info.buffered = buffered_.size();
    info.ready = messages_ - scheduled_ - buffered_.size() - started_ - info.waiting - dying_.size() - damaged_;
    info.bytes = bytes_;
    for (const auto& consumer : consumers_) info.consumers += consumer->attached() ? 1 : 0;
    for (const auto& lane : lanes_) {
        const std::int64_t oldest = lane ? lane->blocks.oldest_commit_time_ms() : 0;
        if (oldest == 0) continue;
        info.oldest_commit_time_ms =
            info.oldest_commit_time_ms == 0 ? oldest : std::min(info.oldest_commit_time_ms, oldest);
    }
    info.next_seq = next_.value;
    info.accepted = accepted_;
    info.delivered = delivered_;
    info.acked = acked_;
    info.retried = retried_;
    info.died = died_;
    info.refused = refused_;
    info.dropped = dropped_;
    info.dedup_ids = dedup_.size();
    info.dead_evicted = dead_evicted_;
    info.damaged = damaged_;
    info.expired = expired_;
    info.redriven = redriven_;
    info.not_moved = not_moved_;
    return info;
}

std::uint64_t Queue::room_messages() const {
    const std::uint64_t limit = record_.settings.max_messages;
    if (limit == 0) return UINT64_MAX;
    return messages_ >= limit ? 0 : limit - messages_;
}

std::uint64_t Queue::room_bytes() const {
    std::uint64_t limit = record_.settings.max_bytes;
    if (limit == 0 && !durable()) limit = kMemoryQueueBytes;
    if (limit == 0) return UINT64_MAX;
    return bytes_ >= limit ? 0 : limit - bytes_;
}

std::optional<DedupTable::First> Queue::find_duplicate(const base::DedupId& id, TimePoint now) {
    const std::optional<DedupTable::First> first = dedup_.find(id);
    if (!first) return std::nullopt;
    const bool counts = record_.settings.dedup_mode == DedupMode::kUntilDone
                            ? first->sequence >= next_ || is_alive(first->sequence)  // about to be stored
                            : first->commit_time_ms + record_.settings.dedup_window.count() > to_unix_ms(now);
    return counts ? first : std::nullopt;
}

Result<void> Queue::note_dedup(const base::DedupId& id, Sequence sequence, TimePoint now) {
    if (record_.settings.dedup_mode == DedupMode::kUntilDone) {
        // Faster than ids come, so that at most as many are stale as count.
        dedup_.sweep(dedup_.full() ? kSweptWhenFull : 2, [this](Sequence first) { return is_alive(first); });
    }
    if (dedup_.full()) {
        Error error(ErrorCode::kRateLimited, "queue \"" + record_.name + "\" remembers " +
                                                 std::to_string(kMaxDedupIds) +
                                                 " dedup ids, its limit; try again later, or shorten its dedup_window");
        error.retry_after = Millis(1'000);
        return error;
    }
    dedup_.add(id, sequence, commit_time_ms(now));
    return {};
}

Error Queue::full_error() const {
    const std::uint64_t limit = record_.settings.max_messages;
    std::string text = "queue \"" + record_.name + "\" is full: ";
    if (limit != 0 && messages_ >= limit) {
        text += std::to_string(messages_) + " of " + std::to_string(limit) + " messages (max_messages)";
    } else {
        const std::uint64_t bytes = record_.settings.max_bytes != 0 ? record_.settings.max_bytes : kMemoryQueueBytes;
        text += std::to_string(bytes_) + " of " + std::to_string(bytes) + " bytes (max_bytes)";
    }
    Error error(ErrorCode::kFull, text + "; try again when consumers have caught up, or raise the limit");
    error.retry_after = Millis(1'000);
    return error;
}

Lane& Queue::lane(storage::LaneId id) {
    if (!lanes_[id]) lanes_[id] = std::make_unique<Lane>(id);
    return *lanes_[id];
}

Appended Queue::append(const Records& records, TimePoint now) {
    if (record_.settings.overflow == Overflow::kDropOldest) return append_by_dropping(records, now);
    return append_what_fits(records, now);
}

Appended Queue::append_what_fits(const Records& records, TimePoint now) {
    Appended result;
    result.first = next_;
    result.commit_time_ms = commit_time_ms(now);
    const std::uint64_t room = std::min<std::uint64_t>(records.count, room_messages());
    std::uint64_t bytes_room = room_bytes();
    const std::uint32_t stop = records.first + static_cast<std::uint32_t>(room);
    std::uint32_t at = records.first;
    while (at < stop) {
        const storage::LaneId to = records.lane(at, result.commit_time_ms);
        std::uint32_t end = records.traits.empty() ? stop : at + 1;
        while (end < stop && records.lane(end, result.commit_time_ms) == to) ++end;
        at = append_to(lane(to), records, at, end, Sequence(next_.value + (at - records.first)), result, bytes_room);
        if (at != end) break;
    }
    result.count = at - records.first;
    if (result.count != 0) {
        next_.value += result.count;
        messages_ += result.count;
        accepted_ += result.count;
        if (durable()) shared_.stage.set_commit_time(result.commit_time_ms);
        if (record_.settings.durability == Durability::kSync) shared_.stage.writes().require_sync();
        touch();
    }
    return result;
}

std::uint32_t Queue::append_to(Lane& lane, const Records& records, std::uint32_t at, std::uint32_t stop, Sequence first,
                               Appended& result, std::uint64_t& room) {
    const std::int64_t commit_time_ms = result.commit_time_ms;
    if (lane.open && lane.blocks.back().commit_time_ms != commit_time_ms) close_open_block(lane);  // of a memory queue
    while (at < stop) {
        const std::size_t start = records.start_of(at);
        const std::size_t first_record = records.ends[at] - start;
        if (message_size(static_cast<std::uint32_t>(first_record)) > room) break;
        const std::size_t target = lane.scheduled() ? kScheduledBlockBytes : kBlockTargetBytes;
        if (lane.open && lane.blocks.back().payload->bytes.size() + first_record > target) close_open_block(lane);
        Block& block = open_block(lane, first, commit_time_ms, std::min(records.ends[stop - 1] - start, target));
        Payload& payload = *block.payload;
        const std::size_t offset = payload.bytes.size();
        // As many as fit into the block; at least one, so that a large message is a block of its own.
        std::uint32_t end = at;
        std::uint64_t bytes = 0;
        while (end < stop) {
            const std::uint32_t size =
                message_size(records.ends[end] - static_cast<std::uint32_t>(records.start_of(end)));
            const std::size_t grown = offset + (records.ends[end] - start);
            if (bytes + size > room || (end != at && grown > target)) break;
            payload.ends.push_back(static_cast<std::uint32_t>(grown));
            bytes += size;
            ++end;
        }
        append_keys(block, records, at, end);
        payload.bytes.append(records.bytes.substr(start, records.ends[end - 1] - start));
        room -= bytes;
        const std::uint32_t grown_from = block.count;
        block.grow(first, end - at);
        if (lane.scheduled()) {
            for (std::uint32_t i = at; i < end; ++i) block.due_ms->push_back(records.traits[i].due_ms(commit_time_ms));
            if (topic_ == nullptr) schedule(block, grown_from);
        }
        if (!records.traits.empty() || block.limits || record_.settings.ttl.count() != 0) {
            for (std::uint32_t i = at; i < end; ++i) {
                if (!set_limits(block, grown_from + (i - at), records.traits_of(i))) continue;
                std::vector<IndexRange>& lowered = result.ttl_lowered;
                if (lowered.empty() || lowered.back().first + lowered.back().count != i) lowered.push_back({i, 0});
                ++lowered.back().count;
            }
        }
        block.bytes += static_cast<std::uint32_t>(bytes);
        bytes_ += bytes;
        first.value += end - at;
        at = end;
    }
    return at;
}

// Of messages [at, end), which are about to be added.
void Queue::append_keys(Block& block, const Records& records, std::uint32_t at, std::uint32_t end) {
    if (records.traits.empty() && !block.keyed) return;
    std::vector<std::uint64_t>& keys = block.payload->keys;
    for (std::uint32_t i = at; i < end; ++i) {
        const std::uint64_t key = records.traits.empty() ? 0 : records.traits[i].key;
        if (!block.keyed && key == 0) continue;
        block.keyed = true;
        keys.resize(block.count + (i - at));  // those before it have none
        keys.push_back(key);
    }
}

Block& Queue::open_block(Lane& lane, Sequence first, std::int64_t commit_time_ms, std::size_t bytes) {
    if (lane.open) return lane.blocks.back();
    Block block;
    block.first = first;
    block.lane = lane.id;
    block.commit_time_ms = commit_time_ms;
    block.lsn = durable() ? shared_.stage.lsn() : Lsn(0);
    block.payload = std::make_shared<Payload>();
    block.payload->bytes.reserve(std::max(storage::kBlockHeaderBytes + bytes, lane.last_bytes));
    block.payload->bytes.resize(storage::kBlockHeaderBytes);
    if (lane.scheduled()) block.due_ms = std::make_unique<std::vector<std::int64_t>>();
    lane.open = true;
    return lane.blocks.push_back(std::move(block), shared_.stage.committed());
}

void Queue::close_open_block(Lane& lane) {
    if (!lane.open) return;
    lane.open = false;
    Block& block = lane.blocks.back();
    std::string& stored = block.payload->bytes;
    lane.last_bytes = std::min(stored.size(), kBlockTargetBytes);
    if (stored.capacity() / 2 > stored.size()) stored.shrink_to_fit();  // reserved for more than came
    storage::BlockHeader header;
    header.count = block.count;
    header.commit_time_ms = block.commit_time_ms;
    header.flags = block.keyed ? storage::kKeyed : 0;
    if (block.keyed && lane.scheduled()) remember_keys(block);
    if (block.keyed && !lane.scheduled()) ++lane.unsorted;
    storage::write_block_header(block.payload->bytes, header);
    if (durable()) {
        storage::WriteSet& writes = shared_.stage.writes();
        // The write set shares the payload: aliasing keeps ends and bytes alive together.
        writes.put(storage::block_key(shared_.ns, id_, block.first, lane.id),
                   storage::SharedBytes(block.payload, &block.payload->bytes));
        put_index(block);
    }
    if (topic_ == nullptr) watch_expiry(block);
    if (topic_ != nullptr) {
        topic_->take(block);
    } else if (lane.scheduled()) {
        keep_behind(block);
    } else {
        keep_ahead(block);
    }
}

void Queue::put_index(const Block& block) {
    storage::BlockIndexRecord index;
    index.count = block.count;
    index.bytes = block.bytes;
    index.commit_time_ms = block.commit_time_ms;
    if (block.offsets) index.offsets = *block.offsets;
    if (block.due_ms) index.due_ms = *block.due_ms;
    if (block.source) {
        index.source = block.source->log;
        index.source_first = block.source->first;
        index.source_time_ms = block.source->commit_time_ms;
    }
    index.keyed = block.keyed;
    if (block.keys && block.due_ms) index.keys = *block.keys;
    if (block.limits) {
        index.expires_ms = block.limits->expires_ms;
        index.max_attempts = block.limits->max_attempts;
    }
    shared_.stage.writes().put(storage::block_index_key(shared_.ns, id_, block.first, block.lane), index.encode());
}

void Queue::close_open_blocks() {
    for (const auto& lane : lanes_) {
        if (lane) close_open_block(*lane);
    }
}

bool Queue::visible(const Block& block) const {
    const Lane& lane = lane_of(block);
    if (lane.open && &block == &lane.blocks.back()) return false;
    return block.lsn <= shared_.stage.committed();
}

void Queue::after_commit(Effect effect) {
    if (durable()) {
        shared_.stage.after_commit(std::move(effect));
    } else {
        shared_.stage.now(std::move(effect));
    }
}

Block* Queue::find_block(Sequence sequence) {
    for (const auto& lane : lanes_) {
        if (!lane) continue;
        const std::size_t index = lane->blocks.index_of(sequence);
        if (index == lane->blocks.size()) continue;
        Block& block = lane->blocks[index];
        if (block.first <= sequence && !block.gone() && block.contains(sequence)) return &block;
    }
    return nullptr;
}

Position Queue::position(const Block& block, std::uint32_t index) {
    return {block.due_ms ? (*block.due_ms)[index] : block.commit_time_ms, block.sequence(index)};
}

void Queue::mark_dirty(Block& block) {
    touch();
    BlockState& state = block.touch();
    if (state.dirty) return;
    state.dirty = true;
    dirty_.emplace_back(block.lane, block.first);
}

void Queue::account_done(Block& block, std::uint32_t count) {
    const std::uint64_t before = block.bytes_left();
    block.done += count;
    messages_ -= count;
    bytes_ -= before - block.bytes_left();
    mark_dirty(block);
}

void Queue::seal() {
    close_open_blocks();
    for (const auto& [id, first] : dirty_) {
        BlockList& blocks = lanes_[id]->blocks;
        Block& block = blocks[blocks.index_of(first)];
        RD_CHECK(block.first == first);
        if (block.gone()) {
            remove_block(block);
        } else {
            store_state(block);
        }
    }
    dirty_.clear();
    dedup_.seal();
    for (const auto& lane : lanes_) {
        if (lane) lane->blocks.drop_gone();
    }
    if (holdings_stale_) settle_holdings();
    if (subscription_ != nullptr) subscription_->seal(shared_);
}

void Queue::store_state(Block& block) {
    BlockState& state = *block.state;
    state.dirty = false;
    if (!durable()) return;
    storage::WriteSet& writes = shared_.stage.writes();
    std::string key = storage::block_state_key(shared_.ns, id_, block.first, block.lane);
    storage::BlockStateRecord record = state.to_record();
    if (record.done.empty() && record.runs.empty() && record.leaving.empty()) {
        if (state.stored) writes.remove(std::move(key));
        state.stored = false;
    } else {
        writes.put(std::move(key), record.encode());
        state.stored = true;
    }
}

void Queue::remove_block(Block& block) {
    if (durable()) {
        storage::WriteSet& writes = shared_.stage.writes();
        if (!block.source) writes.remove(storage::block_key(shared_.ns, id_, block.first, block.lane));
        writes.remove(storage::block_index_key(shared_.ns, id_, block.first, block.lane));
        if (block.state->stored) {
            writes.remove(storage::block_state_key(shared_.ns, id_, block.first, block.lane));
        }
        if (block.end() == next_.value) {  // nothing left to tell the next sequence
            storage::HeadRecord head;
            head.next = next_;
            writes.put(storage::head_key(shared_.ns, id_), head.encode());
        }
    }
    if (block.keyed && !block.sorted && !lane_of(block).scheduled()) --lane_of(block).unsorted;
    if (!origins_.empty()) forget_origins(block, 0, block.count);
    leave(block);
    if (block.source) release_source(block);
    block.source = nullptr;
    block.payload = nullptr;
    block.keys = nullptr;
    block.limits = nullptr;
    block.state = nullptr;
    lane_of(block).blocks.count_gone();
}

}  // namespace rockdove::core

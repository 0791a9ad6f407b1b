// Publishing into blocks, and writing what changed. Next on a message's way: queue_dispatch.cc.
#include "server/core/queue.h"

#include <algorithm>

#include "storage/keys.h"

namespace rockdove::core {

Queue::Queue(Shared& shared, QueueId id, storage::QueueRecord record)
    : shared_(shared), id_(id), record_(std::move(record)) {}

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
    info.dead = dead_.size() + dying_.size();
    info.ready = messages_ - started_ - info.waiting - dying_.size() - damaged_;
    info.bytes = bytes_;
    for (const auto& consumer : consumers_) info.consumers += consumer->attached() ? 1 : 0;
    info.oldest_commit_time_ms = blocks_.oldest_commit_time_ms();
    info.next_seq = next_.value;
    info.accepted = accepted_;
    info.delivered = delivered_;
    info.acked = acked_;
    info.retried = retried_;
    info.died = died_;
    info.refused = refused_;
    info.dead_evicted = dead_evicted_;
    info.damaged = damaged_;
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

Appended Queue::append(const Records& records, TimePoint now) {
    Appended result;
    result.first = next_;
    if (durable()) {
        result.commit_time_ms = shared_.stage.commit_time_ms(now);
    } else {
        result.commit_time_ms = to_unix_ms(now);
        if (open_ && blocks_.back().commit_time_ms != result.commit_time_ms) close_open_block();
    }
    const std::uint64_t room = std::min<std::uint64_t>(records.count, room_messages());
    std::uint64_t bytes_room = room_bytes();
    const std::uint32_t stop = records.first + static_cast<std::uint32_t>(room);
    std::uint32_t at = records.first;
    while (at < stop) {
        const std::size_t start = records.start_of(at);
        const std::size_t first_record = records.ends[at] - start;
        if (message_size(static_cast<std::uint32_t>(first_record)) > bytes_room) break;
        if (open_ && blocks_.back().payload->bytes.size() + first_record > kBlockTargetBytes) close_open_block();
        Block& block = open_block(Sequence(next_.value + (at - records.first)), result.commit_time_ms,
                                  std::min(records.ends[stop - 1] - start, kBlockTargetBytes));
        Payload& payload = *block.payload;
        const std::size_t offset = payload.bytes.size();
        // As many as fit into the block; at least one, so that a large message is a block of its own.
        std::uint32_t end = at;
        std::uint64_t bytes = 0;
        while (end < stop) {
            const std::uint32_t size =
                message_size(records.ends[end] - static_cast<std::uint32_t>(records.start_of(end)));
            const std::size_t grown = offset + (records.ends[end] - start);
            if (bytes + size > bytes_room || (end != at && grown > kBlockTargetBytes)) break;
            payload.ends.push_back(static_cast<std::uint32_t>(grown));
            bytes += size;
            ++end;
        }
        payload.bytes.append(records.bytes.substr(start, records.ends[end - 1] - start));
        bytes_room -= bytes;
        block.count += end - at;
        block.bytes += static_cast<std::uint32_t>(bytes);
        bytes_ += bytes;
        at = end;
    }
    result.count = at - records.first;
    if (result.count != 0) {
        next_.value += result.count;
        messages_ += result.count;
        accepted_ += result.count;
        if (record_.settings.durability == Durability::kSync) shared_.stage.writes().require_sync();
        touch();
    }
    return result;
}

Block& Queue::open_block(Sequence first, std::int64_t commit_time_ms, std::size_t bytes) {
    if (open_) return blocks_.back();
    Block block;
    block.first = first;
    block.commit_time_ms = commit_time_ms;
    block.lsn = durable() ? shared_.stage.lsn() : Lsn(0);
    block.payload = std::make_shared<Payload>();
    block.payload->bytes.reserve(std::max(storage::kBlockHeaderBytes + bytes, last_bytes_));
    block.payload->bytes.resize(storage::kBlockHeaderBytes);
    open_ = true;
    return blocks_.push_back(std::move(block), shared_.stage.committed());
}

void Queue::close_open_block() {
    if (!open_) return;
    open_ = false;
    Block& block = blocks_.back();
    std::string& stored = block.payload->bytes;
    last_bytes_ = std::min(stored.size(), kBlockTargetBytes);
    if (stored.capacity() / 2 > stored.size()) stored.shrink_to_fit();  // reserved for more than came
    storage::BlockHeader header;
    header.count = block.count;
    header.commit_time_ms = block.commit_time_ms;
    storage::write_block_header(block.payload->bytes, header);
    if (durable()) {
        storage::WriteSet& writes = shared_.stage.writes();
        // The write set shares the payload: aliasing keeps ends and bytes alive together.
        writes.put(storage::block_key(shared_.ns, id_, block.first),
                   storage::SharedBytes(block.payload, &block.payload->bytes));
        storage::BlockIndexRecord index;
        index.count = block.count;
        index.bytes = block.bytes;
        index.commit_time_ms = block.commit_time_ms;
        writes.put(storage::block_index_key(shared_.ns, id_, block.first), index.encode());
    }
    keep_ahead(block);
}

bool Queue::visible(const Block& block) const {
    if (&block == &blocks_.back() && open_) return false;
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
    const std::size_t index = blocks_.index_of(sequence);
    if (index == blocks_.size() || blocks_[index].first > sequence || blocks_[index].gone()) return nullptr;
    return &blocks_[index];
}

void Queue::mark_dirty(Block& block) {
    touch();
    BlockState& state = block.touch();
    if (state.dirty) return;
    state.dirty = true;
    dirty_.push_back(block.first);
}

void Queue::account_done(Block& block, std::uint32_t count) {
    const std::uint64_t before = block.bytes_left();
    block.done += count;
    messages_ -= count;
    bytes_ -= before - block.bytes_left();
    mark_dirty(block);
}

void Queue::seal() {
    close_open_block();
    for (const Sequence first : dirty_) {
        Block& block = blocks_[blocks_.index_of(first)];
        RD_CHECK(block.first == first);
        if (block.gone()) {
            remove_block(block);
            continue;
        }
        BlockState& state = *block.state;
        state.dirty = false;
        if (!durable()) continue;
        storage::WriteSet& writes = shared_.stage.writes();
        storage::BlockStateRecord record = state.to_record();
        if (record.done.empty() && record.runs.empty()) {
            if (state.stored) writes.remove(storage::block_state_key(shared_.ns, id_, first));
            state.stored = false;
        } else {
            writes.put(storage::block_state_key(shared_.ns, id_, first), record.encode());
            state.stored = true;
        }
    }
    dirty_.clear();
    blocks_.drop_gone();
}

void Queue::remove_block(Block& block) {
    if (durable()) {
        storage::WriteSet& writes = shared_.stage.writes();
        writes.remove(storage::block_key(shared_.ns, id_, block.first));
        writes.remove(storage::block_index_key(shared_.ns, id_, block.first));
        if (block.state->stored) writes.remove(storage::block_state_key(shared_.ns, id_, block.first));
        if (block.end() == next_.value) {  // nothing left to tell the next sequence
            storage::HeadRecord head;
            head.next = next_;
            writes.put(storage::head_key(shared_.ns, id_), head.encode());
        }
    }
    leave(block);
    block.payload = nullptr;
    block.state = nullptr;
    blocks_.count_gone();
}

}  // namespace rockdove::core

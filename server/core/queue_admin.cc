// What an operator asks of a queue.
#include <algorithm>

#include "server/core/queue.h"
#include "storage/keys.h"

namespace rockdove::core {

void Queue::update(const QueueSettings& settings) {
    record_.settings = settings;
    shared_.stage.writes().put(storage::queue_key(shared_.ns, id_), record_.encode());
    evict_dead();
    touch();
}

void Queue::set_paused(bool paused) {
    record_.paused = paused;
    shared_.stage.writes().put(storage::queue_key(shared_.ns, id_), record_.encode());
    touch();
}

std::uint64_t Queue::purge() {
    close_open_block();
    std::uint64_t removed = 0;
    for (std::size_t at = 0; at < blocks_.size(); ++at) {
        Block& block = blocks_[at];
        if (block.gone()) continue;
        BlockState& state = block.touch();
        std::uint32_t gone = 0;
        for (std::uint32_t i = 0; i < block.count; ++i) {
            if (state.done.test(i)) continue;
            const Sequence sequence(block.first.value + i);
            if (state.held.test(i)) {  // started, or came back
                const auto it = returned_.find(sequence);
                if (it == returned_.end() || dying_.contains(sequence)) continue;
                waiting_.erase({from_unix_ms(it->second.visible_at_ms), sequence});
                ready_.erase(sequence);
                forget_returned(sequence);
                state.held.reset(i);
            }
            state.done.set(i);
            ++gone;
        }
        if (gone != 0) account_done(block, gone);
        removed += gone;
    }
    return removed + purge_far();
}

// Nothing of these was started: they go as a range.
std::uint64_t Queue::purge_far() {
    const BlockList::Dropped dropped = blocks_.drop_far();
    if (dropped.messages == 0) return 0;
    storage::WriteSet& writes = shared_.stage.writes();
    const auto remove = [&](auto key) {
        writes.remove_range(key(shared_.ns, id_, dropped.first), key(shared_.ns, id_, dropped.end));
    };
    remove(storage::block_key);
    remove(storage::block_index_key);
    storage::HeadRecord head;  // the last block may be gone: nothing else tells the next sequence
    head.next = next_;
    writes.put(storage::head_key(shared_.ns, id_), head.encode());
    messages_ -= dropped.messages;
    bytes_ -= dropped.bytes;
    touch();
    return dropped.messages;
}

std::uint64_t Queue::erase_records() {
    open_ = false;  // nothing of it is to be written any more
    dirty_.clear();
    storage::WriteSet& writes = shared_.stage.writes();
    for (const storage::Tag tag : {storage::Tag::kBlock, storage::Tag::kBlockIndex, storage::Tag::kBlockState,
                                   storage::Tag::kReturned, storage::Tag::kDead}) {
        auto [begin, end] = storage::queue_range(shared_.ns, tag, id_);
        writes.remove_range(std::move(begin), std::move(end));
    }
    writes.remove(storage::head_key(shared_.ns, id_));
    writes.remove(storage::queue_key(shared_.ns, id_));
    return messages_ - dying_.size();  // those are as good as dead
}

namespace {

// A peek on its way: what was found, and the blocks still to be read for it.
struct Peek {
    struct Wanted {
        PeekItem item;
        Sequence block;
        std::uint32_t index = 0;
        SharedPayload payload;
    };
    std::vector<Wanted> wanted;
    Sequence next;

    PeekResult finish(std::size_t max_bytes) {
        PeekResult result;
        result.next = next;
        std::size_t bytes = 0;
        for (Wanted& want : wanted) {
            if (!want.payload || want.index >= want.payload->ends.size()) continue;  // gone in the meantime, or damaged
            const std::string_view body = message_body(*want.payload, want.index);
            bytes += body.size();
            if (bytes > max_bytes && !result.items.empty()) {
                result.next = want.item.sequence;
                break;
            }
            want.item.message = body;
            result.items.push_back(std::move(want.item));
        }
        return result;
    }
};

}  // namespace

void Queue::peek(Sequence from, std::uint32_t limit, std::size_t max_bytes, PeekDone done) {
    auto peek = std::make_shared<Peek>();
    Sequence first_missing;
    Sequence last_missing;
    blocks_.each_from(from, [&](const Block& block) {
        if (block.gone() || !visible(block)) return true;
        bool used = false;
        for (std::uint32_t i = 0; i < block.count; ++i) {
            const Sequence sequence(block.first.value + i);
            if (sequence < from || (block.state && block.state->done.test(i)) || dying_.contains(sequence)) continue;
            if (peek->wanted.size() == limit) {
                peek->next = sequence;
                break;
            }
            used = true;
            Peek::Wanted want;
            want.block = block.first;
            want.index = i;
            want.payload = block.payload;
            want.item.sequence = sequence;
            want.item.commit_time_ms = block.commit_time_ms;
            if (const auto it = returned_.find(sequence); it != returned_.end()) {
                want.item.attempts = it->second.attempts;
                want.item.last_error = it->second.last_error;
                if (!ready_.contains(sequence)) {
                    want.item.state = PeekState::kWaiting;
                    want.item.visible_at_ms = it->second.visible_at_ms;
                }
            } else if (block.state && block.state->held.test(i)) {
                want.item.state = PeekState::kStarted;
                for (const Run& run : block.state->runs) {
                    if (i < run.first || i >= run.end()) continue;
                    want.item.attempts = run.attempts;
                    want.item.consumer = run.consumer->name;
                    want.item.visible_at_ms = to_unix_ms(run.lease_end);
                }
            }
            peek->wanted.push_back(std::move(want));
        }
        if (used && !block.payload) {
            if (first_missing.value == 0) first_missing = block.first;
            last_missing = block.first;
        }
        return peek->next.value == 0;
    });
    if (first_missing.value == 0) {
        done(peek->finish(max_bytes));
        return;
    }
    ReadRequest request;
    request.ns = shared_.ns;
    request.queue = id_;
    request.first = first_missing;
    request.last = last_missing;
    request.max_bytes = max_bytes + kBlockTargetBytes;
    shared_.reader.read(request, [peek, max_bytes, done = std::move(done)](std::vector<ReadBlock> blocks) {
        for (const ReadBlock& block : blocks) {
            for (Peek::Wanted& want : peek->wanted) {
                if (want.block == block.first && !want.payload) want.payload = block.payload;
            }
        }
        // What was not read this time is left to the next page.
        for (const Peek::Wanted& want : peek->wanted) {
            if (want.payload || (!blocks.empty() && want.block <= blocks.back().first)) continue;
            if (peek->next.value == 0 || want.item.sequence < peek->next) peek->next = want.item.sequence;
        }
        done(peek->finish(max_bytes));
    });
}

}  // namespace rockdove::core

// What an operator asks of a queue.
#include <algorithm>
#include <map>

#include "server/core/queue.h"
#include "storage/keys.h"

namespace rockdove::core {

void Queue::update(const QueueSettings& settings, TimePoint now) {
    forget_ids(now);  // what has counted no more does not come back
    record_.settings = settings;
    warned_not_moved_ = false;
    shared_.stage.writes().put(storage::queue_key(shared_.ns, id_), record_.encode());
    evict_dead();
    hold_key(settings.key_on_retry == KeyOnRetry::kHold);
    touch();
}

// Dedup ids that do not count.
void Queue::forget_ids(TimePoint now) {
    if (record_.settings.dedup_mode == DedupMode::kUntilDone) {
        dedup_.sweep_all([this](Sequence first) { return first >= next_ || is_alive(first); });
        return;
    }
    for (std::size_t before = dedup_.size() + 1; dedup_.size() != before;) {
        before = dedup_.size();
        dedup_.forget_until(to_unix_ms(now - record_.settings.dedup_window));
    }
}

void Queue::set_paused(bool paused) {
    record_.paused = paused;
    if (paused) recall_all();
    shared_.stage.writes().put(storage::queue_key(shared_.ns, id_), record_.encode());
    touch();
}

std::uint64_t Queue::purge() {
    close_open_blocks();
    std::uint64_t removed = 0;
    for (const auto& lane : lanes_) {
        if (!lane) continue;
        for (std::size_t at = 0; at < lane->blocks.size(); ++at) {
            if (!lane->blocks[at].gone()) removed += purge_block(lane->blocks[at]);
        }
        removed += purge_far(*lane);
    }
    schedule_.clear();
    unborn_.clear();
    return removed;
}

std::uint32_t Queue::purge_block(Block& block) {
    BlockState& state = block.touch();
    std::uint32_t gone = 0;
    for (std::uint32_t i = 0; i < block.count; ++i) {
        if (state.done.test(i)) continue;
        if (!take_out(block, i)) continue;
        if (const Sequence sequence = block.sequence(i); returned_.contains(sequence)) forget_returned(sequence);
        state.held.reset(i);
        state.done.set(i);
        ++gone;
    }
    if (gone != 0) account_done(block, gone);
    return gone;
}

// Nothing of these was started: they go as a range.
std::uint64_t Queue::purge_far(Lane& lane) {
    const BlockList::Dropped dropped = lane.blocks.drop_far();
    if (dropped.messages == 0) return 0;
    storage::WriteSet& writes = shared_.stage.writes();
    const auto remove = [&](auto key) {
        writes.remove_range(key(shared_.ns, id_, dropped.first, lane.id), key(shared_.ns, id_, dropped.end, lane.id));
    };
    remove(storage::block_key);
    remove(storage::block_index_key);
    storage::HeadRecord head;  // the last block may be gone: nothing else tells the next sequence
    head.next = next_;
    writes.put(storage::head_key(shared_.ns, id_), head.encode());
    forget_origins(dropped.first, dropped.end);
    messages_ -= dropped.messages;
    bytes_ -= dropped.bytes;
    lane.unsorted -= dropped.keyed;
    recount_sources(lane);
    touch();
    return dropped.messages;
}

std::uint64_t Queue::erase_records() {
    for (const auto& lane : lanes_) {
        if (lane) lane->open = false;  // nothing of it is to be written any more
    }
    dirty_.clear();
    let_go_of_topics();
    storage::WriteSet& writes = shared_.stage.writes();
    for (const storage::Tag tag :
         {storage::Tag::kBlock, storage::Tag::kBlockIndex, storage::Tag::kBlockState, storage::Tag::kReturned,
          storage::Tag::kDead, storage::Tag::kKey, storage::Tag::kOrigin, storage::Tag::kDedup}) {
        auto [begin, end] = storage::queue_range(shared_.ns, tag, id_);
        writes.remove_range(std::move(begin), std::move(end));
    }
    writes.remove(storage::head_key(shared_.ns, id_));
    writes.remove(storage::queue_key(shared_.ns, id_));
    return messages_ - dying_.size();  // those are as good as dead
}

namespace {

std::string_view state_name(PeekState state) {
    switch (state) {
        case PeekState::kScheduled:
            return "scheduled";
        case PeekState::kReady:
            return "ready";
        case PeekState::kBuffered:
            return "buffered";
        case PeekState::kStarted:
            return "started";
        case PeekState::kWaiting:
            return "waiting";
        case PeekState::kDead:
            return "dead";
    }
    return {};
}

bool matches(const MessagePredicate& filter, const PeekItem& item, std::string_view encoded) {
    return !filter || filter(encoded, facts_of(item));
}

// A peek on its way: what was found, and the blocks still to be read for it.
struct Peek {
    struct Wanted {
        PeekItem item;
        ReadRequest at;  // of its block
        std::uint32_t index = 0;
        SharedPayload payload;
    };
    std::uint32_t limit = 0;
    MessagePredicate filter;
    std::vector<Wanted> wanted;
    Sequence next;
    std::size_t reads = 0;

    void leave_to_next_page(Sequence sequence) {
        if (next.value == 0 || sequence < next) next = sequence;
    }
    void on_read(const ReadRequest& request, const std::vector<ReadBlock>& blocks) {
        const auto is_of = [&](const Wanted& want) {
            return want.at.queue == request.queue && want.at.lane == request.lane && !want.payload;
        };
        for (const ReadBlock& block : blocks) {
            for (Wanted& want : wanted) {
                if (is_of(want) && want.at.first == block.first) want.payload = block.payload;
            }
        }
        // What was not read this time is left to the next page.
        for (const Wanted& want : wanted) {
            if (!is_of(want) || (!blocks.empty() && want.at.first <= blocks.back().first)) continue;
            leave_to_next_page(want.item.sequence);
        }
    }
    PeekResult finish(std::size_t max_bytes) {
        PeekResult result;
        result.next = next;
        std::size_t bytes = 0;
        std::size_t scanned = 0;
        for (Wanted& want : wanted) {
            if (next.value != 0 && want.item.sequence >= next) break;
            if (result.items.size() == limit || (filter && scanned > kPeekScanBytes)) {
                result.next = want.item.sequence;
                break;
            }
            if (!want.payload || want.index >= want.payload->ends.size()) continue;  // gone in the meantime, or damaged
            const std::string_view body = message_body(*want.payload, want.index);
            scanned += body.size();
            if (!matches(filter, want.item, body)) continue;
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

MessageFacts facts_of(const PeekItem& item) {
    MessageFacts facts;
    facts.state = state_name(item.state);
    facts.reason = item.last_error;
    facts.consumer = item.consumer;
    facts.attempts = item.attempts;
    facts.sequence = static_cast<std::int64_t>(item.sequence.value);
    facts.commit_time_ms = item.commit_time_ms;
    if (item.visible_at_ms != 0) facts.visible_at_ms = item.visible_at_ms;
    return facts;
}

// State of a message that is not done.
PeekItem Queue::describe(const Block& block, std::uint32_t index) const {
    PeekItem item;
    item.sequence = block.sequence(index);
    const base::MessageId id = id_of(block, index);
    item.commit_time_ms = id.commit_time_ms;
    item.id_queue = id.queue;
    item.id_sequence = id.sequence;
    const auto buffered = buffered_.find(item.sequence);
    if (buffered != buffered_.end()) {
        item.state = PeekState::kBuffered;
        item.consumer = buffered->second.consumer->name;
    }
    if (const auto it = returned_.find(item.sequence); it != returned_.end()) {
        item.attempts = it->second.attempts;
        item.last_error = it->second.last_error;
        if (waiting_.contains({from_unix_ms(it->second.visible_at_ms), item.sequence})) {
            item.state = PeekState::kWaiting;
            item.visible_at_ms = it->second.visible_at_ms;
        }
    } else if (buffered == buffered_.end() && block.state && block.state->held.test(index)) {
        for (const Run& run : block.state->runs) {
            if (index < run.first || index >= run.end()) continue;
            item.state = PeekState::kStarted;
            item.attempts = run.attempts;
            item.consumer = run.consumer->name;
            item.visible_at_ms = to_unix_ms(run.lease_end);
        }
    } else if (buffered == buffered_.end() && block.due_ms) {
        item.state = PeekState::kScheduled;
        item.visible_at_ms = (*block.due_ms)[index];
    }
    return item;
}

void Queue::peek(Sequence from, std::uint32_t limit, std::size_t max_bytes, PeekDone done, MessagePredicate filter) {
    auto peek = std::make_shared<Peek>();
    peek->limit = limit;
    // Whether a message is wanted shows when its body is there: with a filter more of them are looked at.
    const std::uint32_t scan = filter ? std::max(limit, kPeekScanMessages) : limit;
    const std::size_t read_bytes = filter ? std::max(max_bytes, kPeekScanBytes) : max_bytes;
    peek->filter = std::move(filter);
    for (const auto& lane : lanes_) {
        if (!lane) continue;
        std::uint32_t found = 0;
        lane->blocks.each_from(from, [&](const Block& block) {
            if (block.gone() || !visible(block)) return true;
            for (std::uint32_t i = block.index_from(from); i < block.count; ++i) {
                if (block.state && block.state->done.test(i)) continue;
                if (block.is_leaving(i) || dying_.contains(block.sequence(i))) continue;
                Peek::Wanted want;
                want.at = read_request(block);
                want.index = i;
                want.payload = block.payload;
                want.item = describe(block, i);
                peek->wanted.push_back(std::move(want));
                if (++found > scan) return false;  // one more than is shown: it begins the next page
            }
            return true;
        });
    }
    std::vector<Peek::Wanted>& wanted = peek->wanted;
    std::sort(wanted.begin(), wanted.end(),
              [](const auto& a, const auto& b) { return a.item.sequence < b.item.sequence; });
    if (wanted.size() > scan) {
        peek->next = wanted[scan].item.sequence;
        wanted.resize(scan);
    }
    // One read for each lane that lacks bodies; together they bring not much more than was asked for. A subscription's lie
    // in its topic.
    std::map<std::pair<QueueId, storage::LaneId>, ReadRequest> missing;
    for (const Peek::Wanted& want : wanted) {
        if (want.payload) continue;
        const auto [found, fresh] = missing.try_emplace({want.at.queue, want.at.lane}, want.at);
        ReadRequest& request = found->second;
        if (fresh) request.last = request.first;
        request.first = std::min(request.first, want.at.first);
        request.last = std::max(request.last, want.at.first);
    }
    if (missing.empty()) {
        done(peek->finish(max_bytes));
        return;
    }
    peek->reads = missing.size();
    const auto shared_done = std::make_shared<PeekDone>(std::move(done));
    for (auto& [from, request] : missing) {
        request.max_bytes = read_bytes / missing.size() + kBlockTargetBytes;
        shared_.reader.read(request,
                            [peek, max_bytes, shared_done, request = request](const std::vector<ReadBlock>& read) {
                                peek->on_read(request, read);
                                if (--peek->reads == 0) (*shared_done)(peek->finish(max_bytes));
                            });
    }
}

}  // namespace rockdove::core

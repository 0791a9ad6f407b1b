// Ordering keys (SEMANTICS E-1, E-2, E-4, L-3), and what becomes of a message that is due: which are ready to be chosen
// one by one, outside the cursor's path.
//
// A block with keyed messages is sorted when the cursor comes to it: all of those go into the KeyTable, which tells the
// first of each key. What has no key in it stays with the cursor.
#include <algorithm>

#include "server/core/queue_runs.h"
#include "storage/keys.h"

namespace rockdove::core {

namespace {

KeyMember member(const Position& position, const Block& block) {
    return {position, static_cast<storage::LaneId>(block.lane % storage::kPriorities)};
}

}  // namespace

void Queue::apply(const KeyTable::Change& change) {
    if (change.no_longer_ready) lane(change.no_longer_ready->priority).ready.erase(change.no_longer_ready->position);
    if (!change.ready) return;
    lane(change.ready->priority).ready.insert(change.ready->position);
    more_ready_ = true;
    if (change.ready->priority > choosing_) urgent_again_ = true;
    touch();
}

bool Queue::is_started(const Block& block, std::uint32_t index) {
    if (!block.state) return false;
    const std::vector<Run>& runs = block.state->runs;
    const std::size_t at = first_run(runs, index);
    return at < runs.size() && runs[at].first <= index;
}

// It is due and held: its turn comes by its position, and after those before it with the same key.
void Queue::join(Block& block, std::uint32_t index, std::uint64_t key) {
    if (key == 0) {
        ready_beside(block).insert(position(block, index));
    } else {
        apply(keys_.arrive(key, member(position(block, index), block)));
    }
}

// Takes a message that is not done out of where it waits: scheduled, ready, in a consumer's buffer, behind its key, or for
// its next try. What is
// known of its earlier tries stays in returned_. False, and nothing happens, if it is started or as good as dead.
bool Queue::take_out(Block& block, std::uint32_t index) {
    const Sequence sequence = block.sequence(index);
    if (block.is_leaving(index) || dying_.contains(sequence)) return false;
    if (recall(block, index)) return true;
    if (!block.state || !block.state->held.test(index)) {
        if (lane_of(block).scheduled()) --scheduled_;
        return true;
    }
    std::uint64_t key = block.key(index);
    if (const auto returned = returned_.find(sequence); returned != returned_.end()) {
        key = returned->second.key;
        if (waiting_.erase({from_unix_ms(returned->second.visible_at_ms), sequence}) != 0) {
            if (key != 0) apply(keys_.end_wait(key));
            return true;
        }
    } else if (block.damaged || is_started(block, index)) {
        return false;
    }
    if (key == 0) {
        ready_beside(block).erase(position(block, index));
    } else {
        apply(keys_.depart(key, member(position(block, index), block)));
    }
    return true;
}

void Queue::remember_keys(Block& block) {
    if (block.keys || block.payload->keys.empty()) return;
    block.keys = std::make_unique<std::vector<std::uint64_t>>(block.payload->keys);
}

// Its payload must be there.
void Queue::sort_block(Block& block) {
    block.sorted = true;
    --lane_of(block).unsorted;
    remember_keys(block);
    if (!block.keys) return;
    BlockState& state = block.touch();
    for (std::uint32_t i = 0; i < block.count; ++i) {
        if (block.key(i) == 0 || state.done.test(i) || state.held.test(i)) continue;
        state.held.set(i);
        join(block, i, block.key(i));
    }
}

bool Queue::unsorted_beside(const Lane& lane) const {
    return std::any_of(lanes_.begin(), lanes_.begin() + storage::kPriorities,
                       [&](const auto& other) { return other && other.get() != &lane && other->unsorted != 0; });
}

// Priority does not count within a key (E-4): before a keyed message is chosen, those of other priorities that stand
// before it must be known. False if something is still to be read.
bool Queue::sort_beside(const Lane& lane, const Position& before) {
    for (const auto& other : lanes_) {
        if (!other || other.get() == &lane || other->unsorted == 0) continue;
        BlockList& blocks = other->blocks;
        for (std::size_t index = blocks.index_of(other->sorted_to); other->unsorted != 0 && blocks.reach(index);
             ++index) {
            Block& block = blocks[index];
            if (!visible(block) || before < position(block, 0)) break;
            if (block.keyed && !block.sorted && !block.gone()) {
                if (!block.payload) {
                    read_block(block);
                    return false;
                }
                sort_block(block);
                if (ahead_bytes_ > window_limit()) leave(block);
            }
            other->sorted_to = Sequence(block.end());
        }
    }
    return true;
}

// A started message is not started any more; what else has happened to it was told before.
void Queue::stop_key(const Block& block, std::uint32_t index) {
    if (const std::uint64_t key = block.key(index); key != 0) apply(keys_.stop(key));
}

void Queue::hold_key(bool hold) {
    keys_.set_hold(hold);
    std::vector<std::uint64_t> keys;
    keys_.for_each_key([&](std::uint64_t key) { keys.push_back(key); });
    for (const std::uint64_t key : keys) apply(keys_.refresh(key));
}

// --- paused keys ------------------------------------------------------------------------------------------------

void Queue::pause_key(const Block& block, std::uint32_t index, std::uint64_t key, TimePoint now) {
    if (paused_keys_.size() >= kMaxPausedKeys && !paused_keys_.contains(key)) {
        shared_.warn("queue \"" + record_.name + "\" has " + std::to_string(paused_keys_.size()) +
                     " paused keys, its limit: a key with a dead message goes on");
        return;
    }
    storage::PausedKeyRecord record;
    record.since_ms = to_unix_ms(now);
    record.sequence = block.sequence(index);
    if (block.payload) record.key = storage::message_key(message_body(*block.payload, index));
    if (durable()) shared_.stage.writes().put(storage::paused_key_key(shared_.ns, id_, key), record.encode());
    paused_keys_.insert_or_assign(key, std::move(record));
    apply(keys_.set_paused(key, true));
}

// The body of a dead message is there now: its key's name is told if it was not yet.
void Queue::name_paused_key(std::string_view message) {
    if (paused_keys_.empty()) return;
    const std::string_view key = storage::message_key(message);
    const auto it = paused_keys_.find(base::key_hash(key));
    if (key.empty() || it == paused_keys_.end() || !it->second.key.empty()) return;
    it->second.key = key;
    if (durable()) shared_.stage.writes().put(storage::paused_key_key(shared_.ns, id_, it->first), it->second.encode());
}

std::uint64_t Queue::resume_keys(std::string_view name) {
    std::uint64_t resumed = 0;
    for (auto it = paused_keys_.begin(); it != paused_keys_.end();) {
        if (!name.empty() && it->first != base::key_hash(name)) {
            ++it;
            continue;
        }
        if (durable()) shared_.stage.writes().remove(storage::paused_key_key(shared_.ns, id_, it->first));
        apply(keys_.set_paused(it->first, false));
        it = paused_keys_.erase(it);
        ++resumed;
    }
    touch();
    return resumed;
}

std::vector<PausedKey> Queue::paused_keys(std::uint32_t limit) const {
    std::vector<PausedKey> keys;
    for (const auto& [hash, record] : paused_keys_) {
        if (keys.size() == limit) break;
        keys.push_back({record.key, record.sequence, record.since_ms, keys_.behind(hash)});
    }
    return keys;
}

void Queue::load_paused_key(std::uint64_t hash, storage::PausedKeyRecord record) {
    paused_keys_.insert_or_assign(hash, std::move(record));
    apply(keys_.set_paused(hash, true));
}

// --- recovery ---------------------------------------------------------------------------------------------------

std::vector<Queue::KeyedBlock> Queue::keyed_in_flight() const {
    std::vector<KeyedBlock> found;
    for (const auto& [end, first] : leases_) {
        for (const auto& lane : lanes_) {
            if (!lane) continue;
            const std::size_t index = lane->blocks.index_of(first);
            if (index == lane->blocks.size()) continue;
            const Block& block = lane->blocks[index];
            if (block.first != first || !block.keyed) continue;
            const ReadRequest at = read_request(block);
            found.push_back({lane->id, first, storage::block_key(at.ns, at.queue, at.first, at.lane)});
        }
    }
    return found;
}

void Queue::load_keys(storage::LaneId id, Sequence first, std::vector<std::uint64_t> keys) {
    BlockList& blocks = lane(id).blocks;
    Block& block = blocks[blocks.index_of(first)];
    if (!block.keys && keys.size() == block.count) {
        block.keys = std::make_unique<std::vector<std::uint64_t>>(std::move(keys));
    }
    for (const Run& run : block.state->runs) {
        for (std::uint32_t i = run.first; i < run.end(); ++i) {
            if (block.key(i) != 0 && !block.state->done.test(i)) keys_.load_started(block.key(i));
        }
    }
}

}  // namespace rockdove::core

// Dead letters: how a message becomes one, and what an operator can do with them (SEMANTICS section 9).
#include <algorithm>

#include "server/core/queue.h"
#include "storage/keys.h"

namespace rockdove::core {

void Queue::load_dead(Sequence sequence) { dead_.insert(sequence); }

// --- death ------------------------------------------------------------------------------------------------------

// The message is held and its body in memory. It leaves its place and becomes a dead letter, here or in another queue,
// in one commit.
void Queue::bury(Block& block, std::uint32_t index, const storage::ReturnedRecord& record, TimePoint now) {
    store_dead(block, index, record, now);
    drop(block, index);
    evict_dead();
}

void Queue::store_dead(const Block& block, std::uint32_t index, const storage::ReturnedRecord& record, TimePoint now) {
    const Sequence sequence = block.sequence(index);
    const auto moved = origins_.find(sequence);
    storage::OriginRecord origin;
    if (moved != origins_.end()) {
        origin = moved->second;
    } else {
        const base::MessageId id = id_of(block, index);
        origin.queue = id.queue;
        origin.commit_time_ms = id.commit_time_ms;
        origin.sequence = id.sequence;
        if (block.due_ms) origin.due_ms = (*block.due_ms)[index];
    }
    storage::Death death;
    death.time_ms = record.visible_at_ms;
    death.reason = record.dying;
    death.attempt = record.attempts;
    death.duration_ms = record.duration_ms;
    death.consumer = record.last_consumer;
    death.error = record.last_error;
    if (origin.deaths.size() == kMaxDeaths) origin.deaths.erase(origin.deaths.begin());
    origin.deaths.push_back(std::move(death));

    const SharedPayload payload = block.payload;  // appending elsewhere may drop it from the block
    const std::string_view message = message_body(*payload, index);
    name_paused_key(message);
    if (pass_on(message, origin, now)) return;
    storage::DeadRecord dead;
    dead.commit_time_ms = origin.commit_time_ms;
    dead.attempts = record.attempts;
    dead.lease = record.lease;
    dead.redrives = origin.redrives;
    dead.priority = block.lane % storage::kPriorities;
    dead.due_ms = origin.due_ms;
    if (moved != origins_.end() || block.source) {
        dead.origin_queue = origin.queue;
        dead.origin_sequence = origin.sequence;
    }
    dead.deaths = std::move(origin.deaths);
    dead.message = message;
    dead_.insert(sequence);
    if (durable()) {
        shared_.stage.writes().put(storage::dead_key(shared_.ns, id_, sequence), dead.encode());
    } else {
        std::string bytes = dead.encode();
        memory_dead_bytes_ += bytes.size();
        memory_dead_.emplace(sequence, std::move(bytes));
    }
}

// To the queue that is to have the dead letters of this one. False: they stay here.
bool Queue::pass_on(std::string_view message, const storage::OriginRecord& origin, TimePoint now) {
    const std::string& name = record_.settings.dead_letter_to;
    if (name.empty()) return false;
    Queue* to = shared_.find_name(name);
    const char* why = to == nullptr ? "there is no such queue" : to == this ? "that is the queue itself" : nullptr;
    if (why == nullptr) {
        base::MessageTraits traits = shared_.format.traits(message);
        traits.delay_ms = traits.not_before_ms = 0;
        // Its time to live was that of the work, which has ended here; the other queue's own holds (T-3).
        traits.ttl_ms = traits.expires_at_ms = traits.deadline_ms = 0;
        if (to->take_in(message, traits, false, origin, now)) return true;
        why = "it is full";
    }
    ++not_moved_;
    if (!warned_not_moved_) {
        warned_not_moved_ = true;
        shared_.warn("dead letters stay where they are: queue=\"" + record_.name + "\" dead_letter_to=\"" + name +
                     "\": " + why);
    }
    return false;
}

void Queue::remove_dead(Sequence sequence) {
    if (dead_.erase(sequence) == 0) return;
    if (durable()) {
        shared_.stage.writes().remove(storage::dead_key(shared_.ns, id_, sequence));
    } else if (const auto it = memory_dead_.find(sequence); it != memory_dead_.end()) {
        memory_dead_bytes_ -= it->second.size();
        memory_dead_.erase(it);
    }
}

void Queue::evict_oldest_dead() {
    remove_dead(*dead_.begin());
    ++dead_evicted_;
}

void Queue::evict_dead() {
    while (dead_.size() > record_.settings.dead_max || memory_dead_bytes_ > kMemoryDeadBytes) evict_oldest_dead();
}

// --- administration ---------------------------------------------------------------------------------------------

namespace {

// The dead letters of a memory queue.
DeadPage read_memory(const std::map<Sequence, std::string>& letters, const DeadReadRequest& request) {
    DeadPage page;
    std::size_t bytes = 0;
    for (auto it = letters.lower_bound(request.first); it != letters.end() && it->first < request.end; ++it) {
        bytes += it->second.size();
        if (page.letters.size() >= request.limit || (bytes > request.max_bytes && !page.letters.empty())) {
            page.next = it->first;
            break;
        }
        Result<storage::DeadRecord> record = storage::DeadRecord::decode(it->second);
        RD_CHECK(record.has_value());
        if (!request.bodies) record->message = std::string();
        page.letters.push_back(DeadLetter{it->first, false, *std::move(record)});
    }
    return page;
}

}  // namespace

void Queue::read_dead(DeadReadRequest request, DeadDone done) {
    request.ns = shared_.ns;
    request.queue = id_;
    if (!durable()) return done(read_memory(memory_dead_, request));
    shared_.reader.read_dead(request, [shared = &shared_, id = id_, done = std::move(done)](DeadPage page) {
        const Queue* queue = shared->find(id);
        // Gone since they were read: deleted, evicted or redriven.
        std::erase_if(page.letters, [queue](const DeadLetter& letter) {
            return queue == nullptr || !queue->has_dead(letter.sequence);
        });
        done(std::move(page));
    });
}

std::uint64_t Queue::delete_dead(const std::vector<Sequence>& sequences) {
    const std::uint64_t before = dead_.size();
    for (const Sequence sequence : sequences) remove_dead(sequence);
    return before - dead_.size();
}

std::uint64_t Queue::purge_dead() {
    const std::uint64_t count = dead_.size();
    dead_.clear();
    memory_dead_.clear();
    memory_dead_bytes_ = 0;
    if (durable() && count != 0) {
        auto [begin, end] = storage::queue_range(shared_.ns, storage::Tag::kDead, id_);
        shared_.stage.writes().remove_range(std::move(begin), std::move(end));
    }
    return count;
}

namespace {

// What a redriven message still asks for.
base::MessageTraits ask_again(base::MessageTraits traits, std::int64_t now_ms) {
    traits.delay_ms = traits.not_before_ms = 0;
    // A time to live begins anew (T-3); a point in time that has passed means nothing any more.
    if (traits.expires_at_ms <= now_ms) traits.expires_at_ms = 0;
    if (traits.deadline_ms <= now_ms) traits.deadline_ms = 0;
    return traits;
}

}  // namespace

bool Queue::redrive(const DeadLetter& letter, Queue& to, storage::RedrivePlace place, TimePoint now) {
    const storage::DeadRecord& dead = letter.record;
    const bool moved = dead.origin_sequence.value != 0;
    storage::OriginRecord origin;
    origin.queue = moved ? dead.origin_queue : id_;
    origin.commit_time_ms = dead.commit_time_ms;
    origin.sequence = moved ? dead.origin_sequence : letter.sequence;
    origin.due_ms = dead.due_ms;
    origin.redrives = dead.redrives + 1;
    origin.deaths = dead.deaths;
    base::MessageTraits traits = ask_again(shared_.format.traits(dead.message), to_unix_ms(now));
    const bool in_place =
        place == storage::RedrivePlace::kOriginal || (place == storage::RedrivePlace::kByKey && traits.key != 0);
    // Among the messages of one millisecond only the sequence tells the place, and it gets a new one: so it stands right
    // before them. Nothing of its key that stood before it can be among them, unless it was redriven as well.
    if (in_place) traits.not_before_ms = (dead.due_ms != 0 ? dead.due_ms : dead.commit_time_ms) - 1;
    if (!to.take_in(dead.message, traits, in_place, std::move(origin), now)) return false;
    remove_dead(letter.sequence);
    ++redriven_;
    ++shared_.counters.redriven;
    return true;
}

}  // namespace rockdove::core

#include "server/core/producers.h"

#include <algorithm>

#include "storage/keys.h"

namespace rockdove::core {

const storage::AnswerRange* Producer::find(std::uint64_t sequence, std::uint64_t* next) const {
    *next = UINT64_MAX;
    if (answers.empty() || sequence >= answers.back().range.first + answers.back().range.count) return nullptr;
    const auto it = std::upper_bound(
        answers.begin(), answers.end(), sequence,
        [](std::uint64_t s, const Answer& answer) { return s < answer.range.first + answer.range.count; });
    if (it->range.first <= sequence) return &it->range;
    *next = it->range.first;
    return nullptr;
}

// Higher than that of every earlier life, also of producers that are forgotten and of lives that never reached the disk:
// the shard's epoch, which grows with each start, is in the upper half.
std::uint64_t Producers::new_life(std::uint64_t last) {
    last_life_ = std::max({last, last_life_, shared_.stage.epoch() << 32}) + 1;
    return last_life_;
}

Result<std::shared_ptr<Producer>> Producers::open(std::string_view id, std::uint64_t epoch, SessionId session,
                                                  TimePoint now, bool* persist) {
    *persist = false;
    const auto it = producers_.find(id);
    if (it == producers_.end()) {
        if (producers_.size() >= kMaxProducers) forget_blank();
        if (producers_.size() >= kMaxProducers) {
            return Error(ErrorCode::kStoreBusy, "this namespace remembers " + std::to_string(kMaxProducers) +
                                                    " producers, its limit; close clients properly, or wait until idle "
                                                    "ones are forgotten");
        }
        auto producer = std::make_shared<Producer>();
        producer->id = id;
        producer->epoch = epoch == 0 ? new_life(0) : epoch;
        producer->last_used = now;
        producer->session = session;
        producers_.emplace(std::string(id), producer);
        return producer;
    }
    Producer& producer = *it->second;
    if (epoch != 0 && epoch < producer.epoch) {
        return Error(ErrorCode::kFenced, "a newer client uses producer id \"" + std::string(id) +
                                             "\"; give each running client an id of its own");
    }
    if (epoch != producer.epoch) {
        producer.epoch = epoch == 0 ? new_life(producer.epoch) : epoch;
        producer.answers.clear();
        producer.floor = 1;
        mark_dirty(producer);
        *persist = true;
    }
    producer.session = session;
    producer.last_used = now;
    return it->second;
}

// Producers that are gone and have nothing to be remembered for: they never published, or all is forgotten.
void Producers::forget_blank() {
    std::erase_if(producers_, [](const auto& entry) {
        const Producer& producer = *entry.second;
        return producer.session == SessionId(0) && !producer.stored && !producer.dirty && producer.answers.empty();
    });
}

void Producers::close(Producer& producer, SessionId session, bool clean, TimePoint now) {
    if (producer.session != session) return;  // a later connection has taken it over
    producer.session = SessionId(0);
    producer.last_used = now;
    if (clean) remove(producer);
}

void Producers::remove(Producer& producer) {
    if (producer.stored) shared_.stage.writes().remove(storage::producer_key(shared_.ns, producer.id));
    producer.stored = false;
    producers_.erase(producers_.find(producer.id));
}

void Producers::forget(Producer& producer, std::uint64_t oldest_unconfirmed) {
    producer.floor = std::max(producer.floor, oldest_unconfirmed);
    while (!producer.answers.empty() &&
           producer.answers.front().range.first + producer.answers.front().range.count <= producer.floor) {
        producer.answers.pop_front();
    }
}

Result<void> Producers::check_room(const Producer& producer) const {
    if (producer.answers.size() < kMaxAnswerRanges) return {};
    return Error(ErrorCode::kStoreBusy,
                 "too many publishes without a sign that their confirms arrived; send "
                 "oldest_unconfirmed");
}

void Producers::remember(Producer& producer, const storage::AnswerRange& range, bool durable, TimePoint now) {
    producer.last_used = now;
    if (!producer.answers.empty()) {
        Producer::Answer& last = producer.answers.back();
        if (last.durable == durable && last.range.queue == range.queue &&
            last.range.first + last.range.count == range.first &&
            last.range.sequence.value + last.range.count == range.sequence.value &&
            last.range.commit_time_ms == range.commit_time_ms &&
            last.range.count + std::uint64_t{range.count} <= UINT32_MAX) {
            last.range.count += range.count;
            if (durable) mark_dirty(producer);
            return;
        }
    }
    // Usually at the end; in front of others only when a refused message is sent again.
    auto at = producer.answers.end();
    while (at != producer.answers.begin() && (at - 1)->range.first > range.first) --at;
    Producer::Answer answer;
    answer.range = range;
    answer.durable = durable;
    producer.answers.insert(at, answer);
    if (durable) mark_dirty(producer);
}

void Producers::mark_dirty(Producer& producer) {
    if (producer.dirty) return;
    producer.dirty = true;
    dirty_.push_back(producer.shared_from_this());
}

void Producers::seal() {
    for (const std::shared_ptr<Producer>& producer : dirty_) {
        producer->dirty = false;
        const auto known = producers_.find(producer->id);
        if (known == producers_.end() || known->second != producer) continue;  // forgotten in the meantime
        storage::ProducerRecord record;
        record.epoch = producer->epoch;
        record.floor = producer->floor;
        record.last_used_ms = to_unix_ms(producer->last_used);
        record.answers.reserve(producer->answers.size());
        for (const Producer::Answer& answer : producer->answers) {
            if (answer.durable) record.answers.push_back(answer.range);
        }
        shared_.stage.writes().put(storage::producer_key(shared_.ns, producer->id), record.encode());
        producer->stored = true;
    }
    dirty_.clear();
}

void Producers::expire(TimePoint now) {
    std::vector<Producer*> idle;
    for (const auto& [id, producer] : producers_) {
        if (producer->session.value == 0 && producer->last_used + Millis(kProducerIdleMs) <= now) {
            idle.push_back(producer.get());
        }
    }
    for (Producer* producer : idle) remove(*producer);
}

void Producers::load(std::string_view id, const storage::ProducerRecord& record) {
    auto producer = std::make_shared<Producer>();
    producer->id = id;
    producer->epoch = record.epoch;
    producer->floor = record.floor;
    producer->last_used = from_unix_ms(record.last_used_ms);
    producer->stored = true;
    for (const storage::AnswerRange& range : record.answers) {
        Producer::Answer answer;
        answer.range = range;
        producer->answers.push_back(answer);
    }
    producers_.emplace(producer->id, std::move(producer));
}

}  // namespace rockdove::core

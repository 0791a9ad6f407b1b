// Rebuilds a namespace from its records: one pass over each kind, small records only.
#include "server/core/namespace.h"
#include "storage/keys.h"

namespace rockdove::core {

namespace {

using storage::KeyView;
using storage::RecordView;
using storage::Tag;

// Visits all records of a kind; the first error ends the walk.
template <class Visit>
Result<void> each(storage::MessageStore& store, NamespaceId ns, Tag tag, Visit&& visit) {
    std::optional<Error> failure;
    const auto [begin, end] = storage::tag_range(ns, tag);
    Result<void> scanned = store.scan(begin, end, [&](const RecordView& record) {
        Result<KeyView> key = storage::parse_key(record.key);
        Result<void> ok = key ? Result<void>() : Result<void>(key.error());
        if (ok && record.damaged) {
            ok = Error(ErrorCode::kInternal, std::string("a record of kind '") + static_cast<char>(tag) +
                                                 "' fails its checksum (queue " + std::to_string(key->queue.value) +
                                                 ", sequence " + std::to_string(key->sequence.value) + ")");
        }
        if (ok) ok = visit(*key, record.payload);
        if (!ok) failure = ok.error();
        return ok.has_value();
    });
    if (failure) return *failure;
    return scanned;
}

}  // namespace

// The logs and the subscriptions, whose queues are known already.
Result<void> Namespace::load_topics(storage::MessageStore& store) {
    Result<void> ok =
        each(store, shared_.ns, Tag::kTopic, [&](const KeyView& key, std::string_view bytes) -> Result<void> {
            Result<storage::TopicRecord> record = storage::TopicRecord::decode(bytes);
            if (!record) return record.error();
            Queue* log = shared_.find(key.queue);
            if (log == nullptr) {
                return Error(ErrorCode::kInternal, "topic " + std::to_string(key.queue.value) + " has no log");
            }
            by_name_.erase(log->name());
            add_topic(*log, record->settings);
            return {};
        });
    if (!ok) return ok;
    return each(store, shared_.ns, Tag::kSubscription, [&](const KeyView& key, std::string_view bytes) -> Result<void> {
        Result<storage::SubscriptionRecord> record = storage::SubscriptionRecord::decode(bytes);
        if (!record) return record.error();
        return load_subscription(key.queue, *std::move(record));
    });
}

// What the topics' messages are held by, now that all blocks are known.
void Namespace::load_holders() {
    for (const auto& [id, queue] : queues_) {
        for (const Holding& holding : queue->holdings()) {
            const Queue* log = shared_.find(holding.log);
            if (log == nullptr || log->topic() == nullptr) continue;
            for (storage::LaneId lane = 0; lane <= storage::kMaxLane; ++lane) log->topic()->hold(*queue, lane);
        }
    }
    for (const auto& [name, topic] : topics_) topic->loaded();
}

Result<void> Namespace::recover(storage::MessageStore& store, const storage::NamespaceRecord& stored) {
    next_queue_ = std::max(next_queue_, stored.next_queue);

    Result<void> ok =
        each(store, shared_.ns, Tag::kQueue, [&](const KeyView& key, std::string_view bytes) -> Result<void> {
            Result<storage::QueueRecord> record = storage::QueueRecord::decode(bytes);
            if (!record) return record.error();
            next_queue_ = std::max(next_queue_, (key.queue.value & 0xFFFFFF) + 1);
            add_queue(key.queue, *std::move(record));
            return {};
        });
    if (!ok) return ok;

    ok = load_topics(store);
    if (!ok) return ok;

    // Runs visit(queue, key, payload) over a kind of record that belongs to a queue.
    const auto each_of_queue = [&](Tag tag, auto&& visit) {
        return each(store, shared_.ns, tag, [&](const KeyView& key, std::string_view bytes) -> Result<void> {
            Queue* queue = shared_.find(key.queue);
            if (queue == nullptr) {
                return Error(ErrorCode::kInternal,
                             "records of queue " + std::to_string(key.queue.value) + ", which does not exist");
            }
            return visit(*queue, key, bytes);
        });
    };

    ok = each_of_queue(Tag::kHead, [](Queue& queue, const KeyView&, std::string_view bytes) -> Result<void> {
        Result<storage::HeadRecord> head = storage::HeadRecord::decode(bytes);
        if (!head) return head.error();
        queue.load_head(head->next);
        return {};
    });
    if (!ok) return ok;

    ok = each_of_queue(Tag::kBlockIndex, [](Queue& queue, const KeyView& key, std::string_view bytes) -> Result<void> {
        Result<storage::BlockIndexRecord> index = storage::BlockIndexRecord::decode(bytes);
        if (!index) return index.error();
        if (index->due_ms.empty() != (key.lane < storage::kScheduled)) {
            return Error(ErrorCode::kInternal,
                         "queue \"" + queue.name() + "\": block " + std::to_string(key.sequence.value) + " of lane " +
                             std::to_string(int{key.lane}) + " does not tell when it is due, or should not");
        }
        queue.load_block(key.lane, key.sequence, *index);
        return {};
    });
    if (!ok) return ok;

    ok = each_of_queue(Tag::kBlockState, [](Queue& queue, const KeyView& key, std::string_view bytes) -> Result<void> {
        Result<storage::BlockStateRecord> state = storage::BlockStateRecord::decode(bytes);
        if (!state) return state.error();
        return queue.load_state(key.lane, key.sequence, *state);
    });
    if (!ok) return ok;

    ok = each_of_queue(Tag::kReturned, [](Queue& queue, const KeyView& key, std::string_view bytes) -> Result<void> {
        Result<storage::ReturnedRecord> returned = storage::ReturnedRecord::decode(bytes);
        if (!returned) return returned.error();
        return queue.load_returned(key.sequence, *std::move(returned));
    });
    if (!ok) return ok;

    ok = each_of_queue(Tag::kDead, [](Queue& queue, const KeyView& key, std::string_view) -> Result<void> {
        queue.load_dead(key.sequence);
        return {};
    });
    if (!ok) return ok;

    ok = each_of_queue(Tag::kKey, [](Queue& queue, const KeyView& key, std::string_view bytes) -> Result<void> {
        Result<storage::PausedKeyRecord> paused = storage::PausedKeyRecord::decode(bytes);
        if (!paused) return paused.error();
        queue.load_paused_key(key.sequence.value, *std::move(paused));
        return {};
    });
    if (!ok) return ok;

    ok = each_of_queue(Tag::kOrigin, [](Queue& queue, const KeyView& key, std::string_view bytes) -> Result<void> {
        Result<storage::OriginRecord> origin = storage::OriginRecord::decode(bytes);
        if (!origin) return origin.error();
        queue.load_origin(key.sequence, *std::move(origin));
        return {};
    });
    if (!ok) return ok;

    ok = each_of_queue(Tag::kLastValue, [](Queue& queue, const KeyView& key, std::string_view bytes) -> Result<void> {
        Result<storage::LastValueRecord> last = storage::LastValueRecord::decode(bytes);
        if (!last) return last.error();
        if (queue.topic() == nullptr) return Error(ErrorCode::kInternal, "a last value of a queue that is no topic");
        queue.topic()->load_last_value(key.sequence.value, *std::move(last));
        return {};
    });
    if (!ok) return ok;

    ok = each_of_queue(Tag::kDedup, [](Queue& queue, const KeyView& key, std::string_view bytes) -> Result<void> {
        Result<storage::DedupRecord> ids = storage::DedupRecord::decode(bytes);
        if (!ids) return ids.error();
        queue.load_dedup(key.sequence, *ids);
        return {};
    });
    if (!ok) return ok;

    // Started messages hold their keys; which those are only the messages tell. A block that cannot be read is noticed
    // when it is wanted.
    for (const auto& [id, queue] : queues_) {
        for (const auto& [lane, first, record] : queue->keyed_in_flight()) {
            std::vector<std::uint64_t> keys;
            if (lane < storage::kScheduled) {
                const Result<std::optional<std::string>> block = store.get(record);
                if (block && *block) {
                    if (Result<storage::BlockView> view = storage::read_block(**block)) keys = std::move(view->keys);
                }
            }
            queue->load_keys(lane, first, std::move(keys));
        }
    }
    ok = each(store, shared_.ns, Tag::kTask, [&](const KeyView& key, std::string_view bytes) -> Result<void> {
        Result<storage::TaskRecord> task = storage::TaskRecord::decode(bytes);
        if (!task) return task.error();
        tasks_.load(key.task, *std::move(task));
        return {};
    });
    if (!ok) return ok;

    ok = each(store, shared_.ns, Tag::kProducer, [&](const KeyView& key, std::string_view bytes) -> Result<void> {
        Result<storage::ProducerRecord> producer = storage::ProducerRecord::decode(bytes);
        if (!producer) return producer.error();
        producers_.load(key.name, *producer);
        return {};
    });
    if (!ok) return ok;

    load_holders();
    for (const auto& [id, queue] : queues_) queue->touch();
    return {};
}

}  // namespace rockdove::core

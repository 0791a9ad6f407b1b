#include "tools/inspect/contents.h"

#include <map>

#include "storage/record.h"

namespace rockdove::inspect {
namespace {

using base::NamespaceId;
using base::QueueId;
using base::Result;
using storage::RecordView;
using storage::Tag;

const char* durability_word(base::Durability durability) {
    return durability == base::Durability::kSync ? "sync" : durability == base::Durability::kAsync ? "async" : "memory";
}

// Calls `add` for each sound record of a kind; counts the others.
template <class Add>
Result<void> for_each(const Scan& scan, const std::pair<std::string, std::string>& range, std::uint64_t& damaged,
                      Add add) {
    return scan(range.first, range.second, [&](const RecordView& record) {
        const auto key = storage::parse_key(record.key);
        if (record.damaged || !key || !add(*key, record.payload)) ++damaged;
        return true;
    });
}

Result<void> count_queue(const Scan& scan, NamespaceId ns, QueueContents& queue) {
    const auto range = [&](Tag tag) { return storage::queue_range(ns, tag, queue.id); };
    Result<void> done =
        for_each(scan, range(Tag::kBlockIndex), queue.damaged, [&](const auto&, std::string_view payload) {
            const auto index = storage::BlockIndexRecord::decode(payload);
            if (!index) return false;
            ++queue.blocks;
            queue.messages += index->count;
            queue.bytes += index->bytes;
            return true;
        });
    if (!done) return done;
    done = for_each(scan, range(Tag::kBlockState), queue.damaged, [&](const auto&, std::string_view payload) {
        const auto state = storage::BlockStateRecord::decode(payload);
        if (!state) return false;
        for (const auto& [first, end] : state->done)
            queue.messages -= std::min<std::uint64_t>(queue.messages, end - first);
        for (const auto& run : state->runs) queue.started += run.count;
        for (const auto& [first, end] : state->leaving) {
            queue.messages -= std::min<std::uint64_t>(queue.messages, end - first);
            queue.dead += end - first;
        }
        return true;
    });
    if (!done) return done;
    done = for_each(scan, range(Tag::kReturned), queue.damaged,
                    [&](const auto&, std::string_view) { return ++queue.returned > 0; });
    if (!done) return done;
    return for_each(scan, range(Tag::kDead), queue.damaged,
                    [&](const auto&, std::string_view) { return ++queue.dead > 0; });
}

const char* tag_word(Tag tag) {
    switch (tag) {
        case Tag::kBlock:
            return "block";
        case Tag::kShardCount:
            return "shards";
        case Tag::kDead:
            return "dead";
        case Tag::kHead:
            return "head";
        case Tag::kBlockIndex:
            return "index";
        case Tag::kKey:
            return "key";
        case Tag::kMeta:
            return "meta";
        case Tag::kPlacement:
            return "placement";
        case Tag::kNamespace:
            return "namespace";
        case Tag::kOrigin:
            return "origin";
        case Tag::kProducer:
            return "producer";
        case Tag::kQueue:
            return "queue";
        case Tag::kReturned:
            return "returned";
        case Tag::kBlockState:
            return "state";
        case Tag::kDedup:
            return "dedup";
        case Tag::kTopic:
            return "topic";
        case Tag::kSubscription:
            return "subscription";
        case Tag::kLastValue:
            return "last";
        case Tag::kTask:
            return "task";
    }
    return "unknown";
}

std::string hex(std::string_view bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    std::string out;
    for (char c : bytes) {
        out += kDigits[static_cast<unsigned char>(c) >> 4];
        out += kDigits[static_cast<unsigned char>(c) & 15];
    }
    return out;
}

template <class Record>
std::string decode_problem(std::string_view payload) {
    const auto record = Record::decode(payload);
    return record ? "" : record.error().text;
}

std::string block_problem(std::string_view payload) {
    const auto block = storage::read_block(payload);
    return block ? "" : block.error().text;
}

}  // namespace

Result<std::vector<QueueContents>> read_contents(const Scan& scan) {
    std::vector<QueueContents> queues;
    std::map<std::string, NamespaceId> spaces;
    std::uint64_t damaged = 0;
    Result<void> done = for_each(scan, storage::tag_range(storage::kSystemNamespace, Tag::kNamespace), damaged,
                                 [&](const storage::KeyView& key, std::string_view payload) {
                                     const auto space = storage::NamespaceRecord::decode(payload);
                                     if (space) spaces[std::string(key.name)] = space->id;
                                     return space.has_value();
                                 });
    if (!done) return done.error();
    for (const auto& [space, id] : spaces) {
        const std::size_t first = queues.size();
        done = for_each(scan, storage::tag_range(id, Tag::kQueue), damaged,
                        [&, space = space](const storage::KeyView& key, std::string_view payload) {
                            const auto record = storage::QueueRecord::decode(payload);
                            if (!record) return false;
                            QueueContents queue;
                            queue.space = space;
                            queue.name = record->name;
                            queue.id = key.queue;
                            queue.durability = durability_word(record->settings.durability);
                            queue.paused = record->paused;
                            queues.push_back(std::move(queue));
                            return true;
                        });
        if (!done) return done.error();
        for (std::size_t i = first; i < queues.size(); ++i) {
            done = count_queue(scan, id, queues[i]);
            if (!done) return done.error();
        }
    }
    return queues;
}

std::string key_text(std::string_view key) {
    const auto view = storage::parse_key(key);
    if (!view) return "unknown/" + hex(key);
    std::string out = std::to_string(view->ns.value) + "/" + tag_word(view->tag);
    if (!view->name.empty()) return out + "/" + std::string(view->name);
    if (view->queue.value != 0) out += "/" + std::to_string(view->queue.value);
    if (view->sequence.value != 0) out += "/" + std::to_string(view->sequence.value);
    if (view->tag == Tag::kTask) out += "/" + std::to_string(view->task);
    return out;
}

std::string check_record(const RecordView& record) {
    if (record.damaged) return "checksum or key binding is wrong";
    const auto key = storage::parse_key(record.key);
    if (!key) return "unknown key";
    switch (key->tag) {
        case Tag::kBlock:
            return block_problem(record.payload);
        case Tag::kDead:
            return decode_problem<storage::DeadRecord>(record.payload);
        case Tag::kHead:
            return decode_problem<storage::HeadRecord>(record.payload);
        case Tag::kBlockIndex:
            return decode_problem<storage::BlockIndexRecord>(record.payload);
        case Tag::kNamespace:
            return decode_problem<storage::NamespaceRecord>(record.payload);
        case Tag::kPlacement:
            return decode_problem<storage::PlacementRecord>(record.payload);
        case Tag::kOrigin:
            return decode_problem<storage::OriginRecord>(record.payload);
        case Tag::kDedup:
            return decode_problem<storage::DedupRecord>(record.payload);
        case Tag::kTopic:
            return decode_problem<storage::TopicRecord>(record.payload);
        case Tag::kSubscription:
            return decode_problem<storage::SubscriptionRecord>(record.payload);
        case Tag::kLastValue:
            return decode_problem<storage::LastValueRecord>(record.payload);
        case Tag::kTask:
            return decode_problem<storage::TaskRecord>(record.payload);
        case Tag::kShardCount:
            return decode_problem<storage::ShardCountRecord>(record.payload);
        case Tag::kProducer:
            return decode_problem<storage::ProducerRecord>(record.payload);
        case Tag::kQueue:
            return decode_problem<storage::QueueRecord>(record.payload);
        case Tag::kKey:
            return decode_problem<storage::PausedKeyRecord>(record.payload);
        case Tag::kReturned:
            return decode_problem<storage::ReturnedRecord>(record.payload);
        case Tag::kBlockState:
            return decode_problem<storage::BlockStateRecord>(record.payload);
        case Tag::kMeta:
            break;
    }
    return "";
}

Result<Verification> verify(const Scan& scan) {
    Verification out;
    std::map<std::string, int> unpaired;  // blocks without index: +1; indexes without block: -1
    const auto complain = [&out](std::string what) {
        ++out.damaged_count;
        if (out.damaged.size() < kMostNamed) out.damaged.push_back(std::move(what));
    };
    const Result<void> done = scan("", std::string(64, '\xff'), [&](const RecordView& record) {
        ++out.records;
        out.bytes += record.key.size() + record.payload.size();
        const std::string problem = check_record(record);
        if (!problem.empty()) complain(key_text(record.key) + ": " + problem);
        const auto key = storage::parse_key(record.key);
        if (key && (key->tag == Tag::kBlock || key->tag == Tag::kBlockIndex)) {
            const std::string block = storage::block_key(key->ns, key->queue, key->sequence, key->lane);
            const int step = key->tag == Tag::kBlock ? 1 : -1;
            if (step < 0) {
                // The messages of a subscription lie in its topic, which has an index record for them as well.
                const auto index = storage::BlockIndexRecord::decode(record.payload);
                if (index && index->source.value != 0) return true;
            }
            if (const auto found = unpaired.find(block); found == unpaired.end()) {
                unpaired.emplace(block, step);
            } else {
                unpaired.erase(found);
            }
        }
        return true;
    });
    if (!done) return done.error();
    for (const auto& [block, step] : unpaired) {
        complain(key_text(block) + (step > 0 ? ": has no index record" : ": is missing, its index record is there"));
    }
    return out;
}

std::string describe_record(const RecordView& record) {
    if (record.damaged) return "DAMAGED";
    const auto key = storage::parse_key(record.key);
    if (!key) return "";
    const auto count = [](std::uint64_t n, const char* what) { return std::to_string(n) + " " + what; };
    if (key->tag == Tag::kBlock) {
        const auto block = storage::read_block(record.payload);
        return block ? count(block->header.count, "messages") : block.error().text;
    }
    if (key->tag == Tag::kBlockIndex) {
        const auto index = storage::BlockIndexRecord::decode(record.payload);
        return index ? count(index->count, "messages, ") + count(index->bytes, "bytes") : index.error().text;
    }
    if (key->tag == Tag::kBlockState) {
        const auto state = storage::BlockStateRecord::decode(record.payload);
        if (!state) return state.error().text;
        std::uint64_t done = 0, started = 0;
        for (const auto& [first, end] : state->done) done += end - first;
        for (const auto& run : state->runs) started += run.count;
        return count(done, "done, ") + count(started, "started");
    }
    if (key->tag == Tag::kQueue) {
        const auto queue = storage::QueueRecord::decode(record.payload);
        return queue ? queue->name : queue.error().text;
    }
    if (key->tag == Tag::kPlacement) {
        const auto placement = storage::PlacementRecord::decode(record.payload);
        return placement ? "on shard " + std::to_string(placement->shard.value) : placement.error().text;
    }
    if (key->tag == Tag::kShardCount) {
        const auto shards = storage::ShardCountRecord::decode(record.payload);
        return shards ? count(shards->count, "shards") : shards.error().text;
    }
    if (key->tag == Tag::kHead) {
        const auto head = storage::HeadRecord::decode(record.payload);
        return head ? "next sequence " + std::to_string(head->next.value) : head.error().text;
    }
    if (key->tag == Tag::kKey) {
        const auto paused = storage::PausedKeyRecord::decode(record.payload);
        return paused ? "paused key " + paused->key : paused.error().text;
    }
    if (key->tag == Tag::kReturned) {
        const auto returned = storage::ReturnedRecord::decode(record.payload);
        return returned ? count(returned->attempts, "attempts ") + returned->last_error : returned.error().text;
    }
    if (key->tag == Tag::kDead) {
        const auto dead = storage::DeadRecord::decode(record.payload);
        return dead ? count(dead->deaths.size(), "deaths, ") + count(dead->attempts, "attempts") : dead.error().text;
    }
    if (key->tag == Tag::kOrigin) {
        const auto origin = storage::OriginRecord::decode(record.payload);
        if (!origin) return origin.error().text;
        return "from queue " + std::to_string(origin->queue.value) + ", sequence " +
               std::to_string(origin->sequence.value) + ", " + count(origin->redrives, "redrives");
    }
    if (key->tag == Tag::kDedup) {
        const auto ids = storage::DedupRecord::decode(record.payload);
        return ids ? count(ids->entries.size(), "ids") : ids.error().text;
    }
    if (key->tag == Tag::kTopic) {
        const auto topic = storage::TopicRecord::decode(record.payload);
        return topic ? std::string(durability_word(topic->settings.durability)) : topic.error().text;
    }
    if (key->tag == Tag::kSubscription) {
        const auto subscription = storage::SubscriptionRecord::decode(record.payload);
        if (!subscription) return subscription.error().text;
        return "of topic " + std::to_string(subscription->topic.value) + ", " +
               count(subscription->subjects.size(), "patterns");
    }
    if (key->tag == Tag::kLastValue) {
        const auto last = storage::LastValueRecord::decode(record.payload);
        return last ? "sequence " + std::to_string(last->sequence.value) : last.error().text;
    }
    if (key->tag == Tag::kTask) {
        const auto task = storage::TaskRecord::decode(record.payload);
        if (!task) return task.error().text;
        return "redrive of " + task->queue_name + ", " + count(task->moved, "moved");
    }
    return check_record(record);
}

}  // namespace rockdove::inspect

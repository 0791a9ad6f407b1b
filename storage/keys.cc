#include "storage/keys.h"

#include "protocol/base/bytes.h"

namespace rockdove::storage {

namespace {

std::string start_key(NamespaceId ns, Tag tag) {
    std::string key;
    key.reserve(24);
    ByteWriter out(key);
    out.big32(ns.value);
    out.u8(static_cast<std::uint8_t>(tag));
    return key;
}

std::string queue_prefix(NamespaceId ns, Tag tag, QueueId queue) {
    std::string key = start_key(ns, tag);
    ByteWriter(key).big32(queue.value);
    return key;
}

std::string lane_key(NamespaceId ns, Tag tag, QueueId queue, Sequence first, LaneId lane) {
    std::string key = queue_prefix(ns, tag, queue);
    ByteWriter out(key);
    out.u8(lane);
    out.big64(first.value);
    return key;
}

std::string sequence_key(NamespaceId ns, Tag tag, QueueId queue, Sequence sequence) {
    std::string key = queue_prefix(ns, tag, queue);
    ByteWriter(key).big64(sequence.value);
    return key;
}

}  // namespace

std::string meta_key() { return start_key(kSystemNamespace, Tag::kMeta); }

std::string namespace_key(std::string_view name) { return start_key(kSystemNamespace, Tag::kNamespace).append(name); }

std::string placement_key(std::string_view name) { return start_key(kSystemNamespace, Tag::kPlacement).append(name); }

std::string shard_count_key() { return start_key(kSystemNamespace, Tag::kShardCount); }

std::string queue_key(NamespaceId ns, QueueId queue) { return queue_prefix(ns, Tag::kQueue, queue); }

std::string head_key(NamespaceId ns, QueueId queue) { return queue_prefix(ns, Tag::kHead, queue); }

std::string block_key(NamespaceId ns, QueueId queue, Sequence first, LaneId lane) {
    return lane_key(ns, Tag::kBlock, queue, first, lane);
}

std::string block_index_key(NamespaceId ns, QueueId queue, Sequence first, LaneId lane) {
    return lane_key(ns, Tag::kBlockIndex, queue, first, lane);
}

std::string block_state_key(NamespaceId ns, QueueId queue, Sequence first, LaneId lane) {
    return lane_key(ns, Tag::kBlockState, queue, first, lane);
}

std::string returned_key(NamespaceId ns, QueueId queue, Sequence sequence) {
    return sequence_key(ns, Tag::kReturned, queue, sequence);
}

std::string dead_key(NamespaceId ns, QueueId queue, Sequence sequence) {
    return sequence_key(ns, Tag::kDead, queue, sequence);
}

std::string paused_key_key(NamespaceId ns, QueueId queue, std::uint64_t hash) {
    return sequence_key(ns, Tag::kKey, queue, Sequence(hash));
}

std::string origin_key(NamespaceId ns, QueueId queue, Sequence sequence) {
    return sequence_key(ns, Tag::kOrigin, queue, sequence);
}

std::string dedup_key(NamespaceId ns, QueueId queue, Sequence first) {
    return sequence_key(ns, Tag::kDedup, queue, first);
}

std::string topic_key(NamespaceId ns, QueueId log) { return queue_prefix(ns, Tag::kTopic, log); }

std::string subscription_key(NamespaceId ns, QueueId queue) { return queue_prefix(ns, Tag::kSubscription, queue); }

std::string last_value_key(NamespaceId ns, QueueId log, std::uint64_t hash) {
    return sequence_key(ns, Tag::kLastValue, log, Sequence(hash));
}

std::string task_key(NamespaceId ns, std::uint64_t task) {
    std::string key = start_key(ns, Tag::kTask);
    ByteWriter(key).big64(task);
    return key;
}

std::string producer_key(NamespaceId ns, std::string_view producer_id) {
    return start_key(ns, Tag::kProducer).append(producer_id);
}

std::pair<std::string, std::string> tag_range(NamespaceId ns, Tag tag) {
    return {start_key(ns, tag), start_key(ns, static_cast<Tag>(static_cast<char>(tag) + 1))};
}

std::pair<std::string, std::string> queue_range(NamespaceId ns, Tag tag, QueueId queue) {
    // The id after the last one has no key of its own: end at the next tag instead.
    if (queue.value == UINT32_MAX) return {queue_prefix(ns, tag, queue), tag_range(ns, tag).second};
    return {queue_prefix(ns, tag, queue), queue_prefix(ns, tag, QueueId(queue.value + 1))};
}

Result<KeyView> parse_key(std::string_view key) {
    const auto bad = [] { return Error(ErrorCode::kInvalid, "not a record key"); };
    ByteReader in(key);
    KeyView view;
    view.ns = NamespaceId(in.big32());
    view.tag = static_cast<Tag>(in.u8());
    if (!in.ok()) return bad();
    switch (view.tag) {
        case Tag::kMeta:
        case Tag::kShardCount:
            break;
        case Tag::kNamespace:
        case Tag::kPlacement:
        case Tag::kProducer:
            view.name = in.raw(in.left());
            break;
        case Tag::kQueue:
        case Tag::kTopic:
        case Tag::kSubscription:
        case Tag::kHead:
            view.queue = QueueId(in.big32());
            break;
        case Tag::kBlock:
        case Tag::kBlockIndex:
        case Tag::kBlockState:
            view.queue = QueueId(in.big32());
            view.lane = in.u8();
            view.sequence = Sequence(in.big64());
            if (view.lane > kMaxLane) return bad();
            break;
        case Tag::kKey:
        case Tag::kLastValue:
        case Tag::kReturned:
        case Tag::kDead:
        case Tag::kOrigin:
        case Tag::kDedup:
            view.queue = QueueId(in.big32());
            view.sequence = Sequence(in.big64());
            break;
        case Tag::kTask:
            view.task = in.big64();
            break;
        default:
            return bad();
    }
    if (!in.ok() || !in.at_end()) return bad();
    return view;
}

}  // namespace rockdove::storage

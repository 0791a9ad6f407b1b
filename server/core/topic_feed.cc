// Subscriptions that look at what a topic has kept (SEMANTICS P-5): from the start, from a place, or once more. A feed adopts
// some blocks a turn, in the order of the log, and notes how far it has come in the same commit. One that must look at the
// messages reads them first.
#include <algorithm>

#include "protocol/base/bytes.h"
#include "server/core/topic.h"
#include "storage/keys.h"

namespace rockdove::core {

namespace {

constexpr std::size_t kFedBlocks = 256;            // in a turn
constexpr std::size_t kFedBytes = 1 << 20;         // read for a turn
constexpr std::uint64_t kFedAhead = 4 << 20;       // an ephemeral subscription has so much in memory at most, from feeds

}  // namespace

// --- places -----------------------------------------------------------------------------------------------------

// The first sequence at or behind the place.
Sequence Topic::place(const Place& at) const {
    switch (at.kind) {
        case Place::kStart:
            return Sequence(1);
        case Place::kSequence:
            return std::min(at.sequence, log_.next_);
        case Place::kTime:
            break;
        case Place::kEnd:
            return log_.next_;
    }
    Sequence first = log_.next_;
    for (const auto& lane : log_.lanes_) {
        if (!lane) continue;
        lane->blocks.each_from(Sequence(1), [&](const Block& block) {
            if (block.commit_time_ms < at.time_ms) return true;
            first = std::min(first, block.first);
            return false;
        });
    }
    return first;
}

// Of the log, by their first sequence; those that were routed.
std::vector<Block> Topic::blocks_from(Sequence first, Sequence end, std::size_t limit) const {
    std::vector<Block> blocks;
    for (const auto& lane : log_.lanes_) {
        if (!lane) continue;
        std::size_t found = 0;
        lane->blocks.each_from(first, [&](const Block& block) {
            if (block.first >= end || !is_routed(block)) return false;
            if (block.first < first) return true;  // was looked at: blocks of several lanes overlap
            blocks.push_back(block.copy_of_messages());
            return ++found < limit;
        });
    }
    std::sort(blocks.begin(), blocks.end(), [](const Block& a, const Block& b) { return a.first < b.first; });
    if (blocks.size() > limit) blocks.resize(limit);
    return blocks;
}

std::uint64_t Topic::count_between(Sequence first, Sequence end) const {
    std::uint64_t count = 0;
    for (const auto& lane : log_.lanes_) {
        if (!lane) continue;
        lane->blocks.each_from(first, [&](const Block& block) {
            if (block.first >= end) return false;
            count += block.index_from(end) - block.index_from(first);
            return true;
        });
    }
    return count;
}

// --- feeding ----------------------------------------------------------------------------------------------------

// `end` 0: then it goes on with what comes.
void Topic::begin_feed(Subscription& subscription, Sequence from, Sequence end) {
    ++subscription.feed_number;
    Sequence next = routed_;  // with the first block that has one at or behind it
    for (const auto& lane : log_.lanes_) {
        if (!lane) continue;
        lane->blocks.each_from(from, [&](const Block& block) {
            next = std::min(next, block.first);
            return false;
        });
    }
    subscription.record.feed = {std::max(next, Sequence(1)), from, end};
    subscription.reading = false;
    subscription.dirty = true;
    if (std::find(feeding_.begin(), feeding_.end(), &subscription) == feeding_.end()) feeding_.push_back(&subscription);
    subscription.queue->touch();
    log_.touch();
}

void Topic::end_feed(Subscription& subscription) {
    ++subscription.feed_number;
    subscription.record.feed = {};
    subscription.dirty = true;
    std::erase(feeding_, &subscription);
    subscription.queue->touch();
}

void Topic::feed_all() {
    feed_again_ = false;
    for (Subscription* subscription : std::vector(feeding_)) {
        if (feed(*subscription)) feed_again_ = true;
    }
}

bool Topic::has_room(const Subscription& subscription) const {
    return subscription.to->durable() || subscription.to->bytes_ < kFedAhead;
}

// True: it can go on at once.
bool Topic::feed(Subscription& subscription) {
    if (subscription.reading || !has_room(subscription)) return false;
    const storage::FeedRecord& feed = subscription.record.feed;
    const Sequence end = feed.end.value != 0 ? feed.end : Sequence(UINT64_MAX);
    std::vector<Block> blocks = blocks_from(feed.next, end, kFedBlocks);
    if (blocks.empty()) {
        // What is open or was not routed yet comes to it with the others.
        if (feed.end.value == 0) subscription.record.live = true;
        end_feed(subscription);
        trim();
        return false;
    }
    if (needs_bodies(subscription) && log_.durable()) {
        read_feed(subscription, std::move(blocks));
        return false;
    }
    feed_blocks(subscription, blocks);
    return true;
}

// Those of one lane that stand together, as many as are read at a time.
void Topic::read_feed(Subscription& subscription, std::vector<Block> blocks) {
    std::size_t bytes = 0;
    std::size_t count = 0;
    while (count < blocks.size() && blocks[count].lane == blocks[0].lane &&
           blocks[count].lsn <= shared_.stage.committed() && (count == 0 || bytes + blocks[count].bytes <= kFedBytes)) {
        bytes += blocks[count++].bytes;
    }
    if (count == 0) return;  // its commit is under way; then comes the log's next turn
    blocks.resize(count);
    ReadRequest request;
    request.ns = shared_.ns;
    request.queue = log_.id_;
    request.lane = blocks.front().lane;
    request.first = blocks.front().first;
    request.last = blocks.back().first;
    request.max_bytes = SIZE_MAX;
    subscription.reading = true;
    const auto wanted = std::make_shared<std::vector<Block>>(std::move(blocks));
    shared_.reader.read(request, [shared = &shared_, log = log_.id_, id = subscription.queue->id(),
                                  number = subscription.feed_number, wanted](std::vector<ReadBlock> read) {
        const Queue* of = shared->find(log);
        if (of != nullptr && of->topic() != nullptr) of->topic()->on_feed(id, number, *wanted, std::move(read));
    });
}

void Topic::on_feed(QueueId id, std::uint64_t number, std::vector<Block>& blocks, std::vector<ReadBlock> read) {
    const Queue* queue = shared_.find(id);
    Subscription* subscription = queue == nullptr ? nullptr : queue->subscription_;
    if (subscription == nullptr || subscription->feed_number != number) return;  // it has begun another since
    subscription->reading = false;
    for (Block& block : blocks) {
        const auto found = std::find_if(read.begin(), read.end(), [&](const auto& r) { return r.first == block.first; });
        if (found != read.end() && found->payload && found->payload->ends.size() == block.count) {
            block.payload = std::move(found->payload);
        }
    }
    feed_blocks(*subscription, blocks);
    log_.touch();
}

// In ascending order. Where the subscription looks at the messages, their bodies are there, or cannot be read.
void Topic::feed_blocks(Subscription& subscription, const std::vector<Block>& blocks) {
    ++group_;
    const storage::FeedRecord before = subscription.record.feed;
    const Sequence end = before.end.value != 0 ? before.end : Sequence(UINT64_MAX);
    for (const Block& block : blocks) {
        Bits wanted(block.count);
        const std::uint32_t first = block.index_from(before.from);
        const std::uint32_t last = block.index_from(end);
        if (needs_bodies(subscription) && !block.payload) {
            if (first < last) miss(subscription, last - first);  // damaged: what it would want of it nobody knows
        } else if (!selects(subscription)) {
            wanted.set(first, last);
        } else {
            for (std::uint32_t i = first; i < last; ++i) {
                const std::string_view message = message_body(*block.payload, i);
                if (wants(subscription, message)) wanted.set(i);
            }
        }
        if (wanted.find(0, true) == block.count) continue;
        subscription.to->adopt(block, log_.id_, group_, blocks.front().first,
                               wanted.find(0, false) == block.count ? nullptr : &wanted);
        if (!subscription.ephemeral) hold(*subscription.to, block.lane);
    }
    subscription.record.feed.next = Sequence(blocks.back().first.value + 1);
    subscription.dirty = true;
    subscription.queue->touch();
    subscription.to->touch();
}

bool Topic::selects(const Subscription& subscription) {
    return subscription.filter || !subscription.record.subjects.empty();
}

// To choose by them, or since memory is where they are to be.
bool Topic::needs_bodies(const Subscription& subscription) {
    return selects(subscription) || !subscription.to->durable();
}

void Topic::on_room() {
    if (!feeding_.empty()) log_.touch();
}

bool Topic::wants(const Subscription& subscription, std::string_view message) const {
    if (subscription.filter && !subscription.filter(message, MessageFacts())) return false;
    if (subscription.record.subjects.empty()) return true;
    const std::string_view subject = shared_.format.subject(message);
    return std::any_of(subscription.record.subjects.begin(), subscription.record.subjects.end(),
                       [&](const std::string& pattern) { return matches(pattern, subject); });
}

// --- last values ------------------------------------------------------------------------------------------------

// Of each key, to a subscription that begins at the end (P-6): as messages of its own, under their ids.
void Topic::give_last_values(Subscription& subscription, TimePoint now) {
    std::vector<const storage::LastValueRecord*> values;
    values.reserve(last_values_.size());
    for (const auto& [hash, value] : last_values_) {
        if (wants(subscription, value.message)) values.push_back(&value);
    }
    std::sort(values.begin(), values.end(), [](const auto* a, const auto* b) { return a->sequence < b->sequence; });
    for (const storage::LastValueRecord* value : values) {
        base::MessageTraits traits = shared_.format.traits(value->message);
        traits.delay_ms = traits.not_before_ms = 0;
        storage::OriginRecord origin;
        origin.queue = log_.id_;
        origin.commit_time_ms = value->commit_time_ms;
        origin.sequence = value->sequence;
        if (!subscription.to->take_in(value->message, traits, false, std::move(origin), now)) miss(subscription, 1);
    }
}

}  // namespace rockdove::core

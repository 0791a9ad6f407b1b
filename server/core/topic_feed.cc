// Subscriptions that look at what a topic has kept (SEMANTICS P-5): from the start, from a place, or once more. A feed adopts
// some blocks a turn, in the order of the log, and notes how far it has come in the same commit. One that must look at the
// messages reads them first.
#include <algorithm>
#include <map>
#include <memory>

#include "protocol/base/bytes.h"
#include "server/core/topic.h"
#include "storage/keys.h"

namespace rockdove::core {

namespace {

constexpr std::size_t kFedBlocks = 256;       // in a turn
constexpr std::size_t kFedBytes = 1 << 20;    // the same; a block or so more
constexpr std::uint64_t kFedAhead = 4 << 20;  // of an ephemeral subscription, in memory; past it, its feed waits

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

// Of the log, by their first sequence; those that were routed. Blocks of one commit may lie in each other's gaps: they come
// together, since their messages are to keep their distances. Some `limit` of them, at least one.
std::vector<Block> Topic::blocks_from(Sequence first, Sequence end, std::size_t limit) const {
    for (std::size_t most = limit;; most *= 2) {
        std::vector<Block> blocks;
        std::uint64_t complete = UINT64_MAX;  // no block that begins before it is missing
        for (const auto& lane : log_.lanes_) {
            if (!lane) continue;
            std::size_t found = 0;
            lane->blocks.each_from(first, [&](const Block& block) {
                if (block.first >= end || !is_routed(block)) return false;
                if (block.first < first) return true;  // was looked at
                if (found++ == most) {
                    complete = std::min(complete, block.first.value);
                    return false;
                }
                blocks.push_back(block.copy_of_messages());
                return true;
            });
        }
        std::sort(blocks.begin(), blocks.end(), [](const Block& a, const Block& b) { return a.first < b.first; });
        std::size_t count = 0;
        std::size_t bytes = 0;
        std::uint64_t behind = 0;  // those that were taken
        while (count < blocks.size() &&
               (blocks[count].first.value < behind || (count < limit && (count == 0 || bytes < kFedBytes)))) {
            bytes += blocks[count].bytes;
            behind = std::max(behind, blocks[count++].end());
        }
        if (behind > complete) continue;
        blocks.resize(count);
        return blocks;
    }
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

// One read for each lane that they lie in.
void Topic::read_feed(Subscription& subscription, std::vector<Block> blocks) {
    for (const Block& block : blocks) {
        if (block.lsn > shared_.stage.committed()) return;  // comes again with the log's next turn, when that is over
    }
    subscription.reading = true;
    std::map<storage::LaneId, ReadRequest> reads;
    for (const Block& block : blocks) {
        ReadRequest& request = reads.try_emplace(block.lane).first->second;
        if (request.first.value == 0) request.first = block.first;
        request.last = block.first;
    }
    struct Reading {
        std::vector<Block> blocks;
        std::size_t left = 0;
    };
    const auto reading = std::make_shared<Reading>();
    reading->blocks = std::move(blocks);
    reading->left = reads.size();
    for (auto& [lane, request] : reads) {
        request.ns = shared_.ns;
        request.queue = log_.id_;
        request.lane = lane;
        request.max_bytes = SIZE_MAX;
        shared_.reader.read(request, [shared = &shared_, log = log_.id_, id = subscription.queue->id(),
                                      number = subscription.feed_number, lane = lane,
                                      reading](const std::vector<ReadBlock>& read) {
            for (Block& block : reading->blocks) {
                if (block.lane != lane) continue;
                const auto found =
                    std::find_if(read.begin(), read.end(), [&](const auto& r) { return r.first == block.first; });
                const bool good = found != read.end() && found->payload && found->payload->ends.size() == block.count;
                if (good) block.payload = found->payload;
            }
            if (--reading->left != 0) return;
            const Queue* of = shared->find(log);
            if (of != nullptr && of->topic() != nullptr) of->topic()->on_feed(id, number, reading->blocks);
        });
    }
}

void Topic::on_feed(QueueId id, std::uint64_t number, const std::vector<Block>& blocks) {
    const Queue* queue = shared_.find(id);
    Subscription* subscription = queue == nullptr ? nullptr : queue->subscription_;
    if (subscription == nullptr || subscription->feed_number != number) return;  // it has begun another since
    subscription->reading = false;
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

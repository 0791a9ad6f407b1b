// What a topic keeps (SEMANTICS P-4). Blocks leave the log at its front, whole: when every durable subscription is done with
// them, or when the topic has more than it is to keep. Then a subscription that still wants them misses them, counted; what its
// consumers work on stays until they are done.
#include <algorithm>

#include "server/core/topic.h"

namespace rockdove::core {

namespace {

constexpr Millis kCheckAgain{1'000};

}  // namespace

void Topic::Holders::put(QueueId queue, std::optional<Sequence> first) {
    if (const auto known = oldest.find(queue); known != oldest.end()) {
        if (known->second == first) return;
        order.erase({known->second, queue});
        oldest.erase(known);
    }
    if (!first) return;
    oldest.emplace(queue, *first);
    order.emplace(*first, queue);
}

void Topic::hold(const Queue& queue, storage::LaneId lane) {
    Holders& holders = holders_[lane];
    const std::optional<Sequence> before =
        holders.order.empty() ? std::nullopt : std::optional(holders.order.begin()->first);
    // An ephemeral subscription has what it wants in its hands.
    if (queue.subscription_ != nullptr && queue.subscription_->ephemeral) return;
    holders.put(queue.id(), queue.oldest_of(log_.id_, lane));
    const std::optional<Sequence> after =
        holders.order.empty() ? std::nullopt : std::optional(holders.order.begin()->first);
    if (after != before) trim();
}

void Topic::forget_holder(QueueId queue) {
    for (Holders& holders : holders_) holders.put(queue, std::nullopt);
    trim();
}

// Whose front is the oldest; null if the log is empty.
Lane* Topic::oldest_lane() const {
    Lane* oldest = nullptr;
    for (const auto& lane : log_.lanes_) {
        if (!lane || !lane->blocks.reach(0) || !is_routed(lane->blocks[0])) continue;
        if (oldest == nullptr || lane->blocks[0].first < oldest->blocks[0].first) oldest = lane.get();
    }
    return oldest;
}

void Topic::trim() {
    if (trimming_) return;
    trimming_ = true;
    if (settings_.bounded()) trim_to_bounds();
    if (settings_.until_done()) trim_done();
    trimming_ = false;
    check_at_ = TimePoint::max();
    if (settings_.retain_age.count() == 0) return;
    if (const Lane* lane = oldest_lane()) {
        // What somebody works on keeps it here for longer.
        check_at_ = from_unix_ms(lane->blocks[0].commit_time_ms) + settings_.retain_age;
        if (check_at_ <= now_) check_at_ = now_ + kCheckAgain;
    }
}

// Moves the cut: what lies before it is more than the topic is to keep.
bool Topic::move_cut() {
    bool moved = false;
    for (;;) {
        const Block* next = nullptr;
        for (const auto& lane : log_.lanes_) {
            if (!lane) continue;
            lane->blocks.reach(cut_);
            std::size_t index = lane->blocks.index_of(cut_);
            while (lane->blocks.reach(index) && lane->blocks[index].first < cut_) ++index;  // lanes overlap
            if (!lane->blocks.reach(index) || !is_routed(lane->blocks[index])) continue;
            if (next == nullptr || lane->blocks[index].first < next->first) next = &lane->blocks[index];
        }
        if (next == nullptr) return moved;
        const std::uint64_t messages = log_.messages_ - cut_messages_;
        const std::uint64_t bytes = log_.bytes_ - cut_bytes_;
        const TopicSettings& s = settings_;
        const bool over =
            (s.retain_messages != 0 && messages >= s.retain_messages + next->count) ||
            (s.retain_bytes != 0 && bytes >= s.retain_bytes + next->bytes) ||
            (s.retain_age.count() != 0 && next->commit_time_ms + s.retain_age.count() <= to_unix_ms(now_));
        if (!over) return moved;
        cut_ = Sequence(next->first.value + 1);
        cut_messages_ += next->count;
        cut_bytes_ += next->bytes;
        moved = true;
        take_from_feeds(*next);
    }
}

void Topic::take_from_feeds(const Block& block) {
    for (Subscription* subscription : feeding_) {
        storage::FeedRecord& feed = subscription->record.feed;
        if (feed.next > block.first) continue;
        if (const std::uint32_t first = block.index_from(feed.from); first < block.count) {
            miss(*subscription, block.count - first);
        }
        // What is being read for it may be this.
        feed.next = Sequence(block.first.value + 1);
        ++subscription->feed_number;
        subscription->reading = false;
    }
}

// What somebody works on stays, and what lies behind it in its lane with it, until that is done.
void Topic::trim_to_bounds() {
    if (move_cut()) {
        for (const auto& lane : log_.lanes_) {
            if (lane) clear_holders(lane->id);
        }
    }
    for (const auto& lane : log_.lanes_) {
        if (!lane) continue;
        const Holders& holders = holders_[lane->id];
        while (lane->blocks.reach(0) && lane->blocks[0].first < cut_) {
            if (!holders.order.empty() && holders.order.begin()->first <= lane->blocks[0].first) break;
            remove_front(*lane);
        }
    }
}

// Of what lies before the cut.
void Topic::clear_holders(storage::LaneId lane) {
    Holders& holders = holders_[lane];
    std::vector<QueueId> behind;
    for (const auto& [oldest, id] : holders.order) {
        if (oldest >= cut_) break;
        behind.push_back(id);
    }
    for (const QueueId id : behind) {
        Queue& queue = *shared_.find(id);
        const std::uint64_t missed = queue.forget_source(log_.id_, lane, cut_);
        unseal(queue);
        if (missed != 0) {
            const auto subscription = std::find_if(subscriptions_.begin(), subscriptions_.end(),
                                                   [&](const auto& s) { return s.second->to == &queue; });
            if (subscription != subscriptions_.end()) miss(*subscription->second, missed);
        }
        queue.find_oldest(log_.id_, lane);
        holders.put(id, queue.oldest_of(log_.id_, lane));
    }
}

void Topic::trim_done() {
    Sequence fed(UINT64_MAX);  // what feeds still want
    for (const Subscription* subscription : feeding_) {
        if (!subscription->ephemeral) fed = std::min(fed, subscription->record.feed.next);
    }
    for (const auto& lane : log_.lanes_) {
        if (!lane) continue;
        const Holders& holders = holders_[lane->id];
        while (lane->blocks.reach(0)) {
            const Block& front = lane->blocks[0];
            const bool held = !holders.order.empty() && holders.order.begin()->first <= front.first;
            if (held || !is_routed(front) || front.first >= fed) break;
            remove_front(*lane);
        }
    }
}

void Topic::remove_front(Lane& lane) {
    Block& front = lane.blocks[0];
    front.touch();
    log_.messages_ -= front.count;
    log_.bytes_ -= front.bytes;
    if (front.first < cut_) {
        cut_messages_ -= front.count;
        cut_bytes_ -= front.bytes;
    }
    front.done = front.count;
    log_.remove_block(front);
    lane.blocks.drop_gone();
    unseal(log_);
}

}  // namespace rockdove::core

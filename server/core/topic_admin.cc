// The subscriptions of a topic: how they come, change and go. Every change begins with a routing, so that what was accepted
// before it is routed as was said.
#include <algorithm>

#include "server/core/topic.h"
#include "storage/keys.h"

namespace rockdove::core {

// --- the index --------------------------------------------------------------------------------------------------

// Whether there is anything to ask of it before a publish is accepted.
bool Topic::has_limits(const Subscription& subscription) const {
    const QueueSettings& settings = subscription.to->settings();
    return settings.overflow == Overflow::kReject && !subscription.ephemeral &&
           (settings.max_messages != 0 || settings.max_bytes != 0);
}

void Topic::index(Subscription& subscription) {
    const std::vector<std::string>& subjects = subscription.record.subjects;
    const bool everything = std::find(subjects.begin(), subjects.end(), kEverything) != subjects.end();
    subscription.selective = (!subjects.empty() && !everything) || subscription.filter || has_limits(subscription);
    if (!subscription.selective) {
        everything_.push_back(&subscription);
    } else {
        ++selective_;
        if (subjects.empty()) index_.add(kEverything, &subscription);
        for (const std::string& pattern : subjects) index_.add(pattern, &subscription);
    }
    const bool holds_back = subscription.ephemeral && subscription.queue->settings().overflow == Overflow::kReject;
    if (holds_back) blocking_.push_back(&subscription);
}

void Topic::unindex(Subscription& subscription) {
    std::erase(blocking_, &subscription);
    if (!subscription.selective) {
        std::erase(everything_, &subscription);
        return;
    }
    --selective_;
    if (subscription.record.subjects.empty()) index_.remove(kEverything, &subscription);
    for (const std::string& pattern : subscription.record.subjects) index_.remove(pattern, &subscription);
}

// --- coming and going -------------------------------------------------------------------------------------------

Subscription* Topic::find(std::string_view name) const {
    const auto at = subscriptions_.find(name);
    return at == subscriptions_.end() ? nullptr : at->second.get();
}

Subscription& Topic::add(std::string name, storage::SubscriptionRecord record, Queue& own, Queue& to,
                         MessagePredicate filter, bool ephemeral) {
    flush();
    auto owned = std::make_unique<Subscription>();
    Subscription& subscription = *owned;
    subscription.name = name;
    subscription.record = std::move(record);
    subscription.queue = &own;
    subscription.to = &to;
    subscription.filter = std::move(filter);
    subscription.ephemeral = ephemeral;
    own.subscription_ = &subscription;
    subscriptions_.emplace(std::move(name), std::move(owned));
    index(subscription);
    return subscription;
}

void Topic::begin_at(Subscription& subscription, const Place& at, TimePoint now) {
    subscription.dirty = true;
    subscription.queue->touch();
    if (at.kind == Place::kEnd) return give_last_values(subscription, now);
    subscription.record.live = false;
    begin_feed(subscription, place(at), Sequence(0));
}

void Topic::change(Subscription& subscription, std::vector<std::string> subjects, std::string filter,
                   MessagePredicate predicate) {
    flush();
    unindex(subscription);
    subscription.record.subjects = std::move(subjects);
    subscription.record.filter = std::move(filter);
    subscription.filter = std::move(predicate);
    subscription.dirty = true;
    subscription.queue->touch();
    index(subscription);
}

void Topic::settings_changed(Subscription& subscription) {
    flush();
    unindex(subscription);
    index(subscription);
}

void Topic::remove(Subscription& subscription) {
    flush();
    unindex(subscription);
    std::erase(feeding_, &subscription);
    subscription.queue->subscription_ = nullptr;
    if (!subscription.ephemeral) {
        shared_.stage.writes().remove(storage::subscription_key(shared_.ns, subscription.queue->id()));
    }
    subscriptions_.erase(subscriptions_.find(subscription.name));
    trim();
}

void Topic::seek(Subscription& subscription, const Place& at) {
    flush();
    const Sequence from = place(at);
    subscription.queue->purge();
    subscription.record.live = at.kind == Place::kEnd;
    if (subscription.record.live) {
        end_feed(subscription);
    } else {
        begin_feed(subscription, from, Sequence(0));
    }
    trim();
}

Result<void> Topic::replay(Subscription& subscription, const Place& from, const Place& to) {
    flush();
    if (subscription.feeding()) {
        return Error(ErrorCode::kConflict,
                     "subscription \"" + name() + "/" + subscription.name +
                         "\" still looks at earlier messages; wait until it has caught up: rockdove "
                         "subscription lag " +
                         name());
    }
    const Sequence first = place(from);
    const Sequence end = place(to);
    if (first < end) begin_feed(subscription, first, end);
    return {};
}

void Topic::update(const TopicSettings& settings) {
    flush();
    settings_ = settings;
    if (!settings.retain_last && !last_values_.empty()) {
        auto [begin, end] = storage::queue_range(shared_.ns, storage::Tag::kLastValue, log_.id_);
        shared_.stage.writes().remove_range(std::move(begin), std::move(end));
        last_values_.clear();
        changed_values_.clear();
        last_value_bytes_ = 0;
    }
    storage::TopicRecord record;
    record.settings = settings;
    shared_.stage.writes().put(storage::topic_key(shared_.ns, log_.id_), record.encode());
    trim();
    log_.touch();
}

// Its subscriptions are gone already.
void Topic::erase_records() {
    storage::WriteSet& writes = shared_.stage.writes();
    auto [begin, end] = storage::queue_range(shared_.ns, storage::Tag::kLastValue, log_.id_);
    writes.remove_range(std::move(begin), std::move(end));
    writes.remove(storage::topic_key(shared_.ns, log_.id_));
    closed_.clear();
    held_.clear();
    changed_values_.clear();
}

// --- what is told -----------------------------------------------------------------------------------------------

TopicInfo Topic::info() const {
    const QueueInfo log = log_.info();
    TopicInfo info;
    info.id = log.id;
    info.name = log.name;
    info.settings = settings_;
    info.created_ms = log.created_ms;
    info.messages = log_.messages_;
    info.bytes = log_.bytes_;
    info.next_seq = log.next_seq;
    const Lane* oldest = oldest_lane();
    info.first_seq = oldest == nullptr ? log.next_seq : oldest->blocks[0].first.value;
    info.oldest_commit_time_ms = log.oldest_commit_time_ms;
    info.subscriptions = subscriptions_.size();
    info.last_values = last_values_.size();
    info.accepted = log.accepted;
    info.refused = log.refused;
    info.unrouted = unrouted_;
    return info;
}

SubscriptionInfo Topic::info(const Subscription& subscription) const {
    SubscriptionInfo info;
    info.topic = name();
    info.name = subscription.name;
    info.record = subscription.record;
    info.queue = subscription.queue->info();
    if (subscription.to != subscription.queue) info.to_queue = subscription.to->name();
    info.ephemeral = subscription.ephemeral;
    info.lag_messages = subscription.queue->messages_;
    info.lag_oldest_ms = info.queue.oldest_commit_time_ms;
    if (subscription.feeding()) {
        const storage::FeedRecord& feed = subscription.record.feed;
        const Sequence first = std::max(feed.next, feed.from);
        info.behind = count_between(first, feed.end.value != 0 ? feed.end : Sequence(UINT64_MAX));
        info.lag_messages += info.behind;
        if (info.lag_oldest_ms == 0 && info.behind != 0)
            info.lag_oldest_ms = blocks_from(feed.next, log_.next_, 1).front().commit_time_ms;
    }
    return info;
}

// --- recovery ---------------------------------------------------------------------------------------------------

void Topic::load_last_value(std::uint64_t hash, storage::LastValueRecord record) {
    last_value_bytes_ += record.message.size();
    last_values_.insert_or_assign(hash, std::move(record));
}

// Messages in memory are gone, and so is what there was to look at.
void Topic::loaded() {
    routed_ = log_.next_;
    for (const auto& [name, subscription] : subscriptions_) {
        if (!log_.durable()) {
            subscription->record.feed = {};
            subscription->record.live = true;
        }
        if (subscription->feeding()) feeding_.push_back(subscription.get());
    }
    log_.touch();
}

}  // namespace rockdove::core

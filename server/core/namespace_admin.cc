// Administration of queues. Every change is answered when it is on disk.
#include <algorithm>

#include "protocol/names.h"
#include "server/core/namespace.h"
#include "storage/keys.h"

namespace rockdove::core {

template <class T>
void Namespace::answer_after_commit(T value, Answer<T> done) {
    shared_.stage.after_commit(Reply([value = std::move(value), done = std::move(done)](const Error* failure) {
        if (failure != nullptr) {
            done(*failure);
        } else {
            done(value);
        }
    }));
}
template void Namespace::answer_after_commit(std::uint64_t, Answer<std::uint64_t>);
template void Namespace::answer_after_commit(TaskInfo, Answer<TaskInfo>);
template void Namespace::answer_after_commit(TopicInfo, Answer<TopicInfo>);
template void Namespace::answer_after_commit(SubscriptionInfo, Answer<SubscriptionInfo>);

namespace {

// What can be asked of a message that is in many places.
Error of_a_topic(const base::MessageId& id, const Topic& topic) {
    return {ErrorCode::kInvalid, "message " + base::format_message_id(id) + " was published to topic \"" +
                                     topic.name() +
                                     "\": each subscription has its own state of it; name one, such as: rockdove "
                                     "explain " +
                                     base::format_message_id(id) + " --queue " + topic.name() + "/NAME"};
}

}  // namespace

Result<void> Namespace::check_dead_letter_to(std::string_view name, const QueueSettings& settings,
                                             bool must_exist) const {
    if (settings.dead_letter_to.empty()) return {};
    if (Result<void> ok = base::check_name("dead_letter_to", settings.dead_letter_to); !ok) return ok;
    std::string way = "\"" + std::string(name) + "\" -> \"" + settings.dead_letter_to + "\"";
    std::string_view at = settings.dead_letter_to;
    for (std::size_t hops = 1; at != name; ++hops) {
        const Queue* queue = find_queue(at);
        if (queue == nullptr && hops == 1 && must_exist) {
            return Error(ErrorCode::kNotFound,
                         "queue \"" + std::string(at) + "\" (dead_letter_to of \"" + std::string(name) +
                             "\") not found; create it first: rockdove queue create " + std::string(at));
        }
        if (queue == nullptr || queue->settings().dead_letter_to.empty()) return {};
        if (hops == kMaxDeadLetterHops) {
            return Error(ErrorCode::kInvalid,
                         "dead_letter_to leads on over more than " + std::to_string(hops) + " queues: " + way);
        }
        at = queue->settings().dead_letter_to;
        way += " -> \"" + std::string(at) + "\"";
    }
    return Error(ErrorCode::kInvalid, "dead_letter_to leads back to the queue itself: " + way);
}

void Namespace::create_queue(std::string_view name, const QueueSettings& settings, bool if_not_exists, TimePoint now,
                             Answer<QueueInfo> done) {
    if (const Queue* queue = find_queue(name)) {
        if (!if_not_exists) {
            return done(Error(ErrorCode::kAlreadyExists, "queue \"" + std::string(name) + "\" exists"));
        }
        if (queue->settings() == settings) return answer_after_commit(queue->info(), std::move(done));
        return done(Error(ErrorCode::kConflict, "queue \"" + std::string(name) +
                                                    "\" exists with other settings; change them with: rockdove queue "
                                                    "update " +
                                                    std::string(name)));
    }
    QueueSettings wanted = settings;
    // A default that names the queue itself: it is the one for the others' dead letters.
    if (wanted.dead_letter_to == name && name == options_.queue_defaults.dead_letter_to) wanted.dead_letter_to.clear();
    if (Result<void> ok = check_dead_letter_to(name, wanted, true); !ok) return done(ok.error());
    Result<Queue*> queue = make_queue(name, wanted, now);
    if (!queue) return done(queue.error());
    answer_after_commit((*queue)->info(), std::move(done));
}

void Namespace::update_queue(std::string_view name, const QueueSettings& settings, TimePoint now,
                             Answer<QueueInfo> done) {
    Queue* queue = find_queue(name);
    if (queue == nullptr) return done(not_found(name));
    if (Result<void> ok = check_settings(settings); !ok) return done(ok.error());
    if ((settings.durability == Durability::kMemory) == queue->durable()) {
        return done(Error(ErrorCode::kConflict, "the durability of queue \"" + std::string(name) +
                                                    "\" cannot change to or from memory; create another queue"));
    }
    if (settings.dead_letter_to != queue->settings().dead_letter_to) {
        if (Result<void> ok = check_dead_letter_to(name, settings, true); !ok) return done(ok.error());
    }
    if (queue->subscription() != nullptr) {
        return done(
            Error(ErrorCode::kInvalid, "\"" + std::string(name) +
                                           "\" is a subscription; change it with: rockdove subscription update " +
                                           std::string(name)));
    }
    queue->update(settings, now);
    for (const auto& [topic_name, topic] : topics_) {
        for (const auto& [sub, subscription] : topic->subscriptions()) {
            if (subscription->to == queue) topic->settings_changed(*subscription);
        }
    }
    shared_.stage.writes().require_sync();
    answer_after_commit(queue->info(), std::move(done));
}

void Namespace::delete_queue(std::string_view name, bool if_exists, bool if_empty, Answer<std::uint64_t> done) {
    Queue* queue = find_queue(name);
    if (queue == nullptr) {
        if (if_exists) return done(std::uint64_t{0});
        return done(not_found(name));
    }
    if (const Subscription* subscription = queue->subscription()) {
        return done(
            Error(ErrorCode::kInvalid, "\"" + std::string(name) +
                                           "\" is a subscription; delete it with: rockdove subscription delete " +
                                           subscription->queue->name()));
    }
    if (Result<void> ok = check_not_bound(*queue); !ok) return done(ok.error());
    if (if_empty && !queue->empty()) {
        return done(Error(ErrorCode::kConflict, "queue \"" + std::string(name) + "\" is not empty: " +
                                                    std::to_string(queue->info().ready) + " ready"));
    }
    const std::uint64_t messages = queue->erase_records();
    put_namespace_record();
    remove_queue(*queue);
    shared_.stage.writes().require_sync();
    answer_after_commit(messages, std::move(done));
}

void Namespace::put_namespace_record() {
    storage::NamespaceRecord record;
    record.id = shared_.ns;
    record.next_queue = next_queue_;
    shared_.stage.writes().put(storage::namespace_key(name_), record.encode());
}

void Namespace::remove_queue(Queue& queue) {
    queue.close_consumers(Error(ErrorCode::kNotFound, "queue \"" + queue.name() + "\" was deleted"));
    for (auto& [id, session] : sessions_) {
        std::erase_if(session.consumers, [&](const auto& entry) { return entry.second->queue == &queue; });
    }
    std::erase(shared_.touched, &queue);
    std::erase(shared_.unsealed, &queue);
    if (queue.timer_ != TimePoint::max()) timers_.erase({queue.timer_, queue.id()});
    if (const auto named = by_name_.find(queue.name()); named != by_name_.end() && named->second == &queue) {
        by_name_.erase(named);
    }
    queues_.erase(queue.id());
}

void Namespace::purge_queue(std::string_view name, Answer<std::uint64_t> done) {
    Queue* queue = find_queue(name);
    if (queue == nullptr) return done(not_found(name));
    const std::uint64_t removed = queue->purge();
    shared_.stage.writes().require_sync();
    answer_after_commit(removed, std::move(done));
}

void Namespace::pause_queue(std::string_view name, bool paused, Answer<QueueInfo> done) {
    Queue* queue = find_queue(name);
    if (queue == nullptr) return done(not_found(name));
    queue->set_paused(paused);
    shared_.stage.writes().require_sync();
    answer_after_commit(queue->info(), std::move(done));
}

Result<std::vector<PausedKey>> Namespace::list_keys(std::string_view name, std::uint32_t limit) const {
    const Queue* queue = find_queue(name);
    if (queue == nullptr) return not_found(name);
    return queue->paused_keys(limit);
}

void Namespace::resume_key(std::string_view name, std::string_view key, Answer<std::uint64_t> done) {
    Queue* queue = find_queue(name);
    if (queue == nullptr) return done(not_found(name));
    const std::uint64_t resumed = queue->resume_keys(key);
    shared_.stage.writes().require_sync();
    answer_after_commit(resumed, std::move(done));
}

Result<Explanation> Namespace::explain(std::string_view name, std::string_view key) const {
    Queue* queue = find_queue(name);
    if (queue == nullptr) return not_found(name);
    return key.empty() ? queue->explain_next() : queue->explain_key(key);
}

Result<Explanation> Namespace::explain(const base::MessageId& id, std::string_view name) const {
    if (!name.empty()) {
        Queue* queue = find_queue(name);
        if (queue == nullptr) return not_found(name);
        if (queue->id() == id.queue) return queue->explain(id.sequence);
        const std::optional<Sequence> place = queue->find_published(id.queue, id.sequence);
        return queue->explain(place.value_or(queue->next_sequence()));
    }
    const auto [queue, sequence] = place_of(id);
    if (queue == nullptr) return no_such_message(id);
    if (const Topic* topic = queue->topic()) return of_a_topic(id, *topic);
    return queue->explain(sequence);
}

std::pair<Queue*, Sequence> Namespace::place_of(const base::MessageId& id) const {
    Queue* queue = shared_.find(id.queue);
    if (queue != nullptr && queue->has(id.sequence)) return {queue, id.sequence};
    for (const auto& [number, other] : queues_) {
        if (const auto moved = other->find_moved(id.queue, id.sequence)) return {other.get(), *moved};
    }
    return {queue, id.sequence};
}

std::string Namespace::queue_of(const base::MessageId& id) const {
    const Queue* queue = place_of(id).first;
    return queue == nullptr ? std::string() : queue->name();
}

Error Namespace::no_such_message(const base::MessageId& id) const {
    return {ErrorCode::kNotFound, "message " + base::format_message_id(id) + ": its queue is not in namespace \"" +
                                      name_ + "\", or was deleted"};
}

void Namespace::cancel_message(const base::MessageId& id, Answer<std::uint64_t> done) {
    const auto [queue, sequence] = place_of(id);
    if (queue == nullptr) return done(no_such_message(id));
    if (const Topic* topic = queue->topic()) return done(of_a_topic(id, *topic));
    if (const Result<void> cancelled = queue->cancel(sequence); !cancelled) return done(cancelled.error());
    shared_.stage.writes().require_sync();
    answer_after_commit(std::uint64_t{1}, std::move(done));
}

void Namespace::reschedule_message(const base::MessageId& id, std::int64_t due_ms, TimePoint now,
                                   Answer<std::uint64_t> done) {
    Queue* queue = shared_.find(id.queue);
    if (queue == nullptr) return done(no_such_message(id));
    if (const Topic* topic = queue->topic()) return done(of_a_topic(id, *topic));
    if (const Result<void> moved = queue->reschedule(id.sequence, due_ms, now); !moved) return done(moved.error());
    shared_.stage.writes().require_sync();
    answer_after_commit(std::uint64_t{1}, std::move(done));
}

void Namespace::peek_queue(std::string_view name, Sequence from, std::uint32_t limit, std::size_t max_bytes,
                           Answer<PeekResult> done, MessagePredicate filter) {
    Queue* queue = find_queue(name);
    if (queue == nullptr) return done(not_found(name));
    queue->peek(
        from, limit, max_bytes, [done = std::move(done)](PeekResult result) { done(std::move(result)); },
        std::move(filter));
}

Result<QueueInfo> Namespace::show_queue(std::string_view name) const {
    const Queue* queue = find_queue(name);
    if (queue == nullptr) return not_found(name);
    return queue->info();
}

std::vector<QueueInfo> Namespace::list_queues(std::string_view prefix, std::string_view after,
                                              std::uint32_t limit) const {
    std::vector<QueueInfo> infos;
    auto it = after.empty() || after < prefix ? by_name_.lower_bound(prefix) : by_name_.upper_bound(after);
    for (; it != by_name_.end() && infos.size() < limit && it->first.starts_with(prefix); ++it) {
        if (it->second->subscription() == nullptr) infos.push_back(it->second->info());
    }
    return infos;
}

}  // namespace rockdove::core

// Administration of topics and subscriptions. Every change is answered when it is on disk.
#include <algorithm>

#include "protocol/names.h"
#include "server/core/namespace.h"
#include "storage/keys.h"

namespace rockdove::core {

namespace {

std::string full_name(std::string_view topic, std::string_view name) {
    return std::string(topic) + "/" + std::string(name);
}

// The log needs nothing of what is about consumers.
QueueSettings log_settings(const TopicSettings& topic) {
    QueueSettings settings;
    settings.durability = topic.durability;
    settings.ttl = topic.ttl;
    settings.on_expire = OnExpire::kDrop;
    settings.dedup_window = topic.dedup_window;
    return settings;
}

}  // namespace

// --- topics -----------------------------------------------------------------------------------------------------

Topic* Namespace::find_topic(std::string_view name) const {
    const auto it = topics_.find(name);
    return it == topics_.end() ? nullptr : it->second.get();
}

Error Namespace::no_such_topic(std::string_view name) const {
    const std::string text = "topic \"" + std::string(name) + "\" not found in namespace \"" + name_ + "\"; ";
    if (by_name_.contains(name))
        return {ErrorCode::kNotFound, text + "there is a queue of that name: did you mean send and receive?"};
    return {ErrorCode::kNotFound, text + "create it with: rockdove topic create " + std::string(name)};
}

Topic& Namespace::add_topic(Queue& log, const TopicSettings& settings) {
    return *topics_.emplace(log.name(), std::make_unique<Topic>(shared_, log, settings)).first->second;
}

Result<Topic*> Namespace::find_or_create_topic(std::string_view name, TimePoint now) {
    if (Topic* topic = find_topic(name)) return topic;
    if (!options_.create_on_use || by_name_.contains(name)) return no_such_topic(name);
    return make_topic(name, TopicSettings(), now);
}

Result<Topic*> Namespace::make_topic(std::string_view name, const TopicSettings& settings, TimePoint now) {
    if (Result<void> ok = base::check_name("topic name", name); !ok) return ok.error();
    if (Result<void> ok = check_settings(settings); !ok) return ok.error();
    if (by_name_.contains(name)) {
        return Error(ErrorCode::kAlreadyExists,
                     "\"" + std::string(name) + "\" is a queue; a queue and a topic cannot have the same name");
    }
    const Result<Queue*> log = make_queue(name, log_settings(settings), now);
    if (!log) return log.error();
    by_name_.erase((*log)->name());
    storage::TopicRecord record;
    record.settings = settings;
    shared_.stage.writes().put(storage::topic_key(shared_.ns, (*log)->id()), record.encode());
    return &add_topic(**log, settings);
}

void Namespace::create_topic(std::string_view name, const TopicSettings& settings, bool if_not_exists, TimePoint now,
                             Answer<TopicInfo> done) {
    if (const Topic* topic = find_topic(name)) {
        if (!if_not_exists) {
            return done(Error(ErrorCode::kAlreadyExists, "topic \"" + std::string(name) + "\" exists"));
        }
        if (topic->settings() == settings) return answer_after_commit(topic->info(), std::move(done));
        return done(Error(ErrorCode::kConflict, "topic \"" + std::string(name) +
                                                    "\" exists with other settings; change them with: rockdove topic "
                                                    "update " +
                                                    std::string(name)));
    }
    const Result<Topic*> topic = make_topic(name, settings, now);
    if (!topic) return done(topic.error());
    answer_after_commit((*topic)->info(), std::move(done));
}

void Namespace::update_topic(std::string_view name, const TopicSettings& settings, TimePoint now,
                             Answer<TopicInfo> done) {
    Topic* topic = find_topic(name);
    if (topic == nullptr) return done(no_such_topic(name));
    if (Result<void> ok = check_settings(settings); !ok) return done(ok.error());
    if (settings.durability != topic->settings().durability) {
        return done(Error(ErrorCode::kConflict,
                          "the durability of topic \"" + std::string(name) + "\" cannot change; create another topic"));
    }
    topic->log().update(log_settings(settings), now);
    topic->update(settings);
    shared_.stage.writes().require_sync();
    answer_after_commit(topic->info(), std::move(done));
}

void Namespace::delete_topic(std::string_view name, bool if_exists, Answer<std::uint64_t> done) {
    Topic* topic = find_topic(name);
    if (topic == nullptr) {
        if (if_exists) return done(std::uint64_t{0});
        return done(no_such_topic(name));
    }
    // A queue that it feeds may hold messages that lie here.
    for (const auto& [id, queue] : queues_) {
        const bool own = queue->subscription() != nullptr && queue->subscription()->to == queue.get();
        for (const Holding& holding : queue->holdings()) {
            if (own || holding.log != topic->log().id()) continue;
            const bool holds = std::any_of(holding.lanes.begin(), holding.lanes.end(),
                                           [](const Holding::OfLane& lane) { return lane.blocks != 0; });
            if (!holds) continue;
            return done(Error(ErrorCode::kConflict, "queue \"" + queue->name() + "\" has messages of topic \"" +
                                                        std::string(name) + "\"; let it drain, or purge it first"));
        }
    }
    const std::uint64_t messages = topic->info().messages;
    while (!topic->subscriptions().empty()) drop_subscription(*topic->subscriptions().begin()->second);
    topic->erase_records();
    Queue& log = topic->log();
    log.erase_records();
    put_namespace_record();
    topics_.erase(topics_.find(name));
    remove_queue(log);
    shared_.stage.writes().require_sync();
    answer_after_commit(messages, std::move(done));
}

Result<TopicInfo> Namespace::show_topic(std::string_view name) const {
    const Topic* topic = find_topic(name);
    if (topic == nullptr) return no_such_topic(name);
    return topic->info();
}

std::vector<TopicInfo> Namespace::list_topics(std::string_view prefix, std::string_view after,
                                              std::uint32_t limit) const {
    std::vector<TopicInfo> infos;
    auto it = after.empty() || after < prefix ? topics_.lower_bound(prefix) : topics_.upper_bound(after);
    for (; it != topics_.end() && infos.size() < limit && it->first.starts_with(prefix); ++it) {
        infos.push_back(it->second->info());
    }
    return infos;
}

// --- subscriptions ----------------------------------------------------------------------------------------------

Result<Subscription*> Namespace::find_subscription(std::string_view topic_name, std::string_view name) const {
    const Topic* topic = find_topic(topic_name);
    if (topic == nullptr) return no_such_topic(topic_name);
    if (Subscription* subscription = topic->find(name)) return subscription;
    return not_found(full_name(topic_name, name));
}

Result<void> Namespace::check_subscription(const SubscribeRequest& request) const {
    if (Result<void> ok = base::check_name("subscription name", request.name); !ok) return ok;
    if (request.subjects.size() > kMaxPatterns) {
        return Error(ErrorCode::kInvalid,
                     "a subscription has at most " + std::to_string(kMaxPatterns) + " subject patterns");
    }
    for (const std::string& pattern : request.subjects) {
        if (Result<void> ok = check_pattern(pattern); !ok) return ok;
    }
    return check_settings(request.settings);
}

Result<Subscription*> Namespace::make_subscription(Topic& topic, const SubscribeRequest& request, TimePoint now) {
    if (Result<void> ok = check_subscription(request); !ok) return ok.error();
    const std::string name = full_name(request.topic, request.name);
    if (Result<void> ok = check_dead_letter_to(name, request.settings, true); !ok) return ok.error();
    Result<MessagePredicate> filter = shared_.format.filter(request.filter, now);
    if (!filter) return filter.error();
    const auto session = sessions_.find(request.session);
    RD_CHECK(!request.ephemeral || session != sessions_.end());
    if (request.ephemeral && session->second.ephemeral.size() >= kMaxEphemeralPerSession) {
        return Error(ErrorCode::kRateLimited, "this connection has " +
                                                  std::to_string(session->second.ephemeral.size()) +
                                                  " ephemeral subscriptions, its limit");
    }
    Queue* to = nullptr;
    if (!request.to_queue.empty()) {
        to = find_queue(request.to_queue);
        if (to == nullptr || to->subscription() != nullptr) return not_found(request.to_queue);
        if (request.ephemeral) return Error(ErrorCode::kInvalid, "an ephemeral subscription cannot feed a queue");
        if (to->durable() && topic.settings().durability == Durability::kMemory) {
            return Error(ErrorCode::kConflict, "queue \"" + to->name() + "\" is durable, and topic \"" + topic.name() +
                                                   "\" is in memory: its messages would not survive there");
        }
        for (const auto& [other, subscription] : topic.subscriptions()) {
            if (subscription->to != to) continue;
            return Error(ErrorCode::kConflict, "subscription \"" + subscription->queue->name() + "\" feeds queue \"" +
                                                   to->name() + "\" already; give that one more subjects");
        }
    }
    const Result<QueueId> next = next_queue_id();
    if (!next) return next.error();
    QueueId id = *next;
    if (request.ephemeral && !free_ids_.empty()) {
        id = free_ids_.back();
        free_ids_.pop_back();
    } else {
        ++next_queue_;
    }
    storage::QueueRecord queue;
    queue.name = name;
    queue.settings = request.settings;
    queue.settings.durability = request.ephemeral ? Durability::kMemory : topic.settings().durability;
    queue.created_ms = to_unix_ms(now);
    storage::SubscriptionRecord record;
    record.topic = topic.log().id();
    record.subjects = request.subjects;
    record.filter = request.filter;
    if (to != nullptr) record.to = to->id();
    if (!request.ephemeral) {
        shared_.stage.writes().put(storage::queue_key(shared_.ns, id), queue.encode());
        shared_.stage.writes().put(storage::subscription_key(shared_.ns, id), record.encode());
        shared_.stage.writes().require_sync();
    }
    Queue& own = add_queue(id, std::move(queue));
    ++subscriptions_;
    Subscription& subscription = topic.add(std::string(request.name), std::move(record), own, to != nullptr ? *to : own,
                                           *std::move(filter), request.ephemeral);
    if (request.ephemeral) {
        subscription.session = request.session;
        session->second.ephemeral.push_back(id);
    }
    topic.begin_at(subscription, request.from, now);
    return &subscription;
}

void Namespace::subscribe(const SubscribeRequest& request, TimePoint now, Answer<SubscriptionInfo> done) {
    const Result<Topic*> topic = find_or_create_topic(request.topic, now);
    if (!topic) return done(topic.error());
    if (Subscription* known = (*topic)->find(request.name)) {
        const std::string name = full_name(request.topic, request.name);
        if (!request.if_not_exists) {
            return done(Error(ErrorCode::kAlreadyExists, "subscription \"" + name + "\" exists"));
        }
        QueueSettings wanted = request.settings;
        wanted.durability = known->queue->settings().durability;
        const bool same =
            known->record.subjects == request.subjects && known->record.filter == request.filter &&
            known->queue->settings() == wanted && known->ephemeral == request.ephemeral &&
            (known->to == known->queue ? request.to_queue.empty() : known->to->name() == request.to_queue);
        if (same && known->ephemeral) take_over(*known, request.session);
        if (same) return answer_after_commit((*topic)->info(*known), std::move(done));
        return done(Error(ErrorCode::kConflict, "subscription \"" + name +
                                                    "\" exists with other settings; change them with: rockdove "
                                                    "subscription update " +
                                                    name));
    }
    const Result<Subscription*> made = make_subscription(**topic, request, now);
    if (!made) return done(made.error());
    answer_after_commit((*topic)->info(**made), std::move(done));
}

void Namespace::forget_ephemeral(const Subscription& subscription) {
    const auto session = sessions_.find(subscription.session);
    if (session != sessions_.end()) std::erase(session->second.ephemeral, subscription.queue->id());
}

// Its client is back before its old connection was missed.
void Namespace::take_over(Subscription& subscription, SessionId session) {
    if (subscription.session == session) return;
    forget_ephemeral(subscription);
    subscription.session = session;
    sessions_.at(session).ephemeral.push_back(subscription.queue->id());
}

void Namespace::update_subscription(const SubscribeRequest& request, TimePoint now, Answer<SubscriptionInfo> done) {
    const Result<Subscription*> found = find_subscription(request.topic, request.name);
    if (!found) return done(found.error());
    Subscription& subscription = **found;
    if (Result<void> ok = check_subscription(request); !ok) return done(ok.error());
    Queue& queue = *subscription.queue;
    QueueSettings settings = request.settings;
    settings.durability = queue.settings().durability;
    if (settings.dead_letter_to != queue.settings().dead_letter_to) {
        if (Result<void> ok = check_dead_letter_to(queue.name(), settings, true); !ok) return done(ok.error());
    }
    Result<MessagePredicate> filter = shared_.format.filter(request.filter, now);
    if (!filter) return done(filter.error());
    Topic& topic = *find_topic(request.topic);
    if (subscription.ephemeral) {
        return done(Error(ErrorCode::kInvalid, "\"" + queue.name() + "\" is ephemeral; make another one instead"));
    }
    topic.log().close_open_blocks();
    topic.route();  // under the settings as they are
    queue.update(settings, now);
    topic.change(subscription, request.subjects, request.filter, *std::move(filter));
    shared_.stage.writes().require_sync();
    answer_after_commit(topic.info(subscription), std::move(done));
}

std::uint64_t Namespace::drop_subscription(Subscription& subscription) {
    Queue& queue = *subscription.queue;
    const bool ephemeral = subscription.ephemeral;
    if (ephemeral) forget_ephemeral(subscription);
    shared_.find(subscription.record.topic)->topic()->remove(subscription);
    std::uint64_t messages = queue.info().ready;
    if (ephemeral) {
        queue.let_go_of_topics();
        free_ids_.push_back(queue.id());
    } else {
        messages = queue.erase_records();
        put_namespace_record();
        shared_.stage.writes().require_sync();
    }
    --subscriptions_;
    remove_queue(queue);
    return messages;
}

void Namespace::delete_subscription(std::string_view topic, std::string_view name, bool if_exists,
                                    Answer<std::uint64_t> done) {
    const Result<Subscription*> found = find_subscription(topic, name);
    if (!found) {
        if (if_exists && found.error().code == ErrorCode::kNotFound) return done(std::uint64_t{0});
        return done(found.error());
    }
    answer_after_commit(drop_subscription(**found), std::move(done));
}

Result<SubscriptionInfo> Namespace::show_subscription(std::string_view topic, std::string_view name) const {
    const Result<Subscription*> found = find_subscription(topic, name);
    if (!found) return found.error();
    return find_topic(topic)->info(**found);
}

Result<std::vector<SubscriptionInfo>> Namespace::list_subscriptions(std::string_view topic, std::string_view after,
                                                                    std::uint32_t limit) const {
    if (!topic.empty() && find_topic(topic) == nullptr) return no_such_topic(topic);
    const std::string prefix = topic.empty() ? std::string() : std::string(topic) + "/";
    std::vector<SubscriptionInfo> infos;
    auto it = after.empty() || after < prefix ? by_name_.lower_bound(prefix) : by_name_.upper_bound(after);
    for (; it != by_name_.end() && infos.size() < limit && it->first.starts_with(prefix); ++it) {
        const Subscription* subscription = it->second->subscription();
        if (subscription == nullptr) continue;
        infos.push_back(shared_.find(subscription->record.topic)->topic()->info(*subscription));
    }
    return infos;
}

void Namespace::seek(std::string_view topic, std::string_view name, const Place& to, Answer<SubscriptionInfo> done) {
    const Result<Subscription*> found = find_subscription(topic, name);
    if (!found) return done(found.error());
    if ((*found)->to != (*found)->queue) {
        return done(Error(ErrorCode::kInvalid, "subscription \"" + (*found)->queue->name() + "\" feeds queue \"" +
                                                   (*found)->to->name() +
                                                   "\", which has no place in the topic; replay into it instead"));
    }
    find_topic(topic)->seek(**found, to);
    shared_.stage.writes().require_sync();
    answer_after_commit(find_topic(topic)->info(**found), std::move(done));
}

void Namespace::replay(std::string_view topic, std::string_view name, const Place& from, const Place& to,
                       Answer<SubscriptionInfo> done) {
    const Result<Subscription*> found = find_subscription(topic, name);
    if (!found) return done(found.error());
    if (Result<void> ok = find_topic(topic)->replay(**found, from, to); !ok) return done(ok.error());
    shared_.stage.writes().require_sync();
    answer_after_commit(find_topic(topic)->info(**found), std::move(done));
}

Result<void> Namespace::check_not_bound(const Queue& queue) const {
    for (const auto& [name, topic] : topics_) {
        for (const auto& [sub, subscription] : topic->subscriptions()) {
            if (subscription->to != &queue) continue;
            return Error(ErrorCode::kConflict, "subscription \"" + subscription->queue->name() + "\" feeds queue \"" +
                                                   queue.name() + "\"; delete it first: rockdove subscription delete " +
                                                   subscription->queue->name());
        }
    }
    return {};
}

// --- recovery ---------------------------------------------------------------------------------------------------

Result<void> Namespace::load_subscription(QueueId id, storage::SubscriptionRecord record) {
    Queue* queue = shared_.find(id);
    Queue* log = shared_.find(record.topic);
    Queue* to = record.to.value == 0 ? queue : shared_.find(record.to);
    const std::size_t slash = queue == nullptr ? std::string::npos : queue->name().find('/');
    if (log == nullptr || log->topic() == nullptr || to == nullptr || slash == std::string::npos) {
        return Error(ErrorCode::kInternal,
                     "subscription " + std::to_string(id.value) + " has no queue, or no topic, or feeds no queue");
    }
    Result<MessagePredicate> filter = shared_.format.filter(record.filter, TimePoint());
    if (!filter) return filter.error();
    for (const std::string& pattern : record.subjects) {
        if (Result<void> ok = check_pattern(pattern); !ok) return Error(ErrorCode::kInternal, ok.error().text);
    }
    ++subscriptions_;
    log->topic()->add(queue->name().substr(slash + 1), std::move(record), *queue, *to, *std::move(filter), false);
    return {};
}

}  // namespace rockdove::core

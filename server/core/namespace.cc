#include "server/core/namespace.h"

#include <algorithm>

#include "protocol/names.h"
#include "storage/keys.h"

namespace rockdove::core {

namespace {

constexpr Millis kProducerCheckEvery{600'000};

}  // namespace

Namespace::Namespace(NamespaceId id, std::string name, NamespaceOptions options, Stage& stage, Outlet& outlet,
                     BlockReader& reader, WindowBudget& window, std::function<double()> random,
                     const MessageFormat& format, std::function<void(const std::string&)> warn)
    : name_(std::move(name)),
      options_(std::move(options)),
      shared_{id, stage, outlet, reader, format, window, std::move(random), std::move(warn), {}, {}, {}, {}, {}},
      producers_(shared_),
      tasks_(shared_) {
    shared_.find = [this](QueueId queue) -> Queue* {
        const auto it = queues_.find(queue);
        return it == queues_.end() ? nullptr : it->second.get();
    };
    shared_.find_name = [this](std::string_view queue) { return find_queue(queue); };
}

Namespace::~Namespace() = default;

// --- names ------------------------------------------------------------------------------------------------------

Error Namespace::not_found(std::string_view queue) const {
    if (topics_.contains(queue)) {
        return {ErrorCode::kNotFound, "queue \"" + std::string(queue) + "\" not found in namespace \"" + name_ +
                                          "\"; there is a topic of that name: did you mean publish and subscribe?"};
    }
    if (queue.find('/') != std::string_view::npos) {
        return {ErrorCode::kNotFound, "subscription \"" + std::string(queue) + "\" not found in namespace \"" + name_ +
                                          "\"; create it with: rockdove subscription create " + std::string(queue)};
    }
    return {ErrorCode::kNotFound, "queue \"" + std::string(queue) + "\" not found in namespace \"" + name_ +
                                      "\"; create it with: rockdove queue create " + std::string(queue)};
}

Queue* Namespace::find_queue(std::string_view name) const {
    const auto it = by_name_.find(name);
    return it == by_name_.end() ? nullptr : it->second;
}

Result<Queue*> Namespace::find_or_create(std::string_view name, TimePoint now) {
    if (Queue* queue = find_queue(name)) return queue;
    if (topics_.contains(name) || name.find('/') != std::string_view::npos) return not_found(name);
    if (Result<void> ok = base::check_name("queue name", name); !ok) return ok.error();
    if (!options_.create_on_use) return not_found(name);
    QueueSettings settings = options_.queue_defaults;
    // Who uses a queue is not to fail because the one for dead letters is not there yet; it may be the same.
    if (!check_dead_letter_to(name, settings, false)) settings.dead_letter_to.clear();
    return make_queue(name, settings, now);
}

Queue& Namespace::add_queue(QueueId id, storage::QueueRecord record) {
    auto queue = std::make_unique<Queue>(shared_, id, std::move(record));
    Queue& added = *queue;
    by_name_.emplace(added.name(), &added);
    queues_.emplace(id, std::move(queue));
    return added;
}

Result<Queue*> Namespace::make_queue(std::string_view name, const QueueSettings& settings, TimePoint now) {
    if (Result<void> ok = base::check_name("queue name", name); !ok) return ok.error();
    if (Result<void> ok = check_settings(settings); !ok) return ok.error();
    if (topics_.contains(name)) {
        return Error(ErrorCode::kAlreadyExists,
                     "\"" + std::string(name) + "\" is a topic; a queue and a topic cannot have the same name");
    }
    const Result<QueueId> free = next_queue_id();
    if (!free) return free.error();
    const QueueId id = *free;
    ++next_queue_;
    storage::QueueRecord record;
    record.name = name;
    record.settings = settings;
    record.created_ms = to_unix_ms(now);
    shared_.stage.writes().put(storage::queue_key(shared_.ns, id), record.encode());
    shared_.stage.writes().require_sync();
    return &add_queue(id, std::move(record));
}

Result<QueueId> Namespace::next_queue_id() const {
    if (queues_.size() < kMaxQueues && next_queue_ < 1U << 24) {
        return QueueId(std::uint32_t{options_.shard} << 24 | next_queue_);
    }
    return Error(ErrorCode::kFull,
                 "namespace \"" + name_ + "\" has " + std::to_string(queues_.size()) + " queues, its limit");
}

std::size_t Namespace::queue_count() const { return by_name_.size() - subscriptions_; }

// --- sessions ---------------------------------------------------------------------------------------------------

void Namespace::open_session(SessionId session, std::string_view producer_id, std::uint64_t producer_epoch,
                             TimePoint now, Answer<std::uint64_t> done) {
    Session& state = sessions_[session];
    if (producer_id.empty()) {
        done(std::uint64_t{0});
        return;
    }
    bool persist = false;
    Result<std::shared_ptr<Producer>> producer = producers_.open(producer_id, producer_epoch, session, now, &persist);
    if (!producer) {
        sessions_.erase(session);
        done(producer.error());
        return;
    }
    state.producer = *producer;
    if (!persist) {
        done((*producer)->epoch);
        return;
    }
    shared_.stage.writes().require_sync();
    answer_after_commit<std::uint64_t>((*producer)->epoch, std::move(done));
}

void Namespace::close_session(SessionId session, bool clean, TimePoint now) {
    const auto it = sessions_.find(session);
    if (it == sessions_.end()) return;
    for (const auto& [number, consumer] : it->second.consumers) consumer->queue->detach(*consumer, clean, now);
    it->second.consumers.clear();
    for (const QueueId id : std::exchange(it->second.ephemeral, {})) {
        const Queue* queue = shared_.find(id);
        const bool its_own = queue != nullptr && queue->subscription() != nullptr && queue->subscription()->ephemeral &&
                             queue->subscription()->session == session;
        if (its_own) drop_subscription(*queue->subscription());
    }
    if (it->second.producer != nullptr) producers_.close(*it->second.producer, session, clean, now);
    sessions_.erase(it);
}

void Namespace::on_session_room(SessionId session) {
    const auto it = sessions_.find(session);
    if (it == sessions_.end()) return;
    for (const auto& [number, consumer] : it->second.consumers) consumer->queue->on_room(*consumer);
}

Result<Consumer*> Namespace::find_consumer(SessionId session, std::uint64_t number) const {
    const auto it = sessions_.find(session);
    if (it != sessions_.end()) {
        const auto consumer = it->second.consumers.find(number);
        if (consumer != it->second.consumers.end()) return consumer->second;
    }
    return Error(ErrorCode::kNotFound,
                 "this connection has no consumer " + std::to_string(number) + "; attach it with Consume first");
}

// --- publish ----------------------------------------------------------------------------------------------------

Result<void> Namespace::admit(const PublishRequest& request, const Producer* producer) const {
    if (request.producer_seq == 0) return {};
    if (producer == nullptr) {
        return Error(ErrorCode::kInvalid, "producer_seq needs a producer_id in Hello");
    }
    if (producer->session != request.session) {
        return Error(ErrorCode::kFenced, "a newer connection has taken over producer id \"" + producer->id + "\"");
    }
    if (request.producer_seq > UINT64_MAX - request.ends.size()) {
        return Error(ErrorCode::kInvalid, "producer_seq " + std::to_string(request.producer_seq) + " is too large");
    }
    if (request.producer_seq < producer->floor) {
        return Error(ErrorCode::kInvalid, "producer_seq " + std::to_string(request.producer_seq) +
                                              " is below oldest_unconfirmed " + std::to_string(producer->floor) +
                                              ": its answer is forgotten");
    }
    return {};
}

namespace {

// D-3.
Error conflict(const Queue& queue, const DedupTable::First& first) {
    const std::string id = base::format_message_id({first.commit_time_ms, queue.id(), first.sequence});
    return {ErrorCode::kDedupConflict,
            "message " + id + " of queue \"" + queue.name() + "\" has the same dedup id and another body"};
}

// How many of the messages from `first` on, at most `count`, are no duplicates; their dedup ids are noted under the
// sequences that they are about to get. 0: the first is a duplicate of `*of`. Fewer with `*busy`: the queue cannot
// remember more ids. If nothing can be stored anyway (`full`), nothing is noted.
std::uint32_t without_duplicate(Queue& queue, const PublishRequest& request, std::uint32_t first, std::uint32_t count,
                                bool full, TimePoint now, std::optional<DedupTable::First>* of,
                                std::optional<Error>* busy) {
    for (std::uint32_t i = first; i < first + count; ++i) {
        const base::DedupId& id = request.traits[i].dedup;
        if (id.empty()) continue;
        *of = queue.find_duplicate(id, now);
        if (*of) return i - first;
        if (full) continue;
        const Sequence sequence(queue.next_sequence().value + (i - first));
        if (const Result<void> noted = queue.note_dedup(id, sequence, now); !noted) {
            *busy = noted.error();
            return i - first;
        }
    }
    return count;
}

}  // namespace

void Namespace::publish(const PublishRequest& request, TimePoint now) {
    const auto session = sessions_.find(request.session);
    Producer* producer = session == sessions_.end() ? nullptr : session->second.producer.get();
    const auto given = static_cast<std::uint32_t>(request.ends.size());
    const auto refuse = [&](const Error& error) {
        shared_.counters.refused += given;
        shared_.outlet.fail(request.session, request.request_id, error);
    };
    if (Result<void> ok = admit(request, producer); !ok) return refuse(ok.error());
    std::optional<Error> busy;  // a watermark: refuses what is new; duplicates are answered (SEMANTICS section 3)
    if (!refusal_.empty()) {
        busy.emplace(ErrorCode::kStoreBusy, refusal_);
        busy->retry_after = Millis(1'000);
        const bool known =
            request.to_topic ? find_topic(request.queue) != nullptr : find_queue(request.queue) != nullptr;
        if (!known) return refuse(*busy);
    }
    Topic* topic = nullptr;
    if (request.to_topic) {
        Result<Topic*> found = find_or_create_topic(request.queue, now);
        if (!found) return refuse(found.error());
        topic = *found;
    }
    Result<Queue*> found = topic != nullptr ? Result<Queue*>(&topic->log()) : find_or_create(request.queue, now);
    if (!found) return refuse(found.error());
    Queue& queue = **found;
    if (topic == nullptr && queue.subscription() != nullptr) {
        return refuse(
            Error(ErrorCode::kInvalid, "\"" + queue.name() + "\" is a subscription; publish to its topic instead"));
    }
    if (request.producer_seq == 0) producer = nullptr;
    if (producer != nullptr) {
        producers_.forget(*producer, std::min(request.oldest_unconfirmed, request.producer_seq));
        if (Result<void> ok = producers_.check_room(*producer); !ok) return refuse(ok.error());
    }

    const std::int64_t commit_time_ms = queue.commit_time_ms(now);
    for (std::uint32_t i = 0; i < request.traits.size(); ++i) {
        const base::MessageTraits& traits = request.traits[i];
        if (traits.expires_at_ms == 0 || traits.expires_at_ms > traits.due_ms(commit_time_ms)) continue;
        return refuse(Error(ErrorCode::kInvalid, "message " + std::to_string(i) +
                                                     " of this publish: expires_at_ms is not after the time when it is "
                                                     "due"));
    }

    Confirmation confirmation;
    confirmation.session = request.session;
    confirmation.request_id = request.request_id;
    confirmation.queue = queue.id();
    confirmation.durability = queue.settings().durability;
    const auto refuse_part = [&](std::uint32_t first, std::uint32_t count, const Error& error) {
        PublishException refused;
        refused.first_index = first;
        refused.count = count;
        refused.error = std::make_shared<const Error>(error);
        queue.count_refused(count);
        shared_.counters.refused += count;
        confirmation.exceptions.push_back(std::move(refused));
    };
    const auto remember = [&](std::uint64_t number, std::uint32_t count, Sequence sequence, std::int64_t time_ms) {
        if (producer == nullptr) return;
        storage::AnswerRange range;
        range.first = number;
        range.count = count;
        range.queue = queue.id();
        range.sequence = sequence;
        range.commit_time_ms = time_ms;
        producers_.remember(*producer, range, queue.durable(), now);
    };
    std::uint64_t duplicates = 0;
    bool full = busy.has_value();  // then `busy` says why, or the queue
    for (std::uint32_t i = 0; i < given;) {
        std::uint32_t count = given - i;
        const std::uint64_t number = request.producer_seq + i;
        if (producer != nullptr) {
            std::uint64_t next = 0;
            const storage::AnswerRange* answer = producer->find(number, &next);
            if (answer != nullptr) {
                count =
                    static_cast<std::uint32_t>(std::min<std::uint64_t>(count, answer->first + answer->count - number));
                if (answer->queue != queue.id()) {
                    refuse_part(i, count,
                                Error(ErrorCode::kConflict,
                                      "producer_seq " + std::to_string(number) + " was used for another queue before"));
                    i += count;
                    continue;
                }
                PublishException duplicate;
                duplicate.first_index = i;
                duplicate.count = count;
                duplicate.first_seq = Sequence(answer->sequence.value + (number - answer->first));
                duplicate.commit_time_ms = answer->commit_time_ms;
                duplicate.queue = answer->queue;
                confirmation.exceptions.push_back(std::move(duplicate));
                shared_.counters.duplicate += count;
                duplicates += count;
                i += count;
                continue;
            }
            count = static_cast<std::uint32_t>(std::min<std::uint64_t>(count, next - number));
        }
        if (!request.traits.empty()) {
            std::optional<DedupTable::First> first;
            const std::uint32_t fresh = without_duplicate(queue, request, i, count, full, now, &first, &busy);
            if (fresh == 0 && first) {
                if (first->same_body) {
                    PublishException duplicate;
                    duplicate.first_index = i;
                    duplicate.count = 1;
                    duplicate.first_seq = first->sequence;
                    duplicate.commit_time_ms = first->commit_time_ms;
                    duplicate.queue = queue.id();
                    confirmation.exceptions.push_back(std::move(duplicate));
                    ++shared_.counters.duplicate;
                    ++duplicates;
                    remember(number, 1, first->sequence, first->commit_time_ms);
                } else {
                    refuse_part(i, 1, conflict(queue, *first));
                }
                ++i;
                continue;
            }
            if (fresh != 0) count = fresh;
            full = full || (busy && fresh == 0);
        }
        Records records{request.records, request.ends, i, count, request.traits};
        if (topic != nullptr && !full) {
            Topic::Admission admission = topic->admit(records, request.mandatory);
            if (admission.count == 0) {
                queue.forget_not_stored();
                refuse_part(i, admission.refused, *admission.error);
                i += admission.refused;
                full = admission.stops;
                if (full) busy = std::move(admission.error);
                continue;
            }
            records.count = count = admission.count;
        }
        // Once one did not fit, nor does any after it: their order stays right.
        const Appended appended = full ? Appended() : queue.append(records, now);
        if (topic != nullptr) topic->accepted(records, appended, confirmation.routed);
        if (appended.count != 0) {
            if (confirmation.count == 0) {
                confirmation.first_seq = appended.first;
                confirmation.commit_time_ms = appended.commit_time_ms;
            }
            confirmation.count += appended.count;
            confirmation.ttl_lowered.insert(confirmation.ttl_lowered.end(), appended.ttl_lowered.begin(),
                                            appended.ttl_lowered.end());
            shared_.counters.accepted += appended.count;
            remember(number, appended.count, appended.first, appended.commit_time_ms);
        }
        if (!request.traits.empty()) queue.forget_not_stored();
        if (appended.count < count) {
            full = true;
            refuse_part(i + appended.count, count - appended.count, busy ? *busy : queue.full_error());
        }
        i += count;
    }
    if (confirmation.count == 0 && duplicates == 0) {
        shared_.outlet.fail(request.session, request.request_id, *confirmation.exceptions.front().error);
        return;
    }
    confirmation.room_messages = queue.room_messages();
    confirmation.room_bytes = queue.room_bytes();
    if (topic != nullptr) return topic->confirm(std::move(confirmation));
    if (queue.durable()) {
        shared_.stage.after_commit(std::move(confirmation));
    } else {
        shared_.stage.now(std::move(confirmation));
    }
}

// --- consume and settle -----------------------------------------------------------------------------------------

Result<ConsumeGrant> Namespace::consume(const ConsumeRequest& request, TimePoint now) {
    const auto session = sessions_.find(request.session);
    RD_CHECK(session != sessions_.end());
    auto& consumers = session->second.consumers;
    if (request.number == 0 || consumers.contains(request.number)) {
        return Error(ErrorCode::kInvalid,
                     "consumer " + std::to_string(request.number) +
                         (request.number == 0 ? ": numbers start at 1" : " is in use on this connection"));
    }
    if (consumers.size() >= kMaxConsumersPerSession) {
        return Error(ErrorCode::kRateLimited,
                     "this connection has " + std::to_string(consumers.size()) + " consumers, its limit");
    }
    if (Result<void> ok = base::check_name("consumer name", request.name); !ok) return ok.error();
    if (request.ack_on_delivery && (request.explicit_start || !request.held.empty())) {
        return Error(
            ErrorCode::kInvalid,
            "a consumer with ack_on_delivery starts nothing and holds nothing: without explicit_start and held");
    }
    Result<Queue*> found = find_or_create(request.queue, now);
    if (!found) return found.error();
    Queue& queue = **found;

    Consumer* known = queue.find_consumer(request.name);
    if (known != nullptr && known->attached()) {
        // The client is back before we noticed that it was gone, or two use one name: the newer one has it.
        const Error taken(ErrorCode::kConflict, "another connection attached consumer \"" + known->name +
                                                    "\" of queue \"" + queue.name() + "\"");
        shared_.outlet.consumer_closed(known->session, known->number, taken);
        if (const auto old = sessions_.find(known->session); old != sessions_.end()) {
            old->second.consumers.erase(known->number);
        }
    }
    ConsumeGrant grant;
    Consumer& consumer = queue.attach(request.name, request.session, request.number, request.held, now, &grant.held);
    queue.set_credit(consumer, request.credit_messages, request.credit_bytes);
    queue.set_ways(consumer, request.explicit_start, request.ack_on_delivery, request.filter);
    consumer.lease = request.lease.count() == 0 ? queue.settings().lease : request.lease;
    consumers.emplace(request.number, &consumer);
    grant.lease = consumer.lease;
    return grant;
}

Result<void> Namespace::set_credit(SessionId session, std::uint64_t number, std::uint32_t messages,
                                   std::uint64_t bytes) {
    Result<Consumer*> consumer = find_consumer(session, number);
    if (!consumer) return consumer.error();
    (*consumer)->queue->set_credit(**consumer, messages, bytes);
    return {};
}

void Namespace::cancel_consumer(SessionId session, std::uint64_t number, TimePoint now, Answer<std::uint64_t> done) {
    Result<Consumer*> consumer = find_consumer(session, number);
    if (!consumer) return done(consumer.error());
    sessions_.at(session).consumers.erase(number);
    const std::uint64_t held = (*consumer)->ack_on_delivery ? 0 : (*consumer)->held_messages;
    (*consumer)->queue->detach(**consumer, true, now);
    answer_after_commit(held, std::move(done));
}

void Namespace::settle(const SettleRequest& request, TimePoint now) {
    Result<Consumer*> consumer = find_consumer(request.session, request.consumer);
    if (!consumer) return shared_.outlet.fail(request.session, request.request_id, consumer.error());
    Queue& queue = *(*consumer)->queue;
    SettleReply reply = queue.settle(**consumer, request.outcome, request.ranges, request.reason, request.after, now);
    reply.request_id = request.request_id;
    if (request.request_id == 0) return;
    // Who asks for an answer is told when it is on disk; without one the ack rides with the next commit.
    if (queue.settings().durability == Durability::kSync && reply.count != 0) shared_.stage.writes().require_sync();
    if (queue.durable()) {
        shared_.stage.after_commit(std::move(reply));
    } else {
        shared_.stage.now(std::move(reply));
    }
}

void Namespace::start(const StartRequest& request, TimePoint now) {
    Result<Consumer*> consumer = find_consumer(request.session, request.consumer);
    if (!consumer) return shared_.outlet.fail(request.session, request.request_id, consumer.error());
    Queue& queue = *(*consumer)->queue;
    StartReply reply = queue.begin(**consumer, request.ranges, now);
    reply.request_id = request.request_id;
    if (queue.durable()) {
        shared_.stage.after_commit(std::move(reply));
    } else {
        shared_.stage.now(std::move(reply));
    }
}

void Namespace::extend(const ExtendRequest& request, TimePoint now) {
    Result<Consumer*> consumer = find_consumer(request.session, request.consumer);
    if (!consumer) return shared_.outlet.fail(request.session, request.request_id, consumer.error());
    Queue& queue = *(*consumer)->queue;
    const Millis lease = request.lease.count() == 0 ? (*consumer)->lease : request.lease;
    SettleReply reply = queue.extend(**consumer, request.ranges, lease, now);
    reply.request_id = request.request_id;
    if (queue.durable()) {
        shared_.stage.after_commit(std::move(reply));
    } else {
        shared_.stage.now(std::move(reply));
    }
}

// --- the shard's turn -------------------------------------------------------------------------------------------

void Namespace::end_turn(TimePoint now) {
    tasks_.run(now, refusal_);
    while (!shared_.touched.empty()) {
        std::vector<Queue*> touched;
        touched.swap(shared_.touched);
        for (Queue* queue : touched) {
            queue->dispatch(now);
            queue->touched_ = false;
            update_timer(*queue);
            if (!queue->unsealed_) {
                queue->unsealed_ = true;
                shared_.unsealed.push_back(queue);
            }
        }
    }
    for (const auto& [name, topic] : topics_) {
        if (topic->holds_confirmations()) topic->release_confirmations();
    }
}

void Namespace::update_timer(Queue& queue) {
    const TimePoint next = queue.next_time();
    if (next == queue.timer_) return;
    if (queue.timer_ != TimePoint::max()) timers_.erase({queue.timer_, queue.id()});
    queue.timer_ = next;
    if (next != TimePoint::max()) timers_.emplace(next, queue.id());
}

void Namespace::seal() {
    // Topics first: what they route belongs to the same commit. Sealing one queue may change another.
    for (std::size_t i = 0; i < shared_.unsealed.size(); ++i) {
        if (Topic* topic = shared_.unsealed[i]->topic()) topic->seal();
    }
    for (std::size_t i = 0; i < shared_.unsealed.size(); ++i) {
        Queue* queue = shared_.unsealed[i];
        queue->unsealed_ = false;
        queue->seal();
        in_commit_.push_back(queue->id());
    }
    shared_.unsealed.clear();
    producers_.seal();
}

void Namespace::on_committed() {
    for (const QueueId id : in_commit_) {
        if (Queue* queue = shared_.find(id)) queue->touch();
    }
    in_commit_.clear();
}

void Namespace::on_nothing_to_commit() { in_commit_.clear(); }

TimePoint Namespace::next_time() const {
    const TimePoint next = timers_.empty() ? TimePoint::max() : timers_.begin()->first;
    return std::min({next, next_producer_check_, tasks_.next_time()});
}

void Namespace::on_time(TimePoint now) {
    std::vector<QueueId> due;
    for (const auto& [time, id] : timers_) {
        if (time > now) break;
        due.push_back(id);
    }
    for (const QueueId id : due) shared_.find(id)->on_time(now);
    if (next_producer_check_ <= now) {
        producers_.expire(now);
        next_producer_check_ = now + kProducerCheckEvery;
    }
}

void Namespace::pass_time(TimePoint now) {
    while (!timers_.empty() && timers_.begin()->first <= now) {
        const auto [time, id] = *timers_.begin();
        Queue& queue = *shared_.find(id);
        queue.on_time(time);
        update_timer(queue);
    }
    on_time(now);  // the producers
    for (const auto& [id, queue] : queues_) queue->bury_without_pause();
}

void Namespace::drop_payload(const WindowBudget::Trailing& block) {
    if (Queue* queue = shared_.find(block.queue)) queue->drop_payload(block.block);
}

std::size_t Namespace::consumer_count() const {
    std::size_t count = 0;
    for (const auto& [id, session] : sessions_) count += session.consumers.size();
    return count;
}

bool Namespace::holds_deliveries(SessionId session) const {
    const auto found = sessions_.find(session);
    if (found == sessions_.end()) return false;
    return std::any_of(found->second.consumers.begin(), found->second.consumers.end(), [](const auto& entry) {
        const Consumer& consumer = *entry.second;
        return !consumer.ack_on_delivery && consumer.held_messages > consumer.buffered;
    });
}

void Namespace::for_each_queue(const std::function<void(const Queue&)>& visit) const {
    for (const auto& [id, queue] : queues_) visit(*queue);
}

}  // namespace rockdove::core

#include "model.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <tuple>

namespace rockdove::test {

void expect(bool ok, const std::string& what) {
    if (!ok) throw Mismatch(what);
}

namespace {

void expect_equal(const std::string& what, std::uint64_t core, std::uint64_t model) {
    expect(core == model, what + ": core " + std::to_string(core) + ", model " + std::to_string(model));
}

Error error(ErrorCode code) { return {code, "model"}; }

}  // namespace

// --- questions --------------------------------------------------------------------------------------------------

std::uint64_t ModelQueue::count(State state) const {
    std::uint64_t n = 0;
    for (const ModelMessage& m : messages) n += m.state == state ? 1 : 0;
    return n;
}

std::uint64_t ModelQueue::all() const {
    std::uint64_t n = 0;
    for (const ModelMessage& m : messages) n += m.counts() ? 1 : 0;
    return n;
}

std::uint64_t ModelQueue::bytes() const {
    std::uint64_t n = 0;
    for (const ModelMessage& m : messages) n += m.counts() ? m.bytes : 0;
    return n;
}

std::uint64_t ModelQueue::held(const std::string& consumer) const {
    std::uint64_t n = 0;
    for (const ModelMessage& m : messages) n += m.held_by(consumer) ? 1 : 0;
    return n + consumers.at(consumer).taken;
}

std::uint64_t ModelQueue::held_bytes(const std::string& consumer) const {
    std::uint64_t n = 0;
    for (const ModelMessage& m : messages) n += m.held_by(consumer) ? m.bytes : 0;
    return n + consumers.at(consumer).taken_bytes;
}

// E-1, E-2: it is the first of its key, and nothing holds that.
bool ModelQueue::key_allows(const ModelMessage& message, TimePoint now) const {
    if (message.key.empty()) return true;
    if (paused_keys.contains(message.key)) return false;
    for (const ModelMessage& m : messages) {
        if (m.key != message.key || m.seq == message.seq) continue;
        if (m.state == State::kStarted || m.state == State::kBuffered) return false;
        if (m.state == State::kWaiting && settings.key_on_retry == KeyOnRetry::kHold) return false;
        const bool before = std::pair(m.place, m.seq) < std::pair(message.place, message.seq);
        if (m.state == State::kReady && m.expires > now && before) return false;
    }
    return true;
}

ModelMessage* ModelQueue::first_ready(TimePoint now) {
    const bool oldest = settings.oldest_every != 0 && (choices + 1) % settings.oldest_every == 0;
    const bool filters = std::any_of(consumers.begin(), consumers.end(),
                                     [](const auto& entry) { return !entry.second.wants_below.empty(); });
    ModelMessage* first = nullptr;
    for (ModelMessage& m : messages) {
        if (m.state != State::kReady || m.expires <= now || is_new(m) || !key_allows(m, now)) continue;
        if (filters && !is_wanted(m)) continue;
        const bool urgent = first != nullptr && m.priority > first->priority && !oldest;
        const bool equal = first != nullptr && (m.priority == first->priority || oldest);
        if (first == nullptr || urgent || (equal && m.place < first->place)) first = &m;
    }
    return first;
}

const ModelDedup* ModelQueue::find_duplicate(const base::DedupId& id, TimePoint now) const {
    const auto it = dedup.find(id.low);
    if (id.empty() || it == dedup.end()) return nullptr;
    const bool counts = settings.dedup_mode == DedupMode::kUntilDone
                            ? messages[it->second.seq - 1].counts()
                            : it->second.committed + settings.dedup_window > now;
    return counts ? &it->second : nullptr;
}

// of the least urgent, up to this priority, the one with the earliest position.
ModelMessage* ModelQueue::victim(int priority) {
    ModelMessage* first = nullptr;
    const auto rank = [&](const ModelMessage& m) { return std::tuple(m.priority, m.place, m.seq); };
    for (ModelMessage& m : messages) {
        const bool in_hand = m.state == State::kStarted || m.state == State::kBuffered;
        if (!m.counts() || in_hand || m.priority > priority) continue;
        if (first == nullptr || rank(m) < rank(*first)) first = &m;
    }
    return first;
}

// It leaves its consumer's buffer without the consumer's doing, who is told.
void ModelQueue::unbuffer(ModelMessage& message) {
    if (message.state != State::kBuffered) return;
    recalls.insert(message.seq);
    message.state = State::kReady;
    message.consumer.clear();
}

void ModelQueue::unbuffer_all(const std::string& consumer) {
    for (ModelMessage& m : messages) {
        if (m.state != State::kBuffered || m.consumer != consumer) continue;
        m.state = State::kReady;
        m.consumer.clear();
    }
}

bool ModelQueue::is_wanted(const ModelMessage& message) const {
    return std::any_of(consumers.begin(), consumers.end(), [&](const auto& entry) {
        const ModelConsumer& consumer = entry.second;
        const std::uint64_t holds = held(entry.first);
        const bool room = holds < consumer.credit &&
                          (consumer.credit_bytes == 0 || holds == 0 || held_bytes(entry.first) < consumer.credit_bytes);
        return consumer.session.value != 0 && room &&
               (consumer.wants_below.empty() || message.body < consumer.wants_below);
    });
}

bool ModelQueue::has_credit(const std::string& name, const ModelMessage& message) const {
    const ModelConsumer& consumer = consumers.at(name);
    const std::uint64_t holds = held(name);
    if (consumer.session.value == 0 || holds >= consumer.credit) return false;
    if (!consumer.wants_below.empty() && message.body >= consumer.wants_below) return false;
    return consumer.credit_bytes == 0 || holds == 0 || held_bytes(name) + message.bytes <= consumer.credit_bytes;
}

std::optional<std::pair<std::string, std::string>> Model::find(SessionId session, std::uint64_t number) const {
    const auto it = sessions.find(session);
    if (it == sessions.end()) return std::nullopt;
    const auto consumer = it->second.consumers.find(number);
    if (consumer == it->second.consumers.end()) return std::nullopt;
    return consumer->second;
}

std::string Model::queue_of(const Received& message) const {
    const auto consumer = find(message.session, message.consumer);
    expect(consumer.has_value(), "a delivery for a consumer that is not attached");
    return consumer->first;
}

std::string ModelMessage::text(TimePoint now) const {
    static constexpr const char* kStates[] = {"scheduled", "ready", "buffered", "started", "waiting", "dead", "gone"};
    std::string out = "\n    " + std::to_string(seq) + " " + kStates[static_cast<int>(state)] + " priority " +
                      std::to_string(priority) + " place " + std::to_string((place - now).count());
    if (!key.empty()) out += " key " + key;
    if (state != State::kReady) out += " until " + std::to_string((due - now).count());
    return out;
}

// --- transitions ------------------------------------------------------------------------------------------------

void Model::wait(ModelMessage& message, Millis time) {
    message.state = time == Millis(0) ? State::kReady : State::kWaiting;
    message.due = now + time;
    message.consumer.clear();
}

void Model::die(ModelQueue& queue, ModelMessage& message) {
    const bool pauses = queue.settings.key_on_dead == KeyOnDead::kPause;
    if (!message.key.empty() && pauses && message.state == State::kStarted) queue.paused_keys.insert(message.key);
    message.state = State::kDead;
    ++queue.died;
    evict(queue);
}

void Model::die_expired(ModelQueue& queue, ModelMessage& message) {
    queue.unbuffer(message);
    ++queue.expired;
    if (queue.settings.on_expire == OnExpire::kDead) {
        const std::set<std::string> paused = queue.paused_keys;
        die(queue, message);
        queue.paused_keys = paused;  // T-4: expiry stops no key
        return;
    }
    message.state = State::kGone;
}

// True if there is no time for another try after such a wait (S-3).
bool Model::dies_waiting(ModelQueue& queue, ModelMessage& message, Millis time) {
    if (now + time < message.expires) return false;
    die_expired(queue, message);
    return true;
}

void Model::evict(ModelQueue& queue) {
    while (queue.count(State::kDead) > queue.settings.dead_max) {
        for (ModelMessage& m : queue.messages) {
            if (m.state != State::kDead) continue;
            m.state = State::kGone;
            ++queue.evicted;
            break;
        }
    }
}

void Model::retry(ModelQueue& queue, ModelMessage& message, std::optional<Millis> after) {
    const QueueSettings& s = queue.settings;
    if (message.expires <= now) return die_expired(queue, message);
    if (message.attempts >= (message.max_attempts != 0 ? message.max_attempts : s.max_attempts)) {
        return die(queue, message);
    }
    const double grown =
        static_cast<double>(s.backoff_first.count()) * std::pow(s.backoff_factor, message.attempts - 1);
    const Millis backoff(static_cast<std::int64_t>(std::min(grown, static_cast<double>(s.backoff_longest.count()))));
    const Millis time = after ? std::min(*after, s.max_retry_delay) : backoff;
    if (dies_waiting(queue, message, time)) return;
    ++queue.retried;
    wait(message, time);
}

void Model::release(ModelQueue& queue, ModelMessage& message, std::optional<Millis> after) {
    --message.attempts;
    ++message.releases;
    if (message.releases > queue.settings.max_releases) return die(queue, message);
    const Millis time = std::min(after.value_or(Millis(0)), queue.settings.max_retry_delay);
    if (!dies_waiting(queue, message, time)) wait(message, time);
}

void Model::lose(ModelQueue& queue, ModelMessage& message) {
    const bool first = message.losses++ == 0;
    retry(queue, message, first ? std::optional<Millis>(Millis(0)) : std::nullopt);
}

void Model::give_back(ModelQueue& queue, ModelMessage& message) {
    --message.attempts;
    if (!dies_waiting(queue, message, Millis(0))) wait(message, Millis(0));
}

// --- requests ---------------------------------------------------------------------------------------------------

Result<std::vector<Fate>> Model::publish(const std::string& name, SessionId session, std::uint64_t producer_seq,
                                         const std::vector<std::string>& bodies,
                                         const std::vector<base::MessageTraits>& traits,
                                         const std::vector<std::string>& keys) {
    ModelProducer* producer = nullptr;
    if (producer_seq != 0) {
        const std::string& id = sessions.at(session).producer;
        if (id.empty()) return error(ErrorCode::kInvalid);
        const auto it = producers.find(id);
        if (it == producers.end() || it->second.session != session) return error(ErrorCode::kFenced);
        producer = &it->second;
    }
    if (!queues.contains(name)) return error(ErrorCode::kNotFound);
    ModelQueue& queue = queues.at(name);
    for (const base::MessageTraits& asked : traits) {
        if (asked.expires_at_ms != 0 && asked.expires_at_ms <= asked.due_ms(to_unix_ms(now))) {
            return error(ErrorCode::kInvalid);
        }
    }
    std::vector<Fate> fates;
    bool full = false;
    bool any = false;
    const std::uint64_t dropped_before = queue.dropped;
    const std::uint64_t first_new = queue.messages.size() + 1;
    for (std::size_t i = 0; i < bodies.size(); ++i) {
        Fate fate;
        const ModelAnswer* answer = nullptr;
        if (producer != nullptr && producer->answers.contains(producer_seq + i)) {
            answer = &producer->answers.at(producer_seq + i);
        }
        const std::uint64_t size = Batch::message_bytes(bodies[i].size(), keys[i].size());
        std::uint64_t max_bytes = queue.settings.max_bytes;
        if (max_bytes == 0 && !queue.durable()) max_bytes = kMemoryQueueBytes;
        const ModelDedup* first = queue.find_duplicate(traits[i].dedup, now);
        const auto no_room = [&] {
            return (queue.settings.max_messages != 0 && queue.all() >= queue.settings.max_messages) ||
                   (max_bytes != 0 && queue.bytes() + size > max_bytes);
        };
        if (!full && answer == nullptr && first == nullptr) {
            const bool drops =
                queue.settings.overflow == Overflow::kDropOldest && (max_bytes == 0 || size <= max_bytes);
            while (drops && no_room()) {
                ModelMessage* gone = queue.victim(traits[i].priority);
                if (gone == nullptr) break;
                ++queue.dropped;
                if (queue.settings.on_expire == OnExpire::kDrop) {
                    gone->state = State::kGone;
                } else {
                    gone->state = State::kDead;
                    ++queue.died;
                    evict(queue);
                }
            }
            full = no_room();
        }
        if (answer != nullptr) {
            fate.kind = answer->queue == queue.id ? Fate::kDuplicate : Fate::kConflict;
            fate.seq = answer->seq;
        } else if (first != nullptr) {
            fate.kind = first->body == traits[i].dedup.body ? Fate::kDuplicate : Fate::kDedupConflict;
            fate.seq = first->seq;
            if (producer != nullptr && fate.kind == Fate::kDuplicate) {
                producer->answers[producer_seq + i] = ModelAnswer{queue.id, fate.seq, queue.durable()};
                producer->stored = producer->stored || queue.durable();
            }
        } else if (full) {
            fate.kind = Fate::kFull;
        } else {
            ModelMessage message;
            message.seq = fate.seq = queue.messages.size() + 1;
            message.body = bodies[i];
            message.priority = traits[i].priority;
            message.place = std::max(now, from_unix_ms(traits[i].due_ms(to_unix_ms(now))));
            message.due = message.place;
            message.state = message.place > now ? State::kScheduled : State::kReady;
            message.bytes = size;
            message.key = keys[i];
            message.max_attempts = traits[i].max_attempts;
            if (const std::int64_t expires = traits[i].expiry_ms(to_unix_ms(now)); expires != 0) {
                message.expires = from_unix_ms(expires);
            }
            if (queue.settings.ttl != Millis(0)) {
                message.expires = std::min(message.expires, message.place + queue.settings.ttl);
            }
            queue.messages.push_back(message);
            ++queue.accepted;
            const base::DedupId& id = traits[i].dedup;
            if (!id.empty()) queue.dedup[id.low] = ModelDedup{message.seq, id.body, now};
            if (producer != nullptr) {
                producer->answers[producer_seq + i] = ModelAnswer{queue.id, fate.seq, queue.durable()};
                producer->stored = producer->stored || queue.durable();
            }
        }
        any = any || fate.kind == Fate::kAccepted || fate.kind == Fate::kDuplicate;
        fates.push_back(fate);
    }
    if (queue.dropped != dropped_before) queue.not_visible_from = first_new;
    if (!any) {
        return error(fates.front().kind == Fate::kFull            ? ErrorCode::kFull
                     : fates.front().kind == Fate::kDedupConflict ? ErrorCode::kDedupConflict
                                                                  : ErrorCode::kConflict);
    }
    return fates;
}

namespace {

constexpr std::uint64_t kSubjectBytes = 3;  // a tag, a length, a letter

void put(ModelQueue& queue, const ModelMessage& published, const std::string& subject, TimePoint now) {
    ModelMessage message = published;
    if (!queue.subject.empty() && queue.subject != subject) {
        message.state = State::kGone;
    } else {
        message.state = message.place > now ? State::kScheduled : State::kReady;
        if (queue.settings.ttl != Millis(0)) {
            message.expires = std::min(message.expires, message.place + queue.settings.ttl);
        }
        ++queue.accepted;
    }
    queue.messages.push_back(std::move(message));
}

}  // namespace

void Model::route(const std::string& topic, const std::vector<std::string>& subjects) {
    if (!queues.contains(topic)) return;
    std::vector<ModelMessage>& published = queues.at(topic).messages;
    // Messages that were refused, or there already, have a subject as well: it is known by the body.
    for (std::uint64_t i = log.size(); i < published.size(); ++i) {
        ModelMessage& message = published[i];
        const std::size_t mark = message.body.find('#');
        const auto number = static_cast<std::size_t>(std::stoull(message.body.substr(mark + 1)));
        message.body.resize(mark);
        message.bytes = Batch::message_bytes(mark, message.key.size()) + kSubjectBytes;
        log.emplace_back(message, subjects.at(number));
        for (auto& [name, queue] : queues) {
            if (name.starts_with(topic + "/")) put(queue, message, subjects.at(number), now);
        }
        message.state = State::kGone;
        message.expires = TimePoint::max();
    }
}

void Model::subscribe(const std::string& name, ModelQueue queue, bool from_start) {
    for (const auto& [message, subject] : log) {
        put(queue, message, subject, now);
        if (from_start) continue;
        queue.messages.back().state = State::kGone;
        queue.accepted = 0;
    }
    queues.emplace(name, std::move(queue));
}

Result<std::vector<std::uint64_t>> Model::consume(const ConsumeOptions& request, std::vector<Closed>& closed) {
    ModelSession& session = sessions.at(request.session);
    if (session.consumers.contains(request.number)) return error(ErrorCode::kInvalid);
    if (request.ack_on_delivery && (request.explicit_start || !request.held.empty())) {
        return error(ErrorCode::kInvalid);
    }
    if (!queues.contains(request.queue)) return error(ErrorCode::kNotFound);
    ModelQueue& queue = queues.at(request.queue);
    ModelConsumer& consumer = queue.consumers[request.name];
    if (consumer.session.value != 0) {
        closed.push_back(Closed{consumer.session, consumer.number, ErrorCode::kConflict});
        sessions.at(consumer.session).consumers.erase(consumer.number);
    }
    queue.unbuffer_all(request.name);
    consumer.taken = consumer.taken_bytes = 0;
    std::vector<std::uint64_t> kept;
    for_held(queue, request.name, request.held, [&](ModelMessage& m) { kept.push_back(m.seq); });
    for (ModelMessage& m : queue.messages) {
        if (m.waits_for(request.name) && std::find(kept.begin(), kept.end(), m.seq) == kept.end()) lose(queue, m);
    }
    consumer.session = request.session;
    consumer.number = request.number;
    consumer.credit = request.credit;
    consumer.credit_bytes = request.credit_bytes;
    consumer.explicit_start = request.explicit_start;
    consumer.ack_on_delivery = request.ack_on_delivery;
    consumer.wants_below = request.filter.empty() ? "" : request.filter.substr(5);
    consumer.lease = request.lease == Millis(0) ? queue.settings.lease : request.lease;
    consumer.grace_end = TimePoint::max();
    session.consumers[request.number] = {request.queue, request.name};
    return kept;
}

Result<void> Model::credit(SessionId session, std::uint64_t number, std::uint32_t messages, std::uint64_t bytes) {
    const auto found = find(session, number);
    if (!found) return error(ErrorCode::kNotFound);
    ModelConsumer& consumer = queues.at(found->first).consumers.at(found->second);
    consumer.credit = messages;
    consumer.credit_bytes = bytes;
    return {};
}

Result<std::uint64_t> Model::cancel(SessionId session, std::uint64_t number) {
    const auto found = find(session, number);
    if (!found) return error(ErrorCode::kNotFound);
    ModelQueue& queue = queues.at(found->first);
    const std::uint64_t held = queue.held(found->second) - queue.consumers.at(found->second).taken;
    queue.unbuffer_all(found->second);
    for (ModelMessage& m : queue.messages) {
        if (m.waits_for(found->second)) give_back(queue, m);
    }
    queue.consumers.erase(found->second);
    sessions.at(session).consumers.erase(number);
    return held;
}

// Calls handle for every message of the ranges that the consumer has and that `is_meant`; the reply names the others.
template <class IsMeant, class Handle>
core::SettleReply Model::for_some(ModelQueue& queue, const std::string& consumer, const std::vector<LeaseRange>& ranges,
                                  IsMeant&& is_meant, Handle&& handle) {
    core::SettleReply reply;
    for (const LeaseRange& range : ranges) {
        bool open = false;
        for (std::uint64_t seq = range.first.value; seq <= range.last.value; ++seq) {
            ModelMessage* m = seq <= queue.messages.size() ? &queue.messages[seq - 1] : nullptr;
            const bool there = m != nullptr && m->held_by(consumer) && is_meant(*m);
            const bool buffered = there && m->state == State::kBuffered;
            if (there && (buffered ? m->buffered : m->lease) == range.lease &&
                (buffered ? epoch : m->epoch) == range.epoch) {
                handle(*m);
                ++reply.count;
                open = false;
            } else if (open) {
                reply.stale.back().last = Sequence(seq);
            } else {
                reply.stale.push_back(LeaseRange{Sequence(seq), Sequence(seq), range.epoch, range.lease});
                open = true;
            }
        }
    }
    return reply;
}

template <class Handle>
core::SettleReply Model::for_held(ModelQueue& queue, const std::string& consumer, const std::vector<LeaseRange>& ranges,
                                  Handle&& handle, bool buffered_too) {
    const auto meant = [&](const ModelMessage& m) { return m.state == State::kStarted || buffered_too; };
    return for_some(queue, consumer, ranges, meant, handle);
}

Result<core::SettleReply> Model::settle(SessionId session, std::uint64_t number, Outcome outcome,
                                        const std::vector<LeaseRange>& ranges, std::optional<Millis> after) {
    const auto found = find(session, number);
    if (!found) return error(ErrorCode::kNotFound);
    ModelQueue& queue = queues.at(found->first);
    ModelConsumer& consumer = queue.consumers.at(found->second);
    if (consumer.ack_on_delivery) {
        core::SettleReply reply;
        for (const LeaseRange& range : ranges) {
            const std::uint64_t n = std::min(range.last.value - range.first.value + 1, consumer.taken);
            if (outcome != Outcome::kAck || n == 0) {
                reply.stale.push_back(range);
                continue;
            }
            consumer.taken_bytes -= consumer.taken_bytes * n / consumer.taken;
            consumer.taken -= n;
            reply.count += n;
        }
        return reply;
    }
    const bool give_back_unstarted = consumer.explicit_start && outcome == Outcome::kRelease;
    return for_held(
        queue, found->second, ranges,
        [&](ModelMessage& m) {
            if (m.state == State::kBuffered) {
                m.state = State::kReady;
                m.consumer.clear();
                return;
            }
            if (outcome == Outcome::kAck) {
                m.state = State::kGone;
                ++queue.acked;
            } else if (outcome == Outcome::kRetry) {
                retry(queue, m, after);
            } else if (outcome == Outcome::kRelease) {
                release(queue, m, after);
            } else {
                die(queue, m);
            }
        },
        give_back_unstarted);
}

Result<core::StartReply> Model::start(SessionId session, std::uint64_t number, const std::vector<LeaseRange>& ranges) {
    const auto found = find(session, number);
    if (!found) return error(ErrorCode::kNotFound);
    ModelQueue& queue = queues.at(found->first);
    core::StartReply reply;
    reply.lease = queue.consumers.at(found->second).lease;
    const auto begin = [&](ModelMessage& m) {
        m.state = State::kStarted;
        ++m.attempts;
        ++m.lease;
        m.epoch = epoch;
        m.due = now + reply.lease;
        reply.started.push_back({{Sequence(m.seq), Sequence(m.seq), epoch, m.lease}, m.attempts});
    };
    const auto startable = [&](const ModelMessage& m) { return m.state == State::kBuffered && m.expires > now; };
    reply.stale = for_some(queue, found->second, ranges, startable, begin).stale;
    return reply;
}

void Model::pause(const std::string& name, bool paused) {
    ModelQueue& queue = queues.at(name);
    queue.paused = paused;
    for (ModelMessage& m : queue.messages) {
        if (paused) queue.unbuffer(m);
    }
}

Result<core::SettleReply> Model::extend(SessionId session, std::uint64_t number, const std::vector<LeaseRange>& ranges,
                                        Millis lease) {
    const auto found = find(session, number);
    if (!found) return error(ErrorCode::kNotFound);
    ModelQueue& queue = queues.at(found->first);
    const Millis time = lease == Millis(0) ? queue.consumers.at(found->second).lease : lease;
    return for_held(queue, found->second, ranges, [&](ModelMessage& m) { m.due = now + time; });
}

Result<std::uint64_t> Model::cancel_message(const std::string& name, std::uint64_t seq) {
    ModelQueue& queue = queues.at(name);
    if (seq > queue.messages.size() || queue.messages[seq - 1].state == State::kGone) {
        return error(ErrorCode::kNotFound);
    }
    ModelMessage& m = queue.messages[seq - 1];
    if (m.state == State::kStarted || m.state == State::kDead) return error(ErrorCode::kConflict);
    queue.unbuffer(m);
    m.state = State::kGone;
    return 1;
}

Result<std::uint64_t> Model::reschedule(const std::string& name, std::uint64_t seq, TimePoint due) {
    ModelQueue& queue = queues.at(name);
    if (seq > queue.messages.size()) return error(ErrorCode::kNotFound);
    ModelMessage& m = queue.messages[seq - 1];
    if (!m.counts()) return error(ErrorCode::kNotFound);
    if (m.state != State::kScheduled) return error(ErrorCode::kConflict);
    const TimePoint at = std::max(due, now);
    if (m.expires <= at) return error(ErrorCode::kInvalid);
    m.place = m.due = at;
    if (at <= now) m.state = State::kReady;
    return 1;
}

std::uint64_t Model::resume_keys(const std::string& name, const std::string& key) {
    std::set<std::string>& paused = queues.at(name).paused_keys;
    if (!key.empty()) return paused.erase(key);
    const std::uint64_t n = paused.size();
    paused.clear();
    return n;
}

std::uint64_t Model::purge(const std::string& name) {
    std::uint64_t n = 0;
    for (ModelMessage& m : queues.at(name).messages) {
        queues.at(name).unbuffer(m);
        if (m.state != State::kScheduled && m.state != State::kReady && m.state != State::kWaiting) continue;
        m.state = State::kGone;
        ++n;
    }
    return n;
}

std::uint64_t Model::remove(const std::string& name, std::vector<Closed>& closed) {
    const ModelQueue& queue = queues.at(name);
    for (const auto& [consumer_name, consumer] : queue.consumers) {
        if (consumer.session.value == 0) continue;
        closed.push_back(Closed{consumer.session, consumer.number, ErrorCode::kNotFound});
        sessions.at(consumer.session).consumers.erase(consumer.number);
    }
    const std::uint64_t n = queue.all();
    queues.erase(name);
    return n;
}

void Model::disconnect(SessionId id, bool clean) {
    const ModelSession session = sessions.at(id);
    for (const auto& [number, at] : session.consumers) {
        if (clean) {
            (void)cancel(id, number);
            continue;
        }
        ModelQueue& queue = queues.at(at.first);
        ModelConsumer& consumer = queue.consumers.at(at.second);
        queue.unbuffer_all(at.second);
        consumer.taken = consumer.taken_bytes = 0;
        consumer.wants_below.clear();
        consumer.session = SessionId(0);
        consumer.grace_end = now + queue.settings.reconnect_grace;
    }
    const auto producer = producers.find(session.producer);
    if (producer != producers.end() && producer->second.session == id) {
        producer->second.session = SessionId(0);
        if (clean) producers.erase(producer);
    }
    sessions.erase(id);
}

void ModelQueue::forget_ids(TimePoint now) {
    std::erase_if(dedup, [&](const auto& entry) {
        return settings.dedup_mode == DedupMode::kUntilDone ? !messages[entry.second.seq - 1].counts()
                                                            : entry.second.committed + settings.dedup_window <= now;
    });
}

void Model::update(const std::string& name, const QueueSettings& settings) {
    queues.at(name).forget_ids(now);
    queues.at(name).settings = settings;
    evict(queues.at(name));
}

// --- time and restart -------------------------------------------------------------------------------------------

TimePoint Model::next_event() const {
    TimePoint next = TimePoint::max();
    for (const auto& [name, queue] : queues) {
        for (const ModelMessage& m : queue.messages) {
            const bool waits = m.state == State::kScheduled || m.state == State::kStarted || m.state == State::kWaiting;
            if (waits) next = std::min(next, m.due);
            if (m.counts() && m.state != State::kStarted) next = std::min(next, m.expires);
        }
        for (const auto& [consumer_name, consumer] : queue.consumers) {
            if (consumer.session.value == 0) next = std::min(next, consumer.grace_end);
        }
    }
    return next;
}

void Model::on_time() {
    for (auto& [name, queue] : queues) {
        if (queue.settings.dedup_mode == DedupMode::kWindow) queue.forget_ids(now);
        for (auto& [consumer_name, consumer] : queue.consumers) {
            if (consumer.session.value != 0 || consumer.grace_end > now) continue;
            consumer.grace_end = TimePoint::max();
            for (ModelMessage& m : queue.messages) {
                if (m.waits_for(consumer_name)) lose(queue, m);
            }
        }
        for (ModelMessage& m : queue.messages) {
            if (m.state == State::kStarted && m.due <= now) retry(queue, m, std::nullopt);
        }
        for (ModelMessage& m : queue.messages) {
            const bool waits = m.state == State::kScheduled || m.state == State::kWaiting;
            if (waits && m.due <= now) m.state = State::kReady;
        }
    }
    expire();
}

void Model::expire() {
    for (auto& [name, queue] : queues) {
        for (ModelMessage& m : queue.messages) {
            if (m.counts() && m.state != State::kStarted && m.expires <= now) die_expired(queue, m);
        }
    }
}

void Model::restart(std::uint64_t new_epoch) {
    epoch = new_epoch;
    sessions.clear();
    if (queues.contains("t") && !queues.at("t").durable()) log.clear();
    for (auto& [name, queue] : queues) {
        if (!queue.durable()) queue.messages.clear();
        if (!queue.durable()) queue.paused_keys.clear();
        if (!queue.durable()) queue.dedup.clear();
        queue.accepted = queue.delivered = queue.acked = queue.retried = queue.died = queue.evicted = queue.expired = 0;
        queue.dropped = 0;
        queue.choices = 0;
        for (auto& [consumer_name, consumer] : queue.consumers) {
            queue.unbuffer_all(consumer_name);
            consumer.taken = consumer.taken_bytes = 0;
            consumer.wants_below.clear();
            consumer.session = SessionId(0);
            consumer.grace_end = TimePoint::max();
        }
        queue.recalls.clear();
    }
    for (auto& [id, producer] : producers) {
        producer.session = SessionId(0);
        std::erase_if(producer.answers, [](const auto& entry) { return !entry.second.durable; });
    }
}

// --- checks -----------------------------------------------------------------------------------------------------

void Model::delivered(const std::string& name, const Received& got) {
    const std::string what = "delivery of " + name + "/" + std::to_string(got.seq.value) + ": ";
    ModelQueue& queue = queues.at(name);
    const std::string consumer = find(got.session, got.consumer)->second;
    expect(!queue.paused, what + "the queue is paused");
    ModelMessage* m = queue.first_ready(now);
    if (m == nullptr || got.seq.value != m->seq) {
        queue.not_visible_from = UINT64_MAX;
        m = queue.first_ready(now);
    }
    expect(m != nullptr, what + "nothing is ready");
    std::string what_is_there;
    if (got.seq.value != m->seq) {
        for (const ModelMessage& one : queue.messages) {
            if (one.counts()) what_is_there += one.text(now);
        }
    }
    expect(got.seq.value == m->seq, what + "should have been " + std::to_string(m->seq) + "; there is" + what_is_there);
    expect(queue.has_credit(consumer, *m), what + consumer + " has no credit for it");
    expect(got.body == m->body, what + "body");
    ModelConsumer& by = queue.consumers.at(consumer);
    expect_equal(what + "attempt", got.attempt, m->attempts + 1);
    if (!by.explicit_start) expect_equal(what + "lease", got.lease, m->lease + 1);
    expect(((got.lease & core::kBufferedBit) != 0) == by.explicit_start, what + "whether its lease is one");
    expect_equal(what + "epoch", got.epoch, epoch);
    const Millis lease = by.lease;
    expect(got.lease_time == lease, what + "lease time");
    ++queue.delivered;
    ++queue.choices;
    if (by.ack_on_delivery) {
        m->state = State::kGone;
        ++queue.acked;
        ++by.taken;
        by.taken_bytes += m->bytes;
        return;
    }
    m->consumer = consumer;
    if (by.explicit_start) {
        m->state = State::kBuffered;
        m->buffered = got.lease;
        return;
    }
    m->state = State::kStarted;
    ++m->attempts;
    ++m->lease;
    m->epoch = epoch;
    m->due = now + lease;
}

// C-3: because it left the queue or the queue was paused, or to make room for something more urgent.
void Model::recalled(const std::string& name, const Received& got) {
    const std::string what = "recall of " + name + "/" + std::to_string(got.seq.value) + ": ";
    ModelQueue& queue = queues.at(name);
    ModelMessage& m = queue.messages.at(got.seq.value - 1);
    expect_equal(what + "number", got.lease, m.buffered);
    if (queue.recalls.erase(m.seq) != 0) return;
    expect(m.state == State::kBuffered, what + "it is in no buffer");
    expect(m.consumer == find(got.session, got.consumer)->second, what + "told to another one");
    const ModelMessage* urgent = queue.first_ready(now);
    if (urgent == nullptr || urgent->priority <= m.priority) {
        queue.not_visible_from = UINT64_MAX;
        urgent = queue.first_ready(now);
    }
    expect(urgent != nullptr && urgent->priority > m.priority, what + "for nothing more urgent");
    expect(!queue.has_credit(m.consumer, *urgent), what + "there is credit for what is urgent");
    for (const ModelMessage& other : queue.messages) {
        const bool less = std::pair(other.priority, m.place) < std::pair(m.priority, other.place);
        expect(other.state != State::kBuffered || !less, what + std::to_string(other.seq) + " would have been the one");
    }
    m.state = State::kReady;
    m.consumer.clear();
}

void Model::check_nothing_left_to_deliver() {
    for (auto& [name, queue] : queues) {
        queue.not_visible_from = UINT64_MAX;
        const ModelMessage* m = queue.paused ? nullptr : queue.first_ready(now);
        if (m == nullptr) continue;
        for (const auto& [consumer, unused] : queue.consumers) {
            expect(!queue.has_credit(consumer, *m),
                   name + "/" + std::to_string(m->seq) + " is ready, and " + consumer + " has credit for it");
        }
    }
}

void Model::check_info(const std::string& name, const QueueInfo& info, bool exact_bytes) const {
    const ModelQueue& queue = queues.at(name);
    expect_equal(name + ".ready", info.ready, queue.count(State::kReady));
    expect_equal(name + ".started", info.started, queue.count(State::kStarted));
    expect_equal(name + ".buffered", info.buffered, queue.count(State::kBuffered));
    expect_equal(name + ".scheduled", info.scheduled, queue.count(State::kScheduled));
    expect_equal(name + ".waiting", info.waiting, queue.count(State::kWaiting));
    expect_equal(name + ".dead", info.dead, queue.count(State::kDead));
    // A subscription knows only of what it has got.
    if (name.find('/') == std::string::npos) expect_equal(name + ".next_seq", info.next_seq, queue.messages.size() + 1);
    expect_equal(name + ".paused", info.paused ? 1 : 0, queue.paused ? 1 : 0);
    std::uint64_t attached = 0;
    for (const auto& [consumer, state] : queue.consumers) attached += state.session.value != 0 ? 1 : 0;
    expect_equal(name + ".consumers", info.consumers, attached);
    expect_equal(name + ".accepted", info.accepted, queue.accepted);
    expect_equal(name + ".delivered", info.delivered, queue.delivered);
    expect_equal(name + ".acked", info.acked, queue.acked);
    expect_equal(name + ".retried", info.retried, queue.retried);
    expect_equal(name + ".died", info.died, queue.died);
    expect_equal(name + ".dead_evicted", info.dead_evicted, queue.evicted);
    expect_equal(name + ".expired", info.expired, queue.expired);
    expect_equal(name + ".dropped", info.dropped, queue.dropped);
    if (exact_bytes) expect_equal(name + ".bytes", info.bytes, queue.bytes());
    expect((info.bytes == 0) == (queue.all() == 0), name + ".bytes is " + std::to_string(info.bytes));
    expect((info.oldest_commit_time_ms == 0) == (queue.all() == 0), name + ".oldest_commit_time_ms");
}

void Model::check_peek(const std::string& name, const core::PeekResult& result) const {
    const ModelQueue& queue = queues.at(name);
    std::size_t at = 0;
    for (const ModelMessage& m : queue.messages) {
        if (!m.counts()) continue;
        const std::string what = "peek of " + name + "/" + std::to_string(m.seq) + ": ";
        expect(at < result.items.size(), what + "missing");
        const core::PeekItem& item = result.items[at++];
        expect_equal(what + "order", item.sequence.value, m.seq);
        const core::PeekState state = m.state == State::kScheduled  ? core::PeekState::kScheduled
                                      : m.state == State::kReady    ? core::PeekState::kReady
                                      : m.state == State::kStarted  ? core::PeekState::kStarted
                                      : m.state == State::kBuffered ? core::PeekState::kBuffered
                                                                    : core::PeekState::kWaiting;
        expect_equal(what + "state", static_cast<std::uint64_t>(item.state), static_cast<std::uint64_t>(state));
        expect_equal(what + "attempts", item.attempts, m.attempts);
        const bool in_hand = m.state == State::kStarted || m.state == State::kBuffered;
        expect(item.consumer == (in_hand ? m.consumer : std::string()), what + "consumer");
        const bool timeless = m.state == State::kReady || m.state == State::kBuffered;
        const std::int64_t due = timeless ? 0 : to_unix_ms(m.due);
        expect(item.visible_at_ms == due, what + "visible_at: core is " + std::to_string(item.visible_at_ms - due) +
                                              " ms behind the model; it is" + m.text(now));
    }
    expect_equal("peek of " + name, result.items.size(), at);
}

void Model::adopt_started(const std::string& name, const core::PeekResult& result) {
    ModelQueue& queue = queues.at(name);
    const bool at_most_once = std::any_of(queue.consumers.begin(), queue.consumers.end(),
                                          [](const auto& entry) { return entry.second.ack_on_delivery; });
    for (ModelMessage& m : queue.messages) {
        const bool there = std::any_of(result.items.begin(), result.items.end(),
                                       [&](const core::PeekItem& item) { return item.sequence.value == m.seq; });
        if (at_most_once && m.state == State::kReady && !there) m.state = State::kGone;
    }
    for (const core::PeekItem& item : result.items) {
        expect(item.sequence.value <= queue.messages.size(), name + ": a message out of nowhere");
        ModelMessage& m = queue.messages[item.sequence.value - 1];
        if (item.state != core::PeekState::kStarted || m.state != State::kReady) continue;
        expect(queue.consumers.contains(item.consumer), name + ": started by nobody");
        m.state = State::kStarted;
        ++m.attempts;
        ++m.lease;
        m.epoch = epoch - 1;
        m.due = from_unix_ms(item.visible_at_ms);
        m.consumer = item.consumer;
    }
}

}  // namespace rockdove::test

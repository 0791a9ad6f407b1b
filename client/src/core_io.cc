// Frames in and out, and the clock: what happens on the I/O thread while a connection stands.
#include <algorithm>
#include <tuple>

#include "client/src/core.h"
#include "client/src/trace.h"
#include "protocol/limits.h"
#include "protocol/wire.h"

namespace rockdove::detail {

namespace {

constexpr std::size_t kWriteBytes = 1024 * 1024;  // of messages in one write
constexpr std::size_t kSettlesPerFrame = 4096;
constexpr Millis kGoodbye{1'000};  // the broker has so long to answer ours

base::Error to_error(const v1::Error& error) {
    const int code = error.code();
    const bool known = code >= 1 && code <= base::kErrorCodes;
    base::Error value(known ? static_cast<base::ErrorCode>(code) : base::ErrorCode::kInternal, error.text());
    value.retry_after = Millis(error.retry_after_ms());
    value.closes = error.closes();
    return value;
}

// Of a Deliver: whose.
std::uint64_t consumer_of(std::string_view deliver) {
    protocol::FieldReader in(deliver);
    while (in.next()) {
        if (in.field().number == 1) return in.field().value;
    }
    return 0;
}

bool only_reads(const v1::Frame& frame) {
    switch (frame.kind_case()) {
        case v1::Frame::kQueueShow:
        case v1::Frame::kQueueList:
        case v1::Frame::kQueuePeek:
        case v1::Frame::kQueueKeys:
        case v1::Frame::kExplain:
        case v1::Frame::kTopicShow:
        case v1::Frame::kTopicList:
        case v1::Frame::kSubscriptionShow:
        case v1::Frame::kSubscriptionList:
        case v1::Frame::kStatsRequest:
        case v1::Frame::kPing:
            return true;
        default:
            return false;
    }
}

bool not_now(base::ErrorCode code) {
    return code == base::ErrorCode::kUnavailable || code == base::ErrorCode::kOutcomeUnknown;
}

}  // namespace

// --- in ---

bool Core::dispatch(std::string_view bytes) {
    trace_frame('<', bytes);
    const base::Result<protocol::FrameView> frame = protocol::read_frame(bytes);
    if (!frame) {
        drop_reason_ = frame.error();
        return false;
    }
    const std::uint64_t id = frame->request_id;
    switch (frame->kind) {
        case protocol::FrameKind::kConfirm:
            producer_.on_confirm(id, frame->body, welcome_.connection_id());
            return true;
        case protocol::FrameKind::kDeliver: {
            const auto found = consumers_.find(consumer_of(frame->body));
            if (found == consumers_.end()) return true;  // ended meanwhile
            const std::shared_ptr<Consumer> consumer = found->second;
            consumer->on_deliver(frame->body);
            return true;
        }
        case protocol::FrameKind::kPong:
            if (requests_.find(id) == requests_.end()) return true;
            break;
        default:
            break;
    }
    v1::Frame parsed;
    if (!parsed.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
        drop_reason_ = base::Error(base::ErrorCode::kProtocol, "the broker sent a frame that cannot be read");
        return false;
    }
    switch (parsed.kind_case()) {
        case v1::Frame::kError: {
            const base::Error error = to_error(parsed.error());
            const bool a_publish = id != 0 && producer_.on_error(id, error, welcome_.connection_id());
            if (id != 0 && !a_publish) on_answer(id, error);
            if (!error.closes) return true;
            drop_reason_ = error;
            return false;
        }
        case v1::Frame::kGoAway:
            on_go_away(parsed.go_away());
            return true;
        case v1::Frame::kRecall: {
            const auto found = consumers_.find(parsed.recall().consumer());
            if (found != consumers_.end()) found->second->on_recall(parsed.recall());
            return true;
        }
        case v1::Frame::kConsumerClosed: {
            const auto found = consumers_.find(parsed.consumer_closed().consumer());
            if (found == consumers_.end()) return true;
            const std::shared_ptr<Consumer> consumer = found->second;
            const base::Error error = to_error(parsed.consumer_closed().error());
            consumer->on_detached();
            if (consumer->detach_wanted || !base::error_retryable(error.code)) {
                end_consumer(consumer, error);
            } else {
                attach_again_[consumer->number] =
                    std::chrono::steady_clock::now() + std::max(error.retry_after, Millis{1000});
                arm(attach_again_[consumer->number]);
            }
            return true;
        }
        case v1::Frame::kPing: {
            v1::Frame pong;
            pong.set_request_id(id);
            pong.mutable_pong();
            put(pong);
            return true;
        }
        default:
            break;
    }
    if (id != 0) on_answer(id, std::move(parsed));
    return true;
}

void Core::on_answer(std::uint64_t id, base::Result<v1::Frame> answer) {
    if (settling_.find(id) != settling_.end()) return on_settled(id, answer);
    const auto found = requests_.find(id);
    if (found == requests_.end()) return;  // answered too late
    const Answer done = std::move(found->second.done);
    requests_.erase(found);
    done(std::move(answer));
}

// Once more with the next connection. A consumer that has ended will not have one.
void Core::put_off(Settling& settle) {
    const bool ended = consumers_.find(settle.consumer->number) == consumers_.end();
    for (SettleEntry& entry : settle.entries) {
        entry.sent_before = true;
        if (!ended) {
            settle.consumer->backlog().push_back(std::move(entry));
        } else if (entry.waiter) {
            entry.waiter->set_value(
                base::Error(base::ErrorCode::kOutcomeUnknown,
                            "the connection broke before the settle was answered, and its receiver has ended"));
        }
    }
}

void Core::on_settled(std::uint64_t id, const base::Result<v1::Frame>& answer) {
    const auto found = settling_.find(id);
    Settling settle = std::move(found->second);
    settling_.erase(found);
    if (!answer && not_now(answer.error().code)) {  // the broker is about to stop: again with the next one
        put_off(settle);
        return;
    }
    for (SettleEntry& entry : settle.entries) {
        settle.consumer->settled(entry.delivery);
        if (!entry.waiter) continue;
        std::optional<base::Error> error;
        if (!answer) {
            error = answer.error();
        } else {
            const auto& stale = answer->settled().stale();
            if (std::any_of(stale.begin(), stale.end(),
                            [&](const v1::SeqRange& range) { return contains(range, *entry.delivery); })) {
                error = base::Error(
                    entry.sent_before ? base::ErrorCode::kOutcomeUnknown : base::ErrorCode::kStaleLease,
                    "message " + std::to_string(entry.delivery->sequence) + " of \"" + settle.consumer->queue +
                        (entry.sent_before
                             ? "\" was settled twice, over a broken connection; the broker no longer holds it"
                             : "\" is no longer held: its lease ended or was given back"));
            }
        }
        entry.waiter->set_value(std::move(error));
    }
}

void Core::on_go_away(const v1::GoAway& go_away) {
    leaving_ = true;
    come_back_after_ = Millis(go_away.reconnect_after_ms());
    drop_reason_ = base::Error(base::ErrorCode::kUnavailable, "the broker is stopping: " + go_away.reason());
}

// --- out ---

void Core::put(const v1::Frame& frame) {
    const std::size_t size = frame.ByteSizeLong();
    const auto prefix = static_cast<std::uint32_t>(size);
    control_.append(reinterpret_cast<const char*>(&prefix), sizeof prefix);
    const std::size_t at = control_.size();
    control_.resize(at + size);
    frame.SerializeToArray(control_.data() + at, static_cast<int>(size));
    trace_frame('>', std::string_view(control_).substr(at));
}

void Core::request(v1::Frame frame, SteadyTime deadline, bool bound, Answer done) {
    std::optional<base::Error> closed;
    {
        const std::lock_guard lock(mutex_);
        closed = closed_;
    }
    if (closed) return done(*closed);
    if (bound && !connected_) return done(base::Error(base::ErrorCode::kUnavailable, "not connected"));
    const std::uint64_t id = next_request_++;
    Request& request = requests_[id];
    request.frame = std::move(frame);
    request.frame.set_request_id(id);
    request.deadline = deadline;
    request.again = only_reads(request.frame);
    request.bound = bound;
    request.done = std::move(done);
    if (connected_) put_request(id, request);
    arm(deadline);
}

void Core::put_request(std::uint64_t id, Request& request) {
    if (request.frame.ByteSizeLong() > welcome_.limits().max_frame_bytes()) {
        asio::post(io_, [this, id] {
            enter();
            on_answer(id, base::Error(base::ErrorCode::kTooLarge, "the request is larger than the broker's frames"));
        });
        return;
    }
    put(request.frame);
    request.on_wire = true;
}

void Core::put_credit(Consumer& consumer) {
    const std::uint32_t messages = consumer.credit();
    if (messages == consumer.credit_told) return;
    consumer.credit_told = messages;
    v1::Frame frame;
    v1::Credit& credit = *frame.mutable_credit();
    credit.set_consumer(consumer.number);
    credit.set_credit_messages(messages);
    credit.set_credit_bytes(consumer.settings.prefetch_bytes);
    put(frame);
}

void Core::take_settles() {
    std::vector<SettleEntry> entries;
    {
        const std::lock_guard lock(mutex_);
        entries.swap(settles_);
    }
    // Mostly all are of one consumer.
    while (!entries.empty()) {
        const std::shared_ptr<Consumer> consumer = entries.front().consumer;
        std::vector<SettleEntry> others;
        const auto mine = std::stable_partition(entries.begin(), entries.end(),
                                                [&](const SettleEntry& entry) { return entry.consumer == consumer; });
        others.assign(std::make_move_iterator(mine), std::make_move_iterator(entries.end()));
        entries.erase(mine, entries.end());
        if (consumers_.find(consumer->number) == consumers_.end()) {
            for (SettleEntry& entry : entries) {
                if (entry.waiter) {
                    entry.waiter->set_value(base::Error(base::ErrorCode::kStaleLease,
                                                        "the receiver of this job has ended; the job was given back"));
                }
            }
        } else if (consumer->attached()) {
            put_settles(consumer, std::move(entries));
        } else {
            for (SettleEntry& entry : entries) {
                arm(entry.deadline);
                consumer->backlog().push_back(std::move(entry));
            }
        }
        entries = std::move(others);
    }
}

// One Settle for each (outcome, reason, after).
void Core::put_settles(const std::shared_ptr<Consumer>& consumer, std::vector<SettleEntry> entries) {
    std::erase_if(entries, [&](SettleEntry& entry) {
        if (!consumer->is_of_the_past(*entry.delivery)) return false;
        consumer->settled(entry.delivery);
        const bool done = consumer->settings.ack_on_delivery;  // when it was sent
        if (entry.waiter) {
            entry.waiter->set_value(done ? std::nullopt : std::optional(stale_lease(*entry.delivery, consumer->queue)));
        }
        return true;
    });
    const auto fate = [](const SettleEntry& entry) { return std::tie(entry.outcome, entry.after, entry.reason); };
    const auto same = [&](const SettleEntry& a, const SettleEntry& b) { return fate(a) == fate(b); };
    if (std::adjacent_find(entries.begin(), entries.end(), std::not_fn(same)) != entries.end()) {
        std::stable_sort(entries.begin(), entries.end(),
                         [&](const SettleEntry& a, const SettleEntry& b) { return fate(a) < fate(b); });
    }
    for (auto at = entries.begin(); at != entries.end();) {
        auto end = at;
        while (end != entries.end() && static_cast<std::size_t>(end - at) < kSettlesPerFrame && same(*at, *end)) ++end;
        put_one_settle(consumer, {std::make_move_iterator(at), std::make_move_iterator(end)});
        at = end;
    }
}

void Core::put_one_settle(const std::shared_ptr<Consumer>& consumer, std::vector<SettleEntry> entries) {
    const std::uint64_t id = next_request_++;
    v1::Frame frame;
    frame.set_request_id(id);
    v1::Settle& settle = *frame.mutable_settle();
    settle.set_consumer(consumer->number);
    settle.set_outcome(entries.front().outcome);
    settle.set_reason(entries.front().reason);
    if (entries.front().after) settle.set_after_ms(static_cast<std::uint64_t>(entries.front().after->count()));
    std::vector<std::shared_ptr<Delivery>> deliveries;
    deliveries.reserve(entries.size());
    for (const SettleEntry& entry : entries) {
        deliveries.push_back(entry.delivery);
        arm(entry.deadline);
    }
    for (v1::SeqRange& range : to_ranges(deliveries)) *settle.add_ranges() = std::move(range);
    put(frame);
    settling_.emplace(id, Settling{consumer, std::move(entries)});
}

void Core::pump() {
    if (writing_) return;  // looks again when that is done
    awake_.store(false);
    take_settles();
    if (!connected_) {
        arm(producer_.expire(std::chrono::steady_clock::now()));
        return;
    }
    std::vector<asio::const_buffer> buffers;
    gather(buffers);
    if (buffers.empty()) {
        const bool idle = leaving_ && !producer_.waits_for_answers() && settling_.empty() && requests_.empty() &&
                          std::none_of(consumers_.begin(), consumers_.end(),
                                       [](const auto& entry) { return entry.second->holds_anything(); });
        if (idle && !finishing_) drop_connection(*drop_reason_);
        return;
    }
    writing_ = true;
    awake_.store(true);
    asio::async_write(socket_, buffers, [this](boost::system::error_code error, std::size_t) {
        enter();
        writing_ = false;
        control_writing_.clear();
        batches_writing_.clear();
        if (error) {
            drop_connection(base::Error(base::ErrorCode::kUnavailable, "writing: " + error.message()));
            return;
        }
        last_sent_ = std::chrono::steady_clock::now();
        pump();
    });
}

void Core::gather(std::vector<asio::const_buffer>& buffers) {
    control_writing_.swap(control_);
    if (!control_writing_.empty()) buffers.push_back(asio::buffer(control_writing_));
    if (leaving_) return;  // new messages wait for the next connection
    const Producer::Limits limits{welcome_.limits().max_frame_bytes(), welcome_.limits().max_message_bytes(),
                                  welcome_.limits().max_messages_per_frame(), !here_};
    const SteadyTime now = std::chrono::steady_clock::now();
    SteadyTime look_again = SteadyTime::max();
    std::size_t bytes = 0;
    while (bytes < kWriteBytes) {
        std::shared_ptr<Batch> batch = producer_.take(limits, next_request_, now, look_again);
        if (!batch) break;
        bytes += batch->records.size();
        buffers.push_back(asio::buffer(batch->head));
        buffers.push_back(asio::buffer(batch->records));
        arm(batch->created + config_.operation_timeout);
        batches_writing_.push_back(std::move(batch));
    }
    arm(look_again);
}

// --- consumers ---

void Core::attach_now(const std::shared_ptr<Consumer>& consumer) {
    ++attaching_;
    if (!consumer->subscribes()) return consume(consumer);
    v1::Frame frame;
    consumer->fill(*frame.mutable_subscription_create(), connections_);
    const SteadyTime deadline = std::chrono::steady_clock::now() + config_.operation_timeout;
    request(std::move(frame), deadline, true,
            [this, consumer](base::Result<v1::Frame> answer) { on_subscribe_answer(consumer, answer); });
}

void Core::on_subscribe_answer(const std::shared_ptr<Consumer>& consumer, const base::Result<v1::Frame>& answer) {
    if (!connected_ || !answer) return on_attach_answer(consumer, answer);
    consumer->on_subscribed();
    if (consumers_.find(consumer->number) != consumers_.end()) return consume(consumer);
    on_attach_answer(consumer, base::Error(base::ErrorCode::kClosed, "ended before it was attached"));
}

void Core::consume(const std::shared_ptr<Consumer>& consumer) {
    v1::Frame frame;
    consumer->fill(*frame.mutable_consume());
    const SteadyTime deadline = std::chrono::steady_clock::now() + config_.operation_timeout;
    request(std::move(frame), deadline, true,
            [this, consumer](base::Result<v1::Frame> answer) { on_attach_answer(consumer, answer); });
}

void Core::on_attach_answer(const std::shared_ptr<Consumer>& consumer, const base::Result<v1::Frame>& answer) {
    if (!connected_) return;  // the next connection attaches anew
    if (attaching_ > 0) --attaching_;
    const bool wanted = consumers_.find(consumer->number) != consumers_.end();
    if (wanted && answer) {
        consumer->on_attached(answer->consume_ok());
        auto backlog = std::move(consumer->backlog());
        consumer->backlog().clear();
        if (!backlog.empty()) put_settles(consumer, std::move(backlog));
        if (consumer->detach_wanted) {
            detach_now(consumer);
        } else {
            put_credit(*consumer);  // it may have been paused meanwhile
        }
    } else if (wanted && answer.error().code == base::ErrorCode::kOutcomeUnknown) {
        drop_connection(answer.error());  // not answered in time: the broker hangs
    } else if (wanted && base::error_retryable(answer.error().code) && !consumer->detach_wanted) {
        const Millis wait = std::max(answer.error().retry_after, Millis{1000});
        attach_again_[consumer->number] = std::chrono::steady_clock::now() + wait;
        arm(attach_again_[consumer->number]);
    } else if (wanted) {
        end_consumer(consumer, answer.error());
    } else if (answer) {  // ended while it was attaching
        v1::Frame cancel;
        cancel.mutable_cancel_consumer()->set_consumer(consumer->number);
        put(cancel);
    }
    if (attaching_ == 0) set_state(ConnectionState::kReady);
}

void Core::detach_now(const std::shared_ptr<Consumer>& consumer) {
    if (consumers_.find(consumer->number) == consumers_.end()) return;
    take_settles();  // they go first
    if (!consumer->attached()) {
        // What was settled meanwhile is still to be told; else nobody misses us.
        const bool attaching = connected_ && attach_again_.find(consumer->number) == attach_again_.end();
        if (consumer->backlog().empty() && !attaching) end_consumer(consumer, std::nullopt);
        return;
    }
    v1::Frame frame;
    frame.mutable_cancel_consumer()->set_consumer(consumer->number);
    const SteadyTime deadline = std::chrono::steady_clock::now() + config_.operation_timeout;
    request(std::move(frame), deadline, true, [this, consumer](const base::Result<v1::Frame>& answer) {
        if (answer || connected_) end_consumer(consumer, std::nullopt);
    });
}

void Core::end_consumer(const std::shared_ptr<Consumer>& consumer, std::optional<base::Error> error) {
    attach_again_.erase(consumer->number);
    if (consumers_.erase(consumer->number) == 0) return;
    consumer->end(std::move(error));
    // The broker would keep it as long as the connection, and hold publishers back when it is full.
    v1::Frame frame;
    if (!connected_ || !consumer->fill(*frame.mutable_subscription_delete(), connections_)) return;
    const SteadyTime deadline = std::chrono::steady_clock::now() + config_.operation_timeout;
    request(std::move(frame), deadline, true, [](const base::Result<v1::Frame>&) {});
}

// --- the clock ---

void Core::arm(SteadyTime when) {
    if (when >= armed_) return;
    armed_ = when;
    timer_.expires_at(when);
    timer_.async_wait([this](boost::system::error_code error) {
        if (error) return;
        enter();
        tick();
    });
}

void Core::tick() {
    armed_ = SteadyTime::max();
    const SteadyTime now = std::chrono::steady_clock::now();
    SteadyTime next = producer_.expire(now);
    expire_requests(now, next);
    expire_settles(now, next);
    if (connected_) {
        const Millis heartbeat(welcome_.heartbeat_ms());
        if (now - last_heard_ >= 2 * heartbeat) {
            drop_connection(base::Error(base::ErrorCode::kUnavailable, "nothing heard for two heartbeats"));
        } else if (now - last_sent_ >= heartbeat / 2) {
            v1::Frame ping;
            ping.set_request_id(next_request_++);
            ping.mutable_ping();
            put(ping);
            last_sent_ = now;
        }
        next = std::min({next, last_sent_ + heartbeat / 2, last_heard_ + 2 * heartbeat});
        if (finishing_ && now >= goodbye_until_) {
            drop_connection(base::Error(base::ErrorCode::kClosed, "closed"));
        } else {
            next = std::min(next, goodbye_until_);
        }
        const auto again = attach_again_;
        for (const auto& [number, when] : again) {
            if (now < when) {
                next = std::min(next, when);
                continue;
            }
            attach_again_.erase(number);
            const auto found = consumers_.find(number);
            if (found != consumers_.end()) attach_now(std::shared_ptr<Consumer>(found->second));
        }
    }
    const auto consumers = consumers_;
    for (const auto& [number, consumer] : consumers) next = std::min(next, consumer->tick(now));
    arm(next);
    pump();
}

void Core::expire_requests(SteadyTime now, SteadyTime& next) {
    std::vector<std::pair<Answer, bool>> late;
    for (auto at = requests_.begin(); at != requests_.end();) {
        if (now < at->second.deadline) {
            next = std::min(next, at->second.deadline);
            ++at;
            continue;
        }
        late.emplace_back(std::move(at->second.done), at->second.on_wire);
        at = requests_.erase(at);
    }
    for (auto& [done, on_wire] : late) {
        done(on_wire ? base::Error(base::ErrorCode::kOutcomeUnknown, "the broker has not answered in time")
                     : base::Error(base::ErrorCode::kUnavailable, "not sent: no broker in time"));
    }
}

void Core::expire_settles(SteadyTime now, SteadyTime& next) {
    const auto look = [&](SettleEntry& entry, bool sent) {
        if (!entry.waiter) return;
        if (now < entry.deadline) {
            next = std::min(next, entry.deadline);
            return;
        }
        // The settle itself stays: it may still be carried out.
        entry.waiter->set_value(
            base::Error(base::ErrorCode::kOutcomeUnknown,
                        sent ? "the broker has not answered the settle within operation_timeout"
                             : "no broker within operation_timeout; the settle is still to be sent"));
        entry.waiter.reset();
    };
    for (auto& [id, settle] : settling_) {
        for (SettleEntry& entry : settle.entries) look(entry, true);
    }
    for (auto& [number, consumer] : consumers_) {
        for (SettleEntry& entry : consumer->backlog()) look(entry, entry.sent_before);
    }
}

// --- the end ---

void Core::finish() {
    if (finishing_) return;
    finishing_ = true;
    if (supervisor_done_) return wrap_up();
    pause_.cancel();
    if (!connected_) {
        boost::system::error_code ignored;
        resolver_.cancel();  // ends an attempt to connect
        socket_.close(ignored);
        return;
    }
    take_settles();
    v1::Frame frame;
    frame.mutable_go_away()->set_reason("closing");
    put(frame);
    goodbye_until_ = std::chrono::steady_clock::now() + kGoodbye;
    arm(goodbye_until_);
}

void Core::wrap_up() {
    const base::Error closed(base::ErrorCode::kClosed, "the client is closed");
    {
        const std::lock_guard lock(mutex_);
        if (!closed_) closed_ = closed;
    }
    producer_.refuse(closed);
    producer_.fail_all(base::Error(base::ErrorCode::kClosed, "closed before the message could be sent"),
                       base::Error(base::ErrorCode::kOutcomeUnknown, "closed before the broker confirmed the message"));
    auto requests = std::move(requests_);
    requests_.clear();
    for (auto& [id, request] : requests) request.done(closed);
    take_settles();
    auto settling = std::move(settling_);
    settling_.clear();
    for (auto& [id, settle] : settling) {
        for (SettleEntry& entry : settle.entries) {
            if (entry.waiter) {
                entry.waiter->set_value(
                    base::Error(base::ErrorCode::kOutcomeUnknown, "closed before the broker confirmed the settle"));
            }
        }
    }
    const auto consumers = consumers_;
    for (const auto& [number, consumer] : consumers) end_consumer(consumer, std::nullopt);
    set_state(ConnectionState::kClosed);
    first_outcome(closed);
    boost::system::error_code ignored;
    socket_.close(ignored);
    timer_.cancel();
    pause_.cancel();
    armed_ = SteadyTime::min();  // no more ticks
    work_.reset();
}

}  // namespace rockdove::detail

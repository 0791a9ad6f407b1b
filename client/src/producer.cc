#include "client/src/producer.h"

#include <algorithm>
#include <tuple>

#include "client/src/fast_id.h"
#include "protocol/base/check.h"
#include "protocol/frame.h"
#include "protocol/message_view.h"
#include "protocol/names.h"
#include "protocol/wire.h"
#include "rockdove/v1/frame.pb.h"

namespace rockdove::detail {

namespace {

constexpr std::size_t kBatchMessages = 512;
constexpr std::size_t kBatchBytes = 256 * 1024;
constexpr std::size_t kMaxNumbersOnTheirWay = 60'000;  // the broker remembers 65,536
constexpr std::size_t kRecordBytes = 8;                // at most: a message's tag and length
constexpr std::size_t kHeadBytes = 256;                // more than a Publish needs beside its messages
constexpr Millis kBatchAge{100};  // messages of a batch share a deadline, so they must be of one age

struct Exception {
    std::uint64_t first_index = 0, count = 0, first_seq = 0;
    std::string_view id_prefix;
    std::optional<base::Error> error;
};

struct RoutedRange {
    std::uint64_t first = 0, end = 0;
    std::uint32_t subscriptions = 0;
};

struct ConfirmView {
    std::uint64_t first_seq = 0, count = 0, room = 0;
    std::string_view id_prefix;
    Durability durability = Durability::kSync;
    std::vector<Exception> exceptions;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ttl_lowered;  // [first, end), ascending
    std::vector<RoutedRange> routed;                                   // ascending
    bool ok = true;
};

base::Error to_error(const v1::Error& error) {
    const int code = error.code();
    const bool known = code >= 1 && code <= base::kErrorCodes;
    base::Error value(known ? static_cast<base::ErrorCode>(code) : base::ErrorCode::kInternal, error.text());
    value.retry_after = Millis(error.retry_after_ms());
    value.closes = error.closes();
    return value;
}

Exception read_exception(std::string_view bytes, bool& ok) {
    Exception exception;
    protocol::FieldReader in(bytes);
    while (in.next()) {
        const auto& field = in.field();
        switch (field.number) {
            case 1:
                exception.first_index = field.value;
                break;
            case 2:
                exception.count = field.value;
                break;
            case 3: {
                v1::Error error;
                ok = ok && error.ParseFromArray(field.bytes.data(), static_cast<int>(field.bytes.size()));
                exception.error = to_error(error);
                break;
            }
            case 4:
                exception.first_seq = field.value;
                break;
            case 5:
                exception.id_prefix = field.bytes;
                break;
            default:
                break;
        }
    }
    ok = ok && in.ok();
    return exception;
}

std::pair<std::uint64_t, std::uint64_t> read_range(std::string_view bytes, bool& ok) {
    std::uint64_t first = 0;
    std::uint64_t count = 0;
    protocol::FieldReader in(bytes);
    while (in.next()) {
        if (in.field().number == 1) first = in.field().value;
        if (in.field().number == 2) count = in.field().value;
    }
    ok = ok && in.ok() && first <= UINT32_MAX && count <= UINT32_MAX;
    return {first, first + count};
}

RoutedRange read_routed(std::string_view bytes, bool& ok) {
    RoutedRange range;
    std::tie(range.first, range.end) = read_range(bytes, ok);
    protocol::FieldReader in(bytes);
    while (in.next()) {
        if (in.field().number == 3) range.subscriptions = static_cast<std::uint32_t>(in.field().value);
    }
    return range;
}

ConfirmView read_confirm(std::string_view bytes) {
    ConfirmView view;
    protocol::FieldReader in(bytes);
    while (in.next()) {
        const auto& field = in.field();
        switch (field.number) {
            case 1:
                view.first_seq = field.value;
                break;
            case 2:
                view.count = field.value;
                break;
            case 3:
                view.id_prefix = field.bytes;
                break;
            case 4:
                view.durability = field.value == v1::MEMORY  ? Durability::kMemory
                                  : field.value == v1::ASYNC ? Durability::kAsync
                                                             : Durability::kSync;
                break;
            case 5:
                view.room = field.value;
                break;
            case 7:
                view.exceptions.push_back(read_exception(field.bytes, view.ok));
                break;
            case 8:
                view.ttl_lowered.push_back(read_range(field.bytes, view.ok));
                break;
            case 9:
                view.routed.push_back(read_routed(field.bytes, view.ok));
                break;
            default:
                break;
        }
    }
    view.ok = view.ok && in.ok();
    return view;
}

// Do the parts of the answer add up to `messages`, in order?
bool adds_up(const ConfirmView& view, std::size_t messages) {
    std::uint64_t at = 0;
    std::uint64_t special = 0;
    for (const Exception& exception : view.exceptions) {
        if (exception.first_index < at || exception.count == 0 || exception.first_index >= messages ||
            exception.count > messages - exception.first_index) {
            return false;
        }
        at = exception.first_index + exception.count;
        special += exception.count;
    }
    return view.ok && special + view.count == messages;
}

std::string name_request(std::uint64_t connection, std::uint64_t request) {
    return std::to_string(connection) + "-" + std::to_string(request);
}

// `receipt` is complete but for its id; the room of that is used again for each message.
void accept(SendWaiter& waiter, Receipt& receipt, IdRun& ids) {
    receipt.id = ids(receipt.sequence);
    if (auto* callback = std::get_if<SendCallback>(&waiter)) {
        (*callback)(nullptr, &receipt);
    } else if (auto* promise = std::get_if<std::promise<Receipt>>(&waiter)) {
        promise->set_value(receipt);
    } else {
        std::get<ReceiptCallback>(waiter)(std::error_code(), receipt);
    }
}

}  // namespace

void fail_waiter(SendWaiter& waiter, const base::Error& error, const std::string& request_id) {
    if (auto* promise = std::get_if<std::promise<Receipt>>(&waiter)) {
        promise->set_exception(std::make_exception_ptr(to_public(error, request_id)));
    } else if (auto* callback = std::get_if<SendCallback>(&waiter)) {
        const Error told = to_public(error, request_id);
        (*callback)(&told, nullptr);
    } else {
        std::get<ReceiptCallback>(waiter)(to_public(error).code(), Receipt());
    }
}

bool Producer::room_for(std::size_t bytes) const {
    // A message larger than the whole limit may go alone.
    return pending_messages_ < config_.pending_messages &&
           (pending_bytes_ + bytes <= config_.pending_bytes || pending_messages_ == 0);
}

std::shared_ptr<Batch> Producer::open_batch(Target to, bool mandatory, std::size_t record_bytes) {
    const auto now = std::chrono::steady_clock::now();
    const auto fits = [&](const Batch& batch) {
        return batch.waiters.size() < kBatchMessages && batch.records.size() + record_bytes <= kBatchBytes &&
               batch.mandatory == mandatory && now - batch.created < kBatchAge;
    };
    if (last_open_is(to) && fits(*last_open_)) return last_open_;
    OpenBatches& open = open_to(to.topic);
    auto found = open.find(to.name);
    if (found == open.end() || !fits(*found->second)) {
        auto batch = std::make_shared<Batch>();
        batch->to = std::string(to.name);
        batch->topic = to.topic;
        batch->mandatory = mandatory;
        batch->created = now;
        batch->number = next_number_++;
        unsent_.push_back(batch);
        if (found == open.end()) {
            found = open.emplace(std::string(to.name), std::move(batch)).first;
        } else {
            found->second = std::move(batch);
        }
    }
    return last_open_ = found->second;
}

// The broker refuses a frame whole. A message that it will refuse for what is in it must not take others with it.
bool Producer::goes_alone(const Message& message, std::size_t encoded_size) {
    if (!Access::has_properties(message)) return false;
    std::string record;
    Access::encode(message, record);
    protocol::MessageTraits traits;
    return !protocol::check_message(std::string_view(record).substr(record.size() - encoded_size), traits);
}

bool Producer::send(Target to, const Message& message, SendWaiter waiter, AtLimit at_limit) {
    const std::size_t encoded_size = Access::encoded_size(message);
    const std::size_t bytes = encoded_size + kRecordBytes;
    const bool alone = goes_alone(message, encoded_size);
    std::unique_lock lock(mutex_);
    if (!refused_ && !room_for(bytes)) {
        if (config_.when_full_fail || at_limit == AtLimit::kFail) {
            lock.unlock();
            fail_waiter(waiter, base::Error(base::ErrorCode::kFull,
                                            "the client's own pending limit is reached: " +
                                                std::to_string(config_.pending_messages) + " messages or " +
                                                std::to_string(config_.pending_bytes) + " bytes are not answered yet"));
            return false;
        }
        if (at_limit == AtLimit::kThrow)
            fail(ErrorCode::kWouldDeadlock, "the pending limit is reached on the I/O thread, which makes room");
        ++blocked_;
        const bool room =
            changed_.wait_for(lock, config_.operation_timeout, [&] { return refused_ || room_for(bytes); });
        --blocked_;
        if (!room) {
            lock.unlock();
            fail_waiter(waiter, base::Error(base::ErrorCode::kUnavailable,
                                            "not sent: the pending limit was reached all through operation_timeout"));
            return false;
        }
    }
    std::optional<base::Error> error = refused_;
    if (!error && !last_open_is(to) && !open_to(to.topic).contains(to.name)) {
        const auto checked = base::check_name(to.topic ? "topic name" : "queue name", to.name);
        if (!checked) error = checked.error();
    }
    if (error) {
        lock.unlock();
        fail_waiter(waiter, *error);
        return false;
    }
    if (alone) close_batch(to);
    Batch& batch = *open_batch(to, to.topic && Access::mandatory(message), bytes);
    Access::encode(message, batch.records);
    batch.waiters.push_back(std::move(waiter));
    ++pending_messages_;
    pending_bytes_ += bytes;
    batch.largest = std::max(batch.largest, encoded_size);
    batch.pending_bytes += bytes;
    if (alone) close_batch(to);
    return true;
}

// What is sent there from now on goes into later batches.
void Producer::close_batch(Target to) {
    OpenBatches& open = open_to(to.topic);
    const auto found = open.find(to.name);
    if (found != open.end()) open.erase(found);
    if (last_open_is(to)) last_open_.reset();
}

// If it is open: what is sent there from now on goes into another one.
void Producer::close_this(const std::shared_ptr<Batch>& batch) {
    if (last_open_ == batch) last_open_.reset();
    OpenBatches& open = open_to(batch->topic);
    const auto found = open.find(batch->to);
    if (found != open.end() && found->second == batch) open.erase(found);
}

void Producer::close_all() {
    open_queues_.clear();
    open_topics_.clear();
    last_open_.reset();
}

// A batch that was made before the broker's limits were known, cut into such as fit. A message that is too large by
// itself becomes a batch of its own.
std::vector<std::shared_ptr<Batch>> Producer::split(Batch& batch, const Limits& limits) {
    const std::size_t most_bytes = limits.max_frame_bytes - kHeadBytes;
    std::vector<std::shared_ptr<Batch>> parts;
    protocol::FieldReader in(batch.records);
    std::size_t begin = 0;
    for (SendWaiter& waiter : batch.waiters) {
        RD_CHECK(in.next());  // we have written it
        const std::size_t message = in.field().bytes.size();
        const std::size_t end = static_cast<std::size_t>(in.field().bytes.data() - batch.records.data()) + message;
        const std::size_t size = end - begin;
        const bool fits = !parts.empty() && parts.back()->records.size() + size <= most_bytes &&
                          parts.back()->waiters.size() < limits.max_messages_per_frame &&
                          std::max(message, parts.back()->largest) <= limits.max_message_bytes;
        if (!fits) {
            auto part = std::make_shared<Batch>();
            part->to = batch.to;
            part->topic = batch.topic;
            part->mandatory = batch.mandatory;
            part->created = batch.created;
            part->number = batch.number;
            parts.push_back(std::move(part));
        }
        Batch& part = *parts.back();
        part.records.append(batch.records, begin, size);
        part.waiters.push_back(std::move(waiter));
        part.largest = std::max(part.largest, message);
        part.pending_bytes += message + kRecordBytes;
        begin = end;
    }
    return parts;
}

bool Producer::flush(SteadyTime deadline, const std::function<void()>& wake) {
    std::unique_lock lock(mutex_);
    const std::uint64_t target = next_number_;
    close_all();  // what is sent from now on goes into later batches
    ++flushing_;
    lock.unlock();
    wake();
    lock.lock();
    const bool done = changed_.wait_until(lock, deadline, [&] { return oldest_number_ >= target; });
    --flushing_;
    return done;
}

void Producer::refuse(const base::Error& error) {
    const std::lock_guard lock(mutex_);
    if (!refused_) refused_ = error;
    changed_.notify_all();
}

void Producer::frame(Batch& batch) {
    const std::uint64_t oldest = inflight_.empty() ? batch.first_seq : inflight_.begin()->second->first_seq;
    batch.head.clear();
    std::string fields;
    protocol::FieldWriter out(fields);
    out.bytes(batch.topic ? 2 : 1, batch.to);
    out.varint(3, batch.first_seq);
    if (batch.first_seq != 0) out.varint(4, std::min(oldest, batch.first_seq));
    if (batch.mandatory) out.varint(5, 1);
    protocol::begin_frame(batch.head, batch.request_id, protocol::FrameKind::kPublish,
                          fields.size() + batch.records.size());
    batch.head.append(fields);
}

std::shared_ptr<Batch> Producer::take(const Limits& limits, std::uint64_t& next_request, SteadyTime now,
                                      SteadyTime& look_again) {
    // Re-sends first, in the order of their numbers.
    for (auto at = resend_at_ ? inflight_.lower_bound(*resend_at_) : inflight_.end(); at != inflight_.end(); ++at) {
        if (at->second->on_wire) continue;
        resend_at_ = at->first + 1;
        at->second->on_wire = true;
        at->second->ever_sent = true;
        frame(*at->second);
        return at->second;
    }
    resend_at_.reset();
    if (fenced_) return nullptr;
    for (;;) {
        std::shared_ptr<Batch> batch;
        {
            const std::lock_guard lock(mutex_);
            if (unsent_.empty()) return nullptr;
            const Batch& front = *unsent_.front();
            const std::uint64_t oldest = inflight_.empty() ? next_seq_ : inflight_.begin()->second->first_seq;
            if (next_seq_ - oldest + front.waiters.size() > kMaxNumbersOnTheirWay) return nullptr;
            const OpenBatches& all_open = open_to(front.topic);
            const auto open = all_open.find(front.to);
            const bool still_open = open != all_open.end() && open->second == unsent_.front();
            if (still_open && config_.linger.count() > 0 && flushing_ == 0 && front.waiters.size() < kBatchMessages &&
                front.created + config_.linger > now) {
                look_again = std::min(look_again, front.created + config_.linger);
                return nullptr;
            }
            batch = std::move(unsent_.front());
            unsent_.pop_front();
            close_this(batch);
        }
        const bool too_large = batch->records.size() + kHeadBytes > limits.max_frame_bytes ||
                               batch->waiters.size() > limits.max_messages_per_frame ||
                               batch->largest > limits.max_message_bytes;
        if (too_large && !limits.may_fail) {
            const std::lock_guard lock(mutex_);
            unsent_.push_front(std::move(batch));
            return nullptr;
        }
        if (too_large && batch->waiters.size() > 1) {
            auto parts = split(*batch, limits);
            const std::lock_guard lock(mutex_);
            unsent_.insert(unsent_.begin(), std::make_move_iterator(parts.begin()),
                           std::make_move_iterator(parts.end()));
            continue;
        }
        if (too_large) {
            fail_batch(*batch, base::Error(base::ErrorCode::kTooLarge,
                                           "a message of " + std::to_string(batch->largest) +
                                               " bytes; the broker takes " + std::to_string(limits.max_message_bytes)));
            finished();
            continue;
        }
        batch->first_seq = next_seq_;
        next_seq_ += batch->waiters.size();
        batch->request_id = next_request++;
        batch->on_wire = true;
        batch->ever_sent = true;
        inflight_.emplace(batch->request_id, batch);
        frame(*batch);
        return batch;
    }
}

void Producer::on_connected(bool new_life) {
    if (new_life) {
        auto lost = std::move(inflight_);
        inflight_.clear();
        next_seq_ = 1;
        for (auto& [id, batch] : lost) {
            fail_batch(*batch, base::Error(base::ErrorCode::kOutcomeUnknown,
                                           "sent to \"" + batch->to +
                                               "\", but the broker has forgotten this producer and cannot tell"));
            finished();
        }
    }
    for (auto& [id, batch] : inflight_) batch->put_off.reset();
    resend_at_ = 0;
}

void Producer::on_disconnected() {
    for (auto& [id, batch] : inflight_) batch->on_wire = false;
    resend_at_.reset();
}

bool Producer::on_confirm(std::uint64_t request_id, std::string_view confirm, std::uint64_t connection) {
    const auto found = inflight_.find(request_id);
    if (found == inflight_.end()) return false;
    const std::shared_ptr<Batch> batch = std::move(found->second);
    inflight_.erase(found);
    answered_at_ = std::chrono::steady_clock::now();
    const ConfirmView view = read_confirm(confirm);
    if (!adds_up(view, batch->waiters.size())) {
        fail_batch(*batch, base::Error(base::ErrorCode::kProtocol, "the broker's confirm does not add up"),
                   name_request(connection, request_id));
        finished();
        return true;
    }
    make_room(*batch);
    IdRun ids(view.id_prefix);
    Receipt receipt;
    receipt.room = view.room;
    receipt.durability = view.durability;
    std::uint64_t next = view.first_seq;
    std::size_t at = 0;
    auto lowered = view.ttl_lowered.begin();
    auto routed = view.routed.begin();
    const auto accept_until = [&](std::size_t end) {
        for (; at < end; ++at) {
            receipt.sequence = next++;
            while (lowered != view.ttl_lowered.end() && lowered->second <= at) ++lowered;
            receipt.ttl_lowered = lowered != view.ttl_lowered.end() && lowered->first <= at;
            while (routed != view.routed.end() && routed->end <= at) ++routed;
            receipt.routed = routed != view.routed.end() && routed->first <= at ? routed->subscriptions : 0;
            accept(batch->waiters[at], receipt, ids);
        }
    };
    for (const Exception& exception : view.exceptions) {
        accept_until(exception.first_index);
        const std::size_t end = at + exception.count;
        if (exception.error) {
            for (; at < end; ++at)
                fail_waiter(batch->waiters[at], *exception.error, name_request(connection, request_id));
            continue;
        }
        IdRun first_ids(exception.id_prefix);
        Receipt duplicate = receipt;
        duplicate.duplicate = true;
        duplicate.ttl_lowered = false;
        duplicate.routed = 0;
        duplicate.sequence = exception.first_seq;
        for (; at < end; ++at, ++duplicate.sequence) accept(batch->waiters[at], duplicate, first_ids);
    }
    accept_until(batch->waiters.size());
    finished();
    return true;
}

bool Producer::on_error(std::uint64_t request_id, const base::Error& error, std::uint64_t connection) {
    const auto found = inflight_.find(request_id);
    if (found == inflight_.end()) return false;
    const std::shared_ptr<Batch> batch = found->second;
    if (error.code == base::ErrorCode::kUnavailable || error.code == base::ErrorCode::kOutcomeUnknown) {
        batch->put_off = error;  // the number makes it safe to ask again
        return true;
    }
    if (error.code == base::ErrorCode::kFenced) {
        // Only this batch is certainly refused: the confirms of others may have been overtaken.
        inflight_.erase(found);
        fail_batch(*batch, error, name_request(connection, request_id));
        finished();
        fenced_ = true;
        refuse(error);
        fail_all(error, base::Error(base::ErrorCode::kOutcomeUnknown, "sent, but not answered before: " + error.text));
        return true;
    }
    inflight_.erase(found);
    fail_batch(*batch, error, name_request(connection, request_id));
    finished();
    return true;
}

bool Producer::waits_for_answers() const {
    return std::any_of(inflight_.begin(), inflight_.end(),
                       [](const auto& entry) { return entry.second->on_wire && !entry.second->put_off; });
}

SteadyTime Producer::expire(SteadyTime now) {
    SteadyTime next = SteadyTime::max();
    const auto timeout = config_.operation_timeout;
    while (!inflight_.empty()) {
        // Created in the order of sealing, so the oldest is in front.
        const std::shared_ptr<Batch> batch = inflight_.begin()->second;
        if (batch->created + timeout > now) {
            next = batch->created + timeout;
            break;
        }
        inflight_.erase(inflight_.begin());
        if (batch->put_off) {
            fail_batch(*batch, *batch->put_off);
        } else {
            fail_batch(*batch, base::Error(base::ErrorCode::kOutcomeUnknown,
                                           "sent to \"" + batch->to + "\", but not answered within operation_timeout"));
        }
        finished();
    }
    for (;;) {
        std::shared_ptr<Batch> batch;
        {
            const std::lock_guard lock(mutex_);
            if (unsent_.empty()) return next;
            if (unsent_.front()->created + timeout > now) return std::min(next, unsent_.front()->created + timeout);
            batch = std::move(unsent_.front());
            unsent_.pop_front();
            close_this(batch);
        }
        fail_batch(*batch, base::Error(base::ErrorCode::kUnavailable,
                                       "not sent to \"" + batch->to + "\": no broker within operation_timeout"));
        finished();
    }
}

void Producer::fail_all(const base::Error& unsent, const base::Error& sent) {
    auto lost = std::move(inflight_);
    inflight_.clear();
    for (auto& [id, batch] : lost) {
        fail_batch(*batch, sent);
        finished();
    }
    for (;;) {
        std::shared_ptr<Batch> batch;
        {
            const std::lock_guard lock(mutex_);
            if (unsent_.empty()) return;
            batch = std::move(unsent_.front());
            unsent_.pop_front();
            close_all();
        }
        fail_batch(*batch, unsent);
        finished();
    }
}

void Producer::fail_batch(Batch& batch, const base::Error& error, const std::string& request_id) {
    make_room(batch);
    for (SendWaiter& waiter : batch.waiters) fail_waiter(waiter, error, request_id);
}

void Producer::make_room(const Batch& batch) {
    const std::lock_guard lock(mutex_);
    pending_messages_ -= batch.waiters.size();
    pending_bytes_ -= batch.pending_bytes;
    if (blocked_ > 0) changed_.notify_all();
}

void Producer::finished() {
    const std::lock_guard lock(mutex_);
    oldest_number_ = !inflight_.empty() ? inflight_.begin()->second->number
                     : !unsent_.empty() ? unsent_.front()->number
                                        : next_number_;
    if (flushing_ > 0) changed_.notify_all();
}

}  // namespace rockdove::detail

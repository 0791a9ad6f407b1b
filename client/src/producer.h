// What is sent and not answered yet. Callers append encoded messages to open batches; the I/O thread seals batches into
// Publish frames, numbers them, and keeps them until they are answered, to send them again after a reconnect.
//
// Bounds: messages and bytes by ClientOptions::pending_limit; numbers on their way by the protocol (65,536).
// Errors reach each message's own waiter, exactly once.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "client/src/access.h"
#include "client/src/settings.h"

namespace rockdove::detail {

using SteadyTime = std::chrono::steady_clock::time_point;

// Who waits for a message's answer. Callbacks run on the I/O thread.
using ReceiptCallback = std::function<void(std::error_code, Receipt)>;
using SendWaiter = std::variant<std::promise<Receipt>, SendCallback, ReceiptCallback>;
void fail_waiter(SendWaiter& waiter, const base::Error& error, const std::string& request_id = {});

// Where a message goes: to a queue, or to a topic.
struct Target {
    std::string_view name;
    bool topic = false;
};

// Messages for one target that travel in one Publish.
struct Batch {
    std::string to;
    bool topic = false;
    bool mandatory = false;  // all of them, or none
    std::string records;     // encoded messages with their tags and lengths
    std::vector<SendWaiter> waiters;
    SteadyTime created;
    std::uint64_t number = 0;       // by creation
    std::size_t largest = 0;        // bytes of its largest message
    std::size_t pending_bytes = 0;  // as counted against the limit
    // From sealing on, the I/O thread's:
    std::string head;  // frame up to the messages
    std::uint64_t first_seq = 0;
    std::uint64_t request_id = 0;
    bool on_wire = false;                // given to the present connection
    bool ever_sent = false;              // perhaps received by a broker
    std::optional<base::Error> put_off;  // answered "not now": goes again with the next connection
};

// What send() does at the pending limit, unless when_full_fail says kFail anyway.
enum class AtLimit : std::uint8_t {
    kBlock,
    kThrow,  // kWouldDeadlock
    kFail    // kFull
};

class Producer {
public:
    struct Limits {
        std::size_t max_frame_bytes;
        std::size_t max_message_bytes;
        std::size_t max_messages_per_frame;
        bool may_fail;  // batches that are too large, on this thread; else they stay
    };

    explicit Producer(const Config& config) : config_(config) {}

    // --- any thread ---
    // Queues a message, in the order of the calls.
    // Returns true if the I/O thread should look (see Core::wake).
    bool send(Target to, const Message& message, SendWaiter waiter, AtLimit at_limit);
    // Blocks until everything queued before is answered. False: not within the time. `wake` tells the I/O thread that
    // lingering is over.
    bool flush(SteadyTime deadline, const std::function<void()>& wake);
    // From now on every send fails with this.
    void refuse(const base::Error& error);

    // --- I/O thread ---
    // The next batch to write, framed; none if there is nothing, or the numbers on their way are too many. With linger,
    // `look_again` says when a batch that is still held back will be due.
    std::shared_ptr<Batch> take(const Limits& limits, std::uint64_t& next_request, SteadyTime now,
                                SteadyTime& look_again);
    // A new connection: everything unanswered goes out again. `new_life`: the broker no longer knows this producer, so
    // what was sent fails with kOutcomeUnknown and numbers begin anew.
    void on_connected(bool new_life);
    void on_disconnected();
    // True if it was a publish that `request_id` names.
    bool on_confirm(std::uint64_t request_id, std::string_view confirm, std::uint64_t connection);
    bool on_error(std::uint64_t request_id, const base::Error& error, std::uint64_t connection);
    // Fails what is older than operation_timeout; returns when to look again.
    SteadyTime expire(SteadyTime now);
    // Fails everything: `unsent` for what never reached a broker, `sent` for the rest.
    void fail_all(const base::Error& unsent, const base::Error& sent);
    [[nodiscard]] bool waits_for_answers() const;  // of the present connection
    // Nothing is in flight, and for so long that the next message most likely comes alone: a busy producer that has
    // just got its answers does better to gather a batch.
    [[nodiscard]] bool quiet(SteadyTime now) const { return inflight_.empty() && now - answered_at_ >= kQuiet; }
    [[nodiscard]] bool fenced() const { return fenced_; }

private:
    struct NameHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>{}(name); }
    };

    [[nodiscard]] bool room_for(std::size_t bytes) const;
    using OpenBatches = std::unordered_map<std::string, std::shared_ptr<Batch>, NameHash, std::equal_to<>>;
    OpenBatches& open_to(bool topic) { return topic ? open_topics_ : open_queues_; }
    [[nodiscard]] bool last_open_is(Target to) const {
        return last_open_ && last_open_->topic == to.topic && last_open_->to == to.name;
    }
    std::shared_ptr<Batch> open_batch(Target to, bool mandatory, std::size_t record_bytes);
    void close_batch(Target to);
    void close_this(const std::shared_ptr<Batch>& batch);
    void close_all();
    static bool goes_alone(const Message& message, std::size_t encoded_size);
    static std::vector<std::shared_ptr<Batch>> split(Batch& batch, const Limits& limits);
    void frame(Batch& batch);
    // An answered batch gives back its room before its waiters are told, and counts as finished afterwards.
    void make_room(const Batch& batch);
    void finished();
    void fail_batch(Batch& batch, const base::Error& error, const std::string& request_id = {});

    const Config& config_;

    // Shared; guarded by mutex_, which is held shortly and never while a waiter is completed.
    std::mutex mutex_;
    std::condition_variable changed_;  // room, or answers
    std::deque<std::shared_ptr<Batch>> unsent_;
    OpenBatches open_queues_, open_topics_;
    std::shared_ptr<Batch> last_open_;  // the one most lately appended to
    std::size_t pending_messages_ = 0;
    std::size_t pending_bytes_ = 0;
    std::size_t blocked_ = 0;
    std::uint64_t next_number_ = 1;
    std::uint64_t oldest_number_ = 1;  // every batch before it is answered
    std::size_t flushing_ = 0;
    std::optional<base::Error> refused_;

    // The I/O thread's.
    static constexpr std::chrono::microseconds kQuiet{400};

    SteadyTime answered_at_{};                                  // the last batch
    std::map<std::uint64_t, std::shared_ptr<Batch>> inflight_;  // by request id, which is the order of numbers
    std::optional<std::uint64_t> resend_at_;  // request id from which on batches wait to be sent again
    std::uint64_t next_seq_ = 1;
    bool fenced_ = false;
};

}  // namespace rockdove::detail

// What the core needs from outside: somebody who sends, somebody who reads blocks. Implemented by server/runtime and
// server/net, and by tests. The core itself knows no sockets, threads, clocks or files.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/clock.h"
#include "protocol/base/ids.h"
#include "protocol/base/message_facts.h"
#include "protocol/base/message_traits.h"
#include "protocol/base/queue_settings.h"
#include "protocol/base/result.h"
#include "storage/keys.h"
#include "storage/record.h"

namespace rockdove::core {

// A block in memory: the record's payload (storage/record.h) and where its messages end. Immutable once its commit is
// submitted; shared by window, write set and outgoing deliveries.
struct Payload {
    std::string bytes;
    std::vector<std::uint32_t> ends;  // end of each message record, from the start of `bytes`
    std::vector<std::uint64_t> keys;  // hash of each message's key, 0: none; empty: none of them has one
};
using SharedPayload = std::shared_ptr<Payload>;

// Messages of one publish that did not simply get the next sequence.
struct PublishException {
    std::uint32_t first_index = 0;
    std::uint32_t count = 0;
    std::shared_ptr<const Error> error;  // refused; or, if null, duplicates:
    Sequence first_seq;
    std::int64_t commit_time_ms = 0;
    QueueId queue;
};

// Messages [first, first + count) of one publish.
struct IndexRange {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
};

// Messages of one publish to a topic that each went to so many subscriptions.
struct Routed {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    std::uint32_t subscriptions = 0;
    std::vector<std::string> full;  // subscriptions that had no room for them (best_effort)
    friend bool operator==(const Routed&, const Routed&) = default;
};

struct Confirmation {
    SessionId session;
    std::uint64_t request_id = 0;
    QueueId queue;
    Sequence first_seq;
    std::uint32_t count = 0;  // newly accepted
    std::int64_t commit_time_ms = 0;
    Durability durability = Durability::kSync;
    std::uint64_t room_messages = 0;
    std::uint64_t room_bytes = 0;
    std::vector<IndexRange> ttl_lowered;  // of which the queue allows less time than they asked for
    std::vector<PublishException> exceptions;
    std::vector<Routed> routed;  // of a topic: the accepted ones, in order; those that nobody gets are left out
};

// A run of messages for one consumer, as stored: `bytes` holds `count` records of (tag, length, message). Started, or, for
// a consumer with explicit_start, buffered: then `lease` names this delivery only (kBufferedBit), and attempt and
// lease_time are what Start will begin.
struct Delivery {
    SessionId session;
    std::uint64_t consumer = 0;
    QueueId queue;
    Sequence first_seq;
    Sequence
        original_seq;  // of the first, for the id; the others follow on. Queue and commit time are those of the id as well
    std::uint32_t count = 0;
    std::uint32_t lease = 0;
    std::uint32_t attempt = 0;
    std::uint64_t epoch = 0;
    Millis lease_time{0};
    std::int64_t commit_time_ms = 0;
    std::uint64_t missed = 0;  // messages that the subscription has lost since the last delivery
    SharedPayload payload;     // keeps `bytes` alive
    std::string_view bytes;
};

// Set in the lease number of a delivery that is buffered, and in no other.
inline constexpr std::uint32_t kBufferedBit = 1U << 31;

// Messages first <= seq <= last held under (epoch, lease).
struct LeaseRange {
    Sequence first;
    Sequence last;
    std::uint64_t epoch = 0;
    std::uint32_t lease = 0;
};

struct SettleReply {
    SessionId session;
    std::uint64_t request_id = 0;
    std::uint64_t count = 0;
    std::vector<LeaseRange> stale;
    bool extended = false;  // answers Extend, not Settle
};

// Answers Start.
struct StartReply {
    struct Started {
        LeaseRange range;  // under the lease that has begun
        std::uint32_t attempt = 0;
    };
    SessionId session;
    std::uint64_t request_id = 0;
    std::vector<Started> started;
    std::vector<LeaseRange> stale;  // what the consumer had no more: recalled, or never its own
    Millis lease{0};
};

// What a consumer had in its buffer is not its own any more (C-3).
struct Recall {
    SessionId session;
    std::uint64_t consumer = 0;
    LeaseRange range;
};

// Sends. Called on the shard's thread; must not call back into the core. A session that is gone is ignored.
class Outlet {
public:
    Outlet() = default;
    Outlet(const Outlet&) = delete;
    Outlet& operator=(const Outlet&) = delete;
    virtual ~Outlet() = default;

    virtual void confirm(const Confirmation& confirmation) = 0;
    virtual void deliver(const Delivery& delivery) = 0;
    virtual void settled(const SettleReply& reply) = 0;
    virtual void started(const StartReply& reply) = 0;
    virtual void recall(const Recall& recall) = 0;
    virtual void fail(SessionId session, std::uint64_t request_id, const Error& error) = 0;
    virtual void consumer_closed(SessionId session, std::uint64_t consumer, const Error& error) = 0;
    // A delivery of so many bytes is staged: it counts for has_room() from now on, until it is delivered.
    virtual void reserve(SessionId, std::size_t /*bytes*/) {}
    // False while so much waits to be sent to the session that it should get no deliveries.
    [[nodiscard]] virtual bool has_room(SessionId session) const = 0;
};

// Whether an encoded message is one that somebody asks for; empty: all are. `facts` are what the core knows of it; what it
// does not know, such as the time, the maker of the predicate adds. Pure, and bounded by the message's size.
using MessagePredicate = std::function<bool(std::string_view encoded, const MessageFacts& facts)>;

// What the core asks of a message's format, which it does not know itself. Used on the shard's thread.
class MessageFormat {
public:
    MessageFormat() = default;
    MessageFormat(const MessageFormat&) = delete;
    MessageFormat& operator=(const MessageFormat&) = delete;
    virtual ~MessageFormat() = default;

    // Of a message that was admitted before.
    [[nodiscard]] virtual base::MessageTraits traits(std::string_view encoded) const = 0;
    // Empty: it has none. A view into `encoded`.
    [[nodiscard]] virtual std::string_view subject(std::string_view encoded) const = 0;
    // Of a filter expression, as of `now`; null if it is empty. Error: kInvalid.
    [[nodiscard]] virtual Result<MessagePredicate> filter(std::string_view text, TimePoint now) const = 0;
};

struct ReadRequest {
    NamespaceId ns;
    QueueId queue;
    storage::LaneId lane = storage::kDefaultLane;
    Sequence first;             // of the first block wanted
    Sequence last;              // no block that starts after this
    std::size_t max_bytes = 0;  // stop after the block that reaches it; at least one block is read
};
struct ReadBlock {
    Sequence first;
    SharedPayload payload;  // null: the record is damaged
};
using ReadDone = std::function<void(std::vector<ReadBlock>)>;

// Dead letters with first <= sequence < end, in order.
struct DeadReadRequest {
    NamespaceId ns;
    QueueId queue;
    Sequence first;
    Sequence end;
    std::uint32_t limit = 0;
    std::size_t max_bytes = 0;  // of all records together; one is read even if it is larger
    bool bodies = true;         // false: without the messages, which then do not count for max_bytes
};
struct DeadLetter {
    Sequence sequence;
    bool damaged = false;  // nothing in `record` may be used
    storage::DeadRecord record;
};
struct DeadPage {
    std::vector<DeadLetter> letters;
    Sequence next;                 // of the next letter; 0: no more before the end
    std::optional<Error> failure;  // why nothing behind these letters can be read
};
using DeadDone = std::function<void(DeadPage)>;

// Reads what is committed on another thread; `done` is called on the shard's thread, from the event loop.
class BlockReader {
public:
    BlockReader() = default;
    BlockReader(const BlockReader&) = delete;
    BlockReader& operator=(const BlockReader&) = delete;
    virtual ~BlockReader() = default;

    virtual void read(const ReadRequest& request, ReadDone done) = 0;
    virtual void read_dead(const DeadReadRequest& request, DeadDone done) = 0;
};

}  // namespace rockdove::core

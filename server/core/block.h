// A block of a queue as the core sees it: one small entry, and, once something in it was started or settled, its state.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "protocol/base/clock.h"
#include "protocol/base/ids.h"
#include "server/core/bits.h"
#include "server/core/consumer.h"
#include "server/core/ports.h"
#include "storage/record.h"

namespace rockdove::core {

// Messages started together: [first, first + count) of a block, minus those settled since.
struct Run {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    std::uint32_t left = 0;  // not settled yet
    std::uint32_t lease = 0;
    std::uint32_t attempts = 0;
    std::uint32_t releases = 0;
    std::uint32_t losses = 0;
    std::uint64_t epoch = 0;
    std::uint64_t bytes_left = 0;  // of its consumer's byte credit
    TimePoint lease_end;
    TimePoint started;  // 0: not known, from an older record
    Lsn lsn;            // the commit its delivery waits for; not stored
    Consumer* consumer = nullptr;

    [[nodiscard]] std::uint32_t end() const { return first + count; }
};

struct BlockState {
    explicit BlockState(std::uint32_t count) : done(count), held(count) {}

    Bits done;                                    // settled for good: acked, dead, purged
    Bits held;                                    // started, or returned: not to be taken by the cursor
    std::unique_ptr<Bits> leaving;                // expired or pushed out, their bodies still to be moved; also held
    std::unique_ptr<Bits> pushed_out;             // of those leaving; null: all have expired
    std::vector<Run> runs;                        // ascending, disjoint
    TimePoint next_lease_end = TimePoint::max();  // key in the queue's lease index
    bool stored = false;                          // a record exists on disk
    bool dirty = false;                           // to be written at the end of the turn

    [[nodiscard]] storage::BlockStateRecord to_record() const;
};

// What some messages of a block ask for beyond the usual.
struct Limits {
    // When each expires, 0: never; or one time for all; empty: none does.
    std::vector<std::int64_t> expires_ms;
    // How often each may be tried, 0: as the queue says; empty: all as the queue says.
    std::vector<std::uint32_t> max_attempts;

    [[nodiscard]] std::int64_t expiry_ms(std::uint32_t index) const {
        if (expires_ms.empty()) return 0;
        return expires_ms.size() == 1 ? expires_ms.front() : expires_ms[index];
    }
    // Of the message behind those that were added so far, `index` of them.
    void add(std::uint32_t index, std::int64_t expires, std::uint32_t most_attempts);
};

// Where the messages of a block lie that are not its queue's own: in the log of a topic.
struct Source {
    QueueId log;
    Sequence first;                   // there; the others follow with the same gaps
    std::int64_t commit_time_ms = 0;  // there
};

// Its messages have consecutive sequences, unless messages of another lane came in between.
struct Block {
    Sequence first;
    std::uint32_t count = 0;
    std::uint32_t bytes = 0;  // of its messages
    std::int64_t commit_time_ms = 0;
    std::uint32_t done = 0;
    std::uint32_t leaving = 0;  // expired or pushed out, so out of the depth; their bodies are still to be moved
    Lsn lsn;                    // visible once this commit holds
    SharedPayload payload;      // null: on disk only
    bool ahead = false;         // its payload counts in the window ahead of the consumers
    bool damaged = false;       // could not be read; not to be read ahead again
    bool keyed = false;         // some of its messages have ordering keys
    bool sorted = false;        // those are in the queue's KeyTable
    bool part = false;          // its state tells only what its subscription does not want of it
    storage::LaneId lane = storage::kDefaultLane;
    std::unique_ptr<BlockState> state;
    std::unique_ptr<std::vector<std::uint32_t>> offsets;  // see BlockIndexRecord; null: consecutive
    std::unique_ptr<std::vector<std::int64_t>> due_ms;    // in a lane of scheduled messages
    std::unique_ptr<Limits> limits;                       // null: none of them asks for any
    // Hash of each message's key, 0: none. Null if it is not keyed, or nobody has looked at its messages yet.
    std::unique_ptr<std::vector<std::uint64_t>> keys;
    std::unique_ptr<Source> source;  // null: its messages are the queue's own

    [[nodiscard]] bool gone() const { return done == count; }
    // Behind the last message.
    [[nodiscard]] std::uint64_t end() const { return first.value + (offsets ? offsets->back() + 1 : count); }
    [[nodiscard]] Sequence sequence(std::uint32_t index) const {
        return Sequence(first.value + (offsets ? (*offsets)[index] : index));
    }
    // The same where it was published.
    [[nodiscard]] Sequence source_sequence(std::uint32_t index) const {
        return source ? Sequence(source->first.value + (sequence(index).value - first.value)) : sequence(index);
    }
    // Index of the first message at or behind `sequence`; count if there is none.
    [[nodiscard]] std::uint32_t index_from(Sequence sequence) const {
        if (sequence <= first) return 0;
        const std::uint64_t offset = sequence.value - first.value;
        if (!offsets) return static_cast<std::uint32_t>(std::min<std::uint64_t>(offset, count));
        return static_cast<std::uint32_t>(std::lower_bound(offsets->begin(), offsets->end(), offset) -
                                          offsets->begin());
    }
    [[nodiscard]] bool contains(Sequence sequence) const {
        const std::uint32_t index = index_from(sequence);
        return index < count && this->sequence(index) == sequence;
    }
    // Where the stretch of consecutive sequences that begins at `index` ends; at most `end`.
    [[nodiscard]] std::uint32_t stretch(std::uint32_t index, std::uint32_t end) const {
        if (!offsets) return end;
        std::uint32_t at = index + 1;
        while (at < end && (*offsets)[at] == (*offsets)[at - 1] + 1) ++at;
        return at;
    }
    // What it is made of, with nothing of what has become of it.
    [[nodiscard]] Block copy_of_messages() const;
    // `added` more messages, the first of them `sequence`.
    void grow(Sequence sequence, std::uint32_t added);
    [[nodiscard]] std::int64_t expiry_ms(std::uint32_t index) const { return limits ? limits->expiry_ms(index) : 0; }
    [[nodiscard]] std::uint64_t key(std::uint32_t index) const { return keys ? (*keys)[index] : 0; }
    [[nodiscard]] bool is_leaving(std::uint32_t index) const {
        return leaving != 0 && state->leaving && state->leaving->test(index);
    }
    // Bytes of the messages that count; by share, so that no body is needed to account for an ack.
    [[nodiscard]] std::uint64_t bytes_left() const { return std::uint64_t{bytes} * (count - done - leaving) / count; }
    // When its messages were committed, wherever that was.
    [[nodiscard]] std::int64_t message_time_ms() const { return source ? source->commit_time_ms : commit_time_ms; }
    BlockState& touch() {
        part = false;
        if (!state) state = std::make_unique<BlockState>(count);
        return *state;
    }
};

// The record bytes of messages [first, end) in `payload`.
std::string_view message_records(const Payload& payload, std::uint32_t first, std::uint32_t end);

// Bytes of messages [first, end), without what a record adds to each.
std::uint64_t message_bytes(const Payload& payload, std::uint32_t first, std::uint32_t end);

// Size of the message in a record of `record` bytes (tag, length, message).
std::uint32_t message_size(std::uint32_t record);

// One message as its publisher encoded it.
std::string_view message_body(const Payload& payload, std::uint32_t index);

// Takes [first, end) out of run `index`, leaving what is before and behind it as runs of their own. Returns the part
// taken out, with its share of the byte credit. The range must lie inside the run.
Run carve(std::vector<Run>& runs, std::size_t index, std::uint32_t first, std::uint32_t end, const Bits& done);

}  // namespace rockdove::core

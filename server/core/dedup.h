// What a queue remembers of messages with a dedup id: which id and body went under which sequence (SEMANTICS D-1 to D-5).
//
// Runs on: the shard's thread.
// Memory:  some 90 bytes an id, at most kMaxDedupIds.
// Disk:    one record for each commit that brought ids, removed when none of its ids counts any more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "protocol/base/message_traits.h"
#include "server/core/shared.h"
#include "storage/record.h"

namespace rockdove::core {

class DedupTable {
public:
    DedupTable(Shared& shared, QueueId queue, bool durable) : shared_(shared), queue_(queue), durable_(durable) {}

    struct First {
        Sequence sequence;
        std::int64_t commit_time_ms = 0;
        bool same_body = false;
    };
    // The message that has the id, whether or not it still counts; nothing if there is none.
    [[nodiscard]] std::optional<First> find(const base::DedupId& id) const;

    [[nodiscard]] bool full() const { return ids_.size() >= kMaxDedupIds; }
    [[nodiscard]] std::size_t size() const { return ids_.size(); }

    // Sequences come in ascending order. What had the id before counts no more.
    void add(const base::DedupId& id, Sequence sequence, std::int64_t commit_time_ms);
    // Takes back those from this sequence on, which were just added.
    void take_back(Sequence from);

    // Stages a record of what was added since the last time.
    void seal() {
        if (open_) seal_open();
    }
    void load(Sequence first, const storage::DedupRecord& record);

    // Of the oldest id; nothing if there is none.
    [[nodiscard]] std::optional<std::int64_t> oldest_ms() const;
    // Forgets ids committed at or before this time, a bounded number of them.
    void forget_until(std::int64_t time_ms);
    // Looks at some ids, others with each call, and forgets those whose message is not there any more.
    void sweep(std::size_t count, const std::function<bool(Sequence)>& is_there);
    // All ids at once: some 0.2 us each.
    void sweep_all(const std::function<bool(Sequence)>& is_there);

private:
    struct Hash {
        std::size_t operator()(const base::DedupId& id) const { return static_cast<std::size_t>(id.low); }
    };
    struct Equal {
        bool operator()(const base::DedupId& a, const base::DedupId& b) const { return a.same_id(b); }
    };
    struct Batch {
        std::int64_t commit_time_ms = 0;
        std::vector<storage::DedupRecord::Entry> entries;  // ascending; sequence 0: forgotten
        std::uint32_t left = 0;
        bool stored = false;
    };
    using Batches = std::map<Sequence, Batch>;

    void seal_open();
    void put(Sequence first, const Batch& batch);
    void forget(Batch& batch, storage::DedupRecord::Entry& entry);
    Batches::iterator remove(Batches::iterator batch);

    Shared& shared_;
    const QueueId queue_;
    const bool durable_;
    std::unordered_map<base::DedupId, Sequence, Hash, Equal> ids_;  // with the body's hash
    Batches batches_;                                               // by their first sequence
    std::optional<Sequence> open_;                                  // the batch that is not sealed
    Sequence swept_;                                                // of the next batch to look at
    std::size_t swept_entry_ = 0;
};

}  // namespace rockdove::core

// Producers of a namespace: their epochs, and the answers to what they have not yet heard of (SEMANTICS D-6).
//
// A client numbers its messages; what it sends again after a lost connection or a kill -9 of the broker is answered as
// the first time. A client tells with each publish which answers it has, so only the others are kept. Runs on: the
// shard's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/clock.h"
#include "protocol/base/ids.h"
#include "protocol/base/result.h"
#include "server/core/shared.h"
#include "storage/record.h"

namespace rockdove::core {

struct Producer : std::enable_shared_from_this<Producer> {
    std::string id;
    std::uint64_t epoch = 1;
    std::uint64_t floor = 1;  // answers below are forgotten
    TimePoint last_used;
    SessionId session;  // 0: nobody connected
    struct Answer {
        storage::AnswerRange range;
        bool durable = true;  // false: of a memory queue, not to be remembered over a restart
    };
    std::deque<Answer> answers;  // ascending by producer sequence, disjoint
    bool dirty = false;
    bool stored = false;

    // The answer that covers `sequence`, or null; `next` gets the first sequence above it that has one (or UINT64_MAX).
    [[nodiscard]] const storage::AnswerRange* find(std::uint64_t sequence, std::uint64_t* next) const;
};

class Producers {
public:
    explicit Producers(Shared& shared) : shared_(shared) {}

    // A connection introduces itself. epoch 0: a new life, which fences older ones; else it resumes that one. `persist`
    // is set if the epoch must be on disk before it may be used. The connection shares the producer: it may be
    // forgotten while an older connection still knows it. Errors: kFenced, kStoreBusy (too many producers).
    Result<std::shared_ptr<Producer>> open(std::string_view id, std::uint64_t epoch, SessionId session, TimePoint now,
                                           bool* persist);
    // The connection ended; `clean`: the client is done for good, so nothing needs to be remembered.
    void close(Producer& producer, SessionId session, bool clean, TimePoint now);

    // Forgets answers below `oldest_unconfirmed`.
    void forget(Producer& producer, std::uint64_t oldest_unconfirmed);
    // Errors: kStoreBusy (too many unconfirmed ranges).
    Result<void> check_room(const Producer& producer) const;
    void remember(Producer& producer, const storage::AnswerRange& range, bool durable, TimePoint now);

    void seal();
    void expire(TimePoint now);
    [[nodiscard]] std::size_t size() const { return producers_.size(); }

    void load(std::string_view id, const storage::ProducerRecord& record);

private:
    void forget_blank();
    void mark_dirty(Producer& producer);
    void remove(Producer& producer);

    // The number of a life newer than `last` and than every other.
    std::uint64_t new_life(std::uint64_t last);

    Shared& shared_;
    std::map<std::string, std::shared_ptr<Producer>, std::less<>> producers_;
    std::vector<std::shared_ptr<Producer>> dirty_;
    std::uint64_t last_life_ = 0;
};

}  // namespace rockdove::core

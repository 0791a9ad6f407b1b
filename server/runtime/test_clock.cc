#include "server/runtime/test_clock.h"

#include <boost/asio.hpp>
#include <memory>
#include <mutex>
#include <optional>

#include "server/runtime/log.h"
#include "server/runtime/shard.h"

namespace rockdove::runtime {

namespace {

// One move, until all shards have made it. Shared by the shards' threads, under its lock.
struct Round {
    std::mutex mutex;
    std::size_t missing;
    std::optional<Error> failure;
    TimePoint to;
    std::function<void(Result<TimePoint>)> done;
};

void moved(Round& round, const Error* failure) {
    {
        const std::lock_guard lock(round.mutex);
        if (failure != nullptr && !round.failure) round.failure = *failure;
        if (--round.missing > 0) return;
    }
    if (round.failure) return round.done(*round.failure);
    round.done(round.to);
}

// On shard 0's thread, which gives all moves their order.
void start(const std::vector<Shard*>& shards, Millis by, TimePoint latest,
           std::function<void(Result<TimePoint>)> done) {
    const TimePoint from = shards.front()->clock_target();
    if (by > latest - from) {
        return done(Error(ErrorCode::kInvalid,
                          "the test clock cannot be moved so far: it may be 100 years ahead of the "
                          "machine's clock, and not past the year 9999"));
    }
    const auto round = std::make_shared<Round>();
    round->missing = shards.size();
    round->to = from + by;
    round->done = std::move(done);
    log("core").info("test clock moved by_ms={} time_ms={}", by.count(), to_unix_ms(round->to));
    for (Shard* shard : shards) {
        asio::dispatch(shard->context(), [round, shard] {
            shard->move_clock(round->to, [round](const Error* failure) { moved(*round, failure); });
        });
    }
}

}  // namespace

void advance_clock(const std::vector<Shard*>& shards, Millis by, TimePoint latest,
                   std::function<void(Result<TimePoint>)> done) {
    if (!shards.front()->test_clock()) {
        return done(Error(ErrorCode::kUnsupported,
                          "this broker's time is real and cannot be moved; start one on a test clock with: rockdoved "
                          "--dev --test-clock"));
    }
    asio::dispatch(shards.front()->context(), [shards, by, latest, done = std::move(done)]() mutable {
        start(shards, by, latest, std::move(done));
    });
}

}  // namespace rockdove::runtime

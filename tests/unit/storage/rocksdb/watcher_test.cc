#include "storage/rocksdb/watcher.h"

#include <catch2/catch.hpp>

namespace rockdove::storage {
namespace {

using Condition = rocksdb::WriteStallCondition;

void change(Watcher& watcher, Condition from, Condition to) {
    rocksdb::WriteStallInfo info;
    info.condition.prev = from;
    info.condition.cur = to;
    watcher.OnStallConditionsChanged(info);
}

// A full buffer stops writers for a moment; at full load this once refused publishes with STORE_BUSY.
TEST_CASE("how long writers have been stopped is told, and being slowed down is no stop", "[storage]") {
    using std::chrono::seconds;
    Watcher watcher;
    const auto later = [](int s) { return Watcher::Clock::now() + seconds(s); };
    CHECK(watcher.stopped_for(later(100)) == Watcher::Clock::duration::zero());
    change(watcher, Condition::kNormal, Condition::kDelayed);
    CHECK(watcher.stopped_for(later(100)) == Watcher::Clock::duration::zero());
    change(watcher, Condition::kDelayed, Condition::kStopped);
    CHECK(watcher.stopped_for(later(0)) < seconds(50));
    CHECK(watcher.stopped_for(later(100)) >= seconds(100));
    change(watcher, Condition::kStopped, Condition::kStopped);
    CHECK(watcher.stopped_for(later(100)) >= seconds(100));
    change(watcher, Condition::kStopped, Condition::kDelayed);
    CHECK(watcher.stopped_for(later(100)) == Watcher::Clock::duration::zero());
}

}  // namespace
}  // namespace rockdove::storage

// What can be set per topic, with the defaults. Shared by configuration, core and storage.
#pragma once

#include <cstdint>

#include "protocol/base/clock.h"
#include "protocol/base/queue_settings.h"
#include "protocol/base/result.h"

namespace rockdove::base {

struct TopicSettings {
    Durability durability = Durability::kSync;  // fixed at creation
    Millis retain_age{0};                       // 0: no bound; 1 s .. 3650 d (P-4)
    std::uint64_t retain_bytes = 0;             // of messages; 0: no bound
    std::uint64_t retain_messages = 0;          // 0: no bound
    bool retain_until_done = false;  // with bounds: what every durable subscription is done with goes earlier
    bool retain_last = false;        // the last message of each ordering key, for new subscriptions (P-6)
    bool best_effort = false;        // a full subscription misses a message, instead of a refused publish
    Millis ttl{0};                   // bounds every message's time to live; 0: no bound; 0 .. 3650 d
    Millis dedup_window{600'000};    // 1 s .. 7 d (D-1)

    [[nodiscard]] bool bounded() const { return retain_age.count() != 0 || retain_bytes != 0 || retain_messages != 0; }
    // Whether what every durable subscription is done with goes.
    [[nodiscard]] bool until_done() const { return retain_until_done || !bounded(); }
    friend bool operator==(const TopicSettings&, const TopicSettings&) = default;
};

// Checks every range above. Error: kInvalid, naming setting, value and range.
Result<void> check_settings(const TopicSettings& settings);

}  // namespace rockdove::base

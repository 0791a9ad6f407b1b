// What can be set per queue, with the defaults of SEMANTICS. Shared by configuration, core and storage.
#pragma once

#include <cstdint>
#include <string>

#include "protocol/base/clock.h"
#include "protocol/base/result.h"

namespace rockdove::base {

// Values are the wire's and the disk's.
enum class Durability : std::uint8_t {
    kSync = 1,    // confirmed when on disk
    kAsync = 2,   // confirmed when handed to the operating system: survives the process, not the machine
    kMemory = 3,  // confirmed at once: gone with the process
};

// What becomes of a message whose time is over (T-3).
enum class OnExpire : std::uint8_t { kDead = 1, kDrop = 2 };
// Whether a message that waits for its next try holds the later ones of its key (E-2).
enum class KeyOnRetry : std::uint8_t { kHold = 1, kPass = 2 };
// Whether the key of a dead message goes on, or stops until an operator resumes it (L-3).
enum class KeyOnDead : std::uint8_t { kSkip = 1, kPause = 2 };

// How long a dedup id counts: for dedup_window, whatever becomes of the message; or until the message is done (D-1).
enum class DedupMode : std::uint8_t { kWindow = 1, kUntilDone = 2 };

// What a full queue does with a new message.
enum class Overflow : std::uint8_t { kReject = 1, kDropOldest = 2 };

struct QueueSettings {
    Durability durability = Durability::kSync;
    Millis lease{30'000};                // 100 ms .. 24 h
    std::uint32_t max_attempts = 5;      // 1 .. 1000; 1: never retried (S-1)
    std::uint32_t max_releases = 100;    // 0 .. 1,000,000 (S-1)
    Millis backoff_first{1'000};         // 0 .. 7 d (S-2)
    double backoff_factor = 2.0;         // 1 .. 100
    Millis backoff_longest{600'000};     // 0 .. 7 d, at least backoff_first
    double backoff_jitter = 0.1;         // 0 .. 1, a share of the wait
    Millis max_retry_delay{86'400'000};  // bounds `after` of a retry or release; 0 .. 365 d
    std::uint64_t max_messages = 0;      // all but the dead; 0: unlimited
    std::uint64_t max_bytes = 0;         // 0: unlimited; a memory queue gets kMemoryQueueBytes
    std::uint64_t dead_max = 100'000;    // 1 .. 10,000,000; the oldest is evicted and counted (L-2)
    Millis reconnect_grace{5'000};       // 0 .. 10 min
    std::string dead_letter_to;          // a queue that gets what dies here; empty: kept here (L-2)

    Millis ttl{0};  // bounds every message's time to live; 0: no bound; 0 .. 3650 d
    OnExpire on_expire = OnExpire::kDead;
    KeyOnRetry key_on_retry = KeyOnRetry::kHold;
    KeyOnDead key_on_dead = KeyOnDead::kSkip;
    std::uint32_t oldest_every =
        0;  // every n-th choice takes the oldest, whatever its priority; 0: never (E-3); 0 .. 1000

    Millis dedup_window{600'000};  // from the first commit; 1 s .. 7 d
    DedupMode dedup_mode = DedupMode::kWindow;
    Overflow overflow = Overflow::kReject;

    friend bool operator==(const QueueSettings&, const QueueSettings&) = default;
};

// A memory queue without max_bytes is limited to this, so that memory stays bounded.
inline constexpr std::uint64_t kMemoryQueueBytes = 64ULL << 20;

// Checks every range above. Error: kInvalid, naming setting, value and range.
Result<void> check_settings(const QueueSettings& settings);

}  // namespace rockdove::base

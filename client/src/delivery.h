// A message in this client's hands, as consumer, job and I/O thread see it.
#pragma once

#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/include/rockdove/client.h"
#include "protocol/base/error.h"
#include "rockdove/v1/data.pb.h"

namespace rockdove::detail {

using SteadyTime = std::chrono::steady_clock::time_point;

// What the messages of one Deliver share. Immutable.
struct Run {
    std::string bytes;                    // the encoded Deliver; the messages are views into it
    std::shared_ptr<const Run> buffered;  // of a run that was started: what it was before, with the bytes
    std::string_view id_prefix;
    std::uint64_t first_seq = 0;
    std::uint64_t original_seq = 0;             // for the id of the first, the others follow on; 0: as first_seq
    std::uint64_t missed = 0;                   // lost right before the first
    std::shared_ptr<const std::string> source;  // the queue, or TOPIC/NAME of the subscription
    std::uint64_t epoch = 0;
    std::uint32_t lease = 0;
    std::uint32_t attempt = 0;
    Millis lease_time{0};
    std::int64_t commit_time_ms = 0;
};

enum class Phase : std::uint8_t {
    kUnstarted,  // with explicit_start: in the buffer, not begun
    kStarting,   // the broker is asked
    kBuffered,   // waits for a handler, or for next()
    kWorking,    // in a handler's or the caller's hands
    kSettling,   // settled here, not answered yet
    kGone        // settled or lost
};

struct Delivery {
    std::shared_ptr<const Run> run;
    std::string_view message;
    std::uint64_t sequence = 0;
    std::uint64_t place = 0;  // among those its consumer holds

    std::string id;  // made when asked for; the job's thread only

    // Guarded by the consumer's mutex:
    Phase phase = Phase::kBuffered;
    bool extending = false;
    bool stop_requested = false;
    SteadyTime lease_end, renew_at;
    SteadyTime work_end = SteadyTime::max();
    std::optional<std::stop_source> stop;  // made when asked for
};

// A settle on its way to the broker.
struct SettleEntry {
    std::shared_ptr<Consumer> consumer;
    std::shared_ptr<Delivery> delivery;
    v1::Outcome outcome = v1::ACK;
    std::string reason;
    std::optional<Millis> after;
    bool sent_before = false;  // on a connection that broke
    // Somebody blocks for the answer: nothing, or the error.
    std::shared_ptr<std::promise<std::optional<base::Error>>> waiter;
    SteadyTime deadline = SteadyTime::max();  // of the waiter
};

bool contains(const v1::SeqRange& range, const Delivery& delivery);

// Ranges that name exactly `deliveries`, which get sorted.
std::vector<v1::SeqRange> to_ranges(std::vector<std::shared_ptr<Delivery>>& deliveries);

}  // namespace rockdove::detail

// A consumer of a queue, attached to a session or waiting for its client to come back.
#pragma once

#include <boost/unordered/unordered_flat_set.hpp>
#include <cstdint>
#include <string>

#include "protocol/base/clock.h"
#include "protocol/base/ids.h"
#include "server/core/ports.h"

namespace rockdove::core {

class Queue;

// Owned by its queue, which outlives every use. Known by name: a client that reconnects attaches under the same name
// and resumes what it held (SEMANTICS section 7, "consumer lost").
struct Consumer {
    std::string name;
    Queue* queue = nullptr;
    SessionId session;         // 0: detached
    std::uint64_t number = 0;  // the client's number for it, on this session
    std::uint32_t credit_messages = 0;
    std::uint64_t credit_bytes = 0;   // 0: unlimited
    std::uint64_t held_messages = 0;  // buffered, or started and not settled
    std::uint64_t held_bytes = 0;
    std::uint64_t buffered = 0;  // of those held, messages that it has not begun
    Millis lease{0};
    bool explicit_start = false;   // what it gets is buffered until it says that it starts (C-2)
    bool ack_on_delivery = false;  // what it gets is done (S-6); `held` is what it has not taken note of
    MessagePredicate filter;       // what it wants; empty: everything
    boost::unordered_flat_set<std::uint64_t>
        unwanted;                            // messages that it was asked about since they came, or came back
    TimePoint grace_end = TimePoint::max();  // when detached by a lost connection: its runs go back then
    bool listed = false;                     // among those of its queue that are able to take more

    [[nodiscard]] bool attached() const { return session.value != 0; }
    // How many more messages it may get.
    [[nodiscard]] std::uint64_t room() const {
        if (held_messages >= credit_messages) return 0;
        if (credit_bytes != 0 && held_bytes >= credit_bytes && held_messages != 0) return 0;
        return credit_messages - held_messages;
    }
};

}  // namespace rockdove::core

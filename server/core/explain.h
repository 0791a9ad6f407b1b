// Why a message is where it is: the first gate that holds it, asked of the same state that dispatch goes by.
#pragma once

#include <cstdint>
#include <string>

#include "protocol/base/ids.h"

namespace rockdove::core {

enum class Gate : std::uint8_t {  // as on the wire
    kOpen = 1,                    // nothing holds it: it goes to the next consumer with room
    kStarted = 2,                 // a consumer works on it; until its lease ends
    kNotDue = 3,                  // it was sent with a delay
    kRetryWait = 4,               // it failed, and waits for its next try
    kQueuePaused = 5,             // by an operator
    kKeyStarted = 6,              // another message of its key is started
    kKeyWaits = 7,                // another message of its key waits for its next try
    kKeyPaused = 8,               // its key stopped with a death, until it is resumed
    kKeyBehind = 9,               // an earlier message of its key comes first
    kNoConsumer = 10,             // nobody receives from the queue
    kNoCredit = 11,               // all consumers have as many messages as they want
    kDead = 12,                   // it is a dead letter
    kGone = 13,                   // acked, cancelled, expired or purged; or it was never there
    kEmpty = 14,                  // the queue has nothing to deliver
    kNotWanted = 16,              // no consumer with room wants it: their filters do not match
    kBuffered = 15,               // a consumer has it in its buffer, and has not begun
};

struct Explanation {
    Gate gate = Gate::kGone;
    Sequence sequence;          // of the message it is about; 0: none
    std::int64_t until_ms = 0;  // when the gate opens by itself; 0: it does not, or nobody knows
    Sequence behind;            // with kKey...: the message of its key that is in the way; 0: unknown
    std::string consumer;       // with kStarted and kBuffered: who has it
    std::string last_error;     // with kRetryWait
    std::uint32_t attempts = 0;
};

}  // namespace rockdove::core

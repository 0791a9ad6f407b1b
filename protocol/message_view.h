// A walk over an encoded Message: checks its limits and tells which properties it carries, without building objects.
// Runs once per published message.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "protocol/base/message_traits.h"
#include "protocol/base/result.h"

namespace rockdove::protocol {

using base::kDefaultPriority;
using base::MessageTraits;

// Checks one encoded Message, and fills `traits` (which starts as the default). Errors: kProtocol (not a message),
// kInvalid (a limit of protocol/limits.h, priority above 9, control characters in a header's name, text that is not
// UTF-8).
Result<void> check_message(std::string_view encoded, MessageTraits& traits);

// The messages of a Publish, still encoded.
struct PublishView {
    std::string_view queue;
    std::string_view topic;
    bool mandatory = false;
    std::uint64_t producer_seq = 0;
    std::uint64_t oldest_unconfirmed = 0;
    // The `messages` fields, tags and lengths included. A view into the frame if they stand together (every sane
    // client), else into `gathered`.
    std::string_view records;
    std::string gathered;
    std::vector<std::uint32_t> ends;    // end of each message within `records`
    std::vector<MessageTraits> traits;  // of each message; empty if all are plain
};

// Fills `out` (reused between calls). `max_message` bounds each message's encoded size. Errors: kProtocol, kInvalid,
// kTooLarge, kUnsupported; each names the message's index.
Result<void> read_publish(std::string_view body, std::size_t max_message, PublishView& out);

}  // namespace rockdove::protocol

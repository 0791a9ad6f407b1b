// Filter expressions in requests.
#include "protocol/filter.h"

#include "server/net/handlers/handlers.h"

namespace rockdove::net {

Result<core::MessagePredicate> read_filter(std::string_view text, TimePoint now) {
    if (text.empty()) return core::MessagePredicate();
    Result<protocol::Filter> filter = protocol::Filter::parse(text);
    if (!filter) return filter.error();
    return core::MessagePredicate(
        [filter = *std::move(filter), now](std::string_view encoded, const MessageFacts& known) {
            MessageFacts facts = known;
            facts.now_ms = to_unix_ms(now);
            return filter.matches(encoded, facts);
        });
}

}  // namespace rockdove::net

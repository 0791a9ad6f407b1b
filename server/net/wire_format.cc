#include "server/net/wire_format.h"

#include <utility>

#include "protocol/filter.h"
#include "protocol/message_view.h"
#include "protocol/wire.h"

namespace rockdove::net {

base::MessageTraits WireFormat::traits(std::string_view encoded) const {
    base::MessageTraits traits;
    // It was admitted, so it passes; should it not, it asks for what was read.
    (void)protocol::check_message(encoded, traits);
    return traits;
}

std::string_view WireFormat::subject(std::string_view encoded) const {
    constexpr std::uint32_t kSubject = 4;  // message.proto
    std::string_view subject;
    protocol::FieldReader in(encoded);
    while (in.next()) {
        if (in.field().number == kSubject && in.field().type == protocol::WireType::kBytes) subject = in.field().bytes;
    }
    return subject;
}

Result<core::MessagePredicate> WireFormat::filter(std::string_view text, TimePoint now) const {
    if (text.empty()) return core::MessagePredicate();
    Result<protocol::Filter> filter = protocol::Filter::parse(text);
    if (!filter) return filter.error();
    return core::MessagePredicate(
        [filter = *std::move(filter), now](std::string_view encoded, const base::MessageFacts& known) {
            base::MessageFacts facts = known;
            facts.now_ms = to_unix_ms(now);
            return filter.matches(encoded, facts);
        });
}

}  // namespace rockdove::net

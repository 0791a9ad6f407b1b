// The format of messages and filters, as the core sees it: protocol/message_view.h and protocol/filter.h. Any thread.
#pragma once

#include "server/core/ports.h"

namespace rockdove::net {

class WireFormat : public core::MessageFormat {
public:
    [[nodiscard]] base::MessageTraits traits(std::string_view encoded) const override;
    [[nodiscard]] std::string_view subject(std::string_view encoded) const override;
    [[nodiscard]] Result<core::MessagePredicate> filter(std::string_view text, TimePoint now) const override;
};

}  // namespace rockdove::net

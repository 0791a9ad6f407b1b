// A format of messages that tells nothing: for a broker's parts that run without the wire's (tests, benchmarks).
#pragma once

#include "server/core/ports.h"

namespace rockdove::core {

class OpaqueFormat : public MessageFormat {
public:
    [[nodiscard]] base::MessageTraits traits(std::string_view) const override { return {}; }
    [[nodiscard]] std::string_view subject(std::string_view) const override { return {}; }
    [[nodiscard]] Result<MessagePredicate> filter(std::string_view text, TimePoint) const override {
        if (text.empty()) return MessagePredicate();
        return Error(ErrorCode::kUnsupported, "filters do not work here");
    }
};

}  // namespace rockdove::core

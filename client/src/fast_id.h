// Message ids of a run of messages: the common part is formatted once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/base/ids.h"

namespace rockdove::detail {

// Equal to format_message_id(prefix, sequence) for every sequence. An empty or malformed prefix gives empty ids.
class IdRun {
public:
    explicit IdRun(std::string_view prefix) {
        if (prefix.size() != base::kIdPrefixBytes) return;
        text_ = base::format_message_id(prefix, base::Sequence(0));
        low_bits_ = static_cast<unsigned char>(prefix.back()) & 3U;
    }

    // The last ten digits hold 50 bits: two of the prefix, and the 48 of the sequence.
    // The result is good until the next call.
    const std::string& operator()(std::uint64_t sequence) {
        if (text_.empty()) return text_;
        std::uint64_t bits = low_bits_ << 48U | (sequence & base::kMaxSequence);
        for (std::size_t i = text_.size(); i-- > text_.size() - 10; bits >>= 5U) {
            text_[i] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[bits & 31U];
        }
        return text_;
    }

private:
    std::string text_;
    std::uint64_t low_bits_ = 0;
};

}  // namespace rockdove::detail

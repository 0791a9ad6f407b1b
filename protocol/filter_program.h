// What a filter's text is compiled to: a program for a small stack of truths. For filter.cc, which runs it, and
// filter_parser.cc, which makes it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/result.h"
#include "protocol/like_pattern.h"

namespace rockdove::protocol {

enum class Property : std::uint8_t {
    kHeader,
    // Of the message.
    kKey,
    kSubject,
    kContentType,
    kCorrelationId,
    kReplyTo,
    kDedupId,
    kPriority,
    kSize,
    // From the facts.
    kState,
    kReason,
    kConsumer,
    kAttempts,
    kSequence,
    kAge,
    kCommitTime,
    kVisibleAt,
};

enum class FilterOp : std::uint8_t {
    kEqual,
    kNotEqual,
    kLess,
    kLessEqual,
    kGreater,
    kGreaterEqual,
    kIn,
    kLike,
    kIsNull,
    kAnd,
    kOr,
    kNot,
};

struct FilterProgram {
    // What is asked of the message, each thing once.
    struct Slot {
        Property property = Property::kHeader;
        std::string header;  // its name
        friend bool operator==(const Slot&, const Slot&) = default;
    };
    struct Literal {
        bool is_number = false;
        std::int64_t number = 0;  // durations and times in milliseconds
        std::string text;
    };
    struct Step {
        FilterOp op = FilterOp::kEqual;
        std::uint32_t slot = 0;
        std::uint32_t first = 0;  // of the literals; kLike: of the patterns
        std::uint32_t count = 0;
    };

    std::vector<Slot> slots;
    std::vector<Literal> literals;
    std::vector<LikePattern> patterns;
    std::vector<Step> steps;  // each behind what it works on
};

Result<FilterProgram> compile_filter(std::string_view text);

}  // namespace rockdove::protocol

#include "protocol/filter.h"

#include <algorithm>

#include <charconv>
#include <compare>
#include <optional>

#include "protocol/filter_program.h"
#include "protocol/wire.h"

namespace rockdove::protocol {

namespace {

// In this order AND is the least of both and OR the greatest, and NOT turns it round.
enum Truth : std::int8_t { kFalse = 0, kUnknown = 1, kTrue = 2 };

Truth truth(bool value) { return value ? kTrue : kFalse; }
Truth negate(Truth value) { return static_cast<Truth>(kTrue - value); }

struct Value {
    bool present = false;
    bool is_number = false;
    std::int64_t number = 0;
    std::string_view text;

    void set(std::string_view bytes) {
        present = true;
        text = bytes;
    }
    void set(std::int64_t value) {
        present = is_number = true;
        number = value;
    }
    // Text that is not there and empty text are the same on the wire.
    void set_unless_empty(std::string_view bytes) {
        text = bytes;
        present = !bytes.empty();
    }
    void set(const std::optional<std::int64_t>& value) {
        if (value) set(*value);
    }
};
using Values = std::array<Value, kMaxFilterTerms>;

void take_fact(Value& value, Property property, const MessageFacts& facts) {
    switch (property) {
        case Property::kState:
            return value.set_unless_empty(facts.state);
        case Property::kReason:
            return value.set_unless_empty(facts.reason);
        case Property::kConsumer:
            return value.set_unless_empty(facts.consumer);
        case Property::kAttempts:
            return value.set(facts.attempts);
        case Property::kSequence:
            return value.set(facts.sequence);
        case Property::kCommitTime:
            return value.set(facts.commit_time_ms);
        case Property::kVisibleAt:
            return value.set(facts.visible_at_ms);
        case Property::kAge:
            if (facts.now_ms && facts.commit_time_ms) value.set(*facts.now_ms - *facts.commit_time_ms);
            return;
        case Property::kPriority:  // unless the message says otherwise
            return value.set(std::int64_t{4});
        case Property::kSize:
            return value.set(std::int64_t{0});
        default:
            return;
    }
}

// The property that a field of Message holds (message.proto); kHeader: none that can be asked for.
Property property_of(std::uint32_t field) {
    switch (field) {
        case 1:
            return Property::kSize;
        case 3:
            return Property::kContentType;
        case 4:
            return Property::kSubject;
        case 5:
            return Property::kCorrelationId;
        case 6:
            return Property::kReplyTo;
        case 9:
            return Property::kPriority;
        case 10:
            return Property::kKey;
        case 11:
            return Property::kDedupId;
        default:
            return Property::kHeader;
    }
}

bool take_header(const FilterProgram& program, Values& values, std::string_view encoded) {
    std::string_view name;
    std::string_view text;
    FieldReader in(encoded);
    while (in.next()) {
        if (in.field().type != WireType::kBytes) continue;
        if (in.field().number == 1) name = in.field().bytes;
        if (in.field().number == 2) text = in.field().bytes;
    }
    for (std::size_t i = 0; i < program.slots.size(); ++i) {
        const FilterProgram::Slot& slot = program.slots[i];
        // Of several with one name the first counts.
        if (slot.property != Property::kHeader || values[i].present || slot.header != name) continue;
        values[i].set(text);
    }
    return in.ok();
}

void take_field(const FilterProgram& program, Values& values, const Field& field) {
    const Property property = property_of(field.number);
    if (property == Property::kHeader) return;
    for (std::size_t i = 0; i < program.slots.size(); ++i) {
        if (program.slots[i].property != property) continue;
        if (property == Property::kPriority) {
            if (field.type == WireType::kVarint) values[i].set(static_cast<std::int64_t>(field.value));
        } else if (field.type == WireType::kBytes) {
            if (property == Property::kSize) {
                values[i].set(static_cast<std::int64_t>(field.bytes.size()));
            } else {
                values[i].set_unless_empty(field.bytes);
            }
        }
    }
}

bool take_values(const FilterProgram& program, Values& values, std::string_view encoded, const MessageFacts& facts) {
    for (std::size_t i = 0; i < program.slots.size(); ++i) take_fact(values[i], program.slots[i].property, facts);
    FieldReader in(encoded);
    while (in.next()) {
        const Field& field = in.field();
        if (field.number == 2 && field.type == WireType::kBytes) {
            if (!take_header(program, values, field.bytes)) return false;
        } else {
            take_field(program, values, field);
        }
    }
    return in.ok();
}

// Text that is a whole number, for a comparison with one.
std::optional<std::int64_t> number_of(const Value& value) {
    if (value.is_number) return value.number;
    std::int64_t number = 0;
    const char* end = value.text.data() + value.text.size();
    const auto [at, error] = std::from_chars(value.text.data(), end, number);
    if (error != std::errc() || at != end) return std::nullopt;
    return number;
}

Truth compare(FilterOp op, const Value& value, const FilterProgram::Literal& literal) {
    if (!value.present) return kUnknown;
    std::strong_ordering order = std::strong_ordering::equal;
    if (literal.is_number) {
        const std::optional<std::int64_t> number = number_of(value);
        if (!number) return kUnknown;
        order = *number <=> literal.number;
    } else {
        order = value.text.compare(literal.text) <=> 0;
    }
    switch (op) {
        case FilterOp::kNotEqual:
            return truth(order != 0);
        case FilterOp::kLess:
            return truth(order < 0);
        case FilterOp::kLessEqual:
            return truth(order <= 0);
        case FilterOp::kGreater:
            return truth(order > 0);
        case FilterOp::kGreaterEqual:
            return truth(order >= 0);
        default:
            return truth(order == 0);
    }
}

Truth run_term(const FilterProgram& program, const FilterProgram::Step& step, const Value& value) {
    switch (step.op) {
        case FilterOp::kIsNull:
            return truth(!value.present);
        case FilterOp::kLike:
            return value.present ? truth(program.patterns[step.first].matches(value.text)) : kUnknown;
        default:
            break;
    }
    Truth any = kFalse;  // of an IN; everything else has one literal
    for (std::uint32_t i = 0; i < step.count; ++i) {
        any = std::max(any, compare(step.op, value, program.literals[step.first + i]));
    }
    return any;
}

}  // namespace

Result<Filter> Filter::parse(std::string_view text) {
    Result<FilterProgram> program = compile_filter(text);
    if (!program) return program.error();
    Filter filter;
    filter.program_ = std::make_shared<const FilterProgram>(*std::move(program));
    return filter;
}

bool Filter::asks_for_age() const {
    return program_ && std::any_of(program_->slots.begin(), program_->slots.end(),
                                   [](const auto& slot) { return slot.property == Property::kAge; });
}

bool Filter::matches(std::string_view encoded, const MessageFacts& facts) const {
    if (!program_) return true;
    Values values;
    if (!take_values(*program_, values, encoded, facts)) return false;
    std::array<Truth, kMaxFilterTerms> stack{};
    std::size_t depth = 0;
    for (const FilterProgram::Step& step : program_->steps) {
        if (step.op == FilterOp::kNot) {
            stack[depth - 1] = negate(stack[depth - 1]);
        } else if (step.op == FilterOp::kAnd || step.op == FilterOp::kOr) {
            --depth;
            const Truth right = stack[depth];
            Truth& left = stack[depth - 1];
            left = step.op == FilterOp::kAnd ? std::min(left, right) : std::max(left, right);
        } else {
            stack[depth++] = run_term(*program_, step, values[step.slot]);
        }
    }
    return stack[0] == kTrue;
}

}  // namespace rockdove::protocol

// From a filter's words (filter_lexer.h) to its program: a descent with one function for each rule of the grammar
// (docs/features/filters.md).
#include <algorithm>
#include <chrono>
#include <numeric>
#include <optional>

#include "protocol/filter.h"
#include "protocol/filter_lexer.h"
#include "protocol/filter_program.h"

namespace rockdove::protocol {

namespace {

using Literal = FilterProgram::Literal;

// What a property may be compared with.
enum class Type : std::uint8_t { kText, kNumber, kDuration, kTime, kState };

struct Named {
    std::string_view name;
    Property property;
    Type type;
};
constexpr Named kProperties[] = {
    {"age", Property::kAge, Type::kDuration},
    {"attempts", Property::kAttempts, Type::kNumber},
    {"commit_time", Property::kCommitTime, Type::kTime},
    {"consumer", Property::kConsumer, Type::kText},
    {"content_type", Property::kContentType, Type::kText},
    {"correlation_id", Property::kCorrelationId, Type::kText},
    {"dedup_id", Property::kDedupId, Type::kText},
    {"key", Property::kKey, Type::kText},
    {"priority", Property::kPriority, Type::kNumber},
    {"reason", Property::kReason, Type::kText},
    {"reply_to", Property::kReplyTo, Type::kText},
    {"sequence", Property::kSequence, Type::kNumber},
    {"size", Property::kSize, Type::kNumber},
    {"state", Property::kState, Type::kState},
    {"subject", Property::kSubject, Type::kText},
    {"visible_at", Property::kVisibleAt, Type::kTime},
};
constexpr std::string_view kStates[] = {"scheduled", "ready", "buffered", "started", "waiting", "dead"};

constexpr std::string_view kExpectedOperand = "a property such as priority, or a header such as header.region";
constexpr std::string_view kExpectedOperator = "a comparison (= != < <= > >=, IN, LIKE, IS NULL)";

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = lower(c);
    return out;
}

// How many letters differ (Levenshtein's distance, one row at a time).
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), 0);
    for (std::size_t i = 0; i < a.size(); ++i) {
        std::size_t diagonal = row[0]++;
        for (std::size_t j = 0; j < b.size(); ++j) {
            const std::size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
        }
    }
    return row.back();
}

// "; did you mean \"priority\"?", or empty.
std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& known) {
    constexpr std::size_t kLongestName = 64;
    if (word.size() > kLongestName) return "";
    const std::string typed = lower(word);
    std::string_view best;
    std::size_t least = std::max<std::size_t>(2, word.size() / 3) + 1;
    for (const std::string_view name : known) {
        const std::size_t away = distance(typed, name);
        if (away < least && away < std::max(typed.size(), name.size())) {
            best = name;
            least = away;
        }
    }
    return best.empty() ? "" : "; did you mean \"" + std::string(best) + "\"?";
}

// "2027-03-01", "2027-03-01T08:00:00Z", "2027-03-01T08:00:00.250Z".
std::optional<std::int64_t> parse_time(std::string_view text) {
    const auto digits = [&](std::size_t start, std::size_t count) {
        int value = 0;
        for (std::size_t i = start; i < start + count; ++i)
            value = is_digit(text[i]) && value >= 0 ? value * 10 + (text[i] - '0') : -1;
        return value;
    };
    if (text.size() < 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
    const int year = digits(0, 4), month = digits(5, 2), day = digits(8, 2);
    if (year < 1970 || month < 1 || day < 1) return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day))};
    if (!date.ok()) return std::nullopt;
    const std::int64_t midnight = std::chrono::sys_days(date).time_since_epoch().count() * std::int64_t{86'400'000};
    if (text.size() == 10) return midnight;
    const bool whole = text.size() == 20;
    if ((!whole && text.size() != 24) || text[10] != 'T' || text[13] != ':' || text[16] != ':' || text.back() != 'Z' ||
        (!whole && text[19] != '.')) {
        return std::nullopt;
    }
    const int hour = digits(11, 2), minute = digits(14, 2), second = digits(17, 2), ms = whole ? 0 : digits(20, 3);
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 || ms < 0) return std::nullopt;
    return midnight + ((hour * 60 + minute) * 60 + second) * 1'000 + ms;
}

class Parser {
public:
    explicit Parser(std::string_view text) : lexer_(text) {}

    Result<FilterProgram> run() {
        Result<void> ok = advance();
        if (ok) ok = either(0);
        if (ok && token_.kind != Token::Kind::kEnd) ok = expected("AND, OR or the end");
        if (!ok) return ok.error();
        return std::move(program_);
    }

private:
    Result<void> advance() {
        Result<Token> token = lexer_.next();
        if (!token) return token.error();
        token_ = *std::move(token);
        return {};
    }
    [[nodiscard]] Error expected(std::string_view what) const {
        const bool end = token_.kind == Token::Kind::kEnd;
        const std::string found = end ? "found the end" : "found \"" + printable(token_.source) + "\"";
        return filter_error(token_.at, "expected " + std::string(what) + ", " + found);
    }
    [[nodiscard]] bool is_keyword(std::string_view word) const {
        return token_.kind == Token::Kind::kWord && lower(token_.source) == word;
    }
    [[nodiscard]] bool is_reserved() const {
        static constexpr std::string_view kWords[] = {"and", "or", "not", "in", "like", "is", "null"};
        return std::any_of(std::begin(kWords), std::end(kWords), [this](auto word) { return is_keyword(word); });
    }
    [[nodiscard]] bool is_symbol(std::string_view symbol) const {
        return token_.kind == Token::Kind::kSymbol && token_.source == symbol;
    }
    Result<void> skip_symbol(std::string_view symbol) {
        if (!is_symbol(symbol)) return expected("\"" + std::string(symbol) + "\"");
        return advance();
    }
    void emit(FilterOp op) {
        FilterProgram::Step step;
        step.op = op;
        program_.steps.push_back(step);
    }

    // either := both { OR both }
    Result<void> either(std::size_t depth) {
        Result<void> ok = both(depth);
        while (ok && is_keyword("or")) {
            ok = advance();
            if (ok) ok = both(depth);
            emit(FilterOp::kOr);
        }
        return ok;
    }
    // both := factor { AND factor }
    Result<void> both(std::size_t depth) {
        Result<void> ok = factor(depth);
        while (ok && is_keyword("and")) {
            ok = advance();
            if (ok) ok = factor(depth);
            emit(FilterOp::kAnd);
        }
        return ok;
    }
    // factor := NOT factor | ( either ) | term
    Result<void> factor(std::size_t depth) {
        const bool negated = is_keyword("not");
        if (!negated && !is_symbol("(")) return term();
        if (depth == kMaxFilterDepth) {
            return filter_error(token_.at, "nested more than " + std::to_string(kMaxFilterDepth) + " deep");
        }
        Result<void> ok = advance();
        if (!ok) return ok;
        if (negated) {
            ok = factor(depth + 1);
            emit(FilterOp::kNot);
            return ok;
        }
        ok = either(depth + 1);
        if (ok && !is_symbol(")")) ok = expected("AND, OR or \")\"");
        return ok ? advance() : ok;
    }

    // term := operand ( comparison literal | [NOT] IN ( literals ) | [NOT] LIKE text | IS [NOT] NULL )
    Result<void> term() {
        if (++terms_ > kMaxFilterTerms) {
            return filter_error(token_.at, "more than " + std::to_string(kMaxFilterTerms) + " comparisons");
        }
        FilterProgram::Step step;
        Result<void> ok = operand(step);
        if (!ok) return ok;
        if (is_keyword("is")) return null_test(step);
        const bool negated = is_keyword("not");
        if (negated && !(ok = advance())) return ok;
        if (is_keyword("in")) {
            ok = list(step);
        } else if (is_keyword("like")) {
            ok = like(step);
        } else if (negated) {
            return expected("IN or LIKE");
        } else {
            ok = comparison(step);
        }
        if (!ok) return ok;
        program_.steps.push_back(step);
        if (negated) emit(FilterOp::kNot);
        return {};
    }

    // operand := property | header.NAME | header['NAME']
    Result<void> operand(FilterProgram::Step& step) {
        if (token_.kind != Token::Kind::kWord || is_reserved()) return expected(kExpectedOperand);
        FilterProgram::Slot slot;
        operand_ = std::string(token_.source);
        if (operand_ == "header" || operand_ == "headers") {
            type_ = Type::kText;
            if (Result<void> ok = header(slot); !ok) return ok;
        } else {
            const auto known = std::find_if(std::begin(kProperties), std::end(kProperties),
                                            [&](const Named& named) { return named.name == operand_; });
            if (known == std::end(kProperties)) {
                std::vector<std::string_view> names{"header"};
                for (const Named& named : kProperties) names.push_back(named.name);
                return filter_error(token_.at,
                                    "unknown property \"" + printable(operand_) + "\"" + did_you_mean(operand_, names));
            }
            slot.property = known->property;
            type_ = known->type;
        }
        const auto found = std::find(program_.slots.begin(), program_.slots.end(), slot);
        step.slot = static_cast<std::uint32_t>(found - program_.slots.begin());
        if (found == program_.slots.end()) program_.slots.push_back(std::move(slot));
        return advance();
    }

    // Ends at the last token of it.
    Result<void> header(FilterProgram::Slot& slot) {
        if (Result<void> ok = advance(); !ok) return ok;
        if (is_symbol(".")) {
            const std::size_t start = lexer_.position();
            slot.header = lexer_.header_name();
            if (!slot.header.empty()) return {};
            return filter_error(start,
                                "expected a header's name; one with other characters is written header['a name']");
        }
        if (!is_symbol("[")) return expected("header.NAME or header['NAME']");
        if (Result<void> ok = advance(); !ok) return ok;
        if (token_.kind != Token::Kind::kText || token_.text.empty())
            return expected("a header's name in single quotes");
        slot.header = token_.text;
        if (Result<void> ok = advance(); !ok) return ok;
        return is_symbol("]") ? Result<void>() : Result<void>(expected("\"]\""));
    }

    Result<void> null_test(FilterProgram::Step& step) {
        Result<void> ok = advance();
        const bool negated = ok && is_keyword("not");
        if (negated) ok = advance();
        if (ok && !is_keyword("null")) ok = expected(negated ? "NULL" : "NULL or NOT NULL");
        if (!ok) return ok;
        step.op = FilterOp::kIsNull;
        program_.steps.push_back(step);
        if (negated) emit(FilterOp::kNot);
        return advance();
    }

    Result<void> comparison(FilterProgram::Step& step) {
        static constexpr std::pair<std::string_view, FilterOp> kComparisons[] = {
            {"=", FilterOp::kEqual},        {"!=", FilterOp::kNotEqual},  {"<>", FilterOp::kNotEqual},
            {"<", FilterOp::kLess},         {"<=", FilterOp::kLessEqual}, {">", FilterOp::kGreater},
            {">=", FilterOp::kGreaterEqual}};
        const auto found = std::find_if(std::begin(kComparisons), std::end(kComparisons),
                                        [&](const auto& entry) { return is_symbol(entry.first); });
        if (found == std::end(kComparisons)) return expected(kExpectedOperator);
        if (Result<void> ok = advance(); !ok) return ok;
        step.op = found->second;
        step.first = static_cast<std::uint32_t>(program_.literals.size());
        step.count = 1;
        return literal();
    }

    Result<void> list(FilterProgram::Step& step) {
        step.op = FilterOp::kIn;
        step.first = static_cast<std::uint32_t>(program_.literals.size());
        Result<void> ok = advance();
        if (ok) ok = skip_symbol("(");
        while (ok) {
            if (step.count == kMaxFilterList) {
                return filter_error(token_.at, "more than " + std::to_string(kMaxFilterList) + " values in one IN");
            }
            ok = literal();
            ++step.count;
            if (!ok || is_symbol(")")) break;
            if (!is_symbol(",")) return expected("\",\" or \")\"");
            ok = advance();
        }
        return ok ? advance() : ok;
    }

    Result<void> like(FilterProgram::Step& step) {
        if (type_ != Type::kText) return filter_error(token_.at, "LIKE is for text, and " + operand_ + " is none");
        if (Result<void> ok = advance(); !ok) return ok;
        if (token_.kind != Token::Kind::kText) return expected("a pattern in single quotes, such as 'eu.%'");
        Result<LikePattern> pattern = LikePattern::parse(token_.text);
        if (!pattern) return filter_error(token_.at, pattern.error().text);
        step.op = FilterOp::kLike;
        step.first = static_cast<std::uint32_t>(program_.patterns.size());
        program_.patterns.push_back(*std::move(pattern));
        return advance();
    }

    // What the operand may be compared with.
    Result<void> literal() {
        Literal literal;
        literal.is_number = token_.kind == Token::Kind::kNumber || token_.kind == Token::Kind::kDuration;
        literal.number = token_.number;
        literal.text = token_.text;
        const bool text = token_.kind == Token::Kind::kText;
        switch (type_) {
            case Type::kText:
                if (!text && token_.kind != Token::Kind::kNumber) {
                    return expected("text in single quotes or a whole number");
                }
                break;
            case Type::kNumber:
                if (token_.kind != Token::Kind::kNumber) return expected("a whole number for " + operand_);
                break;
            case Type::kDuration:
                if (token_.kind != Token::Kind::kDuration) {
                    return expected("a duration such as 30s, 5m or 3d for " + operand_);
                }
                break;
            case Type::kTime: {
                const std::optional<std::int64_t> time = text ? parse_time(token_.text) : std::nullopt;
                if (!time) {
                    return expected("a time in UTC such as '2027-03-01T08:00:00Z' or '2027-03-01' for " + operand_);
                }
                literal.is_number = true;
                literal.number = *time;
                break;
            }
            case Type::kState: {
                const std::vector<std::string_view> states(std::begin(kStates), std::end(kStates));
                if (!text) return expected("a state such as 'ready'");
                if (std::find(states.begin(), states.end(), token_.text) == states.end()) {
                    return filter_error(token_.at, "unknown state '" + printable(token_.text) + "'" +
                                                       did_you_mean(token_.text, states));
                }
                break;
            }
        }
        program_.literals.push_back(std::move(literal));
        return advance();
    }

    Lexer lexer_;
    Token token_;
    FilterProgram program_;
    std::size_t terms_ = 0;
    std::string operand_;  // of the term that is being read, and its type
    Type type_ = Type::kText;
};

}  // namespace

Result<FilterProgram> compile_filter(std::string_view text) {
    if (text.size() > kMaxFilterBytes) {
        return Error(ErrorCode::kInvalid, "a filter of " + std::to_string(text.size()) + " bytes; at most " +
                                              std::to_string(kMaxFilterBytes) + " are allowed");
    }
    return Parser(text).run();
}

}  // namespace rockdove::protocol

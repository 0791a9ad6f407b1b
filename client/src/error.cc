// Codes, categories and the exception. The codes' values are the wire's (protocol/base/error.h).
#include "protocol/base/error.h"

#include "client/include/rockdove/client.h"
#include "client/src/access.h"

namespace rockdove {

namespace {

base::ErrorCode base_code(int value) {
    return value >= 1 && value <= base::kErrorCodes ? static_cast<base::ErrorCode>(value) : base::ErrorCode::kInternal;
}

Advice advice_of(base::ErrorCode code) {
    using base::ErrorCode;
    if (base::error_retryable(code)) return Advice::kTryAgain;
    switch (code) {
        case ErrorCode::kAuthFailed:
        case ErrorCode::kForbidden:
        case ErrorCode::kNotFound:
        case ErrorCode::kAlreadyExists:
        case ErrorCode::kConflict:
        case ErrorCode::kInvalid:
        case ErrorCode::kTooLarge:
        case ErrorCode::kSchemaRejected:
        case ErrorCode::kUnroutable:
        case ErrorCode::kDedupConflict:
        case ErrorCode::kUnsupported:
        case ErrorCode::kWouldDeadlock:
            return Advice::kFixFirst;
        default:
            return Advice::kGiveUp;
    }
}

class ErrorCategory : public std::error_category {
public:
    [[nodiscard]] const char* name() const noexcept override { return "rockdove"; }
    [[nodiscard]] std::string message(int value) const override {
        return std::string(base::error_name(base_code(value)));
    }
};

class AdviceCategory : public std::error_category {
public:
    [[nodiscard]] const char* name() const noexcept override { return "rockdove.advice"; }
    [[nodiscard]] std::string message(int value) const override {
        switch (static_cast<Advice>(value)) {
            case Advice::kTryAgain:
                return "try again";
            case Advice::kFixFirst:
                return "fix the request first";
            default:
                return "give up";
        }
    }
    [[nodiscard]] bool equivalent(const std::error_code& code, int condition) const noexcept override {
        return code.category() == rockdove::error_category() &&
               advice_of(base_code(code.value())) == static_cast<Advice>(condition);
    }
};

}  // namespace

const std::error_category& error_category() noexcept {
    static const ErrorCategory category;
    return category;
}

const std::error_category& advice_category() noexcept {
    static const AdviceCategory category;
    return category;
}

std::error_code make_error_code(ErrorCode code) noexcept { return {static_cast<int>(code), error_category()}; }

std::error_condition make_error_condition(Advice advice) noexcept {
    return {static_cast<int>(advice), advice_category()};
}

struct Error::Data {
    std::string detail;
    std::string request_id;
    std::optional<Millis> retry_after;
};

Error::Error(std::error_code code, std::string detail) : Error(code, std::move(detail), std::nullopt, {}) {}

Error::Error(std::error_code code, std::string detail, std::optional<Millis> retry_after, std::string request_id)
    : std::system_error(code, detail),
      data_(std::make_shared<const Data>(Data{std::move(detail), std::move(request_id), retry_after})) {}

Error::Error(const Error&) noexcept = default;
Error& Error::operator=(const Error&) noexcept = default;
Error::~Error() = default;

const std::string& Error::detail() const noexcept { return data_->detail; }
std::string_view Error::request_id() const noexcept { return data_->request_id; }
std::optional<Millis> Error::retry_after() const noexcept { return data_->retry_after; }

Reject::~Reject() = default;

base::Error to_base(const Error& error) {
    const bool ours = error.code().category() == error_category();
    base::Error value(ours ? base_code(error.code().value()) : base::ErrorCode::kInternal, error.detail());
    value.retry_after = error.retry_after().value_or(Millis{0});
    return value;
}

Error to_public(const base::Error& error) { return detail::to_public(error, {}); }

Error detail::to_public(const base::Error& error, std::string request_id) {
    // Redirects are followed by the library; one that leads nowhere means that no broker is there.
    const bool redirect = error.code == base::ErrorCode::kNotOwner;
    const auto code = redirect ? ErrorCode::kUnavailable : static_cast<ErrorCode>(error.code);
    std::optional<Millis> retry_after;
    if (error.retry_after.count() > 0) retry_after = error.retry_after;
    return Error(make_error_code(code), error.text, retry_after, std::move(request_id));
}

}  // namespace rockdove

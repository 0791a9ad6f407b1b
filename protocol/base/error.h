// The one list of errors, shared by broker, wire, client library and command line.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace rockdove::base {

// Values are the wire's (protocol/proto/rockdove/v1/message.proto); a unit test keeps the two equal.
enum class ErrorCode : std::uint8_t {
    kUnavailable = 1,
    kTimedOut,
    kOutcomeUnknown,
    kCancelled,
    kClosed,
    kAuthFailed,
    kForbidden,
    kNotFound,
    kAlreadyExists,
    kConflict,
    kInvalid,
    kTooLarge,
    kFull,
    kStoreBusy,
    kRateLimited,
    kSchemaRejected,
    kUnroutable,
    kDedupConflict,
    kFenced,
    kStaleLease,
    kNoResponder,
    kRejected,
    kResponderLost,
    kDeadline,
    kLate,
    kUnsupported,
    kWouldDeadlock,
    kProtocol,
    kInternal,
    kNotOwner,
};

inline constexpr int kErrorCodes = 30;

// "stale_lease": the spelling of command line, logs and metrics. "unknown" for a value outside the list.
std::string_view error_name(ErrorCode code);

// True if the same request may succeed later without being changed.
bool error_retryable(ErrorCode code);

// What went wrong, as a value. `text` names the queue, limit or field and says what to try next.
struct [[nodiscard]] Error {
    Error(ErrorCode error_code, std::string error_text) : code(error_code), text(std::move(error_text)) {}

    ErrorCode code;
    std::string text;
    std::chrono::milliseconds retry_after{0};  // 0: no advice
    bool closes = false;                       // a protocol error after which the connection is closed
};

}  // namespace rockdove::base

// The broker's namespaces speak this vocabulary without a prefix. rockdove itself does not: the client library's
// public rockdove::Error, ErrorCode and Durability live there, so client and tools write base::Error.
// clang-format off
namespace rockdove::storage { using namespace base; }
namespace rockdove::metrics { using namespace base; }
namespace rockdove::core { using namespace base; }
namespace rockdove::runtime { using namespace base; }
namespace rockdove::net { using namespace base; }
namespace rockdove::admin { using namespace base; }
namespace rockdove::app { using namespace base; }
namespace rockdove::protocol { using namespace base; }
// clang-format on

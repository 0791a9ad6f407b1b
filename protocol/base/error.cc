#include "protocol/base/error.h"

#include <array>

namespace rockdove::base {

namespace {

struct Entry {
    std::string_view name;
    bool retryable;
};

// Indexed by ErrorCode.
constexpr std::array<Entry, kErrorCodes + 1> kEntries{{
    {"unknown", false},         {"unavailable", true},
    {"timed_out", true},        {"outcome_unknown", true},
    {"cancelled", false},       {"closed", false},
    {"auth_failed", false},     {"forbidden", false},
    {"not_found", false},       {"already_exists", false},
    {"conflict", false},        {"invalid", false},
    {"too_large", false},       {"full", true},
    {"store_busy", true},       {"rate_limited", true},
    {"schema_rejected", false}, {"unroutable", false},
    {"dedup_conflict", false},  {"fenced", false},
    {"stale_lease", false},     {"no_responder", true},
    {"rejected", false},        {"responder_lost", true},
    {"deadline", false},        {"late", false},
    {"unsupported", false},     {"would_deadlock", false},
    {"protocol", false},        {"internal", false},
    {"not_owner", true},
}};

const Entry& entry(ErrorCode code) {
    const auto index = static_cast<std::size_t>(code);
    return kEntries[index < kEntries.size() ? index : 0];
}

}  // namespace

std::string_view error_name(ErrorCode code) { return entry(code).name; }

bool error_retryable(ErrorCode code) { return entry(code).retryable; }

}  // namespace rockdove::base

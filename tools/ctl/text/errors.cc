#include "tools/ctl/text/errors.h"

#include <algorithm>
#include <charconv>

namespace rockdove::ctl {
namespace {

// clang-format off
constexpr std::array<ErrorEntry, 30> kCatalog = {{
    {1, "unavailable", true, kUnreachable, "No broker could be reached, or it cannot serve now.",
     "The daemon is not running, listens elsewhere, is starting, stopping, or has stopped writing after a disk error.",
     "Check that rockdoved runs and that --url names its address; then try again.", "rockdove doctor"},
    {2, "timed_out", true, kTimedOut, "The time given for the operation was over before the answer came.",
     "A slow disk, an overloaded broker, or a --timeout that is too short for the work.",
     "Try again with a longer --timeout; look at the commit times.", "rockdove stats"},
    {3, "outcome_unknown", false, kFailed, "The broker cannot say whether the change was stored.",
     "Writing failed in a way that leaves both possible; the store decides when it is opened again.",
     "Look whether the message or queue is there before repeating; a resend under the same producer sequence or dedup id is safe.",
     "rockdove queue peek QUEUE"},
    {4, "cancelled", false, kFailed, "The operation was given up by the caller.", "The client was closed, or somebody cancelled it.",
     "Nothing to do if it was meant.", "the caller's log"},
    {5, "closed", true, kUnreachable, "The connection or consumer was closed.", "The broker stops, the queue was deleted, or the client was closed.",
     "Connect again.", "the broker's log"},
    {6, "auth_failed", false, kForbidden, "The login was refused.", "Wrong user, password or token.", "Check the credentials in the URL.", "the broker's log"},
    {7, "forbidden", false, kForbidden, "The user may not do this.", "A permission is missing for this verb on this name.",
     "Ask an administrator for the permission.", "the broker's log"},
    {8, "not_found", false, kNotFound, "There is no such thing under this name.",
     "A mistyped name, another namespace, or it was deleted.", "Look at the list of names, or create it.", "rockdove queue list"},
    {9, "already_exists", false, kConflict, "The name is taken.", "It was created before, perhaps with other settings.",
     "Use --if-not-exists, update it, or take another name.", "rockdove queue show QUEUE"},
    {10, "conflict", false, kConflict, "The request contradicts the present state.", "Somebody changed it in between, or it is not empty.",
     "Look at the present state and decide anew.", "rockdove queue show QUEUE"},
    {11, "invalid", false, kUsage, "A value is not allowed.", "A name with forbidden characters, a number out of its range, a missing field.",
     "Correct the field named in the text.", "docs/cli.md"},
    {12, "too_large", false, kFailed, "A message or request is larger than the broker allows.",
     "Body, headers or frame are over the limit (16 MiB for a message unless configured).", "Send less, or split it; the limit is in the text.", "rockdove stats"},
    {13, "full", true, kFailed, "The queue is at its limit.", "max_messages or max_bytes is reached: consumers are too slow or absent.",
     "Receive from it, raise the limit, or try again later.", "rockdove queue show QUEUE"},
    {14, "store_busy", true, kFailed, "The store does not take more for the moment.", "The disk is slower than the load, or almost full.",
     "Try again later; look at free space and commit times.", "rockdove doctor"},
    {15, "rate_limited", true, kFailed, "More was sent than this client may.", "A quota of the namespace or user.", "Slow down: send --rate.", "the broker's configuration"},
    {16, "schema_rejected", false, kFailed, "The message does not fit the schema.", "A field is missing or of another type.", "Correct the message.", "the text of the error"},
    {17, "unroutable", false, kFailed, "Nobody would have received the message.", "No subscription matches its subject.", "Check the subject, or subscribe first.", "the text of the error"},
    {18, "dedup_conflict", false, kConflict, "Another message with this dedup id and another body was stored.",
     "Two different messages use the same --dedup-id.", "Give each its own id.", "the text names the first message"},
    {19, "fenced", false, kConflict, "A newer owner has taken over.", "Another client uses the same producer id, or another broker opened the store.",
     "Stop one of the two.", "the broker's log"},
    {20, "stale_lease", false, kConflict, "The message is no longer leased to this consumer.",
     "The work took longer than the lease, or the connection was lost; the message goes to another consumer.",
     "Nothing was settled. Use a longer lease, or extend it while working.", "rockdove queue show QUEUE"},
    {21, "no_responder", true, kFailed, "Nobody answers this service.", "No responder is attached.", "Start one.", "the text of the error"},
    {22, "rejected", false, kFailed, "The responder refused the request.", "See the reason in the text.", "Correct the request.", "the responder's log"},
    {23, "responder_lost", true, kFailed, "The responder went away while working.", "It crashed or lost its connection.", "Try again if that is safe.", "the responder's log"},
    {24, "deadline", true, kTimedOut, "The deadline was over before the work was done.", "It waited too long, or takes too long.", "Allow more time.", "the text of the error"},
    {25, "late", false, kFailed, "The answer came after the caller had stopped waiting.", "The work took longer than the caller's deadline.", "Allow more time at the caller.", "the text of the error"},
    {26, "unsupported", false, kFailed, "The broker does not know this, or not yet.", "The feature is not built in this version, or the broker is older than the client.",
     "Leave the option away, or update the broker.", "rockdove version"},
    {27, "would_deadlock", false, kFailed, "A blocking call from the client library's own thread.", "A callback waits for what only its own thread could do.",
     "Use the asynchronous form, or another thread.", "client.h"},
    {28, "protocol", false, kFailed, "The two sides do not understand each other.", "Not a Rockdove broker on that port, or a defect.",
     "Check the port (7625 is the protocol, 8625 is HTTP) and the versions.", "rockdove version"},
    {29, "internal", false, kFailed, "The broker failed at something it should not.", "A defect, or damaged data.", "Look into the broker's log and report it.", "the broker's log"},
    {30, "not_owner", true, kUnreachable, "Another broker owns this namespace.", "It has moved.", "Connect to the address in the text.", "the text of the error"},
}};
// clang-format on

std::string folded(std::string_view text) {
    std::string out;
    for (char c : text) out.push_back(c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
    return out;
}

}  // namespace

std::span<const ErrorEntry> error_catalog() { return kCatalog; }

const ErrorEntry* find_error(int code) {
    const auto* found = std::find_if(kCatalog.begin(), kCatalog.end(), [&](const auto& e) { return e.code == code; });
    return found == kCatalog.end() ? nullptr : found;
}

const ErrorEntry* find_error(std::string_view name) {
    int number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error == std::errc() && end == name.data() + name.size()) return find_error(number);
    const std::string wanted = folded(name);
    const auto* found = std::find_if(kCatalog.begin(), kCatalog.end(), [&](const auto& e) { return e.name == wanted; });
    return found == kCatalog.end() ? nullptr : found;
}

Failure usage_failure(std::string text, std::string advice) { return {0, kUsage, std::move(text), std::move(advice)}; }
Failure local_failure(std::string text, std::string advice) { return {0, kFailed, std::move(text), std::move(advice)}; }

Failure coded_failure(int code, std::string text) {
    const ErrorEntry* entry = find_error(code);
    return {code, entry != nullptr ? entry->exit : kFailed, std::move(text), ""};
}

std::string describe(const Failure& failure) {
    std::string out = "error: " + failure.text + "\n";
    const ErrorEntry* entry = find_error(failure.code);
    const std::string advice = !failure.advice.empty() ? failure.advice
                               : entry != nullptr      ? std::string(entry->advice)
                                                       : "";
    if (!advice.empty()) out += "  try: " + advice + "\n";
    if (entry != nullptr) {
        out += "  code: " + std::string(entry->name) + " (rockdove errors show " + std::string(entry->name) + ")\n";
    }
    return out;
}

}  // namespace rockdove::ctl

#include "protocol/message_view.h"

#include <cstring>
#include <string>

#include "protocol/base/key_hash.h"
#include "protocol/dedup_hash.h"
#include "protocol/limits.h"
#include "protocol/wire.h"

namespace rockdove::protocol {

namespace {

// Field numbers of Message (message.proto).
enum : std::uint32_t {
    kBody = 1,
    kHeaders = 2,
    kContentType = 3,
    kTracestate = 8,
    kPriority = 9,
    kKey = 10,
    kDedupId = 11,
    kDelay = 12,
    kNotBefore = 13,
    kTtl = 14,
    kExpiresAt = 15,
    kDeadline = 16,
    kMaxAttemptsField = 17,
};

constexpr char kRecordTag = 0x7A;  // Publish.messages: field 15, length-delimited

Error invalid(std::string text) { return {ErrorCode::kInvalid, std::move(text)}; }

const char* name_of(std::uint32_t number) {
    static constexpr const char* kNames[] = {
        "",         "body",          "headers",    "content_type",  "subject",     "correlation_id",
        "reply_to", "traceparent",   "tracestate", "priority",      "key",         "dedup_id",
        "delay_ms", "not_before_ms", "ttl_ms",     "expires_at_ms", "deadline_ms", "max_attempts"};
    return number < std::size(kNames) ? kNames[number] : "?";
}

// As protobuf demands of a string: a client that gets another one refuses the whole frame.
bool valid_utf8(std::string_view text) {
    const char* at = text.data();
    const char* const end = at + text.size();
    while (at != end) {
        // Eight at a time while they are ASCII, as they nearly always are.
        std::uint64_t eight = 0;
        while (end - at >= 8 && (std::memcpy(&eight, at, 8), (eight & 0x8080808080808080ULL) == 0)) at += 8;
        if (at == end) return true;
        const auto first = static_cast<unsigned char>(*at);
        if (first < 0x80) {
            ++at;
            continue;
        }
        const std::ptrdiff_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
        if (first < 0xC2 || first > 0xF4 || end - at < length) return false;
        std::uint32_t value = first & (0x7FU >> length);
        for (std::ptrdiff_t i = 1; i < length; ++i) {
            const auto byte = static_cast<unsigned char>(at[i]);
            if ((byte & 0xC0) != 0x80) return false;
            value = value << 6 | (byte & 0x3FU);
        }
        const bool overlong = (length == 3 && value < 0x800) || (length == 4 && value < 0x10000);
        if (overlong || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) return false;
        at += length;
    }
    return true;
}

Result<void> check_header(std::string_view encoded, std::size_t& total) {
    FieldReader in(encoded);
    std::string_view name;
    std::size_t value_bytes = 0;
    while (in.next()) {
        const Field& field = in.field();
        if (field.type != WireType::kBytes) continue;
        if (field.number == 1) {
            name = field.bytes;
            if (!valid_utf8(name)) return invalid("a header name is not valid UTF-8");
        }
        if (field.number == 2) value_bytes = field.bytes.size();
    }
    if (!in.ok()) return Error(ErrorCode::kProtocol, "a header that is not a protobuf message");
    if (name.empty() || name.size() > kMaxHeaderName) {
        return invalid("a header name has " + std::to_string(name.size()) + " bytes; 1 to " +
                       std::to_string(kMaxHeaderName) + " are allowed");
    }
    for (const char c : name) {
        if (static_cast<unsigned char>(c) < 0x20) return invalid("a header name has a control character");
    }
    total += name.size() + value_bytes;
    return {};
}

// A time or a duration in milliseconds.
Result<void> read_ms(const Field& field, std::int64_t& out) {
    if (field.value > static_cast<std::uint64_t>(kMaxTimeMs)) {
        return invalid(std::string(name_of(field.number)) + " " +
                       std::to_string(static_cast<std::int64_t>(field.value)) + " is out of range: 0 to " +
                       std::to_string(kMaxTimeMs));
    }
    out = static_cast<std::int64_t>(field.value);
    return {};
}

}  // namespace

namespace {

std::string_view body_of(std::string_view encoded) {
    std::string_view body;
    FieldReader in(encoded);
    while (in.next()) {
        if (in.field().number == kBody && in.field().type == WireType::kBytes) body = in.field().bytes;
    }
    return body;
}

// `asks`: it may ask for something; only then is `traits` not the default.
Result<void> check(std::string_view encoded, MessageTraits& traits, bool& asks) {
    FieldReader in(encoded);
    std::uint32_t headers = 0;
    std::size_t header_bytes = 0;
    std::string_view dedup_id;
    while (in.next()) {
        const Field& field = in.field();
        if (field.number >= kPriority) asks = true;
        switch (field.number) {
            case kBody:
                break;
            case kHeaders:
                if (field.type != WireType::kBytes) break;
                if (++headers > kMaxHeaders) {
                    return invalid("more than " + std::to_string(kMaxHeaders) + " headers");
                }
                if (Result<void> ok = check_header(field.bytes, header_bytes); !ok) return ok;
                if (header_bytes > kMaxHeaderBytes) {
                    return invalid("headers of more than " + std::to_string(kMaxHeaderBytes) + " bytes");
                }
                break;
            case kPriority:
                if (field.type != WireType::kVarint) break;
                if (field.value > 9) {
                    return invalid("priority " + std::to_string(field.value) + " is out of range: 0 to 9");
                }
                traits.priority = static_cast<std::uint8_t>(field.value);
                break;
            case kDelay:
            case kNotBefore:
            case kTtl:
            case kExpiresAt:
            case kDeadline: {
                if (field.type != WireType::kVarint) break;
                std::int64_t& to = field.number == kDelay       ? traits.delay_ms
                                   : field.number == kNotBefore ? traits.not_before_ms
                                   : field.number == kTtl       ? traits.ttl_ms
                                   : field.number == kExpiresAt ? traits.expires_at_ms
                                                                : traits.deadline_ms;
                if (Result<void> ok = read_ms(field, to); !ok) return ok;
                break;
            }
            case kMaxAttemptsField:
                if (field.type != WireType::kVarint) break;
                if (field.value > kMaxAttempts) {
                    return invalid("max_attempts " + std::to_string(field.value) + " is out of range: 1 to " +
                                   std::to_string(kMaxAttempts) + ", or 0 for the queue's");
                }
                traits.max_attempts = static_cast<std::uint32_t>(field.value);
                break;
            case kKey:
                if (field.type != WireType::kBytes) break;
                if (field.bytes.size() > kMaxKeyBytes) {
                    return invalid("key has " + std::to_string(field.bytes.size()) + " bytes; at most " +
                                   std::to_string(kMaxKeyBytes) + " are allowed");
                }
                if (!valid_utf8(field.bytes)) return invalid("key is not valid UTF-8");
                traits.key = base::key_hash(field.bytes);
                break;
            case kDedupId:
                if (field.type != WireType::kBytes) break;
                if (field.bytes.size() > kMaxDedupIdBytes) {
                    return invalid("dedup_id has " + std::to_string(field.bytes.size()) + " bytes; at most " +
                                   std::to_string(kMaxDedupIdBytes) + " are allowed");
                }
                if (!valid_utf8(field.bytes)) return invalid("dedup_id is not valid UTF-8");
                dedup_id = field.bytes;
                break;
            default:
                if (field.number >= kContentType && field.number <= kTracestate) {
                    if (field.type != WireType::kBytes) break;
                    if (field.bytes.size() > kMaxPropertyBytes) {
                        return invalid(std::string(name_of(field.number)) + " has more than " +
                                       std::to_string(kMaxPropertyBytes) + " bytes");
                    }
                    if (!valid_utf8(field.bytes)) {
                        return invalid(std::string(name_of(field.number)) + " is not valid UTF-8");
                    }
                }
        }
    }
    if (!in.ok()) return Error(ErrorCode::kProtocol, "a message that is not a protobuf message");
    if (!asks) return {};
    if (traits.delay_ms != 0 && traits.not_before_ms != 0) {
        return invalid("delay_ms and not_before_ms exclude each other; give one of them");
    }
    if (traits.ttl_ms != 0 && traits.expires_at_ms != 0) {
        return invalid("ttl_ms and expires_at_ms exclude each other; give one of them");
    }
    if (!dedup_id.empty()) traits.dedup = dedup_hash(dedup_id, body_of(encoded));
    return {};
}

}  // namespace

Result<void> check_message(std::string_view encoded, MessageTraits& traits) {
    bool asks = false;
    return check(encoded, traits, asks);
}

Result<void> read_publish(std::string_view body, std::size_t max_message, PublishView& out) {
    out.queue = {};
    out.topic = {};
    out.mandatory = false;
    out.producer_seq = 0;
    out.oldest_unconfirmed = 0;
    out.records = {};
    out.gathered.clear();
    out.ends.clear();
    out.traits.clear();

    const auto at_index = [&out](const Error& error) {
        return Error(error.code, "message " + std::to_string(out.ends.size()) + " of this publish: " + error.text);
    };
    MessageTraits traits;             // of the message at hand; the default again after each
    const char* run_start = nullptr;  // records that stand together so far
    const char* run_end = nullptr;
    base::ByteReader in(body);
    while (!in.at_end()) {
        const char* start = in.position();
        const std::uint64_t tag = in.varint();
        if (tag == static_cast<std::uint8_t>(kRecordTag)) {
            // These bytes are stored and delivered as they are: one byte of tag, a length that every parser reads.
            const char* length = in.position();
            const std::uint64_t announced = in.varint();
            if (length - start != 1 || in.position() - length > 5) {
                return Error(ErrorCode::kProtocol, "a malformed publish");
            }
            const std::string_view message = in.raw(announced);
            if (!in.ok()) break;
            if (message.size() > max_message) {
                return at_index({ErrorCode::kTooLarge, std::to_string(message.size()) + " bytes; at most " +
                                                           std::to_string(max_message) + " are allowed"});
            }
            if (out.ends.size() == kMaxMessagesPerFrame) {
                return invalid("more than " + std::to_string(kMaxMessagesPerFrame) + " messages in one publish");
            }
            bool asks = false;
            if (Result<void> ok = check(message, traits, asks); !ok) return at_index(ok.error());
            if (asks || !out.traits.empty()) {
                if (!out.traits.empty() || !traits.plain()) {
                    out.traits.resize(out.ends.size());
                    out.traits.push_back(traits);
                }
                traits = MessageTraits();
            }
            if (run_start != nullptr && run_end != start) {  // fields in between: copy the records together
                if (out.gathered.empty()) out.gathered.assign(run_start, static_cast<std::size_t>(run_end - run_start));
            }
            if (run_start == nullptr) run_start = start;
            if (!out.gathered.empty()) out.gathered.append(start, static_cast<std::size_t>(in.position() - start));
            run_end = in.position();
            const std::size_t size =
                out.gathered.empty() ? static_cast<std::size_t>(run_end - run_start) : out.gathered.size();
            out.ends.push_back(static_cast<std::uint32_t>(size));
            continue;
        }
        if (!in.ok() || tag > UINT32_MAX || tag >> 3 == 0) return Error(ErrorCode::kProtocol, "a malformed publish");
        switch (static_cast<WireType>(tag & 7)) {
            case WireType::kVarint: {
                const std::uint64_t value = in.varint();
                if (tag >> 3 == 3) out.producer_seq = value;
                if (tag >> 3 == 4) out.oldest_unconfirmed = value;
                if (tag >> 3 == 5) out.mandatory = value != 0;
                break;
            }
            case WireType::kBytes: {
                const std::string_view value = in.string();
                if (tag >> 3 == 1) out.queue = value;
                if (tag >> 3 == 2) out.topic = value;
                break;
            }
            case WireType::kFixed64:
                in.fixed64();
                break;
            case WireType::kFixed32:
                in.fixed32();
                break;
            default:
                return Error(ErrorCode::kProtocol, "a malformed publish");
        }
    }
    if (!in.ok()) return Error(ErrorCode::kProtocol, "a publish that ends in the middle of a field");
    if (out.ends.empty()) return invalid("a publish without messages");
    out.records = out.gathered.empty() ? std::string_view(run_start, static_cast<std::size_t>(run_end - run_start))
                                       : std::string_view(out.gathered);
    return {};
}

}  // namespace rockdove::protocol

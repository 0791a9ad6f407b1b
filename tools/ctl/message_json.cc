#include "tools/ctl/message_json.h"

#include "tools/ctl/text/units.h"

namespace rockdove::ctl {
namespace {

void add_text(Json& out, const char* key, std::string_view value) {
    if (!value.empty()) out[key] = value;
}

}  // namespace

bool is_utf8(std::string_view bytes) {
    for (std::size_t i = 0; i < bytes.size();) {
        const auto lead = static_cast<unsigned char>(bytes[i]);
        const std::size_t length = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
        if (length == 0 || i + length > bytes.size()) return false;
        unsigned point = length == 1 ? lead : lead & (0xFFu >> (length + 1));
        for (std::size_t k = 1; k < length; ++k) {
            const auto next = static_cast<unsigned char>(bytes[i + k]);
            if (next >> 6 != 2) return false;
            point = point << 6 | (next & 0x3F);
        }
        constexpr unsigned kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
        if (point < kLeast[length] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return false;
        i += length;
    }
    return true;
}

std::string to_base64(std::string_view bytes) {
    constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const std::size_t here = std::min<std::size_t>(3, bytes.size() - i);
        unsigned group = 0;
        for (std::size_t k = 0; k < 3; ++k)
            group = group << 8 | (k < here ? static_cast<unsigned char>(bytes[i + k]) : 0u);
        for (std::size_t k = 0; k < 4; ++k) out += k <= here ? kDigits[group >> (18 - 6 * k) & 63] : '=';
    }
    return out;
}

void add_body(Json& out, std::string_view body) {
    if (is_utf8(body)) {
        out["body"] = body;
    } else {
        out["body_base64"] = to_base64(body);
    }
}

Json message_json(const v1::Message& message) {
    Json out = Json::object();
    add_body(out, message.body());
    if (message.headers_size() > 0) {
        Json& headers = out["headers"] = Json::array();
        for (const auto& header : message.headers())
            headers.push_back({{"name", header.name()}, {"value", header.value()}});
    }
    add_text(out, "content_type", message.content_type());
    add_text(out, "key", message.key());
    add_text(out, "subject", message.subject());
    add_text(out, "correlation_id", message.correlation_id());
    add_text(out, "reply_to", message.reply_to());
    add_text(out, "dedup_id", message.dedup_id());
    add_text(out, "traceparent", message.traceparent());
    if (message.has_priority()) out["priority"] = message.priority();
    return out;
}

Json job_json(const Job& job) {
    Json out = Json::object();
    const auto committed = std::chrono::duration_cast<Millis>(job.commit_time().time_since_epoch());
    out["id"] = job.id();
    out["queue"] = job.queue();
    out["sequence"] = job.sequence();
    out["attempt"] = job.attempt();
    out["commit_time"] = format_time(committed.count());
    add_body(out, job.body());
    const auto headers = job.headers();
    if (!headers.empty()) {
        Json& list = out["headers"] = Json::array();
        for (const auto& [name, value] : headers) list.push_back({{"name", name}, {"value", value}});
    }
    add_text(out, "content_type", job.content_type());
    add_text(out, "key", job.key());
    add_text(out, "subject", job.subject());
    add_text(out, "correlation_id", job.correlation_id());
    add_text(out, "reply_to", job.reply_to());
    add_text(out, "traceparent", job.traceparent());
    return out;
}

}  // namespace rockdove::ctl

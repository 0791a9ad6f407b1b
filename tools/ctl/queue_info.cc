#include "tools/ctl/queue_info.h"

#include "tools/ctl/text/units.h"

namespace rockdove::ctl {
namespace {

constexpr std::int64_t kStuckAfterMs = 60'000;

std::int64_t age_ms(const v1::QueueInfo& info, std::int64_t now_ms) {
    return info.oldest_commit_time_ms() == 0 ? 0 : std::max<std::int64_t>(0, now_ms - info.oldest_commit_time_ms());
}

bool stuck(const v1::QueueInfo& info, std::int64_t now_ms) {
    return info.ready() > 0 && info.consumers() == 0 && !info.paused() && age_ms(info, now_ms) > kStuckAfterMs;
}

std::string state_word(const v1::QueueInfo& info, std::int64_t now_ms) {
    if (info.damaged() > 0) return "DAMAGED";
    if (info.paused()) return "paused";
    return stuck(info, now_ms) ? "STUCK" : "ok";
}

Json seconds(std::uint64_t ms) {
    if (ms % 1000 == 0) return ms / 1000;
    return static_cast<double>(ms) / 1000;
}

std::string lower_name(std::string name) {
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return name;
}

}  // namespace

Json settings_json(const v1::QueueSettings& settings) {
    Json out = Json::object();
    out["durability"] = lower_name(v1::Durability_Name(settings.durability()));
    out["lease_seconds"] = seconds(settings.lease_ms());
    out["max_attempts"] = settings.max_attempts();
    out["max_releases"] = settings.max_releases();
    out["backoff_first_seconds"] = seconds(settings.backoff_first_ms());
    out["backoff_factor"] = settings.backoff_factor();
    out["backoff_longest_seconds"] = seconds(settings.backoff_longest_ms());
    out["backoff_jitter"] = settings.backoff_jitter();
    out["max_retry_delay_seconds"] = seconds(settings.max_retry_delay_ms());
    out["max_messages"] = settings.max_messages();
    out["max_bytes"] = settings.max_bytes();
    out["overflow"] = settings.overflow() == v1::DROP_OLDEST ? "drop_oldest" : "reject";
    out["dead_max"] = settings.dead_max();
    out["dead_letter_to"] = settings.dead_letter_to();
    out["reconnect_grace_seconds"] = seconds(settings.reconnect_grace_ms());
    out["ttl_seconds"] = seconds(settings.ttl_ms());
    out["on_expire"] = settings.on_expire() == v1::EXPIRED_DROP ? "drop" : "dead";
    out["key_on_retry"] = settings.key_on_retry() == v1::KEY_PASS ? "pass" : "hold";
    out["key_on_dead"] = settings.key_on_dead() == v1::KEY_PAUSE ? "pause" : "skip";
    out["dedup_window_seconds"] = seconds(settings.dedup_window_ms());
    out["dedup_mode"] = settings.dedup_mode() == v1::DEDUP_UNTIL_DONE ? "until_done" : "window";
    out["oldest_every"] = settings.oldest_every();
    return out;
}

Json queue_json(const v1::QueueInfo& info, std::int64_t now_ms) {
    Json out = Json::object();
    const bool empty = info.oldest_commit_time_ms() == 0;
    out["name"] = info.name();
    out["id"] = info.id();
    out["state"] = state_word(info, now_ms);
    out["paused"] = info.paused();
    out["ready"] = info.ready();
    out["started"] = info.started();
    out["waiting"] = info.waiting();
    out["scheduled"] = info.scheduled();
    out["buffered"] = info.buffered();
    out["dead"] = info.dead();
    out["bytes"] = info.bytes();
    out["consumers"] = info.consumers();
    out["oldest_time"] = empty ? Json() : Json(format_time(info.oldest_commit_time_ms()));
    out["oldest_seconds"] = empty ? Json() : seconds(static_cast<std::uint64_t>(age_ms(info, now_ms)));
    out["next_sequence"] = info.next_seq();
    out["accepted"] = info.accepted();
    out["delivered"] = info.delivered();
    out["acked"] = info.acked();
    out["retried"] = info.retried();
    out["died"] = info.died();
    out["expired"] = info.expired();
    out["refused"] = info.refused();
    out["dropped"] = info.dropped();
    out["dedup_ids"] = info.dedup_ids();
    out["dead_evicted"] = info.dead_evicted();
    out["damaged"] = info.damaged();
    out["created_time"] = format_time(info.created_ms());
    const Json settings = settings_json(info.settings());  // items() does not keep a temporary alive
    for (const auto& [key, value] : settings.items()) out[key] = value;
    return out;
}

const std::vector<Column>& queue_list_columns() {
    static const std::vector<Column> kColumns = {{"name", "NAME"},
                                                 {"state", "STATE", Kind::kState},
                                                 {"ready", "READY", Kind::kCount},
                                                 {"started", "STARTED", Kind::kCount},
                                                 {"waiting", "WAITING", Kind::kCount},
                                                 {"scheduled", "SCHEDULED", Kind::kCount},
                                                 {"dead", "DEAD", Kind::kCount},
                                                 {"oldest_seconds", "OLDEST", Kind::kSeconds},
                                                 {"consumers", "CONSUMERS", Kind::kCount},
                                                 {"bytes", "BYTES", Kind::kBytes, true},
                                                 {"accepted", "ACCEPTED", Kind::kCount, true},
                                                 {"delivered", "DELIVERED", Kind::kCount, true},
                                                 {"acked", "ACKED", Kind::kCount, true},
                                                 {"refused", "REFUSED", Kind::kCount, true},
                                                 {"durability", "DURABILITY", Kind::kText, true},
                                                 {"lease_seconds", "LEASE", Kind::kSeconds, true},
                                                 {"max_attempts", "MAX_ATTEMPTS", Kind::kCount, true},
                                                 {"max_messages", "MAX_MESSAGES", Kind::kCount, true},
                                                 {"max_bytes", "MAX_BYTES", Kind::kBytes, true},
                                                 {"created_time", "CREATED", Kind::kTime, true}};
    return kColumns;
}

const std::vector<Column>& queue_show_fields() {
    static const std::vector<Column> kFields = {{"name", "NAME"},
                                                {"state", "STATE", Kind::kState},
                                                {"ready", "READY", Kind::kCount},
                                                {"started", "STARTED", Kind::kCount},
                                                {"waiting", "WAITING", Kind::kCount},
                                                {"scheduled", "SCHEDULED", Kind::kCount},
                                                {"buffered", "BUFFERED", Kind::kCount},
                                                {"dead", "DEAD", Kind::kCount},
                                                {"bytes", "BYTES", Kind::kBytes},
                                                {"consumers", "CONSUMERS", Kind::kCount},
                                                {"oldest_seconds", "OLDEST", Kind::kSeconds},
                                                {"accepted", "ACCEPTED", Kind::kCount},
                                                {"delivered", "DELIVERED", Kind::kCount},
                                                {"acked", "ACKED", Kind::kCount},
                                                {"retried", "RETRIED", Kind::kCount},
                                                {"died", "DIED", Kind::kCount},
                                                {"expired", "EXPIRED", Kind::kCount},
                                                {"refused", "REFUSED", Kind::kCount},
                                                {"damaged", "DAMAGED", Kind::kCount},
                                                {"created_time", "CREATED", Kind::kTime},
                                                {"durability", "DURABILITY"},
                                                {"lease_seconds", "LEASE", Kind::kSeconds},
                                                {"max_attempts", "MAX_ATTEMPTS", Kind::kCount},
                                                {"max_releases", "MAX_RELEASES", Kind::kCount},
                                                {"backoff_first_seconds", "BACKOFF_FIRST", Kind::kSeconds},
                                                {"backoff_factor", "BACKOFF_FACTOR"},
                                                {"backoff_longest_seconds", "BACKOFF_LONGEST", Kind::kSeconds},
                                                {"backoff_jitter", "BACKOFF_JITTER"},
                                                {"max_messages", "MAX_MESSAGES", Kind::kCount},
                                                {"max_bytes", "MAX_BYTES", Kind::kBytes},
                                                {"overflow", "OVERFLOW"},
                                                {"dead_max", "DEAD_MAX", Kind::kCount},
                                                {"dead_letter_to", "DEAD_LETTER_TO"},
                                                {"reconnect_grace_seconds", "RECONNECT_GRACE", Kind::kSeconds},
                                                {"ttl_seconds", "TTL", Kind::kSeconds},
                                                {"on_expire", "ON_EXPIRE"},
                                                {"key_on_retry", "KEY_ON_RETRY"},
                                                {"key_on_dead", "KEY_ON_DEAD"},
                                                {"dedup_window_seconds", "DEDUP_WINDOW", Kind::kSeconds},
                                                {"dedup_mode", "DEDUP_MODE"},
                                                {"oldest_every", "OLDEST_EVERY", Kind::kCount}};
    return kFields;
}

std::string queue_trouble(const v1::QueueInfo& info, std::int64_t now_ms) {
    if (info.damaged() > 0) return format_count(info.damaged()) + " messages failed their checksum";
    if (!stuck(info, now_ms)) return "";
    return "nobody is receiving; the oldest message waits " + format_duration(Millis(age_ms(info, now_ms)));
}

int print_queue(Context& context, const v1::QueueInfo& info, const std::string& done) {
    if (context.format() != OutputFormat::kAuto) {
        return context.print_record(queue_json(info, context.broker_now_ms()), queue_show_fields(), "name");
    }
    context.say("Queue \"" + info.name() + "\" " + done + ".");
    return kOk;
}

}  // namespace rockdove::ctl

#include "storage/record.h"

#include <algorithm>
#include <cstring>

#include "protocol/base/bytes.h"
#include "protocol/base/key_hash.h"

namespace rockdove::storage {

namespace {

Error bad(const char* what) { return {ErrorCode::kInternal, std::string("unreadable ") + what + " record"}; }

std::uint32_t narrow(std::uint64_t value, bool& ok) {
    if (value > UINT32_MAX) ok = false;
    return static_cast<std::uint32_t>(value);
}

// Parts at the end of a record that most do without. If any is there, a varint says which.
constexpr std::uint64_t kHasOffsets = 1;  // block index
constexpr std::uint64_t kHasDue = 2;
constexpr std::uint64_t kHasExpiry = 4;
constexpr std::uint64_t kHasOneExpiry = 8;  // for all messages
constexpr std::uint64_t kHasMaxAttempts = 16;
constexpr std::uint64_t kIsKeyed = 32;
constexpr std::uint64_t kHasKeys = 64;
constexpr std::uint64_t kHasSource = 128;
constexpr std::uint64_t kHasLeaving = 1;  // block state
constexpr std::uint64_t kHasStarts = 2;
constexpr std::uint64_t kHasPushedOut = 4;
constexpr std::uint64_t kHasLane = 1;  // returned message
constexpr std::uint64_t kHasKey = 2;
constexpr std::uint64_t kHasDuration = 4;
constexpr std::uint64_t kHasDurations = 1;  // dead letter
constexpr std::uint64_t kHasPriority = 2;
constexpr std::uint64_t kHasDueTime = 4;
constexpr std::uint64_t kHasOrigin = 8;

constexpr std::uint8_t kRedrive = 1;  // the only kind of task

std::uint64_t get_parts(ByteReader& in, std::uint64_t known, bool& ok) {
    if (in.at_end()) return 0;
    const std::uint64_t parts = in.varint();
    if (parts == 0 || parts > known) ok = false;
    return parts;
}

// Of damaged bytes; any sum will do.
std::int64_t add_wrapping(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

std::int64_t subtract_wrapping(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}

DeathReason to_reason(std::uint64_t value, bool& ok) {
    if (value > static_cast<std::uint64_t>(DeathReason::kOverflow)) ok = false;
    return static_cast<DeathReason>(value);
}

void put_double(ByteWriter& out, double value) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    out.fixed64(bits);
}

double get_double(ByteReader& in) {
    const std::uint64_t bits = in.fixed64();
    double value = 0;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

// A count read from a disk must not reserve more than the bytes behind it could hold.
bool plausible(std::uint64_t count, const ByteReader& in) { return count <= in.left(); }

// `durations`: with duration_ms; old records have none.
void put_deaths(ByteWriter& out, const std::vector<Death>& deaths, bool durations) {
    out.varint(deaths.size());
    for (const Death& death : deaths) {
        out.varint(static_cast<std::uint64_t>(death.time_ms));
        out.varint(static_cast<std::uint64_t>(death.reason));
        out.varint(death.attempt);
        if (durations) out.varint(death.duration_ms);
        out.string(death.consumer);
        out.string(death.error);
    }
}

std::vector<Death> get_deaths(ByteReader& in, bool durations, bool& ok) {
    std::vector<Death> deaths;
    const std::uint64_t count = in.varint();
    if (!plausible(count, in)) ok = false;
    for (std::uint64_t i = 0; i < count && in.ok() && ok; ++i) {
        Death death;
        death.time_ms = static_cast<std::int64_t>(in.varint());
        death.reason = to_reason(in.varint(), ok);
        death.attempt = narrow(in.varint(), ok);
        if (durations) death.duration_ms = in.varint();
        death.consumer = in.string();
        death.error = in.string();
        deaths.push_back(std::move(death));
    }
    return deaths;
}

}  // namespace

std::string NamespaceRecord::encode() const {
    std::string bytes;
    ByteWriter out(bytes);
    out.varint(id.value);
    out.varint(next_queue);
    return bytes;
}

Result<NamespaceRecord> NamespaceRecord::decode(std::string_view bytes) {
    ByteReader in(bytes);
    bool ok = true;
    NamespaceRecord record;
    record.id = NamespaceId(narrow(in.varint(), ok));
    record.next_queue = narrow(in.varint(), ok);
    if (!ok || !in.ok() || !in.at_end()) return bad("namespace");
    return record;
}

std::string PlacementRecord::encode() const {
    std::string bytes;
    ByteWriter(bytes).varint(shard.value);
    return bytes;
}

Result<PlacementRecord> PlacementRecord::decode(std::string_view bytes) {
    ByteReader in(bytes);
    const std::uint64_t shard = in.varint();
    if (!in.ok() || !in.at_end() || shard >= kMaxShards) return bad("placement");
    return PlacementRecord{ShardId(static_cast<std::uint16_t>(shard))};
}

std::string ShardCountRecord::encode() const {
    std::string bytes;
    ByteWriter(bytes).varint(count);
    return bytes;
}

Result<ShardCountRecord> ShardCountRecord::decode(std::string_view bytes) {
    ByteReader in(bytes);
    const std::uint64_t count = in.varint();
    if (!in.ok() || !in.at_end() || count == 0 || count > kMaxShards) return bad("shard count");
    return ShardCountRecord{static_cast<std::uint32_t>(count)};
}

std::string QueueRecord::encode() const {
    std::string bytes;
    ByteWriter out(bytes);
    out.string(name);
    out.u8(paused ? 1 : 0);
    out.varint(static_cast<std::uint64_t>(created_ms));
    out.u8(static_cast<std::uint8_t>(settings.durability));
    out.varint(static_cast<std::uint64_t>(settings.lease.count()));
    out.varint(settings.max_attempts);
    out.varint(settings.max_releases);
    out.varint(static_cast<std::uint64_t>(settings.backoff_first.count()));
    put_double(out, settings.backoff_factor);
    out.varint(static_cast<std::uint64_t>(settings.backoff_longest.count()));
    put_double(out, settings.backoff_jitter);
    out.varint(static_cast<std::uint64_t>(settings.max_retry_delay.count()));
    out.varint(settings.max_messages);
    out.varint(settings.max_bytes);
    out.varint(settings.dead_max);
    out.varint(static_cast<std::uint64_t>(settings.reconnect_grace.count()));
    out.varint(static_cast<std::uint64_t>(settings.ttl.count()));
    out.u8(static_cast<std::uint8_t>(settings.on_expire));
    out.u8(static_cast<std::uint8_t>(settings.key_on_retry));
    out.u8(static_cast<std::uint8_t>(settings.key_on_dead));
    out.varint(settings.oldest_every);
    out.string(settings.dead_letter_to);
    out.varint(static_cast<std::uint64_t>(settings.dedup_window.count()));
    out.u8(static_cast<std::uint8_t>(settings.dedup_mode));
    out.u8(static_cast<std::uint8_t>(settings.overflow));
    return bytes;
}

Result<QueueRecord> QueueRecord::decode(std::string_view bytes) {
    ByteReader in(bytes);
    bool ok = true;
    const auto millis = [&in] { return Millis(static_cast<std::int64_t>(in.varint())); };
    QueueRecord record;
    record.name = in.string();
    record.paused = in.u8() != 0;
    record.created_ms = static_cast<std::int64_t>(in.varint());
    QueueSettings& s = record.settings;
    s.durability = static_cast<Durability>(in.u8());
    s.lease = millis();
    s.max_attempts = narrow(in.varint(), ok);
    s.max_releases = narrow(in.varint(), ok);
    s.backoff_first = millis();
    s.backoff_factor = get_double(in);
    s.backoff_longest = millis();
    s.backoff_jitter = get_double(in);
    s.max_retry_delay = millis();
    s.max_messages = in.varint();
    s.max_bytes = in.varint();
    s.dead_max = in.varint();
    s.reconnect_grace = millis();
    if (!in.at_end()) {  // written by an older version otherwise
        s.ttl = millis();
        s.on_expire = static_cast<OnExpire>(in.u8());
        s.key_on_retry = static_cast<KeyOnRetry>(in.u8());
        s.key_on_dead = static_cast<KeyOnDead>(in.u8());
        s.oldest_every = narrow(in.varint(), ok);
        s.dead_letter_to = in.string();
        s.dedup_window = millis();
        s.dedup_mode = static_cast<DedupMode>(in.u8());
        s.overflow = static_cast<Overflow>(in.u8());
    }
    if (!ok || !in.ok() || !in.at_end() || !check_settings(s)) return bad("queue");
    return record;
}

std::string TopicRecord::encode() const {
    std::string bytes;
    ByteWriter out(bytes);
    out.u8(static_cast<std::uint8_t>(settings.durability));
    out.varint(static_cast<std::uint64_t>(settings.retain_age.count()));
    out.varint(settings.retain_bytes);
    out.varint(settings.retain_messages);
    out.u8(static_cast<std::uint8_t>((settings.retain_until_done ? 1 : 0) | (settings.retain_last ? 2 : 0) |
                                     (settings.best_effort ? 4 : 0)));
    out.varint(static_cast<std::uint64_t>(settings.ttl.count()));
    out.varint(static_cast<std::uint64_t>(settings.dedup_window.count()));
    return bytes;
}

Result<TopicRecord> TopicRecord::decode(std::string_view bytes) {
    ByteReader in(bytes);
    const auto millis = [&in] { return Millis(static_cast<std::int64_t>(in.varint())); };
    TopicRecord record;
    TopicSettings& s = record.settings;
    s.durability = static_cast<Durability>(in.u8());
    s.retain_age = millis();
    s.retain_bytes = in.varint();
    s.retain_messages = in.varint();
    const std::uint8_t flags = in.u8();
    s.retain_until_done = (flags & 1) != 0;
    s.retain_last = (flags & 2) != 0;
    s.best_effort = (flags & 4) != 0;
    s.ttl = millis();
    s.dedup_window = millis();
    if (flags > 7 || !in.ok() || !in.at_end() || !check_settings(s)) return bad("topic");
    return record;
}

std::string SubscriptionRecord::encode() const {
    std::string bytes;
    ByteWriter out(bytes);
    out.varint(topic.value);
    out.varint(subjects.size());
    for (const std::string& subject : subjects) out.string(subject);
    out.string(filter);
    out.varint(to.value);
    out.u8(live ? 1 : 0);
    out.varint(feed.next.value);
    out.varint(feed.from.value);
    out.varint(feed.end.value);
    out.varint(missed);
    return bytes;
}

Result<SubscriptionRecord> SubscriptionRecord::decode(std::string_view bytes) {
    ByteReader in(bytes);
    bool ok = true;
    SubscriptionRecord record;
    record.topic = QueueId(narrow(in.varint(), ok));
    const std::uint64_t subjects = in.varint();
    if (!plausible(subjects, in)) return bad("subscription");
    for (std::uint64_t i = 0; i < subjects && in.ok(); ++i) record.subjects.emplace_back(in.string());
    record.filter = in.string();
    record.to = QueueId(narrow(in.varint(), ok));
    const std::uint8_t live = in.u8();
    record.live = live != 0;
    record.feed.next = Sequence(in.varint());
    record.feed.from = Sequence(in.varint());
    record.feed.end = Sequence(in.varint());
    record.missed = in.varint();
    if (!ok || live > 1 || !in.ok() || !in.at_end() || record.topic.value == 0) return bad("subscription");
    return record;
}

std::string LastValueRecord::encode() const {
    std::string bytes;
    ByteWriter out(bytes);
    out.varint(sequence.value);
    out.varint(static_cast<std::uint64_t>(commit_time_ms));
    out.string(message);
    return bytes;
}

Result<LastValueRecord> LastValueRecord::decode(std::string_view bytes) {
    ByteReader in(bytes);
    LastValueRecord record;
    record.sequence = Sequence(in.varint());
    record.commit_time_ms = static_cast<std::int64_t>(in.varint());
    record.message = in.string();
    if (!in.ok() || !in.at_end() || record.sequence.value == 0) return bad("last value");
    return record;
}

std::string HeadRecord::encode() const {
    std::string bytes;
    ByteWriter(bytes).varint(next.value);
    return bytes;
}

Result<HeadRecord> HeadRecord::decode(std::string_view bytes) {
    ByteReader in(bytes);
    HeadRecord record;
    record.next = Sequence(in.varint());
    if (!in.ok() || !in.at_end()) return bad("head");
    return record;
}

std::string BlockIndexRecord::encode() const {
    std::string out;
    ByteWriter writer(out);
    writer.varint(count);
    writer.varint(bytes);
    writer.varint(static_cast<std::uint64_t>(commit_time_ms));
    const bool one_expiry = expires_ms.size() == 1;
    const std::uint64_t parts = (offsets.empty() ? 0 : kHasOffsets) | (due_ms.empty() ? 0 : kHasDue) |
                                (expires_ms.empty() ? 0
                                 : one_expiry       ? kHasOneExpiry
                                                    : kHasExpiry) |
                                (max_attempts.empty() ? 0 : kHasMaxAttempts) | (keyed ? kIsKeyed : 0) |
                                (keys.empty() ? 0 : kHasKeys) | (source.value == 0 ? 0 : kHasSource);
    if (parts == 0) return out;
    writer.varint(parts);
    for (std::size_t i = 1; i < offsets.size(); ++i) writer.varint(offsets[i] - offsets[i - 1] - 1);
    std::int64_t time = commit_time_ms;
    for (const std::int64_t due : due_ms) {
        writer.signed_varint(due - time);
        time = due;
    }
    time = commit_time_ms;
    for (const std::int64_t expires : expires_ms) {
        writer.signed_varint(expires - time);
        time = expires;
    }
    for (const std::uint32_t most : max_attempts) writer.varint(most);
    for (const std::uint64_t key : keys) writer.fixed64(key);
    if (source.value != 0) {
        writer.varint(source.value);
        writer.varint(source_first.value);
        writer.signed_varint(subtract_wrapping(source_time_ms, commit_time_ms));
    }
    return out;
}

Result<BlockIndexRecord> BlockIndexRecord::decode(std::string_view bytes) {
    ByteReader in(bytes);
    bool ok = true;
    BlockIndexRecord record;
    record.count = narrow(in.varint(), ok);
    record.bytes = narrow(in.varint(), ok);
    record.commit_time_ms = static_cast<std::int64_t>(in.varint());
    const std::uint64_t parts = get_parts(
        in, kHasOffsets | kHasDue | kHasExpiry | kHasOneExpiry | kHasMaxAttempts | kIsKeyed | kHasKeys | kHasSource,
        ok);
    record.keyed = (parts & kIsKeyed) != 0;
    if ((parts & ~(kHasOneExpiry | kIsKeyed | kHasSource)) != 0 && !plausible(record.count - 1, in))
        return bad("block index");
    if ((parts & kHasExpiry) != 0 && (parts & kHasOneExpiry) != 0) return bad("block index");
    if ((parts & kHasOffsets) != 0) {
        std::uint64_t offset = 0;
        record.offsets.reserve(record.count);
        record.offsets.push_back(0);
        while (record.offsets.size() < record.count && in.ok()) {
            offset += in.varint() + 1;
            record.offsets.push_back(narrow(offset, ok));
        }
    }
    if ((parts & kHasDue) != 0) {
        std::int64_t time = record.commit_time_ms;
        record.due_ms.reserve(record.count);
        while (record.due_ms.size() < record.count && in.ok()) {
            record.due_ms.push_back(time = add_wrapping(time, in.signed_varint()));
        }
    }
    if ((parts & (kHasExpiry | kHasOneExpiry)) != 0) {
        const std::size_t count = (parts & kHasOneExpiry) != 0 ? 1 : record.count;
        std::int64_t time = record.commit_time_ms;
        record.expires_ms.reserve(count);
        while (record.expires_ms.size() < count && in.ok()) {
            record.expires_ms.push_back(time = add_wrapping(time, in.signed_varint()));
        }
    }
    if ((parts & kHasMaxAttempts) != 0) {
        record.max_attempts.reserve(record.count);
        while (record.max_attempts.size() < record.count && in.ok()) {
            record.max_attempts.push_back(narrow(in.varint(), ok));
        }
    }
    if ((parts & kHasKeys) != 0) {
        record.keys.reserve(record.count);
        while (record.keys.size() < record.count && in.ok()) record.keys.push_back(in.fixed64());
    }
    if ((parts & kHasSource) != 0) {
        record.source = QueueId(narrow(in.varint(), ok));
        record.source_first = Sequence(in.varint());
        record.source_time_ms = add_wrapping(record.commit_time_ms, in.signed_varint());
        if (record.source.value == 0 || record.source_first.value == 0) ok = false;
    }
    if (!ok || !in.ok() || !in.at_end() || record.count == 0) return bad("block index");
    return record;
}

std::string_view message_key(std::string_view message) {
    constexpr std::uint64_t kKeyField = 10;  // message.proto
    std::string_view key;
    ByteReader in(message);
    while (!in.at_end() && in.ok()) {
        const std::uint64_t tag = in.varint();
        if ((tag & 7) == 2) {
            const std::string_view bytes = in.string();
            if (tag >> 3 == kKeyField) key = bytes;
        } else if ((tag & 7) == 0) {
            in.varint();
        } else if ((tag & 7) == 1) {
            in.fixed64();
        } else if ((tag & 7) == 5) {
            in.fixed32();
        } else {
            break;
        }
    }
    return in.ok() ? key : std::string_view();
}

void write_block_header(std::string& block, const BlockHeader& header) {
    RD_CHECK(block.size() >= kBlockHeaderBytes);
    std::memcpy(block.data(), &header.count, 4);
    std::memcpy(block.data() + 4, &header.flags, 4);
    std::memcpy(block.data() + 8, &header.commit_time_ms, 8);
}

Result<BlockView> read_block(std::string_view block) {
    ByteReader in(block);
    BlockView view;
    view.header.count = in.fixed32();
    view.header.flags = in.fixed32();
    view.header.commit_time_ms = static_cast<std::int64_t>(in.fixed64());
    if (!in.ok() || (view.header.flags & ~kKeyed) != 0 || !plausible(view.header.count, in)) return bad("block");
    view.ends.reserve(view.header.count);
    for (std::uint32_t i = 0; i < view.header.count; ++i) {
        if (in.u8() != static_cast<std::uint8_t>(kMessageTag)) return bad("block");
        const std::string_view message = in.string();
        if ((view.header.flags & kKeyed) != 0) view.keys.push_back(base::key_hash(message_key(message)));
        view.ends.push_back(static_cast<std::uint32_t>(in.position() - block.data()));
    }
    if (!in.ok() || !in.at_end()) return bad("block");
    return view;
}

namespace {

using Ranges = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

void put_ranges(ByteWriter& out, const Ranges& ranges) {
    out.varint(ranges.size());
    std::uint32_t at = 0;
    for (const auto& [first, end] : ranges) {
        out.varint(first - at);
        out.varint(end - first);
        at = end;
    }
}

Ranges get_ranges(ByteReader& in, bool& ok) {
    Ranges ranges;
    const std::uint64_t count = in.varint();
    ok = ok && plausible(count, in);
    std::uint64_t at = 0;
    for (std::uint64_t i = 0; i < count && in.ok() && ok; ++i) {
        const std::uint32_t first = narrow(at + narrow(in.varint(), ok), ok);
        const std::uint32_t end = narrow(std::uint64_t{first} + narrow(in.varint(), ok), ok);
        ranges.emplace_back(first, end);
        at = end;
    }
    return ranges;
}

}  // namespace

std::string BlockStateRecord::encode() const {
    std::string bytes;
    ByteWriter out(bytes);
    put_ranges(out, done);
    out.varint(runs.size());
    for (const RunRecord& run : runs) {
        out.varint(run.first);
        out.varint(run.count);
        out.varint(run.lease);
        out.varint(run.attempts);
        out.varint(run.releases);
        out.varint(run.losses);
        out.varint(run.epoch);
        out.varint(static_cast<std::uint64_t>(run.lease_end_ms));
        out.string(run.consumer);
    }
    const auto has_start = [](const RunRecord& run) { return run.started_ms != 0; };
    const bool starts = std::any_of(runs.begin(), runs.end(), has_start);
    const std::uint64_t parts =
        (leaving.empty() ? 0 : kHasLeaving) | (starts ? kHasStarts : 0) | (pushed_out.empty() ? 0 : kHasPushedOut);
    if (parts == 0) return bytes;
    out.varint(parts);
    if (!leaving.empty()) put_ranges(out, leaving);
    if (starts) {
        for (const RunRecord& run : runs) out.signed_varint(subtract_wrapping(run.lease_end_ms, run.started_ms));
    }
    if (!pushed_out.empty()) put_ranges(out, pushed_out);
    return bytes;
}

Result<BlockStateRecord> BlockStateRecord::decode(std::string_view bytes) {
    ByteReader in(bytes);
    bool ok = true;
    BlockStateRecord record;
    record.done = get_ranges(in, ok);
    const std::uint64_t runs = in.varint();
    if (!plausible(runs, in)) return bad("block state");
    for (std::uint64_t i = 0; i < runs && in.ok() && ok; ++i) {
        RunRecord run;
        run.first = narrow(in.varint(), ok);
        run.count = narrow(in.varint(), ok);
        run.lease = narrow(in.varint(), ok);
        run.attempts = narrow(in.varint(), ok);
        run.releases = narrow(in.varint(), ok);
        run.losses = narrow(in.varint(), ok);
        run.epoch = in.varint();
        run.lease_end_ms = static_cast<std::int64_t>(in.varint());
        run.consumer = in.string();
        record.runs.push_back(std::move(run));
    }
    const std::uint64_t parts = get_parts(in, kHasLeaving | kHasStarts | kHasPushedOut, ok);
    if ((parts & kHasLeaving) != 0) record.leaving = get_ranges(in, ok);
    if ((parts & kHasStarts) != 0) {
        for (RunRecord& run : record.runs) run.started_ms = subtract_wrapping(run.lease_end_ms, in.signed_varint());
    }
    if ((parts & kHasPushedOut) != 0) record.pushed_out = get_ranges(in, ok);
    if (!ok || !in.ok() || !in.at_end()) return bad("block state");
    return record;
}

std::string_view death_reason_name(DeathReason reason) {
    switch (reason) {
        case DeathReason::kNone:
            return "none";
        case DeathReason::kMaxAttempts:
            return "max_attempts";
        case DeathReason::kMaxReleases:
            return "max_releases";
        case DeathReason::kRejected:
            return "rejected";
        case DeathReason::kExpired:
            return "expired";
        case DeathReason::kExpiredInRetry:
            return "expired_in_retry";
        case DeathReason::kOverflow:
            return "overflow";
    }
    return "unknown";
}

std::string ReturnedRecord::encode() const {
    std::string bytes;
    ByteWriter out(bytes);
    out.varint(attempts);
    out.varint(lease);
    out.varint(releases);
    out.varint(losses);
    out.varint(static_cast<std::uint64_t>(visible_at_ms));
    out.varint(static_cast<std::uint64_t>(dying));
    out.string(last_error);
    out.string(last_consumer);
    const std::uint64_t parts =
        (lane == kDefaultLane ? 0 : kHasLane) | (key == 0 ? 0 : kHasKey) | (duration_ms == 0 ? 0 : kHasDuration);
    if (parts == 0) return bytes;
    out.varint(parts);
    if ((parts & kHasLane) != 0) out.u8(lane);
    if ((parts & kHasKey) != 0) out.fixed64(key);
    if ((parts & kHasDuration) != 0) out.varint(duration_ms);
    return bytes;
}

Result<ReturnedRecord> ReturnedRecord::decode(std::string_view bytes) {
    ByteReader in(bytes);
    bool ok = true;
    ReturnedRecord record;
    record.attempts = narrow(in.varint(), ok);
    record.lease = narrow(in.varint(), ok);
    record.releases = narrow(in.varint(), ok);
    record.losses = narrow(in.varint(), ok);
    record.visible_at_ms = static_cast<std::int64_t>(in.varint());
    record.dying = to_reason(in.varint(), ok);
    record.last_error = in.string();
    record.last_consumer = in.string();
    const std::uint64_t parts = get_parts(in, kHasLane | kHasKey | kHasDuration, ok);
    if ((parts & kHasLane) != 0) record.lane = in.u8();
    if ((parts & kHasKey) != 0) record.key = in.fixed64();
    if ((parts & kHasDuration) != 0) record.duration_ms = in.varint();
    if (!ok || !in.ok() || !in.at_end() || record.lane > kMaxLane) return bad("returned message");
    return record;
}

std::string DeadRecord::encode() const {
    std::string bytes;
    ByteWriter out(bytes);
    out.varint(static_cast<std::uint64_t>(commit_time_ms));
    out.varint(attempts);
    out.varint(lease);
    out.varint(redrives);
    put_deaths(out, deaths, false);
    out.string(message);
    const bool durations = std::any_of(deaths.begin(), deaths.end(), [](const Death& d) { return d.duration_ms != 0; });
    const std::uint64_t parts = (durations ? kHasDurations : 0) | (priority == kDefaultLane ? 0 : kHasPriority) |
                                (due_ms == 0 ? 0 : kHasDueTime) | (origin_sequence.value == 0 ? 0 : kHasOrigin);
    if (parts == 0) return bytes;
    out.varint(parts);
    if (durations) {
        for (const Death& death : deaths) out.varint(death.duration_ms);
    }
    if ((parts & kHasPriority) != 0) out.u8(priority);
    if ((parts & kHasDueTime) != 0) out.varint(static_cast<std::uint64_t>(due_ms));
    if ((parts & kHasOrigin) != 0) {
        out.varint(origin_queue.value);
        out.varint(origin_sequence.value);
    }
    return bytes;
}

Result<DeadRecord> DeadRecord::decode(std::string_view bytes) {
    ByteReader in(bytes);
    bool ok = true;
    DeadRecord record;
    record.commit_time_ms = static_cast<std::int64_t>(in.varint());
    record.attempts = narrow(in.varint(), ok);
    record.lease = narrow(in.varint(), ok);
    record.redrives = narrow(in.varint(), ok);
    record.deaths = get_deaths(in, false, ok);
    record.message = in.string();
    const std::uint64_t parts = get_parts(in, kHasDurations | kHasPriority | kHasDueTime | kHasOrigin, ok);
    if ((parts & kHasDurations) != 0) {
        for (Death& death : record.deaths) death.duration_ms = in.varint();
    }
    if ((parts & kHasPriority) != 0) record.priority = in.u8();
    if ((parts & kHasDueTime) != 0) record.due_ms = static_cast<std::int64_t>(in.varint());
    if ((parts & kHasOrigin) != 0) {
        record.origin_queue = QueueId(narrow(in.varint(), ok));
        record.origin_sequence = Sequence(in.varint());
    }
    if (!ok || !in.ok() || !in.at_end() || record.priority >= kPriorities) return bad("dead letter");
    return record;
}

std::string OriginRecord::encode() const {
    std::string bytes;
    ByteWriter out(bytes);
    out.varint(queue.value);
    out.varint(static_cast<std::uint64_t>(commit_time_ms));
    out.varint(sequence.value);
    out.varint(static_cast<std::uint64_t>(due_ms));
    out.varint(redrives);
    put_deaths(out, deaths, true);
    return bytes;
}

Result<OriginRecord> OriginRecord::decode(std::string_view bytes) {
    ByteReader in(bytes);
    bool ok = true;
    OriginRecord record;
    record.queue = QueueId(narrow(in.varint(), ok));
    record.commit_time_ms = static_cast<std::int64_t>(in.varint());
    record.sequence = Sequence(in.varint());
    record.due_ms = static_cast<std::int64_t>(in.varint());
    record.redrives = narrow(in.varint(), ok);
    record.deaths = get_deaths(in, true, ok);
    if (!ok || !in.ok() || !in.at_end() || record.sequence.value == 0) return bad("origin");
    return record;
}

std::string DedupRecord::encode() const {
    std::string bytes;
    ByteWriter out(bytes);
    out.varint(static_cast<std::uint64_t>(commit_time_ms));
    out.varint(entries.size());
    std::uint64_t before = 0;
    for (const Entry& entry : entries) {
        out.varint(entry.sequence.value - before);
        out.fixed64(entry.id.high);
        out.fixed64(entry.id.low);
        out.fixed64(entry.id.body);
        before = entry.sequence.value;
    }
    return bytes;
}

Result<DedupRecord> DedupRecord::decode(std::string_view bytes) {
    ByteReader in(bytes);
    DedupRecord record;
    record.commit_time_ms = static_cast<std::int64_t>(in.varint());
    const std::uint64_t count = in.varint();
    if (!plausible(count, in)) return bad("dedup");
    std::uint64_t before = 0;
    bool ok = count != 0;
    for (std::uint64_t i = 0; i < count && in.ok(); ++i) {
        Entry entry;
        const std::uint64_t gap = in.varint();
        if (gap == 0 || gap > kMaxSequence - before) ok = false;
        before += gap;
        entry.sequence = Sequence(before);
        entry.id.high = in.fixed64();
        entry.id.low = in.fixed64();
        entry.id.body = in.fixed64();
        record.entries.push_back(entry);
    }
    if (!ok || !in.ok() || !in.at_end()) return bad("dedup");
    return record;
}

std::string TaskRecord::encode() const {
    std::string bytes;
    ByteWriter out(bytes);
    out.u8(kRedrive);
    out.u8(static_cast<std::uint8_t>(state));
    out.u8(dry_run ? 1 : 0);
    out.varint(queue.value);
    out.varint(to.value);
    out.string(queue_name);
    out.string(to_name);
    out.string(reason);
    out.string(filter);
    out.u8(static_cast<std::uint8_t>(place));
    out.varint(limit);
    put_double(out, rate);
    out.varint(static_cast<std::uint64_t>(created_ms));
    out.varint(static_cast<std::uint64_t>(finished_ms));
    for (const std::uint64_t number : {next.value, end.value, total, looked, moved, skipped, failed}) {
        out.varint(number);
    }
    out.varint(reasons.size());
    for (const auto& [why, count] : reasons) {
        out.varint(static_cast<std::uint64_t>(why));
        out.varint(count);
    }
    out.string(text);
    return bytes;
}

Result<TaskRecord> TaskRecord::decode(std::string_view bytes) {
    ByteReader in(bytes);
    bool ok = in.u8() == kRedrive;
    TaskRecord record;
    record.state = static_cast<TaskState>(in.u8());
    if (record.state < TaskState::kRunning || record.state > TaskState::kCancelled) ok = false;
    record.dry_run = in.u8() != 0;
    record.queue = QueueId(narrow(in.varint(), ok));
    record.to = QueueId(narrow(in.varint(), ok));
    record.queue_name = in.string();
    record.to_name = in.string();
    record.reason = in.string();
    record.filter = in.string();
    record.place = static_cast<RedrivePlace>(in.u8());
    if (record.place < RedrivePlace::kByKey || record.place > RedrivePlace::kEnd) ok = false;
    record.limit = in.varint();
    record.rate = get_double(in);
    if (!(record.rate >= 0)) ok = false;  // nor a NaN
    record.created_ms = static_cast<std::int64_t>(in.varint());
    record.finished_ms = static_cast<std::int64_t>(in.varint());
    record.next = Sequence(in.varint());
    record.end = Sequence(in.varint());
    for (std::uint64_t* number : {&record.total, &record.looked, &record.moved, &record.skipped, &record.failed}) {
        *number = in.varint();
    }
    const std::uint64_t reasons = in.varint();
    if (!plausible(reasons, in)) return bad("task");
    for (std::uint64_t i = 0; i < reasons && in.ok() && ok; ++i) {
        const DeathReason why = to_reason(in.varint(), ok);
        record.reasons.emplace_back(why, in.varint());
    }
    record.text = in.string();
    if (!ok || !in.ok() || !in.at_end()) return bad("task");
    return record;
}

std::string PausedKeyRecord::encode() const {
    std::string bytes;
    ByteWriter out(bytes);
    out.varint(static_cast<std::uint64_t>(since_ms));
    out.varint(sequence.value);
    out.string(key);
    return bytes;
}

Result<PausedKeyRecord> PausedKeyRecord::decode(std::string_view bytes) {
    ByteReader in(bytes);
    PausedKeyRecord record;
    record.since_ms = static_cast<std::int64_t>(in.varint());
    record.sequence = Sequence(in.varint());
    record.key = in.string();
    if (!in.ok() || !in.at_end()) return bad("paused key");
    return record;
}

std::string ProducerRecord::encode() const {
    std::string bytes;
    ByteWriter out(bytes);
    out.varint(epoch);
    out.varint(floor);
    out.varint(static_cast<std::uint64_t>(last_used_ms));
    out.varint(answers.size());
    for (const AnswerRange& answer : answers) {
        out.varint(answer.first);
        out.varint(answer.count);
        out.varint(answer.queue.value);
        out.varint(answer.sequence.value);
        out.varint(static_cast<std::uint64_t>(answer.commit_time_ms));
    }
    return bytes;
}

Result<ProducerRecord> ProducerRecord::decode(std::string_view bytes) {
    ByteReader in(bytes);
    bool ok = true;
    ProducerRecord record;
    record.epoch = in.varint();
    record.floor = in.varint();
    record.last_used_ms = static_cast<std::int64_t>(in.varint());
    const std::uint64_t answers = in.varint();
    if (!plausible(answers, in)) return bad("producer");
    for (std::uint64_t i = 0; i < answers && in.ok() && ok; ++i) {
        AnswerRange answer;
        answer.first = in.varint();
        answer.count = narrow(in.varint(), ok);
        answer.queue = QueueId(narrow(in.varint(), ok));
        answer.sequence = Sequence(in.varint());
        answer.commit_time_ms = static_cast<std::int64_t>(in.varint());
        record.answers.push_back(answer);
    }
    if (!ok || !in.ok() || !in.at_end()) return bad("producer");
    return record;
}

}  // namespace rockdove::storage

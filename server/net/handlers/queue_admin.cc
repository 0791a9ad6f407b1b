// Administration of queues.
#include "protocol/limits.h"
#include "server/net/encode.h"
#include "server/net/handlers/handlers.h"

namespace rockdove::net {

namespace {

constexpr std::uint32_t kDefaultPage = 100;
constexpr std::size_t kDefaultPeekBytes = 1 << 20;

core::Answer<core::QueueInfo> answer_info(Session& session, std::uint64_t request_id) {
    return [weak = session.weak_from_this(), request_id](const Result<core::QueueInfo>& info) {
        const auto self = weak.lock();
        if (!self) return;
        if (!info) return self->send_error(request_id, info.error());
        v1::Frame reply;
        reply.set_request_id(request_id);
        to_proto(*info, *reply.mutable_queue_info());
        self->send(reply);
    };
}

}  // namespace

Millis to_millis(std::uint64_t value) {
    return Millis(static_cast<std::int64_t>(std::min<std::uint64_t>(value, INT64_MAX / 1000)));
}

Result<void> apply(const v1::QueueSettings& in, QueueSettings& out) {
    if (in.overflow() != v1::OVERFLOW_UNSPECIFIED) out.overflow = static_cast<Overflow>(in.overflow());
    if (in.durability() != v1::DURABILITY_UNSPECIFIED) out.durability = static_cast<Durability>(in.durability());
    if (in.has_lease_ms()) out.lease = to_millis(in.lease_ms());
    if (in.has_max_attempts()) out.max_attempts = in.max_attempts();
    if (in.has_max_releases()) out.max_releases = in.max_releases();
    if (in.has_backoff_first_ms()) out.backoff_first = to_millis(in.backoff_first_ms());
    if (in.has_backoff_factor()) out.backoff_factor = in.backoff_factor();
    if (in.has_backoff_longest_ms()) out.backoff_longest = to_millis(in.backoff_longest_ms());
    if (in.has_backoff_jitter()) out.backoff_jitter = in.backoff_jitter();
    if (in.has_max_retry_delay_ms()) out.max_retry_delay = to_millis(in.max_retry_delay_ms());
    if (in.has_max_messages()) out.max_messages = in.max_messages();
    if (in.has_max_bytes()) out.max_bytes = in.max_bytes();
    if (in.has_dead_max()) out.dead_max = in.dead_max();
    if (in.has_reconnect_grace_ms()) out.reconnect_grace = to_millis(in.reconnect_grace_ms());
    if (in.has_ttl_ms()) out.ttl = to_millis(in.ttl_ms());
    if (in.on_expire() != v1::ON_EXPIRE_UNSPECIFIED) out.on_expire = static_cast<OnExpire>(in.on_expire());
    if (in.key_on_retry() != v1::KEY_ON_RETRY_UNSPECIFIED) {
        out.key_on_retry = static_cast<KeyOnRetry>(in.key_on_retry());
    }
    if (in.key_on_dead() != v1::KEY_ON_DEAD_UNSPECIFIED) out.key_on_dead = static_cast<KeyOnDead>(in.key_on_dead());
    if (in.has_oldest_every()) out.oldest_every = in.oldest_every();
    if (in.has_dedup_window_ms()) out.dedup_window = to_millis(in.dedup_window_ms());
    if (in.dedup_mode() != v1::DEDUP_MODE_UNSPECIFIED) out.dedup_mode = static_cast<DedupMode>(in.dedup_mode());
    if (in.has_dead_letter_to()) out.dead_letter_to = in.dead_letter_to();
    return {};
}

Result<std::uint32_t> page_limit(std::uint32_t limit) {
    if (limit == 0) return kDefaultPage;
    if (limit <= protocol::kMaxPage) return limit;
    return Error(ErrorCode::kInvalid,
                 "limit " + std::to_string(limit) + " is out of range: 1 to " + std::to_string(protocol::kMaxPage));
}

core::Answer<std::uint64_t> answer_count(Session& session, std::uint64_t request_id) {
    return [weak = session.weak_from_this(), request_id](const Result<std::uint64_t>& count) {
        const auto self = weak.lock();
        if (!self) return;
        if (!count) return self->send_error(request_id, count.error());
        v1::Frame reply;
        reply.set_request_id(request_id);
        reply.mutable_ok()->set_count(*count);
        self->send(reply);
    };
}

bool handle_queue_create(Session& session, const protocol::FrameView& frame) {
    v1::QueueCreate create;
    bool go_on = true;
    if (!parse(session, frame, create, go_on)) return go_on;
    core::Namespace& ns = session.ns();
    QueueSettings settings = ns.options().queue_defaults;
    if (Result<void> ok = apply(create.settings(), settings); !ok) return refuse(session, frame, ok.error());
    if (const Result<core::QueueInfo> existing = ns.show_queue(create.name())) {
        // If it exists it must agree with what was asked for, not with the defaults.
        settings = existing->settings;
        (void)apply(create.settings(), settings);
    }
    ns.create_queue(create.name(), settings, create.if_not_exists(), session.shard().now(),
                    answer_info(session, frame.request_id));
    return true;
}

bool handle_queue_update(Session& session, const protocol::FrameView& frame) {
    v1::QueueUpdate update;
    bool go_on = true;
    if (!parse(session, frame, update, go_on)) return go_on;
    core::Namespace& ns = session.ns();
    const Result<core::QueueInfo> existing = ns.show_queue(update.name());
    if (!existing) return refuse(session, frame, existing.error());
    QueueSettings settings = existing->settings;
    if (Result<void> ok = apply(update.settings(), settings); !ok) return refuse(session, frame, ok.error());
    ns.update_queue(update.name(), settings, session.shard().now(), answer_info(session, frame.request_id));
    return true;
}

bool handle_queue_delete(Session& session, const protocol::FrameView& frame) {
    v1::QueueDelete request;
    bool go_on = true;
    if (!parse(session, frame, request, go_on)) return go_on;
    session.ns().delete_queue(request.name(), request.if_exists(), request.if_empty(),
                              answer_count(session, frame.request_id));
    return true;
}

bool handle_queue_show(Session& session, const protocol::FrameView& frame) {
    v1::QueueShow request;
    bool go_on = true;
    if (!parse(session, frame, request, go_on)) return go_on;
    answer_info(session, frame.request_id)(session.ns().show_queue(request.name()));
    return true;
}

bool handle_queue_purge(Session& session, const protocol::FrameView& frame) {
    v1::QueuePurge request;
    bool go_on = true;
    if (!parse(session, frame, request, go_on)) return go_on;
    session.ns().purge_queue(request.name(), answer_count(session, frame.request_id));
    return true;
}

bool handle_queue_pause(Session& session, const protocol::FrameView& frame) {
    v1::QueuePause request;
    bool go_on = true;
    if (!parse(session, frame, request, go_on)) return go_on;
    session.ns().pause_queue(request.name(), request.paused(), answer_info(session, frame.request_id));
    return true;
}

bool handle_queue_keys(Session& session, const protocol::FrameView& frame) {
    v1::QueueKeys request;
    bool go_on = true;
    if (!parse(session, frame, request, go_on)) return go_on;
    const Result<std::uint32_t> limit = page_limit(request.limit());
    if (!limit) return refuse(session, frame, limit.error());
    const Result<std::vector<core::PausedKey>> keys = session.ns().list_keys(request.name(), *limit);
    if (!keys) return refuse(session, frame, keys.error());
    v1::Frame reply;
    reply.set_request_id(frame.request_id);
    v1::QueueKeysReply& out = *reply.mutable_queue_keys_reply();
    for (const core::PausedKey& key : *keys) {
        v1::PausedKey& one = *out.add_keys();
        one.set_key(key.key);
        one.set_seq(key.sequence.value);
        one.set_since_ms(key.since_ms);
        one.set_behind(key.behind);
    }
    session.send(reply);
    return true;
}

bool handle_queue_key_resume(Session& session, const protocol::FrameView& frame) {
    v1::QueueKeyResume request;
    bool go_on = true;
    if (!parse(session, frame, request, go_on)) return go_on;
    session.ns().resume_key(request.name(), request.key(), answer_count(session, frame.request_id));
    return true;
}

bool handle_queue_list(Session& session, const protocol::FrameView& frame) {
    v1::QueueList request;
    bool go_on = true;
    if (!parse(session, frame, request, go_on)) return go_on;
    const Result<std::uint32_t> limit = page_limit(request.limit());
    if (!limit) return refuse(session, frame, limit.error());
    const std::vector<core::QueueInfo> infos = session.ns().list_queues(request.prefix(), request.after(), *limit + 1);
    v1::Frame reply;
    reply.set_request_id(frame.request_id);
    v1::QueueListReply& list = *reply.mutable_queue_list_reply();
    for (std::size_t i = 0; i < infos.size() && i < *limit; ++i) to_proto(infos[i], *list.add_queues());
    if (infos.size() > *limit) list.set_next(infos[*limit - 1].name);
    session.send(reply);
    return true;
}

bool handle_queue_peek(Session& session, const protocol::FrameView& frame) {
    v1::QueuePeek request;
    bool go_on = true;
    if (!parse(session, frame, request, go_on)) return go_on;
    const Result<std::uint32_t> limit = page_limit(request.limit());
    if (!limit) return refuse(session, frame, limit.error());
    Result<core::MessagePredicate> filter = session.ns().format().filter(request.filter(), session.shard().now());
    if (!filter) return refuse(session, frame, filter.error());
    const std::size_t most = session.options().max_message_bytes;
    const std::size_t bytes =
        request.max_bytes() == 0 ? kDefaultPeekBytes : std::min<std::size_t>(request.max_bytes(), most);
    // With a filter more may be read than is answered.
    const std::size_t held = *filter ? std::max(bytes, core::kPeekScanBytes) : bytes;
    if (!session.begin_answer(held)) {
        return refuse(session, frame,
                      Error(ErrorCode::kRateLimited,
                            "answers of more than 8 MiB wait for this client; read them, then ask for more"));
    }
    session.ns().peek_queue(
        request.name(), Sequence(std::max<std::uint64_t>(request.from_seq(), 1)), *limit, bytes,
        [weak = session.weak_from_this(), request_id = frame.request_id, held](const Result<core::PeekResult>& result) {
            const auto self = weak.lock();
            if (!self) return;
            v1::Frame reply;
            reply.set_request_id(request_id);
            if (result) {
                to_proto(*result, *reply.mutable_queue_peek_reply());
            } else {
                to_proto(result.error(), *reply.mutable_error());
            }
            self->end_answer(held, reply);
        },
        *std::move(filter));
    return true;
}

}  // namespace rockdove::net

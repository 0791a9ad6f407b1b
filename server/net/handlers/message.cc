// A single message: why it is where it is, taking it back, moving its time.
#include "protocol/limits.h"
#include "server/net/encode.h"
#include "server/net/handlers/handlers.h"

namespace rockdove::net {

bool handle_explain(Session& session, const protocol::FrameView& frame) {
    v1::Explain request;
    bool go_on = true;
    if (!parse(session, frame, request, go_on)) return go_on;
    if (request.id().empty() && request.queue().empty()) {
        return refuse(session, frame, Error(ErrorCode::kInvalid, "explain a message by its id, or a queue"));
    }
    Result<core::Explanation> explained = Error(ErrorCode::kInternal, "");
    std::string queue = request.queue();
    if (request.id().empty()) {
        explained = session.ns().explain(request.queue(), request.key());
    } else {
        const Result<base::MessageId> id = base::parse_message_id(request.id());
        if (!id) return refuse(session, frame, id.error());
        explained = session.ns().explain(*id, request.queue());
        if (queue.empty()) queue = session.ns().queue_of(*id);
    }
    if (!explained) return refuse(session, frame, explained.error());
    v1::Frame reply;
    reply.set_request_id(frame.request_id);
    v1::Explanation& out = *reply.mutable_explanation();
    out.set_gate(static_cast<v1::Gate>(explained->gate));
    out.set_queue(queue);
    out.set_seq(explained->sequence.value);
    out.set_until_ms(explained->until_ms);
    out.set_behind_seq(explained->behind.value);
    out.set_consumer(explained->consumer);
    out.set_last_error(explained->last_error);
    out.set_attempts(explained->attempts);
    session.send(reply);
    return true;
}

bool handle_message_cancel(Session& session, const protocol::FrameView& frame) {
    v1::MessageCancel request;
    bool go_on = true;
    if (!parse(session, frame, request, go_on)) return go_on;
    const Result<base::MessageId> id = base::parse_message_id(request.id());
    if (!id) return refuse(session, frame, id.error());
    session.ns().cancel_message(*id, answer_count(session, frame.request_id));
    return true;
}

bool handle_message_reschedule(Session& session, const protocol::FrameView& frame) {
    v1::MessageReschedule request;
    bool go_on = true;
    if (!parse(session, frame, request, go_on)) return go_on;
    const Result<base::MessageId> id = base::parse_message_id(request.id());
    if (!id) return refuse(session, frame, id.error());
    const bool late = request.delay_ms() > static_cast<std::uint64_t>(protocol::kMaxTimeMs) ||
                      request.not_before_ms() > protocol::kMaxTimeMs || request.not_before_ms() < 0;
    if (late || (request.delay_ms() != 0 && request.not_before_ms() != 0)) {
        return refuse(
            session, frame,
            Error(ErrorCode::kInvalid, "give delay_ms or not_before_ms, 0 to " + std::to_string(protocol::kMaxTimeMs)));
    }
    const TimePoint now = session.shard().now();
    const std::int64_t due = request.not_before_ms() != 0
                                 ? request.not_before_ms()
                                 : to_unix_ms(now) + static_cast<std::int64_t>(request.delay_ms());
    session.ns().reschedule_message(*id, due, now, answer_count(session, frame.request_id));
    return true;
}

}  // namespace rockdove::net

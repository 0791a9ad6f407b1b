// From a frame's kind to its handler; what is allowed when (docs/protocol.md, section 4).
#include <algorithm>
#include <tuple>

#include "protocol/limits.h"
#include "protocol/wire.h"
#include "server/net/handlers/handlers.h"

namespace rockdove::net {

bool refuse(Session& session, const protocol::FrameView& frame, const Error& error) {
    session.send_error(frame.request_id, error);
    return true;
}

bool refuse_and_close(Session& session, const protocol::FrameView& frame, Error error) {
    error.closes = true;
    session.send_error(frame.request_id, error);
    session.stop_reading();
    return false;
}

std::optional<Error> check_control_body(std::string_view body, bool logged_in) {
    constexpr std::uint32_t kElementsBeforeLogin = 32;
    const std::uint32_t limit = logged_in ? protocol::kMaxElements + 32 : kElementsBeforeLogin;
    std::uint32_t fields = 0;
    protocol::FieldReader in(body);
    while (in.next()) {
        if (++fields > limit) {
            return Error(ErrorCode::kInvalid, "more than " + std::to_string(logged_in ? protocol::kMaxElements : 16) +
                                                  " entries in one frame");
        }
    }
    if (!in.ok()) return Error(ErrorCode::kProtocol, "a frame that is not a protobuf message");
    return std::nullopt;
}

Result<std::vector<core::LeaseRange>> read_ranges(const google::protobuf::RepeatedPtrField<v1::SeqRange>& ranges) {
    if (static_cast<std::uint32_t>(ranges.size()) > protocol::kMaxElements) {
        return Error(ErrorCode::kInvalid, "more than " + std::to_string(protocol::kMaxElements) + " ranges");
    }
    std::vector<core::LeaseRange> out;
    out.reserve(static_cast<std::size_t>(ranges.size()));
    for (const v1::SeqRange& range : ranges) {
        if (range.first_seq() == 0 || range.first_seq() > range.last_seq() || range.last_seq() > base::kMaxSequence) {
            return Error(ErrorCode::kInvalid, "range " + std::to_string(range.first_seq()) + " to " +
                                                  std::to_string(range.last_seq()) +
                                                  ": sequences start at 1, and the first is not above the last");
        }
        core::LeaseRange lease;
        lease.first = Sequence(range.first_seq());
        lease.last = Sequence(range.last_seq());
        lease.epoch = range.epoch();
        lease.lease = range.lease();
        out.push_back(lease);
    }
    // Each delivery once: overlapping wide ranges would make a small frame a lot of work and a huge answer.
    std::vector<core::LeaseRange> sorted = out;
    std::sort(sorted.begin(), sorted.end(), [](const core::LeaseRange& a, const core::LeaseRange& b) {
        return std::tie(a.epoch, a.lease, a.first) < std::tie(b.epoch, b.lease, b.first);
    });
    for (std::size_t i = 1; i < sorted.size(); ++i) {
        const core::LeaseRange& before = sorted[i - 1];
        if (before.epoch == sorted[i].epoch && before.lease == sorted[i].lease && sorted[i].first <= before.last) {
            return Error(ErrorCode::kInvalid,
                         "two ranges of one lease overlap at sequence " + std::to_string(sorted[i].first.value));
        }
    }
    return out;
}

namespace {

using protocol::FrameKind;
using protocol::FrameView;

bool handle(Session& session, const FrameView& frame) {
    switch (frame.kind) {
        case FrameKind::kPing:
            return handle_ping(session, frame);
        case FrameKind::kPong:
            return true;
        case FrameKind::kGoAway:
            return handle_go_away(session, frame);
        case FrameKind::kPublish:
            return handle_publish(session, frame);
        case FrameKind::kConsume:
            return handle_consume(session, frame);
        case FrameKind::kCredit:
            return handle_credit(session, frame);
        case FrameKind::kSettle:
            return handle_settle(session, frame);
        case FrameKind::kExtend:
            return handle_extend(session, frame);
        case FrameKind::kStart:
            return handle_start(session, frame);
        case FrameKind::kCancelConsumer:
            return handle_cancel_consumer(session, frame);
        case FrameKind::kQueueCreate:
            return handle_queue_create(session, frame);
        case FrameKind::kQueueUpdate:
            return handle_queue_update(session, frame);
        case FrameKind::kQueueDelete:
            return handle_queue_delete(session, frame);
        case FrameKind::kQueueShow:
            return handle_queue_show(session, frame);
        case FrameKind::kQueuePurge:
            return handle_queue_purge(session, frame);
        case FrameKind::kQueuePause:
            return handle_queue_pause(session, frame);
        case FrameKind::kQueueList:
            return handle_queue_list(session, frame);
        case FrameKind::kQueuePeek:
            return handle_queue_peek(session, frame);
        case FrameKind::kQueueKeys:
            return handle_queue_keys(session, frame);
        case FrameKind::kQueueKeyResume:
            return handle_queue_key_resume(session, frame);
        case FrameKind::kExplain:
            return handle_explain(session, frame);
        case FrameKind::kMessageCancel:
            return handle_message_cancel(session, frame);
        case FrameKind::kMessageReschedule:
            return handle_message_reschedule(session, frame);
        case FrameKind::kTopicCreate:
            return handle_topic_create(session, frame);
        case FrameKind::kTopicUpdate:
            return handle_topic_update(session, frame);
        case FrameKind::kTopicDelete:
            return handle_topic_delete(session, frame);
        case FrameKind::kTopicShow:
            return handle_topic_show(session, frame);
        case FrameKind::kTopicList:
            return handle_topic_list(session, frame);
        case FrameKind::kSubscriptionCreate:
            return handle_subscription_create(session, frame);
        case FrameKind::kSubscriptionUpdate:
            return handle_subscription_update(session, frame);
        case FrameKind::kSubscriptionDelete:
            return handle_subscription_delete(session, frame);
        case FrameKind::kSubscriptionShow:
            return handle_subscription_show(session, frame);
        case FrameKind::kSubscriptionList:
            return handle_subscription_list(session, frame);
        case FrameKind::kSubscriptionSeek:
            return handle_subscription_seek(session, frame);
        case FrameKind::kSubscriptionReplay:
            return handle_subscription_replay(session, frame);
        case FrameKind::kStatsRequest:
            return handle_stats(session, frame);
        case FrameKind::kClockAdvance:
            return handle_clock_advance(session, frame);
        case FrameKind::kClockShow:
            return handle_clock_show(session, frame);
        case FrameKind::kDeadList:
            return handle_dead_list(session, frame);
        case FrameKind::kDeadDelete:
            return handle_dead_delete(session, frame);
        case FrameKind::kRedrive:
            return handle_redrive(session, frame);
        case FrameKind::kTaskList:
            return handle_task_list(session, frame);
        case FrameKind::kTaskShow:
            return handle_task_show(session, frame);
        case FrameKind::kTaskCancel:
            return handle_task_cancel(session, frame);
        case FrameKind::kHello:
        case FrameKind::kError:
        case FrameKind::kWelcome:
        case FrameKind::kOk:
        case FrameKind::kConfirm:
        case FrameKind::kConsumeOk:
        case FrameKind::kDeliver:
        case FrameKind::kSettled:
        case FrameKind::kExtended:
        case FrameKind::kConsumerClosed:
        case FrameKind::kStarted:
        case FrameKind::kRecall:
        case FrameKind::kQueueInfo:
        case FrameKind::kQueueListReply:
        case FrameKind::kQueuePeekReply:
        case FrameKind::kQueueKeysReply:
        case FrameKind::kExplanation:
        case FrameKind::kStats:
        case FrameKind::kClockInfo:
        case FrameKind::kTopicInfo:
        case FrameKind::kTopicListReply:
        case FrameKind::kSubscriptionInfo:
        case FrameKind::kSubscriptionListReply:
        case FrameKind::kDeadListReply:
        case FrameKind::kTaskInfo:
        case FrameKind::kTaskListReply:
            return refuse_and_close(
                session, frame,
                Error(ErrorCode::kProtocol, "a frame that a client may not send now (kind " +
                                                std::to_string(static_cast<int>(frame.kind)) + ")"));
        case FrameKind::kNone:
            break;
    }
    return refuse(session, frame,
                  Error(ErrorCode::kUnsupported, "this broker does not know frames of kind " +
                                                     std::to_string(static_cast<std::uint32_t>(frame.kind))));
}

}  // namespace

bool dispatch(Session& session, const FrameView& frame) {
    if (!session.logged_in()) {
        if (frame.kind == FrameKind::kHello && !session.login_started()) return handle_hello(session, frame);
        return refuse_and_close(session, frame,
                                Error(ErrorCode::kProtocol,
                                      "the first frame must be Hello, and the next "
                                      "waits for Welcome"));
    }
    if (frame.kind != FrameKind::kPublish && frame.body.size() > protocol::kControlBytes * 2) {
        return refuse(
            session, frame,
            Error(ErrorCode::kTooLarge, "a control frame of " + std::to_string(frame.body.size()) + " bytes"));
    }
    return handle(session, frame);
}

}  // namespace rockdove::net

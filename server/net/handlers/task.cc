// Tasks of the broker: begun by Redrive, looked at, cancelled.
#include "server/net/encode.h"
#include "server/net/handlers/handlers.h"

namespace rockdove::net {

namespace {

core::Answer<core::TaskInfo> answer_task(Session& session, std::uint64_t request_id) {
    return [weak = session.weak_from_this(), request_id](const Result<core::TaskInfo>& task) {
        const auto self = weak.lock();
        if (!self) return;
        if (!task) return self->send_error(request_id, task.error());
        v1::Frame reply;
        reply.set_request_id(request_id);
        to_proto(*task, *reply.mutable_task_info());
        self->send(reply);
    };
}

}  // namespace

bool handle_redrive(Session& session, const protocol::FrameView& frame) {
    v1::Redrive redrive;
    bool go_on = true;
    if (!parse(session, frame, redrive, go_on)) return go_on;
    core::RedriveRequest request;
    request.queue = redrive.queue();
    request.to = redrive.to();
    request.reason = redrive.reason();
    request.limit = redrive.limit();
    request.rate = redrive.rate();
    request.dry_run = redrive.dry_run();
    request.filter = redrive.filter();
    switch (redrive.place()) {
        case v1::PLACE_UNSPECIFIED:
            break;
        case v1::PLACE_ORIGINAL:
            request.place = storage::RedrivePlace::kOriginal;
            break;
        case v1::PLACE_END:
            request.place = storage::RedrivePlace::kEnd;
            break;
        default:
            return refuse(session, frame,
                          Error(ErrorCode::kUnsupported,
                                "place " + std::to_string(redrive.place()) + " is not one that this broker knows"));
    }
    session.ns().redrive(request, session.shard().now(), answer_task(session, frame.request_id));
    return true;
}

bool handle_task_list(Session& session, const protocol::FrameView& frame) {
    v1::TaskList request;
    bool go_on = true;
    if (!parse(session, frame, request, go_on)) return go_on;
    v1::Frame reply;
    reply.set_request_id(frame.request_id);
    v1::TaskListReply& list = *reply.mutable_task_list_reply();
    for (const core::TaskInfo& task : session.ns().list_tasks()) to_proto(task, *list.add_tasks());
    session.send(reply);
    return true;
}

bool handle_task_show(Session& session, const protocol::FrameView& frame) {
    v1::TaskShow request;
    bool go_on = true;
    if (!parse(session, frame, request, go_on)) return go_on;
    answer_task(session, frame.request_id)(session.ns().show_task(request.task()));
    return true;
}

bool handle_task_cancel(Session& session, const protocol::FrameView& frame) {
    v1::TaskCancel request;
    bool go_on = true;
    if (!parse(session, frame, request, go_on)) return go_on;
    session.ns().cancel_task(request.task(), session.shard().now(), answer_task(session, frame.request_id));
    return true;
}

}  // namespace rockdove::net

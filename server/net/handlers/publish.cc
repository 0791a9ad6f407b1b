// Publish: from a frame to the core. Next: server/core/namespace.cc.
#include "server/net/handlers/handlers.h"

namespace rockdove::net {

bool handle_publish(Session& session, const protocol::FrameView& frame) {
    protocol::PublishView& view = session.publish_view();
    if (Result<void> ok = protocol::read_publish(frame.body, session.options().max_message_bytes, view); !ok) {
        if (ok.error().code == ErrorCode::kProtocol) return refuse_and_close(session, frame, ok.error());
        return refuse(session, frame, ok.error());
    }
    if (!view.topic.empty() && !view.queue.empty()) {
        return refuse(session, frame, Error(ErrorCode::kInvalid, "a publish has one target: a queue or a topic"));
    }
    if (view.mandatory && view.topic.empty()) {
        return refuse(session, frame, Error(ErrorCode::kInvalid, "mandatory is for topics; a queue takes everything"));
    }
    core::PublishRequest request;
    request.session = session.id();
    request.request_id = frame.request_id;
    request.to_topic = !view.topic.empty();
    request.queue = request.to_topic ? view.topic : view.queue;
    request.mandatory = view.mandatory;
    request.producer_seq = view.producer_seq;
    request.oldest_unconfirmed = view.oldest_unconfirmed;
    request.records = view.records;
    request.ends = view.ends;
    request.traits = view.traits;
    session.ns().publish(request, session.shard().now());
    return true;
}

}  // namespace rockdove::net

// Looking at dead letters, and deleting them. Sending them round again: handlers/task.cc.
#include <algorithm>

#include "protocol/limits.h"
#include "server/net/encode.h"
#include "server/net/handlers/handlers.h"

namespace rockdove::net {

namespace {

constexpr std::uint32_t kDefaultPage = 100;
constexpr std::size_t kDefaultBytes = 1 << 20;

}  // namespace

bool handle_dead_list(Session& session, const protocol::FrameView& frame) {
    v1::DeadList request;
    bool go_on = true;
    if (!parse(session, frame, request, go_on)) return go_on;
    if (request.limit() > protocol::kMaxPage) {
        return refuse(session, frame,
                      Error(ErrorCode::kInvalid, "limit " + std::to_string(request.limit()) +
                                                     " is out of range: 1 to " + std::to_string(protocol::kMaxPage)));
    }
    const Result<core::QueueInfo> info = session.ns().show_queue(request.queue());
    if (!info) return refuse(session, frame, info.error());
    core::DeadReadRequest read;
    read.first = Sequence(std::clamp<std::uint64_t>(request.from_seq(), 1, base::kMaxSequence));
    read.limit = request.limit() == 0 ? kDefaultPage : request.limit();
    read.max_bytes = request.max_bytes() == 0
                         ? kDefaultBytes
                         : std::min<std::uint64_t>(request.max_bytes(), session.options().max_message_bytes);
    read.bodies = request.bodies();
    const std::size_t bytes = read.max_bytes;
    if (!session.begin_answer(bytes)) {
        return refuse(session, frame,
                      Error(ErrorCode::kRateLimited,
                            "answers of more than 8 MiB wait for this client; read them, then ask for more"));
    }
    session.ns().list_dead(request.queue(), read,
                           [weak = session.weak_from_this(), request_id = frame.request_id, id = info->id,
                            bodies = read.bodies, bytes](const Result<core::DeadPage>& page) {
                               const auto self = weak.lock();
                               if (!self) return;
                               v1::Frame reply;
                               reply.set_request_id(request_id);
                               if (page) {
                                   to_proto(*page, id, bodies, *reply.mutable_dead_list_reply());
                               } else {
                                   to_proto(page.error(), *reply.mutable_error());
                               }
                               self->end_answer(bytes, reply);
                           });
    return true;
}

bool handle_dead_delete(Session& session, const protocol::FrameView& frame) {
    v1::DeadDelete request;
    bool go_on = true;
    if (!parse(session, frame, request, go_on)) return go_on;
    if (static_cast<std::uint32_t>(request.seqs_size()) > protocol::kMaxElements) {
        return refuse(session, frame,
                      Error(ErrorCode::kInvalid, "more than " + std::to_string(protocol::kMaxElements) + " seqs"));
    }
    if (request.all() == (request.seqs_size() != 0)) {
        return refuse(session, frame, Error(ErrorCode::kInvalid, "either seqs or all must be given"));
    }
    const core::Answer<std::uint64_t> done = [weak = session.weak_from_this(),
                                              request_id = frame.request_id](const Result<std::uint64_t>& count) {
        const auto self = weak.lock();
        if (!self) return;
        if (!count) return self->send_error(request_id, count.error());
        v1::Frame reply;
        reply.set_request_id(request_id);
        reply.mutable_ok()->set_count(*count);
        self->send(reply);
    };
    if (request.all()) {
        session.ns().purge_dead(request.queue(), done);
        return true;
    }
    std::vector<Sequence> sequences;
    sequences.reserve(static_cast<std::size_t>(request.seqs_size()));
    for (const std::uint64_t sequence : request.seqs()) sequences.emplace_back(sequence);
    session.ns().delete_dead(request.queue(), sequences, done);
    return true;
}

}  // namespace rockdove::net

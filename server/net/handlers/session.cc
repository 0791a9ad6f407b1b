// Greeting, liveness, farewell.
#include <algorithm>

#include "protocol/limits.h"
#include "protocol/names.h"
#include "server/net/handlers/handlers.h"

namespace rockdove::net {

namespace {

constexpr int kMaxFeatures = 16;

Result<void> check_hello(const v1::Hello& hello) {
    if (hello.version_min() > protocol::kVersion || hello.version_max() < protocol::kVersion) {
        return Error(ErrorCode::kUnsupported,
                     "this broker speaks protocol version " + std::to_string(protocol::kVersion) + ", the client " +
                         std::to_string(hello.version_min()) + " to " + std::to_string(hello.version_max()));
    }
    if (hello.features_size() > kMaxFeatures) {
        return Error(ErrorCode::kInvalid, "more than " + std::to_string(kMaxFeatures) + " features");
    }
    if (hello.client_name().size() > base::kMaxNameBytes || hello.client_library().size() > base::kMaxNameBytes) {
        return Error(ErrorCode::kInvalid,
                     "client_name and client_library have at most " + std::to_string(base::kMaxNameBytes) + " bytes");
    }
    if (hello.producer_id().empty()) {
        if (hello.producer_epoch() == 0) return {};
        return Error(ErrorCode::kInvalid, "producer_epoch without producer_id");
    }
    return base::check_name("producer id", hello.producer_id());
}

void send_welcome(Session& session, std::uint64_t request_id, const core::Namespace& ns, std::uint64_t producer_epoch) {
    v1::Frame frame;
    frame.set_request_id(request_id);
    v1::Welcome& welcome = *frame.mutable_welcome();
    runtime::Shard& shard = session.shard();
    welcome.set_version(protocol::kVersion);
    welcome.set_broker_version(session.options().broker_version);
    welcome.set_cluster_id(shard.store_state().cluster_id);
    welcome.set_map_epoch(1);
    welcome.set_shard(shard.id().value);
    welcome.set_shard_epoch(shard.store_state().epoch);
    welcome.set_producer_epoch(producer_epoch);
    welcome.set_heartbeat_ms(static_cast<std::uint64_t>(session.options().heartbeat.count()));
    welcome.set_connection_id(session.id().value);
    welcome.set_time_ms(to_unix_ms(shard.now()));
    welcome.set_namespace_(ns.name());
    v1::Limits& limits = *welcome.mutable_limits();
    limits.set_max_frame_bytes(session.options().max_message_bytes + protocol::kControlBytes);
    limits.set_max_message_bytes(session.options().max_message_bytes);
    limits.set_max_headers(protocol::kMaxHeaders);
    limits.set_max_header_bytes(protocol::kMaxHeaderBytes);
    limits.set_max_credit(protocol::kMaxCredit);
    limits.set_max_messages_per_frame(protocol::kMaxMessagesPerFrame);
    limits.set_max_page(protocol::kMaxPage);
    session.send(frame);
}

}  // namespace

bool handle_hello(Session& session, const protocol::FrameView& frame) {
    v1::Hello hello;
    bool go_on = true;
    if (!parse(session, frame, hello, go_on)) {
        session.stop_reading();
        return false;
    }
    if (Result<void> ok = check_hello(hello); !ok) return refuse_and_close(session, frame, ok.error());
    runtime::Shard& shard = session.shard();
    if (shard.id() == ShardId(0)) {  // accepted here; on any other shard it is where it belongs
        const Result<runtime::Shard*> owner = session.placement().find(hello.namespace_());
        if (!owner) return refuse_and_close(session, frame, owner.error());
        if (*owner != &shard) {
            session.move_to(**owner, hello.namespace_());
            return false;
        }
    }
    core::Namespace& opened = shard.open_namespace(hello.namespace_());
    session.set_login_started();
    // Who the producer is may have to reach the disk first; until then the session has not logged in.
    opened.open_session(
        session.id(), hello.producer_id(), hello.producer_epoch(), shard.now(),
        [weak = session.weak_from_this(), &opened, &shard, id = session.id(), request_id = frame.request_id,
         name = hello.client_name()](const Result<std::uint64_t>& epoch) {
            const auto self = weak.lock();
            if (!self || !self->open()) {
                // Gone before it had logged in: the core must not take it for connected.
                opened.close_session(id, false, shard.now());
                return;
            }
            if (!epoch) {
                protocol::FrameView view;
                view.request_id = request_id;
                refuse_and_close(*self, view, epoch.error());
                return;
            }
            self->login(opened, name);
            send_welcome(*self, request_id, opened, *epoch);
        });
    return session.open();
}

bool handle_ping(Session& session, const protocol::FrameView& frame) {
    v1::Frame reply;
    reply.set_request_id(frame.request_id);
    reply.mutable_pong()->set_time_ms(to_unix_ms(session.shard().now()));
    session.send(reply);
    return true;
}

bool handle_go_away(Session& session, const protocol::FrameView&) {
    session.say_farewell();
    return false;
}

}  // namespace rockdove::net

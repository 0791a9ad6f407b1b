// The broker's time, and moving it where it is a test clock.
#include <chrono>

#include "protocol/limits.h"
#include "server/net/handlers/handlers.h"
#include "server/runtime/test_clock.h"

namespace rockdove::net {

namespace {

void send_info(Session& session, std::uint64_t request_id, TimePoint time) {
    v1::Frame reply;
    reply.set_request_id(request_id);
    reply.mutable_clock_info()->set_time_ms(to_unix_ms(time));
    reply.mutable_clock_info()->set_test_clock(session.shard().test_clock());
    session.send(reply);
}

TimePoint latest_time() {
    const auto wall = std::chrono::time_point_cast<Millis>(std::chrono::system_clock::now());
    return std::min(wall + runtime::kLongestTest, from_unix_ms(protocol::kMaxTimeMs));
}

}  // namespace

bool handle_clock_advance(Session& session, const protocol::FrameView& frame) {
    v1::ClockAdvance request;
    bool go_on = true;
    if (!parse(session, frame, request, go_on)) return go_on;
    if (!session.begin_round()) {
        return refuse(session, frame, Error(ErrorCode::kRateLimited, "too many requests to move the clock at a time"));
    }
    // More than that is refused all the same.
    const auto by = std::min<std::uint64_t>(request.advance_ms(), protocol::kMaxTimeMs);
    runtime::Shard& shard = session.shard();
    runtime::advance_clock(
        session.shards(), Millis(static_cast<std::int64_t>(by)), latest_time(),
        [weak = session.weak_from_this(), &shard, request_id = frame.request_id](Result<TimePoint> time) {
            // From the thread of the shard that was the last to the session's, where alone it may be touched.
            asio::dispatch(shard.context(), [weak, &shard, request_id, time = std::move(time)] {
                const auto self = weak.lock();
                if (!self) return;
                self->end_round();
                if (!self->open()) return;
                if (time) {
                    send_info(*self, request_id, *time);
                } else {
                    self->send_error(request_id, time.error());
                }
                shard.request_turn();
            });
        });
    return true;
}

bool handle_clock_show(Session& session, const protocol::FrameView& frame) {
    v1::ClockShow request;
    bool go_on = true;
    if (!parse(session, frame, request, go_on)) return go_on;
    send_info(session, frame.request_id, session.shard().now());
    return true;
}

}  // namespace rockdove::net

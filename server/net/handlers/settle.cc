// Settle, extend and start.
#include "protocol/limits.h"
#include "server/net/handlers/handlers.h"

namespace rockdove::net {

namespace {

Result<void> check_settle(const v1::Settle& settle) {
    if (settle.outcome() < v1::ACK || settle.outcome() > v1::REJECT) {
        return Error(ErrorCode::kInvalid, "a settle needs an outcome: ACK, RETRY, RELEASE or REJECT");
    }
    if (settle.ranges().empty()) return Error(ErrorCode::kInvalid, "a settle without ranges");
    if (settle.reason().size() > protocol::kMaxReasonBytes) {
        return Error(ErrorCode::kInvalid,
                     "a reason of more than " + std::to_string(protocol::kMaxReasonBytes) + " bytes");
    }
    if (settle.has_after_ms() && settle.outcome() != v1::RETRY && settle.outcome() != v1::RELEASE) {
        return Error(ErrorCode::kInvalid, "after_ms goes with RETRY and RELEASE only");
    }
    return {};
}

Millis clamp_ms(std::uint64_t ms) {
    constexpr std::uint64_t kYear = 366ULL * 86'400'000;
    return Millis(static_cast<std::int64_t>(std::min(ms, kYear)));
}

}  // namespace

bool handle_settle(Session& session, const protocol::FrameView& frame) {
    v1::Settle settle;
    bool go_on = true;
    if (!parse(session, frame, settle, go_on)) return go_on;
    if (Result<void> ok = check_settle(settle); !ok) return refuse(session, frame, ok.error());
    Result<std::vector<core::LeaseRange>> ranges = read_ranges(settle.ranges());
    if (!ranges) return refuse(session, frame, ranges.error());
    core::SettleRequest request;
    request.session = session.id();
    request.request_id = frame.request_id;
    request.consumer = settle.consumer();
    request.outcome = static_cast<core::Outcome>(settle.outcome());
    request.ranges = *std::move(ranges);
    request.reason = settle.reason();
    if (settle.has_after_ms()) request.after = clamp_ms(settle.after_ms());
    session.ns().settle(request, session.shard().now());
    return true;
}

bool handle_extend(Session& session, const protocol::FrameView& frame) {
    v1::Extend extend;
    bool go_on = true;
    if (!parse(session, frame, extend, go_on)) return go_on;
    if (extend.ranges().empty()) return refuse(session, frame, Error(ErrorCode::kInvalid, "an extend without ranges"));
    Result<std::vector<core::LeaseRange>> ranges = read_ranges(extend.ranges());
    if (!ranges) return refuse(session, frame, ranges.error());
    if (extend.lease_ms() != 0) {
        QueueSettings settings;
        settings.lease = clamp_ms(extend.lease_ms());
        if (Result<void> ok = check_settings(settings); !ok) return refuse(session, frame, ok.error());
    }
    core::ExtendRequest request;
    request.session = session.id();
    request.request_id = frame.request_id;
    request.consumer = extend.consumer();
    request.ranges = *std::move(ranges);
    request.lease = clamp_ms(extend.lease_ms());
    session.ns().extend(request, session.shard().now());
    return true;
}

bool handle_start(Session& session, const protocol::FrameView& frame) {
    v1::Start start;
    bool go_on = true;
    if (!parse(session, frame, start, go_on)) return go_on;
    if (start.ranges().empty()) return refuse(session, frame, Error(ErrorCode::kInvalid, "a start without ranges"));
    Result<std::vector<core::LeaseRange>> ranges = read_ranges(start.ranges());
    if (!ranges) return refuse(session, frame, ranges.error());
    core::StartRequest request;
    request.session = session.id();
    request.request_id = frame.request_id;
    request.consumer = start.consumer();
    request.ranges = *std::move(ranges);
    session.ns().start(request, session.shard().now());
    return true;
}

}  // namespace rockdove::net

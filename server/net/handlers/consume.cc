// Consumers: attach, credit, detach.
#include "protocol/filter.h"
#include "protocol/limits.h"
#include "server/net/encode.h"
#include "server/net/handlers/handlers.h"

namespace rockdove::net {

namespace {

Result<void> check_consume(const v1::Consume& consume) {
    const auto unsupported = [](const char* what) {
        return Error(ErrorCode::kUnsupported, std::string("this broker does not support ") + what + " yet");
    };
    if (!consume.subscription().empty() && !consume.queue().empty()) {
        return Error(ErrorCode::kInvalid, "a consumer has one source: a queue or a subscription");
    }
    if (!consume.subscription().empty() && consume.subscription().find('/') == std::string::npos) {
        return Error(ErrorCode::kInvalid,
                     "subscription \"" + consume.subscription().substr(0, 64) + "\": give TOPIC/NAME");
    }
    if (!consume.service().empty()) return unsupported("services");
    if (consume.credit_messages() > protocol::kMaxCredit) {
        return Error(ErrorCode::kInvalid, "credit_messages " + std::to_string(consume.credit_messages()) +
                                              " is out of range: 0 to " + std::to_string(protocol::kMaxCredit));
    }
    QueueSettings settings;
    if (consume.lease_ms() != 0) {
        settings.lease = Millis(static_cast<std::int64_t>(std::min<std::uint64_t>(consume.lease_ms(), INT64_MAX)));
    }
    return check_settings(settings);
}

// Null if it is empty.
Result<core::MessagePredicate> consume_filter(Session& session, const std::string& text) {
    if (text.empty()) return core::MessagePredicate();
    Result<protocol::Filter> filter = protocol::Filter::parse(text);
    if (!filter) return filter.error();
    if (filter->asks_for_age()) {
        return Error(
            ErrorCode::kInvalid,
            "a consumer's filter cannot ask for age: each message is looked at when it comes, not again and again");
    }
    return session.ns().format().filter(text, session.shard().now());
}

}  // namespace

bool handle_consume(Session& session, const protocol::FrameView& frame) {
    v1::Consume consume;
    bool go_on = true;
    if (!parse(session, frame, consume, go_on)) return go_on;
    if (Result<void> ok = check_consume(consume); !ok) return refuse(session, frame, ok.error());
    Result<std::vector<core::LeaseRange>> held = read_ranges(consume.held());
    if (!held) return refuse(session, frame, held.error());
    Result<core::MessagePredicate> filter = consume_filter(session, consume.filter());
    if (!filter) return refuse(session, frame, filter.error());
    core::ConsumeRequest request;
    request.filter = *std::move(filter);
    request.session = session.id();
    request.queue = consume.subscription().empty() ? consume.queue() : consume.subscription();
    request.number = consume.consumer();
    request.name = consume.name();
    request.credit_messages = consume.credit_messages();
    request.credit_bytes = consume.credit_bytes();
    request.lease = Millis(static_cast<std::int64_t>(consume.lease_ms()));
    request.explicit_start = consume.explicit_start();
    request.ack_on_delivery = consume.ack_on_delivery();
    request.held = *std::move(held);
    Result<core::ConsumeGrant> grant = session.ns().consume(request, session.shard().now());
    if (!grant) return refuse(session, frame, grant.error());
    v1::Frame reply;
    reply.set_request_id(frame.request_id);
    reply.mutable_consume_ok()->set_consumer(consume.consumer());
    reply.mutable_consume_ok()->set_lease_ms(static_cast<std::uint64_t>(grant->lease.count()));
    for (const core::LeaseRange& range : grant->held) to_proto(range, *reply.mutable_consume_ok()->add_held());
    session.send(reply);
    return true;
}

bool handle_credit(Session& session, const protocol::FrameView& frame) {
    v1::Credit credit;
    bool go_on = true;
    if (!parse(session, frame, credit, go_on)) return go_on;
    if (credit.credit_messages() > protocol::kMaxCredit) {
        return refuse(session, frame,
                      Error(ErrorCode::kInvalid, "credit_messages " + std::to_string(credit.credit_messages()) +
                                                     " is out of range: 0 to " + std::to_string(protocol::kMaxCredit)));
    }
    Result<void> ok =
        session.ns().set_credit(session.id(), credit.consumer(), credit.credit_messages(), credit.credit_bytes());
    return ok ? true : refuse(session, frame, ok.error());
}

bool handle_cancel_consumer(Session& session, const protocol::FrameView& frame) {
    v1::CancelConsumer cancel;
    bool go_on = true;
    if (!parse(session, frame, cancel, go_on)) return go_on;
    session.ns().cancel_consumer(
        session.id(), cancel.consumer(), session.shard().now(),
        [weak = session.weak_from_this(), request_id = frame.request_id](const Result<std::uint64_t>& count) {
            const auto self = weak.lock();
            if (!self) return;
            if (!count) return self->send_error(request_id, count.error());
            v1::Frame reply;
            reply.set_request_id(request_id);
            reply.mutable_ok()->set_count(*count);
            self->send(reply);
        });
    return true;
}

}  // namespace rockdove::net

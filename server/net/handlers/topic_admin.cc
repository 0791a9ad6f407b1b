// Topics and their subscriptions.
#include "protocol/filter.h"
#include "protocol/limits.h"
#include "server/net/encode.h"
#include "server/net/handlers/handlers.h"

namespace rockdove::net {

namespace {

// Applies the fields that are present.
void apply(const v1::TopicSettings& in, TopicSettings& out) {
    if (in.durability() != v1::DURABILITY_UNSPECIFIED) out.durability = static_cast<Durability>(in.durability());
    if (in.has_retain_age_ms()) out.retain_age = to_millis(in.retain_age_ms());
    if (in.has_retain_bytes()) out.retain_bytes = in.retain_bytes();
    if (in.has_retain_messages()) out.retain_messages = in.retain_messages();
    if (in.has_retain_until_done()) out.retain_until_done = in.retain_until_done();
    if (in.has_retain_last()) out.retain_last = in.retain_last();
    if (in.has_best_effort()) out.best_effort = in.best_effort();
    if (in.has_ttl_ms()) out.ttl = to_millis(in.ttl_ms());
    if (in.has_dedup_window_ms()) out.dedup_window = to_millis(in.dedup_window_ms());
}

core::Answer<core::TopicInfo> answer_topic(Session& session, std::uint64_t request_id) {
    return [weak = session.weak_from_this(), request_id](const Result<core::TopicInfo>& info) {
        const auto self = weak.lock();
        if (!self) return;
        if (!info) return self->send_error(request_id, info.error());
        v1::Frame reply;
        reply.set_request_id(request_id);
        to_proto(*info, *reply.mutable_topic_info());
        self->send(reply);
    };
}

core::Answer<core::SubscriptionInfo> answer_subscription(Session& session, std::uint64_t request_id) {
    return [weak = session.weak_from_this(), request_id](const Result<core::SubscriptionInfo>& info) {
        const auto self = weak.lock();
        if (!self) return;
        if (!info) return self->send_error(request_id, info.error());
        v1::Frame reply;
        reply.set_request_id(request_id);
        to_proto(*info, *reply.mutable_subscription_info());
        self->send(reply);
    };
}

Result<core::Place> read_position(const v1::Position& in) {
    core::Place place;
    switch (in.from()) {
        case v1::FROM_UNSPECIFIED:
        case v1::FROM_END:
            return place;
        case v1::FROM_START:
            place.kind = core::Place::kStart;
            return place;
        case v1::FROM_SEQ:
            if (in.seq() == 0 || in.seq() > base::kMaxSequence) break;
            place.kind = core::Place::kSequence;
            place.sequence = Sequence(in.seq());
            return place;
        case v1::FROM_TIME:
            if (in.time_ms() <= 0 || in.time_ms() > protocol::kMaxTimeMs) break;
            place.kind = core::Place::kTime;
            place.time_ms = in.time_ms();
            return place;
        default:
            return Error(ErrorCode::kInvalid, "an unknown kind of position: " + std::to_string(in.from()));
    }
    return Error(ErrorCode::kInvalid,
                 "a position of kind " + v1::From_Name(in.from()) + " needs seq or time_ms, 1 at least");
}

Result<void> check_filter(const std::string& text) {
    if (text.empty()) return {};
    const Result<protocol::Filter> filter = protocol::Filter::parse(text);
    if (!filter) return filter.error();
    if (filter->asks_for_age()) {
        return Error(
            ErrorCode::kInvalid,
            "a subscription's filter cannot ask for age: each message is looked at once, when it is published");
    }
    return {};
}

// Applies the fields that are present.
Result<void> apply(const v1::SubscriptionSettings& in, core::SubscribeRequest& out) {
    if (in.subjects_size() != 0) out.subjects.assign(in.subjects().begin(), in.subjects().end());
    if (in.has_filter()) out.filter = in.filter();
    if (Result<void> ok = check_filter(out.filter); !ok) return ok;
    return net::apply(in.queue(), out.settings);
}

// The settings of the one that there is, or the defaults of a new one.
core::SubscribeRequest start_from(core::Namespace& ns, const std::string& topic, const std::string& name,
                                  bool ephemeral) {
    core::SubscribeRequest request;
    request.settings = ns.options().queue_defaults;
    request.settings.dead_letter_to.clear();
    if (ephemeral) request.settings.on_expire = OnExpire::kDrop;  // T-3
    if (const Result<core::SubscriptionInfo> existing = ns.show_subscription(topic, name)) {
        request.subjects = existing->record.subjects;
        request.filter = existing->record.filter;
        request.settings = existing->queue.settings;
    }
    return request;
}

}  // namespace

bool handle_topic_create(Session& session, const protocol::FrameView& frame) {
    v1::TopicCreate create;
    bool go_on = true;
    if (!parse(session, frame, create, go_on)) return go_on;
    core::Namespace& ns = session.ns();
    TopicSettings settings;
    if (const Result<core::TopicInfo> existing = ns.show_topic(create.name())) settings = existing->settings;
    apply(create.settings(), settings);
    ns.create_topic(create.name(), settings, create.if_not_exists(), session.shard().now(),
                    answer_topic(session, frame.request_id));
    return true;
}

bool handle_topic_update(Session& session, const protocol::FrameView& frame) {
    v1::TopicUpdate update;
    bool go_on = true;
    if (!parse(session, frame, update, go_on)) return go_on;
    core::Namespace& ns = session.ns();
    const Result<core::TopicInfo> existing = ns.show_topic(update.name());
    if (!existing) return refuse(session, frame, existing.error());
    TopicSettings settings = existing->settings;
    apply(update.settings(), settings);
    ns.update_topic(update.name(), settings, session.shard().now(), answer_topic(session, frame.request_id));
    return true;
}

bool handle_topic_delete(Session& session, const protocol::FrameView& frame) {
    v1::TopicDelete request;
    bool go_on = true;
    if (!parse(session, frame, request, go_on)) return go_on;
    session.ns().delete_topic(request.name(), request.if_exists(), answer_count(session, frame.request_id));
    return true;
}

bool handle_topic_show(Session& session, const protocol::FrameView& frame) {
    v1::TopicShow request;
    bool go_on = true;
    if (!parse(session, frame, request, go_on)) return go_on;
    answer_topic(session, frame.request_id)(session.ns().show_topic(request.name()));
    return true;
}

bool handle_topic_list(Session& session, const protocol::FrameView& frame) {
    v1::TopicList request;
    bool go_on = true;
    if (!parse(session, frame, request, go_on)) return go_on;
    const Result<std::uint32_t> limit = page_limit(request.limit());
    if (!limit) return refuse(session, frame, limit.error());
    const std::vector<core::TopicInfo> infos = session.ns().list_topics(request.prefix(), request.after(), *limit + 1);
    v1::Frame reply;
    reply.set_request_id(frame.request_id);
    v1::TopicListReply& list = *reply.mutable_topic_list_reply();
    for (std::size_t i = 0; i < infos.size() && i < *limit; ++i) to_proto(infos[i], *list.add_topics());
    if (infos.size() > *limit) list.set_next(infos[*limit - 1].name);
    session.send(reply);
    return true;
}

bool handle_subscription_create(Session& session, const protocol::FrameView& frame) {
    v1::SubscriptionCreate create;
    bool go_on = true;
    if (!parse(session, frame, create, go_on)) return go_on;
    core::Namespace& ns = session.ns();
    core::SubscribeRequest request = start_from(ns, create.topic(), create.name(), create.ephemeral());
    if (Result<void> ok = apply(create.settings(), request); !ok) return refuse(session, frame, ok.error());
    const Result<core::Place> from = read_position(create.from());
    if (!from) return refuse(session, frame, from.error());
    request.session = session.id();
    request.topic = create.topic();
    request.name = create.name();
    request.to_queue = create.settings().to_queue();
    request.if_not_exists = create.if_not_exists();
    request.ephemeral = create.ephemeral();
    request.from = *from;
    ns.subscribe(request, session.shard().now(), answer_subscription(session, frame.request_id));
    return true;
}

bool handle_subscription_update(Session& session, const protocol::FrameView& frame) {
    v1::SubscriptionUpdate update;
    bool go_on = true;
    if (!parse(session, frame, update, go_on)) return go_on;
    core::Namespace& ns = session.ns();
    core::SubscribeRequest request = start_from(ns, update.topic(), update.name(), false);
    if (Result<void> ok = apply(update.settings(), request); !ok) return refuse(session, frame, ok.error());
    if (!update.settings().to_queue().empty()) {
        return refuse(session, frame, Error(ErrorCode::kInvalid, "to_queue cannot change; make another subscription"));
    }
    request.topic = update.topic();
    request.name = update.name();
    ns.update_subscription(request, session.shard().now(), answer_subscription(session, frame.request_id));
    return true;
}

bool handle_subscription_delete(Session& session, const protocol::FrameView& frame) {
    v1::SubscriptionDelete request;
    bool go_on = true;
    if (!parse(session, frame, request, go_on)) return go_on;
    session.ns().delete_subscription(request.topic(), request.name(), request.if_exists(),
                                     answer_count(session, frame.request_id));
    return true;
}

bool handle_subscription_show(Session& session, const protocol::FrameView& frame) {
    v1::SubscriptionShow request;
    bool go_on = true;
    if (!parse(session, frame, request, go_on)) return go_on;
    answer_subscription(session, frame.request_id)(session.ns().show_subscription(request.topic(), request.name()));
    return true;
}

bool handle_subscription_list(Session& session, const protocol::FrameView& frame) {
    v1::SubscriptionList request;
    bool go_on = true;
    if (!parse(session, frame, request, go_on)) return go_on;
    const Result<std::uint32_t> limit = page_limit(request.limit());
    if (!limit) return refuse(session, frame, limit.error());
    const Result<std::vector<core::SubscriptionInfo>> infos =
        session.ns().list_subscriptions(request.topic(), request.after(), *limit + 1);
    if (!infos) return refuse(session, frame, infos.error());
    v1::Frame reply;
    reply.set_request_id(frame.request_id);
    v1::SubscriptionListReply& list = *reply.mutable_subscription_list_reply();
    for (std::size_t i = 0; i < infos->size() && i < *limit; ++i) to_proto((*infos)[i], *list.add_subscriptions());
    if (infos->size() > *limit) list.set_next((*infos)[*limit - 1].queue.name);
    session.send(reply);
    return true;
}

bool handle_subscription_seek(Session& session, const protocol::FrameView& frame) {
    v1::SubscriptionSeek request;
    bool go_on = true;
    if (!parse(session, frame, request, go_on)) return go_on;
    const Result<core::Place> to = read_position(request.to());
    if (!to) return refuse(session, frame, to.error());
    session.ns().seek(request.topic(), request.name(), *to, answer_subscription(session, frame.request_id));
    return true;
}

bool handle_subscription_replay(Session& session, const protocol::FrameView& frame) {
    v1::SubscriptionReplay request;
    bool go_on = true;
    if (!parse(session, frame, request, go_on)) return go_on;
    const Result<core::Place> from = read_position(request.from());
    if (!from) return refuse(session, frame, from.error());
    const Result<core::Place> to = read_position(request.to());
    if (!to) return refuse(session, frame, to.error());
    session.ns().replay(request.topic(), request.name(), *from, *to, answer_subscription(session, frame.request_id));
    return true;
}

}  // namespace rockdove::net

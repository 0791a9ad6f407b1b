// One function per request kind, each in the file of its noun: checks the frame, makes a request of the core. Answers
// come from the core through the session. True: the session reads on.
#pragma once

#include "protocol/frame.h"
#include "server/net/session.h"

namespace rockdove::net {

bool handle_hello(Session& session, const protocol::FrameView& frame);
bool handle_ping(Session& session, const protocol::FrameView& frame);
bool handle_go_away(Session& session, const protocol::FrameView& frame);

bool handle_publish(Session& session, const protocol::FrameView& frame);

bool handle_consume(Session& session, const protocol::FrameView& frame);
bool handle_credit(Session& session, const protocol::FrameView& frame);
bool handle_cancel_consumer(Session& session, const protocol::FrameView& frame);

bool handle_settle(Session& session, const protocol::FrameView& frame);
bool handle_extend(Session& session, const protocol::FrameView& frame);
bool handle_start(Session& session, const protocol::FrameView& frame);

bool handle_queue_create(Session& session, const protocol::FrameView& frame);
bool handle_queue_update(Session& session, const protocol::FrameView& frame);
bool handle_queue_delete(Session& session, const protocol::FrameView& frame);
bool handle_queue_show(Session& session, const protocol::FrameView& frame);
bool handle_queue_purge(Session& session, const protocol::FrameView& frame);
bool handle_queue_pause(Session& session, const protocol::FrameView& frame);
bool handle_queue_list(Session& session, const protocol::FrameView& frame);
bool handle_explain(Session& session, const protocol::FrameView& frame);
bool handle_message_cancel(Session& session, const protocol::FrameView& frame);
bool handle_message_reschedule(Session& session, const protocol::FrameView& frame);
bool handle_queue_keys(Session& session, const protocol::FrameView& frame);
bool handle_queue_key_resume(Session& session, const protocol::FrameView& frame);
bool handle_queue_peek(Session& session, const protocol::FrameView& frame);
bool handle_stats(Session& session, const protocol::FrameView& frame);

bool handle_topic_create(Session& session, const protocol::FrameView& frame);
bool handle_topic_update(Session& session, const protocol::FrameView& frame);
bool handle_topic_delete(Session& session, const protocol::FrameView& frame);
bool handle_topic_show(Session& session, const protocol::FrameView& frame);
bool handle_topic_list(Session& session, const protocol::FrameView& frame);
bool handle_subscription_create(Session& session, const protocol::FrameView& frame);
bool handle_subscription_update(Session& session, const protocol::FrameView& frame);
bool handle_subscription_delete(Session& session, const protocol::FrameView& frame);
bool handle_subscription_show(Session& session, const protocol::FrameView& frame);
bool handle_subscription_list(Session& session, const protocol::FrameView& frame);
bool handle_subscription_seek(Session& session, const protocol::FrameView& frame);
bool handle_subscription_replay(Session& session, const protocol::FrameView& frame);

bool handle_clock_advance(Session& session, const protocol::FrameView& frame);
bool handle_clock_show(Session& session, const protocol::FrameView& frame);
bool handle_dead_list(Session& session, const protocol::FrameView& frame);
bool handle_dead_delete(Session& session, const protocol::FrameView& frame);
bool handle_redrive(Session& session, const protocol::FrameView& frame);
bool handle_task_list(Session& session, const protocol::FrameView& frame);
bool handle_task_show(Session& session, const protocol::FrameView& frame);
bool handle_task_cancel(Session& session, const protocol::FrameView& frame);

// Answers and reads on.
bool refuse(Session& session, const protocol::FrameView& frame, const Error& error);
// Answers and hangs up.
bool refuse_and_close(Session& session, const protocol::FrameView& frame, Error error);

// kProtocol (closes) or kInvalid, if the body has more fields than it may.
std::optional<Error> check_control_body(std::string_view body, bool logged_in);

// Parses the body of a control frame. Counts its fields first, so that a small frame cannot become a large object
// (RELIABILITY 4.4). On failure the client has been told; `go_on` then says whether the session reads on.
// Sends the count as Ok, or the error, once it is known.
core::Answer<std::uint64_t> answer_count(Session& session, std::uint64_t request_id);

template <class Message>
bool parse(Session& session, const protocol::FrameView& frame, Message& message, bool& go_on) {
    std::optional<Error> error = check_control_body(frame.body, session.logged_in());
    if (!error && !message.ParseFromArray(frame.body.data(), static_cast<int>(frame.body.size()))) {
        error = Error(ErrorCode::kProtocol, "a frame that is not what its kind says");
    }
    if (!error) return true;
    go_on =
        error->code == ErrorCode::kProtocol ? refuse_and_close(session, frame, *error) : refuse(session, frame, *error);
    return false;
}

// Durations and settings of requests, read by the files of queues and of topics.
Millis to_millis(std::uint64_t value);
Result<void> apply(const v1::QueueSettings& in, QueueSettings& out);  // the fields that are present
Result<std::uint32_t> page_limit(std::uint32_t limit);                // Error: kInvalid

// Ranges of Settle, Extend, Consume. Error: kInvalid.
Result<std::vector<core::LeaseRange>> read_ranges(const google::protobuf::RepeatedPtrField<v1::SeqRange>& ranges);

}  // namespace rockdove::net

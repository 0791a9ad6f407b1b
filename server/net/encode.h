// Answers of the core as frames. The frequent ones are written field by field; a test compares each with what the
// generated code reads.
#pragma once

#include <string>
#include <vector>

#include "protocol/frame.h"
#include "rockdove/v1/frame.pb.h"
#include "server/core/ports.h"
#include "server/core/queue.h"
#include "server/core/task.h"
#include "server/core/topic.h"

namespace rockdove::net {

void append_confirm(std::string& out, const core::Confirmation& confirmation);
void append_delivery(std::string& out, const core::Delivery& delivery);
void append_settled(std::string& out, const core::SettleReply& reply);
void append_started(std::string& out, const core::StartReply& reply);
void append_recall(std::string& out, const core::Recall& recall);
void append_error(std::string& out, std::uint64_t request_id, const Error& error);
// Any other frame; its request id must be set.
void append_frame(std::string& out, const v1::Frame& frame);

void to_proto(const Error& error, v1::Error& out);
void to_proto(const core::LeaseRange& range, v1::SeqRange& out);
void to_proto(const QueueSettings& settings, v1::QueueSettings& out);
void to_proto(const core::QueueInfo& info, v1::QueueInfo& out);
void to_proto(const core::TopicInfo& info, v1::TopicInfo& out);
void to_proto(const core::SubscriptionInfo& info, v1::SubscriptionInfo& out);
void to_proto(const core::PeekResult& result, v1::QueuePeekReply& out);
void to_proto(const core::DeadPage& page, QueueId queue, bool bodies, v1::DeadListReply& out);
void to_proto(const core::TaskInfo& task, v1::TaskInfo& out);

}  // namespace rockdove::net

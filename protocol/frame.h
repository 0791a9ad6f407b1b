// Framing: u32 length, little-endian, then an encoded Frame of that length. And a walk over a frame's outermost
// fields without building objects: enough to know what it is before anything is parsed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/base/result.h"

namespace rockdove::protocol {

inline constexpr std::size_t kFramePrefixBytes = 4;

// Numbers of Frame.kind (protocol/proto/rockdove/v1/frame.proto).
enum class FrameKind : std::uint32_t {
    kNone = 0,
    kError = 2,
    kHello = 3,
    kWelcome = 4,
    kPing = 5,
    kPong = 6,
    kGoAway = 7,
    kOk = 8,
    kPublish = 10,
    kConfirm = 11,
    kConsume = 12,
    kConsumeOk = 13,
    kCredit = 14,
    kDeliver = 15,
    kSettle = 16,
    kSettled = 17,
    kExtend = 18,
    kExtended = 19,
    kCancelConsumer = 20,
    kConsumerClosed = 21,
    kStart = 22,
    kStarted = 23,
    kRecall = 24,
    kQueueCreate = 30,
    kQueueUpdate = 31,
    kQueueDelete = 32,
    kQueueShow = 33,
    kQueuePurge = 34,
    kQueuePause = 35,
    kQueueList = 36,
    kQueuePeek = 37,
    kQueueInfo = 38,
    kQueueListReply = 39,
    kQueuePeekReply = 40,
    kStatsRequest = 41,
    kStats = 42,
    kClockAdvance = 44,
    kClockShow = 45,
    kClockInfo = 46,
    kQueueKeys = 60,
    kQueueKeysReply = 61,
    kQueueKeyResume = 62,
    kExplain = 63,
    kExplanation = 64,
    kMessageCancel = 65,
    kMessageReschedule = 66,
    kTopicCreate = 70,
    kTopicUpdate = 71,
    kTopicDelete = 72,
    kTopicShow = 73,
    kTopicList = 74,
    kTopicInfo = 75,
    kTopicListReply = 76,
    kSubscriptionCreate = 77,
    kSubscriptionUpdate = 78,
    kSubscriptionDelete = 79,
    kSubscriptionShow = 80,
    kSubscriptionList = 81,
    kSubscriptionSeek = 82,
    kSubscriptionReplay = 83,
    kSubscriptionInfo = 84,
    kSubscriptionListReply = 85,
    kDeadList = 50,
    kDeadListReply = 51,
    kDeadDelete = 52,
    kRedrive = 53,
    kTaskInfo = 54,
    kTaskList = 55,
    kTaskListReply = 56,
    kTaskShow = 57,
    kTaskCancel = 58,
};

struct FrameView {
    std::uint64_t request_id = 0;
    FrameKind kind = FrameKind::kNone;  // may hold a number that is not in the list: unknown to this version
    std::string_view body;              // encoded message of the kind
};

// `bytes` is a frame without its length. Unknown fields are skipped, of several kinds the last counts, as in protobuf.
// Error: kProtocol.
Result<FrameView> read_frame(std::string_view bytes);

// Appends length, request id (if not 0) and kind with `body_bytes` announced; the caller appends exactly that many
// bytes next.
void begin_frame(std::string& out, std::uint64_t request_id, FrameKind kind, std::size_t body_bytes);

}  // namespace rockdove::protocol

// Limits of the protocol (RELIABILITY 4.4), in force before anything is parsed. Those in Welcome.limits come from here
// or from the configuration.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rockdove::protocol {

inline constexpr std::uint32_t kVersion = 1;

inline constexpr std::size_t kMaxFrameBeforeLogin = 4096;
inline constexpr std::size_t kControlBytes = 64 * 1024;            // what a frame may hold beside message bytes
inline constexpr std::size_t kMaxMessageBytes = 16 * 1024 * 1024;  // default; configurable, never above this
inline constexpr std::uint32_t kMaxMessagesPerFrame = 4096;
inline constexpr std::uint32_t kMaxElements = 4096;  // of any repeated field
inline constexpr int kMaxDepth = 16;
inline constexpr std::uint32_t kMaxHeaders = 64;
inline constexpr std::size_t kMaxHeaderBytes = 16 * 1024;  // names and values of one message
inline constexpr std::size_t kMaxHeaderName = 128;
inline constexpr std::size_t kMaxPropertyBytes = 1024;  // subject, content type, correlation id, ...
inline constexpr std::size_t kMaxKeyBytes = 256;        // of an ordering key
inline constexpr std::size_t kMaxDedupIdBytes = 256;
inline constexpr std::uint32_t kMaxAttempts = 1'000;
inline constexpr std::uint32_t kMaxCredit = 65'535;
inline constexpr std::uint32_t kMaxPage = 1'000;
inline constexpr std::int64_t kMaxTimeMs = 253'402'300'799'999;  // the end of the year 9999; also the longest delay
inline constexpr std::size_t kMaxReasonBytes = 1024;

}  // namespace rockdove::protocol

#include "storage/rocksdb/spdlog_logger.h"

#include <array>
#include <cstdio>
#include <string_view>

namespace rockdove::storage {
namespace {

spdlog::level::level_enum ours(rocksdb::InfoLogLevel level) {
    switch (level) {
        case rocksdb::InfoLogLevel::WARN_LEVEL:
            return spdlog::level::warn;
        case rocksdb::InfoLogLevel::ERROR_LEVEL:
        case rocksdb::InfoLogLevel::FATAL_LEVEL:
            return spdlog::level::err;
        case rocksdb::InfoLogLevel::INFO_LEVEL:
        case rocksdb::InfoLogLevel::HEADER_LEVEL:
            return spdlog::level::debug;
        default:
            return spdlog::level::trace;
    }
}

// What RocksDB needs to say for our log to get what it wants.
rocksdb::InfoLogLevel theirs(spdlog::level::level_enum level) {
    if (level <= spdlog::level::trace) return rocksdb::InfoLogLevel::DEBUG_LEVEL;
    if (level == spdlog::level::debug) return rocksdb::InfoLogLevel::INFO_LEVEL;
    return level <= spdlog::level::warn ? rocksdb::InfoLogLevel::WARN_LEVEL : rocksdb::InfoLogLevel::ERROR_LEVEL;
}

}  // namespace

SpdlogLogger::SpdlogLogger(std::shared_ptr<spdlog::logger> log)
    : rocksdb::Logger(theirs(log->level())), log_(std::move(log)) {}

void SpdlogLogger::Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) {
    const spdlog::level::level_enum as = ours(level);
    if (!log_->should_log(as)) return;
    std::array<char, 1024> text;
    const int size = std::vsnprintf(text.data(), text.size(), format, arguments);
    if (size <= 0) return;
    for (char& c : text) {  // one line an entry
        if (c == '\0') break;
        if (static_cast<unsigned char>(c) < 0x20) c = ' ';
    }
    // Said at every stall of a loaded store; the metric write_stalled tells it better.
    const bool stall = std::string_view(text.data()).find("writes because we have") != std::string_view::npos;
    log_->log(stall ? spdlog::level::debug : as, "rocksdb=\"{}\"", text.data());
}

void SpdlogLogger::LogHeader(const char* format, va_list arguments) {
    Logv(rocksdb::InfoLogLevel::DEBUG_LEVEL, format, arguments);
}

}  // namespace rockdove::storage

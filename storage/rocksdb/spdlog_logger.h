// RocksDB's info log into ours. RocksDB must never write a LOG file: on a failing or full disk an error there
// aborts the process (RELIABILITY, finding 3).
#pragma once

#include <rocksdb/env.h>
#include <spdlog/logger.h>

#include <memory>

namespace rockdove::storage {

// Any thread. RocksDB's "info" is our debug: it speaks of every flush.
class SpdlogLogger final : public rocksdb::Logger {
public:
    explicit SpdlogLogger(std::shared_ptr<spdlog::logger> log);

    using rocksdb::Logger::Logv;
    void Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) override;
    void LogHeader(const char* format, va_list arguments) override;

private:
    const std::shared_ptr<spdlog::logger> log_;
};

}  // namespace rockdove::storage

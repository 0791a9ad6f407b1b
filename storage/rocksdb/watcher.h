// What RocksDB's own threads tell the store: background errors, write stalls, switches of the write-ahead log.
#pragma once

#include <rocksdb/listener.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>

namespace rockdove::storage {

// Called on RocksDB's threads, read from any. The first background error is final: nothing is resumed.
class Watcher final : public rocksdb::EventListener {
public:
    using Clock = std::chrono::steady_clock;

    const char* Name() const override { return "rockdove"; }

    void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* error) override;
    void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason reason, rocksdb::Status error,
                              bool* auto_recovery) override;
    void OnStallConditionsChanged(const rocksdb::WriteStallInfo& info) override;
    void OnMemTableSealed(const rocksdb::MemTableInfo& info) override;

    // Text of the first background error; empty if there was none.
    [[nodiscard]] std::string background_error() const;
    // Whether that error was a checksum that does not fit.
    [[nodiscard]] bool damaged() const;
    [[nodiscard]] bool failed() const { return failed_.load(std::memory_order_acquire); }
    // How long RocksDB has let nobody write; zero if it does. Short stops are its way to hold back writers.
    [[nodiscard]] Clock::duration stopped_for(Clock::time_point now) const;
    // True once after the log was switched.
    bool take_wal_switched() { return wal_switched_.exchange(false, std::memory_order_relaxed); }

private:
    std::atomic<bool> failed_{false};           // set after error_ is
    std::atomic<Clock::rep> stopped_since_{0};  // 0: not stopped
    std::atomic<bool> wal_switched_{false};
    mutable std::mutex mutex_;  // background threads write error_ while others read it
    std::string error_;
    bool damaged_ = false;
};

}  // namespace rockdove::storage

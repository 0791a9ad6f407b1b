// A write-ahead log as a file of the local file system, made so that a small sync is quick (ARCHITECTURE section 3).
//
// A sync is dear while the file grows: the file system has to write down its new size and what it allotted, and to wait
// for that. So small commits are written into space that holds zeros already, laid out ahead of them; large ones, whose
// bytes cost more than that, are not preceded by zeros. Measured on ext4: a sync of 4 KiB takes 65 instead of 118 us, of
// 64 KiB 95 instead of 200.
// The file therefore ends in zeros, which every reader of logs takes for its end (wal_scan.h; so does RocksDB).
//
// Runs on: one thread at a time; Sync() beside Append() from another.
#pragma once

#include <rocksdb/file_system.h>

#include <atomic>
#include <memory>
#include <string>

namespace rockdove::storage {

// Of one commit, on average, up to which zeros are laid out ahead of it.
inline constexpr std::size_t kSmallCommitBytes = 32 * 1024;
// How far ahead.
inline constexpr std::size_t kZeroesAhead = 256 * 1024;

class LogFile final : public rocksdb::FSWritableFile {
public:
    // Creates the file; it must not exist. `*file` is set if it holds.
    static rocksdb::IOStatus create(const std::string& path, std::unique_ptr<rocksdb::FSWritableFile>* file);
    // Goes on with a file that holds nothing but zeros, under a new name.
    static rocksdb::IOStatus reuse(const std::string& zeroed, const std::string& path,
                                   std::unique_ptr<rocksdb::FSWritableFile>* file);
    // Makes a file read as zeros without giving its space back: to do that, a file system may have to tell the disk
    // block by block, and syncs of other files wait meanwhile (measured: 50 ms for 33 MB). Durable on return.
    static rocksdb::IOStatus zero(const std::string& path);

    ~LogFile() override;

    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions&, rocksdb::IODebugContext*) override;
    using FSWritableFile::Append;
    rocksdb::IOStatus Flush(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override;
    rocksdb::IOStatus Sync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override;
    rocksdb::IOStatus Close(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override;
    rocksdb::IOStatus Allocate(std::uint64_t offset, std::uint64_t bytes, const rocksdb::IOOptions&,
                               rocksdb::IODebugContext*) override;
    // Of what was appended, without the zeros.
    std::uint64_t GetFileSize(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override { return end_; }
    [[nodiscard]] bool IsSyncThreadSafe() const override { return true; }

private:
    LogFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
    rocksdb::IOStatus write_at(const char* bytes, std::size_t size, std::uint64_t offset);

    const int fd_;
    const std::string path_;
    bool open_ = true;
    std::uint64_t end_ = 0;     // of what was appended
    std::uint64_t zeroed_ = 0;  // zeros are laid out up to here
    std::atomic<std::uint64_t> unsynced_{0};
    std::atomic<std::uint64_t> usual_{0};  // bytes of a commit, on average over the last ones
};

}  // namespace rockdove::storage

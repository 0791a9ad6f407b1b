#include "storage/rocksdb/log_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace rockdove::storage {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

constexpr std::size_t kPageBytes = 4096;
constexpr char kZeros[64 * 1024] = {};

IOStatus failure(const std::string& doing, const std::string& path, int error) {
    const std::string what = doing + " " + path;
    return error == ENOSPC ? IOStatus::NoSpace(what, std::strerror(error))
                           : IOStatus::IOError(what, std::strerror(error));
}

IOStatus open_file(const std::string& path, int flags, int& fd) {
    do {
        fd = ::open(path.c_str(), flags | O_WRONLY | O_CLOEXEC, 0644);
    } while (fd < 0 && errno == EINTR);
    return fd < 0 ? failure("open", path, errno) : IOStatus::OK();
}

IOStatus sync_file(int fd, const std::string& path) {
    return ::fdatasync(fd) == 0 ? IOStatus::OK() : failure("sync", path, errno);
}

}  // namespace

IOStatus LogFile::create(const std::string& path, std::unique_ptr<rocksdb::FSWritableFile>* file) {
    int fd = -1;
    const IOStatus status = open_file(path, O_CREAT | O_TRUNC, fd);
    if (status.ok()) file->reset(new LogFile(fd, path));
    return status;
}

IOStatus LogFile::reuse(const std::string& zeroed, const std::string& path,
                        std::unique_ptr<rocksdb::FSWritableFile>* file) {
    if (std::rename(zeroed.c_str(), path.c_str()) != 0) return failure("rename", zeroed, errno);
    int fd = -1;
    const IOStatus status = open_file(path, 0, fd);
    if (status.ok()) file->reset(new LogFile(fd, path));
    return status;
}

IOStatus LogFile::zero(const std::string& path) {
    int fd = -1;
    IOStatus status = open_file(path, 0, fd);
    if (!status.ok()) return status;
    const off_t size = ::lseek(fd, 0, SEEK_END);
    if (size > 0 && ::fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, size) != 0) status = failure("zero", path, errno);
    if (status.ok()) status = sync_file(fd, path);
    ::close(fd);
    return status;
}

LogFile::~LogFile() {
    if (open_) ::close(fd_);
}

IOStatus LogFile::write_at(const char* bytes, std::size_t size, std::uint64_t offset) {
    while (size != 0) {
        const ssize_t written = ::pwrite(fd_, bytes, size, static_cast<off_t>(offset));
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return failure("write", path_, written < 0 ? errno : ENOSPC);
        bytes += written;
        size -= static_cast<std::size_t>(written);
        offset += static_cast<std::uint64_t>(written);
    }
    return IOStatus::OK();
}

IOStatus LogFile::Append(const rocksdb::Slice& data, const IOOptions&, IODebugContext*) {
    IOStatus status = write_at(data.data(), data.size(), end_);
    if (!status.ok()) return status;
    end_ += data.size();
    unsynced_.fetch_add(data.size(), std::memory_order_relaxed);
    if (end_ <= zeroed_ || usual_.load(std::memory_order_relaxed) > kSmallCommitBytes) return status;
    // Whole pages, since the system would read the rest of one to fill it.
    const std::uint64_t until = (end_ + kZeroesAhead) / kPageBytes * kPageBytes;
    for (std::uint64_t at = end_; status.ok() && at < until; at += sizeof kZeros) {
        status = write_at(kZeros, std::min<std::uint64_t>(sizeof kZeros, until - at), at);
    }
    if (status.ok()) zeroed_ = until;
    return status;
}

IOStatus LogFile::Flush(const IOOptions&, IODebugContext*) { return IOStatus::OK(); }

IOStatus LogFile::Sync(const IOOptions&, IODebugContext*) {
    const std::uint64_t bytes = unsynced_.exchange(0, std::memory_order_relaxed);
    usual_.store((usual_.load(std::memory_order_relaxed) * 7 + bytes) / 8, std::memory_order_relaxed);
    return sync_file(fd_, path_);
}

IOStatus LogFile::Close(const IOOptions&, IODebugContext*) {
    if (!open_) return IOStatus::OK();
    open_ = false;
    return ::close(fd_) == 0 ? IOStatus::OK() : failure("close", path_, errno);
}

IOStatus LogFile::Allocate(std::uint64_t offset, std::uint64_t bytes, const IOOptions&, IODebugContext*) {
    // Only saves work later: a full disk shows when it is written to, and other file systems cannot do it.
    (void)::fallocate(fd_, FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset), static_cast<off_t>(bytes));
    return IOStatus::OK();
}

}  // namespace rockdove::storage

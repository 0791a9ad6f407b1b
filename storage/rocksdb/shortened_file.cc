#include "storage/rocksdb/shortened_file.h"

#include <algorithm>
#include <utility>

namespace rockdove::storage {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

class ShortenedFile final : public rocksdb::FSSequentialFileOwnerWrapper {
public:
    ShortenedFile(std::unique_ptr<rocksdb::FSSequentialFile> file, std::uint64_t bytes)
        : FSSequentialFileOwnerWrapper(std::move(file)), left_(bytes) {}

    IOStatus Read(std::size_t n, const IOOptions& options, rocksdb::Slice* result, char* scratch,
                  IODebugContext* debug) override {
        const IOStatus status = target()->Read(std::min<std::uint64_t>(n, left_), options, result, scratch, debug);
        if (status.ok()) left_ -= result->size();
        return status;
    }
    IOStatus Skip(std::uint64_t n) override {
        n = std::min(n, left_);
        left_ -= n;
        return target()->Skip(n);
    }

private:
    std::uint64_t left_;
};

class ShorteningFileSystem final : public rocksdb::FileSystemWrapper {
public:
    ShorteningFileSystem(const std::shared_ptr<rocksdb::FileSystem>& target, std::string path, std::uint64_t bytes)
        : FileSystemWrapper(target), path_(std::move(path)), bytes_(bytes) {}

    const char* Name() const override { return "rockdove.shortened_file"; }

    IOStatus NewSequentialFile(const std::string& name, const rocksdb::FileOptions& options,
                               std::unique_ptr<rocksdb::FSSequentialFile>* result, IODebugContext* debug) override {
        const IOStatus status = target()->NewSequentialFile(name, options, result, debug);
        if (status.ok() && name == path_) *result = std::make_unique<ShortenedFile>(std::move(*result), bytes_);
        return status;
    }
    IOStatus GetFileSize(const std::string& name, const IOOptions& options, std::uint64_t* size,
                         IODebugContext* debug) override {
        const IOStatus status = target()->GetFileSize(name, options, size, debug);
        if (status.ok() && name == path_) *size = std::min(*size, bytes_);
        return status;
    }

private:
    const std::string path_;
    const std::uint64_t bytes_;
};

}  // namespace

std::shared_ptr<rocksdb::FileSystem> with_shortened_file(const std::shared_ptr<rocksdb::FileSystem>& file_system,
                                                         const std::string& path, std::uint64_t bytes) {
    return std::make_shared<ShorteningFileSystem>(file_system, path, bytes);
}

}  // namespace rockdove::storage

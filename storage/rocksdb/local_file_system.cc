#include "storage/rocksdb/local_file_system.h"

#include <mutex>
#include <utility>
#include <vector>

#include "storage/rocksdb/log_file.h"

namespace rockdove::storage {
namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

class LocalFileSystem final : public rocksdb::FileSystemWrapper {
public:
    explicit LocalFileSystem(std::string path) : FileSystemWrapper(Default()), prefix_(std::move(path) + "/") {}

    const char* Name() const override { return "rockdove.local"; }

    IOStatus NewWritableFile(const std::string& name, const FileOptions& options,
                             std::unique_ptr<rocksdb::FSWritableFile>* file, IODebugContext* debug) override {
        if (!is_log(name)) return target()->NewWritableFile(name, options, file, debug);
        const std::string spare = take_spare();
        if (!spare.empty() && LogFile::reuse(spare, name, file).ok()) return IOStatus::OK();
        return LogFile::create(name, file);
    }

    IOStatus DeleteFile(const std::string& name, const IOOptions& options, IODebugContext* debug) override {
        if (is_log(name) && keep(name, options, debug)) return IOStatus::OK();
        return target()->DeleteFile(name, options, debug);
    }

private:
    [[nodiscard]] bool is_log(const std::string& name) const {
        return name.starts_with(prefix_) && wal_number(std::string_view(name).substr(prefix_.size())).has_value();
    }

    std::string take_spare() {
        const std::lock_guard lock(mutex_);
        if (spares_.empty()) return {};
        std::string spare = std::move(spares_.back());
        spares_.pop_back();
        return spare;
    }

    // False: the file is still there.
    bool keep(const std::string& name, const IOOptions& options, IODebugContext* debug) {
        {
            const std::lock_guard lock(mutex_);
            if (!zeroing_works_ || spares_.size() + coming_ == kMostSpareLogs) return false;
            ++coming_;
        }
        // Renamed first: a log that was zeroed under its own name would be one that lost its content.
        std::string spare = name + kSpareLogSuffix;
        const bool renamed = target()->RenameFile(name, spare, options, debug).ok();
        const bool zeroed = renamed && LogFile::zero(spare).ok();
        if (renamed && !zeroed) (void)target()->DeleteFile(spare, options, debug);
        const std::lock_guard lock(mutex_);
        --coming_;
        if (zeroed) spares_.push_back(std::move(spare));
        if (renamed && !zeroed) zeroing_works_ = false;  // not on this file system
        return renamed;
    }

    const std::string prefix_;
    std::mutex mutex_;
    std::vector<std::string> spares_;  // paths; zeroed, durably
    std::size_t coming_ = 0;           // being zeroed
    bool zeroing_works_ = true;
};

}  // namespace

std::shared_ptr<rocksdb::FileSystem> make_local_file_system(const std::string& path) {
    return std::make_shared<LocalFileSystem>(path);
}

IOStatus remove_spare_logs(const Directory& directory) {
    std::vector<std::string> names;
    IOStatus status = directory.list(names);
    for (const std::string& name : names) {
        if (status.ok() && name.ends_with(kSpareLogSuffix)) status = directory.remove(name);
    }
    return status;
}

}  // namespace rockdove::storage

#include "tests/support/power_cut_file_system.h"

#include <algorithm>
#include <cstring>

namespace rockdove::test {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

namespace {

constexpr std::size_t kSector = 512;

std::string clean_path(const std::string& path) {
    std::string clean;
    for (const char c : path) {
        if (c != '/' || clean.empty() || clean.back() != '/') clean.push_back(c);
    }
    if (clean.size() > 1 && clean.back() == '/') clean.pop_back();
    return clean;
}

std::string parent_of(const std::string& path) { return path.substr(0, path.find_last_of('/')); }

IOStatus missing(const std::string& name) { return IOStatus::PathNotFound(name, "No such file or directory"); }

class HeldLock final : public rocksdb::FileLock {
public:
    explicit HeldLock(std::string name) : name(std::move(name)) {}
    const std::string name;
};

}  // namespace

// One open file of any kind: it has all of RocksDB's file interfaces.
class PowerCutFile final {
public:
    PowerCutFile(PowerCutFileSystem& owner, std::shared_ptr<PowerCutFileSystem::Inode> inode)
        : owner_(owner), inode_(std::move(inode)) {}

    IOStatus write(std::uint64_t offset, const Slice& data) {
        const std::lock_guard lock(owner_.mutex_);
        const IOStatus status = owner_.begin_change();
        if (!status.ok()) return status;
        std::string& now = inode_->now;
        if (now.size() < offset + data.size()) now.resize(offset + data.size());
        std::memcpy(now.data() + offset, data.data(), data.size());
        return status;
    }
    IOStatus append(const Slice& data) {
        const std::lock_guard lock(owner_.mutex_);
        const IOStatus status = owner_.begin_change();
        if (status.ok()) inode_->now.append(data.data(), data.size());
        return status;
    }
    IOStatus truncate(std::uint64_t size) {
        const std::lock_guard lock(owner_.mutex_);
        const IOStatus status = owner_.begin_change();
        if (status.ok()) inode_->now.resize(size);
        return status;
    }
    IOStatus sync() {
        const std::lock_guard lock(owner_.mutex_);
        const IOStatus status = owner_.begin_change();
        if (status.ok()) owner_.sync_file(*inode_);
        return status;
    }
    IOStatus read(std::uint64_t offset, std::size_t n, Slice* result, char* scratch) const {
        const std::lock_guard lock(owner_.mutex_);
        const std::string& now = inode_->now;
        const std::size_t size = offset < now.size() ? std::min(n, now.size() - offset) : 0;
        if (size > 0) std::memcpy(scratch, now.data() + offset, size);
        *result = Slice(scratch, size);
        return IOStatus::OK();
    }
    std::uint64_t size() const {
        const std::lock_guard lock(owner_.mutex_);
        return inode_->now.size();
    }

private:
    PowerCutFileSystem& owner_;
    const std::shared_ptr<PowerCutFileSystem::Inode> inode_;
};

class PowerCutDirectory final : public rocksdb::FSDirectory {
public:
    PowerCutDirectory(PowerCutFileSystem& owner, std::string name) : owner_(owner), name_(std::move(name)) {}
    IOStatus Fsync(const IOOptions&, IODebugContext*) override {
        const std::lock_guard lock(owner_.mutex_);
        const IOStatus status = owner_.begin_change();
        if (status.ok()) owner_.sync_names(name_);
        return status;
    }
    IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

private:
    PowerCutFileSystem& owner_;
    const std::string name_;
};

namespace {

class Sequential final : public rocksdb::FSSequentialFile {
public:
    explicit Sequential(PowerCutFile file) : file_(std::move(file)) {}
    IOStatus Read(std::size_t n, const IOOptions&, Slice* result, char* scratch, IODebugContext*) override {
        const IOStatus status = file_.read(at_, n, result, scratch);
        at_ += result->size();
        return status;
    }
    IOStatus Skip(std::uint64_t n) override {
        at_ += n;
        return IOStatus::OK();
    }

private:
    PowerCutFile file_;
    std::uint64_t at_ = 0;
};

class RandomAccess final : public rocksdb::FSRandomAccessFile {
public:
    explicit RandomAccess(PowerCutFile file) : file_(std::move(file)) {}
    IOStatus Read(std::uint64_t offset, std::size_t n, const IOOptions&, Slice* result, char* scratch,
                  IODebugContext*) const override {
        return file_.read(offset, n, result, scratch);
    }

private:
    PowerCutFile file_;
};

class Writable final : public rocksdb::FSWritableFile {
public:
    explicit Writable(PowerCutFile file) : file_(std::move(file)) {}
    using rocksdb::FSWritableFile::Append;
    IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override { return file_.append(data); }
    IOStatus Truncate(std::uint64_t size, const IOOptions&, IODebugContext*) override {
        return size == file_.size() ? IOStatus::OK() : file_.truncate(size);
    }
    IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
    IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
    IOStatus Sync(const IOOptions&, IODebugContext*) override { return file_.sync(); }
    bool IsSyncThreadSafe() const override { return true; }
    std::uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return file_.size(); }

private:
    PowerCutFile file_;
};

class RandomReadWrite final : public rocksdb::FSRandomRWFile {
public:
    explicit RandomReadWrite(PowerCutFile file) : file_(std::move(file)) {}
    IOStatus Write(std::uint64_t offset, const Slice& data, const IOOptions&, IODebugContext*) override {
        return file_.write(offset, data);
    }
    IOStatus Read(std::uint64_t offset, std::size_t n, const IOOptions&, Slice* result, char* scratch,
                  IODebugContext*) const override {
        return file_.read(offset, n, result, scratch);
    }
    IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
    IOStatus Sync(const IOOptions&, IODebugContext*) override { return file_.sync(); }
    IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

private:
    PowerCutFile file_;
};

}  // namespace

PowerCutFileSystem::PowerCutFileSystem(std::uint64_t seed) : random_(seed) {}

PowerCutFileSystem::~PowerCutFileSystem() = default;

void PowerCutFileSystem::cut_before(std::uint64_t n, std::function<void()> at_cut) {
    const std::lock_guard lock(mutex_);
    cut_before_ = operations_ + n;
    at_cut_ = std::move(at_cut);
    after_cut_.reset();
}

std::shared_ptr<PowerCutFileSystem> PowerCutFileSystem::after_cut() {
    const std::lock_guard lock(mutex_);
    return after_cut_;
}

std::shared_ptr<PowerCutFileSystem> PowerCutFileSystem::cut_now() {
    const std::lock_guard lock(mutex_);
    return survivors();
}

void PowerCutFileSystem::ignore_syncs() {
    const std::lock_guard lock(mutex_);
    ignore_syncs_ = true;
}

void PowerCutFileSystem::fail_from(std::uint64_t n) {
    const std::lock_guard lock(mutex_);
    fail_from_ = operations_ + n;
}

void PowerCutFileSystem::stop_failing() {
    const std::lock_guard lock(mutex_);
    fail_from_ = 0;
}

std::uint64_t PowerCutFileSystem::operations() const {
    const std::lock_guard lock(mutex_);
    return operations_;
}

std::string PowerCutFileSystem::content(const std::string& path) const {
    const std::lock_guard lock(mutex_);
    const std::shared_ptr<Inode> inode = find(path);
    return inode ? inode->now : std::string();
}

IOStatus PowerCutFileSystem::begin_change() {
    ++operations_;
    if (operations_ == cut_before_) {
        after_cut_ = survivors();
        if (at_cut_) at_cut_();
    }
    if (fail_from_ != 0 && operations_ >= fail_from_) return IOStatus::IOError("injected", "Input/output error");
    return IOStatus::OK();
}

void PowerCutFileSystem::change_name(const std::string& name, std::shared_ptr<Inode> inode, bool with_next) {
    unsynced_changes_.push_back({name, inode, with_next});
    if (inode) {
        names_[name] = std::move(inode);
    } else {
        names_.erase(name);
    }
}

void PowerCutFileSystem::sync_file(Inode& inode) {
    if (!ignore_syncs_) inode.synced = inode.now;
}

void PowerCutFileSystem::sync_names(const std::string&) {
    if (ignore_syncs_) return;
    synced_names_ = names_;
    unsynced_changes_.clear();
}

// What the disk may hold of a file: the synced bytes, and of what was written since all, nothing, the beginning, or
// some sectors and not others.
std::string PowerCutFileSystem::torn(const Inode& inode) {
    const std::string& now = inode.now;
    const std::string& synced = inode.synced;
    if (now == synced) return now;
    const std::uint64_t kind = random_() % 4;
    if (kind == 0) return synced;
    if (kind == 1) return now;
    const std::size_t larger = std::max(now.size(), synced.size());
    const std::size_t sectors = (larger + kSector - 1) / kSector;
    const std::size_t kept_sectors = random_() % (sectors + 1);  // kind 2: up to here
    std::string content(larger, '\0');
    for (std::size_t sector = 0; sector < sectors; ++sector) {
        const bool newer = kind == 2 ? sector < kept_sectors : random_() % 2 == 0;
        const std::string& from = newer ? now : synced;
        const std::size_t begin = sector * kSector;
        if (begin < from.size()) {
            std::memcpy(content.data() + begin, from.data() + begin, std::min(kSector, from.size() - begin));
        }
    }
    // The size is kept with other data than the content, so it may be the old, the new, or one between.
    const std::size_t smaller = std::min(now.size(), synced.size());
    const std::uint64_t size_kind = random_() % 3;
    if (size_kind == 0) content.resize(now.size());
    if (size_kind == 1) content.resize(smaller + random_() % (larger - smaller + 1));
    if (content.size() < synced.size() && now.size() >= synced.size()) content.resize(synced.size());
    return content;
}

std::shared_ptr<PowerCutFileSystem> PowerCutFileSystem::survivors() {
    auto left = std::make_shared<PowerCutFileSystem>(random_());
    left->directories_ = directories_;
    // Directory changes reach the disk in order, as with a journal; how many did is chance.
    Names names = synced_names_;
    std::size_t applied = random_() % (unsynced_changes_.size() + 1);
    while (applied > 0 && unsynced_changes_[applied - 1].with_next) --applied;
    for (std::size_t i = 0; i < applied; ++i) {
        const NameChange& change = unsynced_changes_[i];
        if (change.inode) {
            names[change.name] = change.inode;
        } else {
            names.erase(change.name);
        }
    }
    for (const auto& [name, inode] : names) {
        auto copy = std::make_shared<Inode>();
        copy->now = torn(*inode);
        copy->synced = copy->now;
        left->names_.emplace(name, std::move(copy));
    }
    left->synced_names_ = left->names_;
    return left;
}

std::shared_ptr<PowerCutFileSystem::Inode> PowerCutFileSystem::find(const std::string& name) const {
    const auto found = names_.find(clean_path(name));
    return found == names_.end() ? nullptr : found->second;
}

IOStatus PowerCutFileSystem::NewSequentialFile(const std::string& name, const FileOptions&,
                                               std::unique_ptr<rocksdb::FSSequentialFile>* result, IODebugContext*) {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<Inode> inode = find(name);
    if (!inode) return missing(name);
    *result = std::make_unique<Sequential>(PowerCutFile(*this, std::move(inode)));
    return IOStatus::OK();
}

IOStatus PowerCutFileSystem::NewRandomAccessFile(const std::string& name, const FileOptions&,
                                                 std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                                                 IODebugContext*) {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<Inode> inode = find(name);
    if (!inode) return missing(name);
    *result = std::make_unique<RandomAccess>(PowerCutFile(*this, std::move(inode)));
    return IOStatus::OK();
}

IOStatus PowerCutFileSystem::NewWritableFile(const std::string& name, const FileOptions&,
                                             std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext*) {
    const std::lock_guard lock(mutex_);
    const IOStatus status = begin_change();
    if (!status.ok()) return status;
    auto inode = std::make_shared<Inode>();
    change_name(clean_path(name), inode);
    *result = std::make_unique<Writable>(PowerCutFile(*this, std::move(inode)));
    return status;
}

IOStatus PowerCutFileSystem::ReopenWritableFile(const std::string& name, const FileOptions& options,
                                                std::unique_ptr<rocksdb::FSWritableFile>* result,
                                                IODebugContext* debug) {
    {
        const std::lock_guard lock(mutex_);
        if (std::shared_ptr<Inode> inode = find(name)) {
            *result = std::make_unique<Writable>(PowerCutFile(*this, std::move(inode)));
            return IOStatus::OK();
        }
    }
    return NewWritableFile(name, options, result, debug);
}

IOStatus PowerCutFileSystem::NewRandomRWFile(const std::string& name, const FileOptions&,
                                             std::unique_ptr<rocksdb::FSRandomRWFile>* result, IODebugContext*) {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<Inode> inode = find(name);
    if (!inode) return missing(name);
    *result = std::make_unique<RandomReadWrite>(PowerCutFile(*this, std::move(inode)));
    return IOStatus::OK();
}

IOStatus PowerCutFileSystem::NewDirectory(const std::string& name, const IOOptions&,
                                          std::unique_ptr<rocksdb::FSDirectory>* result, IODebugContext*) {
    *result = std::make_unique<PowerCutDirectory>(*this, clean_path(name));
    return IOStatus::OK();
}

IOStatus PowerCutFileSystem::FileExists(const std::string& name, const IOOptions&, IODebugContext*) {
    const std::lock_guard lock(mutex_);
    const std::string path = clean_path(name);
    const bool root = path == "/";
    if (find(name) || directories_.count(path) > 0 || root) return IOStatus::OK();
    return IOStatus::NotFound(name);
}

IOStatus PowerCutFileSystem::GetChildren(const std::string& name, const IOOptions&, std::vector<std::string>* result,
                                         IODebugContext*) {
    const std::lock_guard lock(mutex_);
    const std::string directory = clean_path(name);
    if (directories_.count(directory) == 0) return missing(name);
    result->clear();
    for (const auto& [path, inode] : names_) {
        if (parent_of(path) == directory) result->push_back(path.substr(directory.size() + 1));
    }
    return IOStatus::OK();
}

IOStatus PowerCutFileSystem::DeleteFile(const std::string& name, const IOOptions&, IODebugContext*) {
    const std::lock_guard lock(mutex_);
    if (!find(name)) return missing(name);
    const IOStatus status = begin_change();
    if (status.ok()) change_name(clean_path(name), nullptr);
    return status;
}

IOStatus PowerCutFileSystem::CreateDir(const std::string& name, const IOOptions& options, IODebugContext* debug) {
    return CreateDirIfMissing(name, options, debug);
}

IOStatus PowerCutFileSystem::CreateDirIfMissing(const std::string& name, const IOOptions&, IODebugContext*) {
    const std::lock_guard lock(mutex_);
    directories_.insert(clean_path(name));
    return IOStatus::OK();
}

IOStatus PowerCutFileSystem::DeleteDir(const std::string& name, const IOOptions&, IODebugContext*) {
    const std::lock_guard lock(mutex_);
    return directories_.erase(clean_path(name)) > 0 ? IOStatus::OK() : missing(name);
}

IOStatus PowerCutFileSystem::GetFileSize(const std::string& name, const IOOptions&, std::uint64_t* size,
                                         IODebugContext*) {
    const std::lock_guard lock(mutex_);
    const std::shared_ptr<Inode> inode = find(name);
    if (!inode) return missing(name);
    *size = inode->now.size();
    return IOStatus::OK();
}

IOStatus PowerCutFileSystem::GetFileModificationTime(const std::string& name, const IOOptions&, std::uint64_t* time,
                                                     IODebugContext*) {
    *time = 0;
    const std::lock_guard lock(mutex_);
    return find(name) ? IOStatus::OK() : missing(name);
}

IOStatus PowerCutFileSystem::RenameFile(const std::string& from, const std::string& to, const IOOptions&,
                                        IODebugContext*) {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<Inode> inode = find(from);
    if (!inode) return missing(from);
    const IOStatus status = begin_change();
    if (!status.ok()) return status;
    change_name(clean_path(from), nullptr, true);
    change_name(clean_path(to), std::move(inode));
    return status;
}

IOStatus PowerCutFileSystem::LockFile(const std::string& name, const IOOptions&, rocksdb::FileLock** lock,
                                      IODebugContext*) {
    const std::lock_guard guard(mutex_);
    const std::string path = clean_path(name);
    if (!find(path)) change_name(path, std::make_shared<Inode>());
    if (!locks_.insert(path).second) return IOStatus::IOError("lock " + name, "Resource temporarily unavailable");
    *lock = new HeldLock(path);
    return IOStatus::OK();
}

IOStatus PowerCutFileSystem::UnlockFile(rocksdb::FileLock* lock, const IOOptions&, IODebugContext*) {
    const std::unique_ptr<HeldLock> held(static_cast<HeldLock*>(lock));
    const std::lock_guard guard(mutex_);
    locks_.erase(held->name);
    return IOStatus::OK();
}

IOStatus PowerCutFileSystem::GetTestDirectory(const IOOptions&, std::string* path, IODebugContext*) {
    *path = "/test";
    return IOStatus::OK();
}

IOStatus PowerCutFileSystem::NewLogger(const std::string& name, const IOOptions&, std::shared_ptr<rocksdb::Logger>*,
                                       IODebugContext*) {
    return IOStatus::NotSupported("log file " + name + ": the store must not write one");
}

IOStatus PowerCutFileSystem::GetAbsolutePath(const std::string& path, const IOOptions&, std::string* result,
                                             IODebugContext*) {
    *result = path;
    return IOStatus::OK();
}

IOStatus PowerCutFileSystem::IsDirectory(const std::string& path, const IOOptions&, bool* is_directory,
                                         IODebugContext*) {
    const std::lock_guard lock(mutex_);
    *is_directory = directories_.count(clean_path(path)) > 0;
    return *is_directory || find(path) ? IOStatus::OK() : missing(path);
}

}  // namespace rockdove::test

#include "storage/rocksdb/lock.h"

#include <unistd.h>

#include "storage/rocksdb/status.h"

namespace rockdove::storage {
namespace {

OpenFailure held_by_other(const Directory& directory) {
    std::string owner;
    const bool known = directory.read(kOwnerName, owner).ok() && !owner.empty();
    while (!owner.empty() && owner.back() == '\n') owner.pop_back();
    return {OpenFailure::Reason::kLocked, "data directory " + directory.path() + " is in use by " +
                                              (known ? "process " + owner : std::string("another process")) +
                                              "; stop that one first, or give this one a directory of its own"};
}

// RocksDB has one code for every failure of LockFile; only the text tells a held lock from the others.
bool is_held(const rocksdb::IOStatus& status) {
    const std::string text = status.ToString();
    return text.find("temporarily unavailable") != std::string::npos || text.find("lock hold by") != std::string::npos;
}

}  // namespace

DirectoryLock::Outcome DirectoryLock::take(const Directory& directory, Announce announce) {
    rocksdb::FileLock* lock = nullptr;
    const rocksdb::IOStatus status =
        directory.file_system().LockFile(directory.file(kLockName), rocksdb::IOOptions(), &lock, nullptr);
    if (!status.ok()) {
        if (is_held(status)) return held_by_other(directory);
        const auto reason = is_permission_denied(status) ? OpenFailure::Reason::kPermission : OpenFailure::Reason::kIo;
        return OpenFailure{reason, describe("lock data directory " + directory.path(), status)};
    }
    // Only for people: if it cannot be written (a full disk), the lock holds all the same.
    if (announce == Announce::kYes) {
        directory.write(kOwnerName, std::to_string(::getpid()) + "\n").PermitUncheckedError();
    }
    return std::make_unique<DirectoryLock>(directory, lock);
}

DirectoryLock::~DirectoryLock() {
    directory_.file_system().UnlockFile(lock_, rocksdb::IOOptions(), nullptr).PermitUncheckedError();
}

}  // namespace rockdove::storage

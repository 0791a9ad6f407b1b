#include "storage/rocksdb/place.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "storage/rocksdb/status.h"

namespace rockdove::storage {
namespace {

using Reason = OpenFailure::Reason;

OpenFailure failure(Reason reason, const std::string& path, const std::string& what) {
    return {reason, "data directory " + path + " " + what};
}

OpenFailure system_failure(const std::string& path, int error) {
    const Reason reason = error == EACCES || error == EPERM ? Reason::kPermission : Reason::kUnusable;
    return failure(reason, path, std::string("cannot be used: ") + std::strerror(error));
}

// Files that say nothing about whose directory it is.
bool is_neutral(const std::string& name) {
    return name == "lost+found" || name == kLockName || name == kOwnerName ||
           name == std::string(kCreatingName) + kTempSuffix;
}

}  // namespace

std::optional<OpenFailure> check_local_path(const std::string& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) {
        if (errno == ENOENT) return std::nullopt;  // look_at() tells an absent directory from an absent parent
        return system_failure(path, errno);
    }
    if (S_ISLNK(info.st_mode)) {
        return failure(Reason::kUnusable, path, "is a symbolic link; give the path of the directory itself");
    }
    if (!S_ISDIR(info.st_mode)) return failure(Reason::kUnusable, path, "is not a directory");
    if (info.st_uid != ::geteuid()) {
        return failure(
            Reason::kPermission, path,
            "belongs to another user (uid " + std::to_string(info.st_uid) + "); run as that user, or chown it");
    }
    if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return failure(Reason::kPermission, path, "can be written by other users; chmod 700 it");
    }
    if (::access(path.c_str(), R_OK | W_OK | X_OK) != 0) return system_failure(path, errno);
    return std::nullopt;
}

std::variant<Place, OpenFailure> look_at(const Directory& directory) {
    const std::string& path = directory.path();
    rocksdb::FileSystem& file_system = directory.file_system();
    if (!file_system.FileExists(path, rocksdb::IOOptions(), nullptr).ok()) {
        const std::size_t slash = path.find_last_of('/');
        const std::string parent = slash == std::string::npos ? "." : path.substr(0, std::max<std::size_t>(slash, 1));
        if (file_system.FileExists(parent, rocksdb::IOOptions(), nullptr).ok()) return Place::kAbsent;
        return failure(Reason::kUnusable, path, "cannot be made: its parent directory does not exist");
    }
    std::vector<std::string> names;
    const rocksdb::IOStatus status = directory.list(names);
    if (!status.ok()) {
        const Reason reason = is_permission_denied(status) ? Reason::kPermission : Reason::kIo;
        return OpenFailure{reason, describe("list data directory " + path, status)};
    }
    std::erase_if(names, is_neutral);
    const auto has = [&](const char* name) { return std::find(names.begin(), names.end(), name) != names.end(); };
    if (has(kFormatName)) return Place::kStore;
    if (has(kCreatingName)) return Place::kUnfinished;
    if (names.empty()) return Place::kEmpty;
    if (has(kDurableName) || has("CURRENT")) {
        return failure(Reason::kDamaged, path,
                       "is damaged: its file FORMAT is missing; restore that file from a copy of the directory");
    }
    return failure(
        Reason::kUnusable, path,
        "is not empty and not Rockdove's (it has \"" + names.front() + "\"); give an empty or new directory");
}

}  // namespace rockdove::storage

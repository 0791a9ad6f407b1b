#include "server/app/data_dir.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace rockdove::app {
namespace {

int exit_code_of(int error) {
    switch (error) {
        case EACCES:
        case EPERM:
        case EROFS:
            return kExitPermission;
        case EIO:
        case ENOSPC:
        case EDQUOT:
            return kExitIo;
        default:
            return kExitCannotCreate;
    }
}

Failure refuse(int exit_code, const std::string& path, const std::string& why) {
    return Failure{exit_code, "data directory " + path + ": " + why};
}

Failure refuse_errno(const std::string& path, const std::string& what, int error) {
    return refuse(exit_code_of(error), path, what + ": " + std::strerror(error));
}

}  // namespace

std::optional<Failure> prepare_data_dir(const std::string& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) {
        if (errno != ENOENT) return refuse_errno(path, "cannot be looked at", errno);
        if (::mkdir(path.c_str(), 0700) == 0) return std::nullopt;
        const int error = errno;
        if (error == ENOENT)
            return refuse(kExitCannotCreate, path, "the directory above it does not exist; make it first");
        return refuse_errno(path, "cannot be made", error);
    }
    if (S_ISLNK(status.st_mode)) {
        return refuse(kExitConfig, path, "is a symbolic link; give server.data_dir the directory itself");
    }
    if (!S_ISDIR(status.st_mode)) return refuse(kExitCannotCreate, path, "is not a directory");
    if (status.st_uid != ::geteuid()) {
        return refuse(kExitPermission, path,
                      "belongs to user " + std::to_string(status.st_uid) + ", but this process runs as user " +
                          std::to_string(::geteuid()));
    }
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return refuse(kExitPermission, path, "others may write in it; take that away with chmod go-w");
    }
    if (::faccessat(AT_FDCWD, path.c_str(), R_OK | W_OK | X_OK, AT_EACCESS) != 0) {
        return refuse_errno(path, "cannot be written", errno);
    }
    return std::nullopt;
}

TemporaryDirectory::TemporaryDirectory() {
    std::error_code error;
    const std::filesystem::path base = std::filesystem::temp_directory_path(error);
    std::string pattern = ((error ? std::filesystem::path("/tmp") : base) / "rockdove-dev-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::system_error(errno, std::generic_category(), pattern);
    path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

}  // namespace rockdove::app

#include "storage/rocksdb/status.h"

#include <cerrno>
#include <cstring>

namespace rockdove::storage {

std::string describe(std::string_view doing, const rocksdb::Status& status) {
    return std::string(doing) + ": " + status.ToString();
}

Error to_error(std::string_view doing, const rocksdb::Status& status) {
    const bool gone = status.IsShutdownInProgress() || status.IsAborted();
    if (gone) return {ErrorCode::kUnavailable, describe(doing, status)};
    return {status.IsCorruption() ? ErrorCode::kConflict : ErrorCode::kInternal, describe(doing, status)};
}

bool is_permission_denied(const rocksdb::Status& status) {
    if (!status.IsIOError()) return false;
    const std::string text = status.ToString();  // the status keeps no errno, only strerror()'s text
    return text.find(std::strerror(EACCES)) != std::string::npos ||
           text.find(std::strerror(EPERM)) != std::string::npos;
}

}  // namespace rockdove::storage

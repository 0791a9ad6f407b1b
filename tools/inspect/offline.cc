#include "tools/inspect/offline.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <unistd.h>

namespace rockdove::ctl {

storage::OpenOptions offline_options(const std::string& directory) {
    storage::OpenOptions options;
    options.path = directory;
    options.create_if_missing = false;
    options.log = std::make_shared<spdlog::logger>("storage", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    options.log->set_level(spdlog::level::err);
    return options;
}

Failure offline_failure(const storage::OpenFailure& failure, const std::string& directory) {
    using Reason = storage::OpenFailure::Reason;
    Failure out = local_failure(failure.text);
    if (::access(directory.c_str(), F_OK) != 0) {
        out.exit = kNotFound;
    } else if (failure.reason == Reason::kLocked) {
        out.exit = kConflict;
        out.advice = "stop the broker first, or ask it: rockdove queue list";
    } else if (failure.reason == Reason::kPermission) {
        out.exit = kForbidden;
        out.advice = "run it as the user that the broker runs as";
    }
    return out;
}

}  // namespace rockdove::ctl

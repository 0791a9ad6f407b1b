// Runs a shell command for a message: body on stdin, properties in the environment.
#pragma once

#include <string>

#include "client/include/rockdove/client.h"

namespace rockdove::ctl {

// How the command ended.
struct CommandEnd {
    int exit_code = -1;  // -1: by a signal, or it could not be started
    int signal = 0;
    std::string error;  // it could not be started
};

// Blocks until the command has ended. Its stdout and stderr are ours. When `job`'s stop token fires (lease lost), the
// command gets SIGTERM. Any thread.
CommandEnd run_for_job(const std::string& command, const Job& job);

// 0 ack, 75 release, 65 reject, anything else retry. A command that was killed by the Ctrl-C that also reached us is
// not to blame: release.
enum class Settlement { kAck, kRelease, kReject, kRetry };
Settlement settlement_of(const CommandEnd& end, bool interrupted);
std::string reason_of(const CommandEnd& end);

}  // namespace rockdove::ctl

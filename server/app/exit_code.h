// How the daemon ends (sysexits). A restart helps after none of 64, 65, 73, 77 and 78.
#pragma once

#include <string>

namespace rockdove::app {

inline constexpr int kExitClean = 0;
inline constexpr int kExitUsage = 64;        // the command line
inline constexpr int kExitData = 65;         // damaged, or of a newer format
inline constexpr int kExitUnavailable = 69;  // an address is in use
inline constexpr int kExitInternal = 70;
inline constexpr int kExitCannotCreate = 73;  // data directory cannot be locked or made
inline constexpr int kExitIo = 74;
inline constexpr int kExitPermission = 77;
inline constexpr int kExitConfig = 78;

// Why the daemon cannot start or go on: one line for people, and the code.
struct [[nodiscard]] Failure {
    int exit_code = kExitInternal;
    std::string text;
};

}  // namespace rockdove::app

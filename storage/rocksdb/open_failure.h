// Why a data directory was not opened.
#pragma once

#include <cstdint>
#include <string>

namespace rockdove::storage {

struct OpenFailure {
    enum class Reason : std::uint8_t {
        kDamaged,      // something that was confirmed is missing or changed
        kNewerFormat,  // written by a newer Rockdove
        kLocked,       // another process has it open
        kUnusable,     // not a directory of ours, or one that cannot be made
        kIo,           // the file system reports errors, or is full
        kPermission,
        kClock,  // made with the test clock and opened without it, or the other way round
    };

    Reason reason;
    std::string text;  // one sentence or two: what is wrong and what to do

    // As the daemon ends with it (sysexits).
    [[nodiscard]] int exit_code() const {
        switch (reason) {
            case Reason::kDamaged:
            case Reason::kNewerFormat:
                return 65;
            case Reason::kLocked:
            case Reason::kUnusable:
                return 73;
            case Reason::kIo:
                return 74;
            case Reason::kPermission:
                return 77;
            case Reason::kClock:
                return 78;
        }
        return 70;
    }
};

}  // namespace rockdove::storage

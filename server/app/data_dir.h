// What must be true of the data directory before the store is asked to open it.
// Runs on: the main thread, at start. Blocks on the file system.
#pragma once

#include <optional>
#include <string>

#include "server/app/exit_code.h"

namespace rockdove::app {

// Makes the directory (mode 0700) if only it is missing, not its parents. Refuses what would be unsafe or fail later:
// no directory, a symbolic link, another owner, writable for group or others, not writable for us. A refusal has
// created and changed nothing. Empty: all is well.
std::optional<Failure> prepare_data_dir(const std::string& path);

// A directory for `--dev`: made empty under $TMPDIR or /tmp, removed with its content by the destructor.
class TemporaryDirectory {
public:
    // Throws std::system_error if it cannot be made.
    TemporaryDirectory();
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory();
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    std::string path_;
};

}  // namespace rockdove::app

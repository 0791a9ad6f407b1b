// A directory for `--dev`: made empty, for its owner only, under $TMPDIR or /tmp; removed with all its content.
// Runs on: one thread. Blocks on the file system.
#pragma once

#include <string>

namespace rockdove::app {

class TemporaryDirectory {
public:
    // Throws std::system_error if it cannot be made.
    TemporaryDirectory();
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory() { remove(); }

    // Now rather than later; for a way out that runs no destructors.
    void remove() noexcept;
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    std::string path_;
};

}  // namespace rockdove::app

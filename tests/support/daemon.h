// A rockdoved process under test, on a data directory and ports of its own. Ended by its own pid at the latest with this
// object, which also removes the directory.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/temp_dir.h"

namespace rockdove::test {

class Daemon {
public:
    // Starts `binary` and waits until it is ready; throws with its log if it is not within a minute.
    explicit Daemon(std::string binary, std::vector<std::string> more_flags = {});
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;
    ~Daemon();

    // On the same directory and ports as before.
    void start();
    void kill9();  // and waits for its end
    // Asks it to end (TERM) and returns its exit code, or -signal.
    int stop();

    [[nodiscard]] std::string url() const { return "rockdove://127.0.0.1:" + std::to_string(port_); }
    [[nodiscard]] std::uint16_t port() const { return port_; }
    [[nodiscard]] std::uint16_t http_port() const { return http_port_; }
    [[nodiscard]] pid_t pid() const { return pid_; }  // -1: not running
    [[nodiscard]] std::string data_dir() const;
    [[nodiscard]] std::string log() const;  // all it wrote to stderr, over all its lives

private:
    int wait_end();
    std::string read_line(std::chrono::seconds limit);

    const std::string binary_;
    const std::vector<std::string> more_flags_;
    TempDir dir_;
    pid_t pid_ = -1;
    int stdout_ = -1;
    std::uint16_t port_ = 0;
    std::uint16_t http_port_ = 0;
};

}  // namespace rockdove::test

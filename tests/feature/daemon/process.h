// One rockdoved process under test: started with flags, ended by its own pid at the latest with this object.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

struct ProcessOptions {
    std::vector<std::string> environment;  // "NAME=value", beside PATH
    std::uint64_t file_size_limit = 0;     // RLIMIT_FSIZE; 0: none
};

class Process {
public:
    // Runs the binary with `arguments`; its stderr goes into the file `log_path`.
    Process(const std::vector<std::string>& arguments, std::string log_path, const ProcessOptions& options = {});
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    ~Process();  // kill -9, if it still runs

    [[nodiscard]] pid_t pid() const { return pid_; }
    // The next line of its stdout; empty at its end. Throws if none comes in time.
    std::string read_line(std::chrono::seconds limit = std::chrono::seconds(30));
    // Reads the ready line; throws with the log if it ends instead.
    void wait_ready();
    [[nodiscard]] std::uint16_t port() const { return port_; }
    [[nodiscard]] std::uint16_t http_port() const { return http_port_; }  // 0: none
    void signal(int number) const;
    // Waits for its end: the exit code, or -signal. Throws if it does not end in time.
    int wait_exit(std::chrono::milliseconds limit = std::chrono::seconds(30));
    // All of stdout that has not been read, after the end.
    std::string rest_of_output();
    [[nodiscard]] std::string log() const;

private:
    const std::string log_path_;
    pid_t pid_ = -1;
    int stdout_ = -1;
    bool ended_ = false;
    int status_ = 0;
    std::string pending_;
    std::uint16_t port_ = 0;
    std::uint16_t http_port_ = 0;
};

// Looks again and again until `condition` holds; false if it does not in time.
bool wait_for(const std::function<bool()>& condition, std::chrono::seconds limit = std::chrono::seconds(20));

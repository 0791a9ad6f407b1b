#include "process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <utility>

using namespace std::chrono_literals;

namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (std::string& text : texts) out.push_back(text.data());
    out.push_back(nullptr);
    return out;
}

// True if `fd` became readable.
bool poll_in(int fd, std::chrono::milliseconds limit) {
    pollfd entry{fd, POLLIN, 0};
    return ::poll(&entry, 1, static_cast<int>(limit.count())) > 0;
}

}  // namespace

Process::Process(const std::vector<std::string>& arguments, std::string log_path, const ProcessOptions& options)
    : log_path_(std::move(log_path)) {
    std::vector<std::string> words{ROCKDOVED_PATH};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<std::string> variables = options.environment;
    for (const char* name : {"PATH", "TMPDIR", "ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"}) {
        if (const char* value = std::getenv(name)) variables.push_back(std::string(name) + "=" + value);
    }
    const std::vector<char*> argv = pointers(words);
    const std::vector<char*> envp = pointers(variables);
    int output[2];
    if (::pipe2(output, O_CLOEXEC) != 0) throw std::runtime_error("pipe2 failed");
    const int log = ::open(log_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    pid_ = ::fork();
    if (pid_ == 0) {
        ::dup2(output[1], STDOUT_FILENO);
        ::dup2(log, STDERR_FILENO);
        if (options.file_size_limit > 0) {
            const rlimit limit{options.file_size_limit, options.file_size_limit};
            ::setrlimit(RLIMIT_FSIZE, &limit);
        }
        ::execve(argv[0], argv.data(), envp.data());
        ::_exit(127);
    }
    ::close(output[1]);
    ::close(log);
    stdout_ = output[0];
    if (pid_ < 0) throw std::runtime_error("fork failed");
}

Process::~Process() {
    if (!ended_ && pid_ > 0) {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, &status_, 0);
    }
    ::close(stdout_);
}

std::string Process::read_line(std::chrono::seconds limit) {
    const auto until = std::chrono::steady_clock::now() + limit;
    while (true) {
        if (const std::size_t end = pending_.find('\n'); end != std::string::npos) {
            std::string line = pending_.substr(0, end);
            pending_.erase(0, end + 1);
            return line;
        }
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
        if (left <= 0ms || !poll_in(stdout_, left)) throw std::runtime_error("no line in time; log:\n" + log());
        char buffer[4096];
        const ssize_t got = ::read(stdout_, buffer, sizeof buffer);
        if (got <= 0) return std::exchange(pending_, {});
        pending_.append(buffer, static_cast<std::size_t>(got));
    }
}

void Process::wait_ready() {
    const std::string line = read_line();
    static const std::regex shape(R"(ready rockdove://\S+:(\d+)(?: http://\S+:(\d+))?)");
    std::smatch parts;
    if (!std::regex_match(line, parts, shape)) {
        throw std::runtime_error("not a ready line: \"" + line + "\"; log:\n" + log());
    }
    port_ = static_cast<std::uint16_t>(std::stoul(parts[1]));
    http_port_ = parts[2].matched ? static_cast<std::uint16_t>(std::stoul(parts[2])) : 0;
}

void Process::signal(int number) const { ::kill(pid_, number); }

int Process::wait_exit(std::chrono::milliseconds limit) {
    if (!ended_) {
        const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));  // glibc 2.36 declares it for C only
        if (fd < 0) throw std::runtime_error(std::string("pidfd_open: ") + std::strerror(errno));
        const bool over = poll_in(fd, limit);
        ::close(fd);
        if (!over) throw std::runtime_error("still running; log:\n" + log());
        ::waitpid(pid_, &status_, 0);
        ended_ = true;
    }
    return WIFEXITED(status_) ? WEXITSTATUS(status_) : -WTERMSIG(status_);
}

std::string Process::rest_of_output() {
    char buffer[4096];
    for (ssize_t got; (got = ::read(stdout_, buffer, sizeof buffer)) > 0;) {
        pending_.append(buffer, static_cast<std::size_t>(got));
    }
    return std::exchange(pending_, {});
}

std::string Process::log() const {
    std::ostringstream text;
    text << std::ifstream(log_path_).rdbuf();
    return text.str();
}

bool wait_for(const std::function<bool()>& condition, std::chrono::seconds limit) {
    const auto until = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > until) return false;
        ::poll(nullptr, 0, 5);
    }
    return true;
}

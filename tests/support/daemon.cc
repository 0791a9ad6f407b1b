#include "tests/support/daemon.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <random>
#include <sstream>
#include <stdexcept>

namespace rockdove::test {

namespace {

constexpr std::chrono::seconds kReadyWithin{60};

// A free port that the kernel does not give to outgoing connections: it has to be free at the next start, too.
std::uint16_t stable_port() {
    std::random_device random;
    std::uniform_int_distribution<int> ports(10'000, 32'000);  // net.ipv4.ip_local_port_range begins above
    for (;;) {
        const auto port = static_cast<std::uint16_t>(ports(random));
        const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(port);
        const bool free = ::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
        ::close(socket);
        if (free) return port;
    }
}

}  // namespace

Daemon::Daemon(std::string binary, std::vector<std::string> more_flags)
    : binary_(std::move(binary)), more_flags_(std::move(more_flags)) {
    start();
}

Daemon::~Daemon() {
    if (pid_ > 0) kill9();
}

std::string Daemon::data_dir() const { return dir_.path("data"); }

std::string Daemon::log() const {
    std::ifstream in(dir_.path("log"));
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

void Daemon::start() {
    if (pid_ > 0) throw std::logic_error("the daemon runs already");
    if (port_ == 0) port_ = stable_port();
    if (http_port_ == 0) http_port_ = stable_port();
    const std::string log_path = dir_.path("log");
    std::vector<std::string> arguments{binary_,
                                       "--data-dir",
                                       data_dir(),
                                       "--listen",
                                       "127.0.0.1:" + std::to_string(port_),
                                       "--http",
                                       "127.0.0.1:" + std::to_string(http_port_)};
    arguments.insert(arguments.end(), more_flags_.begin(), more_flags_.end());
    std::vector<char*> argv;
    argv.reserve(arguments.size() + 1);
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);

    int pipe_ends[2];
    if (::pipe2(pipe_ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    const int log = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    pid_ = ::fork();
    if (pid_ == 0) {
        ::dup2(pipe_ends[1], STDOUT_FILENO);
        ::dup2(log, STDERR_FILENO);
        ::execv(argv[0], argv.data());
        ::_exit(127);
    }
    ::close(pipe_ends[1]);
    ::close(log);
    stdout_ = pipe_ends[0];
    if (pid_ < 0) throw std::runtime_error("cannot fork");

    const std::string line = read_line(kReadyWithin);
    unsigned port = 0;
    unsigned http_port = 0;
    if (std::sscanf(line.c_str(), "ready rockdove://127.0.0.1:%u http://127.0.0.1:%u", &port, &http_port) != 2) {
        kill9();
        throw std::runtime_error("the daemon did not become ready: \"" + line + "\"\n" + this->log());
    }
    port_ = static_cast<std::uint16_t>(port);
    http_port_ = static_cast<std::uint16_t>(http_port);
}

std::string Daemon::read_line(std::chrono::seconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    std::string line;
    for (;;) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        pollfd poll_fd{stdout_, POLLIN, 0};
        if (left.count() <= 0 || ::poll(&poll_fd, 1, static_cast<int>(left.count())) != 1) return line;
        char byte = 0;
        if (::read(stdout_, &byte, 1) != 1 || byte == '\n') return line;
        line.push_back(byte);
    }
}

int Daemon::wait_end() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    ::close(stdout_);
    stdout_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void Daemon::kill9() {
    ::kill(pid_, SIGKILL);
    wait_end();
}

int Daemon::stop() {
    ::kill(pid_, SIGTERM);
    return wait_end();
}

}  // namespace rockdove::test

#include "tools/ctl/command_runner.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stop_token>
#include <vector>

#include "tools/ctl/context.h"
#include "tools/ctl/text/units.h"

extern char** environ;  // NOLINT(readability-redundant-declaration)

namespace rockdove::ctl {
namespace {

constexpr int kExitReject = 65;   // EX_DATAERR
constexpr int kExitRelease = 75;  // EX_TEMPFAIL

std::string upper_name(std::string_view name) {
    std::string out;
    for (char c : name) {
        const auto byte = static_cast<unsigned char>(c);
        out.push_back(std::isalnum(byte) != 0 ? static_cast<char>(std::toupper(byte)) : '_');
    }
    return out;
}

std::vector<std::string> environment_for(const Job& job) {
    std::vector<std::string> out;
    for (char** entry = environ; *entry != nullptr; ++entry) out.emplace_back(*entry);
    const auto add = [&out](const std::string& name, std::string_view value) {
        // A NUL would cut the value short and hide the rest: such a property is left out.
        if (value.find('\0') == std::string_view::npos) out.push_back("ROCKDOVE_" + name + "=" + std::string(value));
    };
    const auto committed = std::chrono::duration_cast<Millis>(job.commit_time().time_since_epoch());
    add("ID", job.id());
    add("QUEUE", job.queue());
    add("ATTEMPT", std::to_string(job.attempt()));
    add("SEQUENCE", std::to_string(job.sequence()));
    add("COMMIT_TIME", format_time(committed.count()));
    add("KEY", job.key());
    add("CONTENT_TYPE", job.content_type());
    add("CORRELATION_ID", job.correlation_id());
    add("REPLY_TO", job.reply_to());
    for (const auto& [name, value] : job.headers()) add("HEADER_" + upper_name(name), value);
    return out;
}

// Starts "sh -c command" with `input` as its stdin and a clean signal state; -1 with errno otherwise.
pid_t start(const std::string& command, int input, const Job& job) {
    std::vector<std::string> environment = environment_for(job);
    std::vector<char*> pointers;
    for (std::string& entry : environment) pointers.push_back(entry.data());
    pointers.push_back(nullptr);
    std::string shell = "sh", flag = "-c", text = command;
    std::array<char*, 4> arguments = {shell.data(), flag.data(), text.data(), nullptr};

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    pid_t pid = -1;
    const int failed = ::posix_spawn(&pid, "/bin/sh", &actions, &attributes, arguments.data(), pointers.data());
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (failed != 0) return errno = failed, -1;
    return pid;
}

}  // namespace

CommandEnd run_for_job(const std::string& command, const Job& job) {
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return {-1, 0, std::strerror(errno)};
    const pid_t pid = start(command, pipe[0], job);
    ::close(pipe[0]);
    if (pid < 0) {
        const std::string error = std::strerror(errno);
        ::close(pipe[1]);
        return {-1, 0, error};
    }
    int status = 0;
    {
        const std::stop_callback on_lost(job.stop_token(), [pid] { ::kill(pid, SIGTERM); });
        write_all(pipe[1], job.body());  // a command may well end without reading it all
        ::close(pipe[1]);
        // Waits without reaping, so that the callback can never meet another process under the same id.
        siginfo_t info{};
        while (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
        }
    }
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status)) return {WEXITSTATUS(status), 0, ""};
    return {-1, WTERMSIG(status), ""};
}

Settlement settlement_of(const CommandEnd& end, bool interrupted) {
    if (end.exit_code == 0) return Settlement::kAck;
    if (end.exit_code == kExitRelease) return Settlement::kRelease;
    if (end.exit_code == kExitReject) return Settlement::kReject;
    // sh reports a command that a signal ended as 128 + the signal.
    const bool killed = end.signal == SIGINT || end.signal == SIGTERM || end.exit_code == 128 + SIGINT ||
                        end.exit_code == 128 + SIGTERM;
    return interrupted && killed ? Settlement::kRelease : Settlement::kRetry;
}

std::string reason_of(const CommandEnd& end) {
    if (!end.error.empty()) return "cannot start the command: " + end.error;
    if (end.signal != 0) return "the command was ended by signal " + std::to_string(end.signal);
    return "the command ended with exit code " + std::to_string(end.exit_code);
}

}  // namespace rockdove::ctl

#include "server/metrics/process.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

namespace rockdove::metrics {
namespace {

// Fields of /proc/self/stat behind the name, which is in parentheses and may hold anything.
struct Stat {
    std::uint64_t user_ticks = 0, system_ticks = 0, threads = 0, start_ticks = 0, resident_pages = 0;
};

Stat read_stat() {
    std::ifstream in("/proc/self/stat");
    std::string line;
    std::getline(in, line);
    std::istringstream fields(line.substr(std::min(line.size(), line.rfind(')') + 1)));
    Stat stat;
    std::string skipped;
    // proc(5) counts from 1; the state behind the name is field 3.
    for (int field = 3; field <= 24 && fields; ++field) {
        switch (field) {
            case 14:
                fields >> stat.user_ticks;
                break;
            case 15:
                fields >> stat.system_ticks;
                break;
            case 20:
                fields >> stat.threads;
                break;
            case 22:
                fields >> stat.start_ticks;
                break;
            case 24:
                fields >> stat.resident_pages;
                break;
            default:
                fields >> skipped;
        }
    }
    return stat;
}

double boot_time_seconds() {
    std::ifstream in("/proc/stat");
    for (std::string word; in >> word;) {
        double seconds = 0;
        if (word == "btime" && in >> seconds) return seconds;
    }
    return 0;
}

std::uint64_t count_open_files() {
    DIR* const directory = ::opendir("/proc/self/fd");
    if (directory == nullptr) return 0;
    std::uint64_t count = 0;
    while (const dirent* entry = ::readdir(directory)) count += entry->d_name[0] != '.' ? 1 : 0;
    ::closedir(directory);
    return count > 0 ? count - 1 : 0;  // the one it was counted with
}

}  // namespace

ProcessStats read_process_stats() {
    const Stat stat = read_stat();
    const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
    static const double boot = boot_time_seconds();
    ProcessStats out;
    out.resident_bytes = stat.resident_pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    out.cpu_seconds = static_cast<double>(stat.user_ticks + stat.system_ticks) / ticks;
    out.open_files = count_open_files();
    out.threads = stat.threads;
    if (boot > 0) out.start_time_seconds = boot + static_cast<double>(stat.start_ticks) / ticks;
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) out.open_files_limit = limit.rlim_cur;
    return out;
}

}  // namespace rockdove::metrics

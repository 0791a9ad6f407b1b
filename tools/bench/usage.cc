#include "tools/bench/usage.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>
#include <algorithm>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <vector>

namespace rockdove::bench {
namespace {

struct Process {
    int parent = 0;
    std::uint64_t ticks = 0;
};

// The number behind `key` in /proc/PID/FILE.
std::uint64_t field(int pid, const char* file, const std::string& key) {
    std::ifstream in("/proc/" + std::to_string(pid) + "/" + file);
    std::string word;
    while (in >> word) {
        std::uint64_t value = 0;
        if (word == key && in >> value) return value;
    }
    return 0;
}

std::map<int, Process> all_processes() {
    std::map<int, Process> out;
    DIR* folder = ::opendir("/proc");
    if (folder == nullptr) return out;
    while (const dirent* entry = ::readdir(folder)) {
        const int pid = std::atoi(entry->d_name);
        std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
        std::string line;
        if (pid == 0 || !std::getline(in, line)) continue;
        // Behind the name in brackets: state, parent, ..., and as 12th to 15th utime stime cutime cstime.
        std::istringstream rest(line.substr(line.rfind(')') + 2));
        const std::vector<std::string> words{std::istream_iterator<std::string>(rest), {}};
        if (words.size() < 15) continue;
        Process process;
        process.parent = std::atoi(words[1].c_str());
        for (std::size_t i = 11; i < 15; ++i) process.ticks += std::strtoull(words[i].c_str(), nullptr, 10);
        out[pid] = process;
    }
    ::closedir(folder);
    return out;
}

void read_broker(Usage& usage, int root) {
    const std::map<int, Process> all = all_processes();
    std::set<int> tree{root};
    for (std::size_t before = 0; before != tree.size();) {
        before = tree.size();
        for (const auto& [pid, process] : all) {
            if (tree.count(process.parent) > 0) tree.insert(pid);
        }
    }
    for (const int pid : tree) {
        const auto found = all.find(pid);
        if (found == all.end()) continue;
        usage.broker_cpu_s += static_cast<double>(found->second.ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK));
        usage.broker_rss_kb += field(pid, "status", "VmRSS:");
        usage.broker_write_bytes += field(pid, "io", "write_bytes:");
    }
}

double seconds(const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

Usage Usage::read(int pid, const std::string& disk) {
    Usage out;
    out.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    rusage own{};
    ::getrusage(RUSAGE_SELF, &own);
    out.generator_cpu_s = seconds(own.ru_utime) + seconds(own.ru_stime);
    if (pid > 0) read_broker(out, pid);
    std::ifstream stat("/proc/stat");
    std::string word;
    stat >> word;
    std::uint64_t value = 0;
    for (int i = 0; i < 8 && stat >> value; ++i) {
        out.ticks += value;
        if (i == 7) out.stolen_ticks = value;
    }
    if (!disk.empty()) {
        std::ifstream blocks("/sys/class/block/" + disk + "/stat");
        for (int i = 0; blocks >> value; ++i) {
            if (i == 15) out.flushes = value;
        }
    }
    return out;
}

void add_costs(ctl::Json& out, const Usage& begin, const Usage& end, std::uint64_t count) {
    const double wall = end.wall_s - begin.wall_s;
    const auto messages = static_cast<double>(count);
    const double micros_each = count > 0 ? 1e6 / messages : 0;
    const double broker = end.broker_cpu_s - begin.broker_cpu_s;
    const double generator = end.generator_cpu_s - begin.generator_cpu_s;
    const auto written = static_cast<double>(end.broker_write_bytes - begin.broker_write_bytes);
    const auto ticks = static_cast<double>(end.ticks - begin.ticks);
    out["messages"] = count;
    out["seconds"] = wall;
    out["rate"] = messages / wall;
    out["gen_cpu_s"] = generator;
    out["gen_cpu_us_per_msg"] = generator * micros_each;
    if (end.broker_rss_kb > 0) {
        out["broker_cpu_s"] = broker;
        out["broker_cpu_us_per_msg"] = broker * micros_each;
        out["broker_write_bytes_per_msg"] = count > 0 ? written / messages : 0.0;
        out["broker_rss_mb"] = static_cast<double>(end.broker_rss_kb) / 1024;
    }
    if (end.flushes > 0) out["disk_flushes_per_s"] = static_cast<double>(end.flushes - begin.flushes) / wall;
    out["steal_pct"] = ticks > 0 ? 100.0 * static_cast<double>(end.stolen_ticks - begin.stolen_ticks) / ticks : 0.0;
}

void add_percentiles(ctl::Json& out, const std::string& name, std::vector<std::uint32_t>& micros) {
    if (micros.empty()) return;
    std::sort(micros.begin(), micros.end());
    const auto at = [&](double share) {
        const auto index = static_cast<std::size_t>(share * static_cast<double>(micros.size()));
        return micros[std::min(micros.size() - 1, index)];
    };
    out[name + "_p50_us"] = at(0.50);
    out[name + "_p99_us"] = at(0.99);
    out[name + "_p999_us"] = at(0.999);
    out[name + "_max_us"] = micros.back();
}

}  // namespace rockdove::bench

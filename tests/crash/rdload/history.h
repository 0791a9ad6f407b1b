// Writes one process's history; the format is described in tests/crash/history.py.
#pragma once

#include <atomic>
#include <cstdint>
#include <fstream>
#include <initializer_list>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace rdload {

std::string quoted(std::string_view text);  // as a JSON string

// Thread-safe.
class History {
public:
    History(const std::string& folder, std::string process);

    // `fields`: name, and value already in JSON.
    using Fields = std::initializer_list<std::pair<std::string_view, std::string>>;
    void write(std::string_view type, std::string_view f, Fields fields);
    // Returns the op number, to be given to the end of the operation.
    std::uint64_t invoke(std::string_view f, Fields fields);
    void close();

private:
    void put(std::string_view type, std::string_view f, std::uint64_t op, Fields fields);

    std::string process_;
    std::mutex mutex_;
    std::ofstream out_;
    std::atomic<std::uint64_t> op_{0};
};

}  // namespace rdload

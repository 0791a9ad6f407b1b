// A data directory on disk for tests: filled, damaged, and opened again.
#pragma once

#include <spdlog/sinks/null_sink.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/rocksdb/rocksdb_store.h"
#include "tests/support/temp_dir.h"

namespace rockdove::storage {

class DataDir {
public:
    [[nodiscard]] std::string path(const std::string& name = "") const {
        return name.empty() ? temp_.path("data") : temp_.path("data/" + name);
    }
    [[nodiscard]] std::string beside(const std::string& name) const { return temp_.path(name); }

    [[nodiscard]] OpenOptions options() const {
        OpenOptions options;
        options.path = path();
        options.min_free_bytes = 0;
        options.log = quiet_;
        return options;
    }
    RocksdbStore::Outcome try_open() const { return RocksdbStore::open(options()); }
    std::unique_ptr<RocksdbStore> open() const {
        RocksdbStore::Outcome outcome = try_open();
        if (const auto* failure = std::get_if<OpenFailure>(&outcome)) throw std::runtime_error(failure->text);
        return std::get<std::unique_ptr<RocksdbStore>>(std::move(outcome));
    }
    // Empty if it opens.
    std::optional<OpenFailure> refusal() const {
        const RocksdbStore::Outcome outcome = try_open();
        const auto* failure = std::get_if<OpenFailure>(&outcome);
        return failure == nullptr ? std::nullopt : std::optional<OpenFailure>(*failure);
    }

    // Commits lsn..lsn+count-1, each synced: key "k<lsn>" with a value of that commit.
    static void fill(RocksdbStore& store, std::uint64_t lsn, std::uint64_t count) {
        for (std::uint64_t i = lsn; i < lsn + count; ++i) {
            WriteSet writes;
            writes.put(key(i), value(i));
            writes.require_sync();
            const CommitResult result = store.commit(writes, {Lsn(i), static_cast<std::int64_t>(i)});
            if (result.outcome != CommitOutcome::kDurable) throw std::runtime_error(result.error);
        }
    }
    static std::string key(std::uint64_t lsn) {
        std::string key = "k";  // g++ 12 warns wrongly of "k" + std::to_string()
        return key += std::to_string(lsn);
    }
    static std::string value(std::uint64_t lsn) {
        const std::size_t blob = lsn % 5 == 0 ? 5'000 : 0;  // some go into blob files
        return std::string(300 + lsn % 50 + blob, static_cast<char>('a' + lsn % 26));
    }
    // How many of the commits 1..count are there with their right value.
    static std::uint64_t intact(RocksdbStore& store, std::uint64_t count) {
        std::uint64_t found = 0;
        for (std::uint64_t i = 1; i <= count; ++i) {
            const Result<std::optional<std::string>> stored = store.get(key(i));
            found += stored && *stored == value(i) ? 1 : 0;
        }
        return found;
    }

    [[nodiscard]] std::vector<std::string> names(const std::string& part) const {
        std::vector<std::string> found;
        for (const auto& entry : std::filesystem::directory_iterator(path())) {
            const std::string name = entry.path().filename().string();
            if (name.find(part) != std::string::npos) found.push_back(name);
        }
        std::sort(found.begin(), found.end());
        return found;
    }
    [[nodiscard]] std::string read(const std::string& name) const {
        std::ifstream file(path(name), std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    // Without the zeros at the end of a log.
    [[nodiscard]] std::string read_used(const std::string& name) const {
        std::string content = read(name);
        content.erase(content.find_last_not_of('\0') + 1);
        return content;
    }
    void write(const std::string& name, const std::string& content) const {
        std::ofstream(path(name), std::ios::binary | std::ios::trunc) << content;
    }
    void flip_bit(const std::string& name, std::size_t bit) const {
        std::string content = read(name);
        content.at(bit / 8) = static_cast<char>(content.at(bit / 8) ^ (1 << (bit % 8)));
        write(name, content);
    }
    void remove(const std::string& name) const { std::filesystem::remove(path(name)); }

    // Name and content of every file but those that only say who has the directory open.
    [[nodiscard]] std::map<std::string, std::string> data_files() const {
        std::map<std::string, std::string> files;
        for (const std::string& name : names("")) {
            if (!name.starts_with("OWNER")) files.emplace(name, read(name));
        }
        return files;
    }

private:
    test::TempDir temp_;
    std::shared_ptr<spdlog::logger> quiet_ =
        std::make_shared<spdlog::logger>("quiet", std::make_shared<spdlog::sinks::null_sink_mt>());
};

}  // namespace rockdove::storage

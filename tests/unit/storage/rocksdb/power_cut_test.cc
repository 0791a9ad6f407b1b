// Power cuts in process (RELIABILITY R4): whatever was confirmed with a sync is there afterwards, what is there is the
// state after some commit, and the store never refuses what a power cut left.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>
#include <random>

#include <spdlog/sinks/null_sink.h>
#include <spdlog/spdlog.h>

#include "storage/chain.h"
#include "storage/rocksdb/rocksdb_store.h"
#include "tests/support/power_cut_file_system.h"

namespace rockdove::storage {
namespace {

using test::PowerCutFileSystem;

constexpr char kPath[] = "/data";

// The store's whole life over several power cuts, and what it should hold after each commit.
class LongLife {
public:
    explicit LongLife(std::uint64_t seed, bool syncs_work = true)
        : random_(seed), syncs_work_(syncs_work), disk_(std::make_shared<PowerCutFileSystem>(seed * 7919 + 1)) {}

    // One start, some commits, one cut. Says what is wrong afterwards; empty if nothing.
    std::string live_and_die() {
        if (!syncs_work_) disk_->ignore_syncs();
        confirmed_at_cut_ = 0;
        disk_->cut_before(1 + random_() % (random_() % 4 == 0 ? 60 : 500),
                          [this] { confirmed_at_cut_ = confirmed_.load(); });
        std::string problem = work();
        if (!problem.empty()) return problem;
        std::shared_ptr<PowerCutFileSystem> left = disk_->after_cut();
        if (!left) {  // it worked to the end: cut after the close, or after an end without one
            confirmed_at_cut_ = confirmed_.load();
            left = disk_->cut_now();
        }
        disk_ = std::move(left);
        return check();
    }

private:
    struct Commit {
        WriteSet writes;
        CommitStamp stamp;
    };

    RocksdbStore::Outcome open() {
        OpenOptions options;
        options.path = kPath;
        options.file_system = disk_;
        options.memory_bytes = 400 * 1024;  // several flushes in a life
        options.log = quiet_;
        return RocksdbStore::open(options);
    }

    std::string work() {
        RocksdbStore::Outcome outcome = open();
        if (const auto* failure = std::get_if<OpenFailure>(&outcome)) return "start refused: " + failure->text;
        RocksdbStore& store = *std::get<std::unique_ptr<RocksdbStore>>(outcome);
        const std::uint64_t commits = 20 + random_() % 60;
        for (std::uint64_t i = 0; i < commits && !disk_->after_cut(); ++i) {
            history_.push_back(next_commit());
            const Commit& commit = history_.back();
            const CommitResult result = store.commit(commit.writes, commit.stamp);
            if (result.outcome != CommitOutcome::kDurable) return "commit failed: " + result.error;
            if (commit.writes.sync()) confirmed_ = commit.stamp.lsn.value;
            if (random_() % 16 == 0) store.tick();
        }
        if (random_() % 2 == 0 && store.close()) confirmed_ = history_.size();
        return {};
    }

    Commit next_commit() {
        Commit commit;
        const std::uint64_t operations = 1 + random_() % 4;
        for (std::uint64_t i = 0; i < operations; ++i) {
            const std::string key = "k" + std::to_string(random_() % 40);
            const std::uint64_t kind = random_() % 10;
            if (kind < 2) {
                commit.writes.remove(key);
            } else if (kind == 2) {
                commit.writes.remove_range(key, key + "5");
            } else {
                const std::size_t size = random_() % 5 == 0 ? random_() % 70'000 : random_() % 900;
                commit.writes.put(key, std::string(size, static_cast<char>('a' + random_() % 26)));
            }
        }
        if (random_() % 3 != 0) commit.writes.require_sync();
        const std::uint64_t lsn = history_.size() + 1;
        commit.stamp = {Lsn(lsn), static_cast<std::int64_t>(lsn * 10)};
        return commit;
    }

    // After the cut: start, compare, and go on from there.
    std::string check() {
        // Confirmed is only what was confirmed before the power failed.
        const std::uint64_t confirmed = confirmed_at_cut_;
        RocksdbStore::Outcome outcome = open();
        if (const auto* failure = std::get_if<OpenFailure>(&outcome)) return "refused after the cut: " + failure->text;
        RocksdbStore& store = *std::get<std::unique_ptr<RocksdbStore>>(outcome);
        const std::uint64_t lsn = store.opened().last_lsn.value;
        if (lsn < confirmed) {
            return "lost: confirmed up to " + std::to_string(confirmed) + ", found " + std::to_string(lsn);
        }
        if (lsn > history_.size()) return "a commit from nowhere";
        history_.resize(lsn);
        confirmed_ = lsn;  // whoever reads it from now on may rely on it: opening made it durable
        std::map<std::string, std::string> expected;
        std::uint64_t chain = 0;
        for (const Commit& commit : history_) {
            chain = next_chain(chain, commit.writes, commit.stamp);
            apply(commit.writes, expected);
        }
        if (store.opened().chain != chain) return "the chain is not that of commit " + std::to_string(lsn);
        std::map<std::string, std::string> found;
        bool damaged = false;
        const Result<void> scanned = store.scan("a", "z", [&](const RecordView& record) {
            damaged = damaged || record.damaged;
            found.emplace(record.key, record.payload);
            return true;
        });
        if (!scanned) return "scan: " + scanned.error().text;
        if (damaged) return "a damaged record";
        if (found != expected) return "the records are not those of commit " + std::to_string(lsn);
        return {};
    }

    static void apply(const WriteSet& writes, std::map<std::string, std::string>& records) {
        for (const WriteSet::Op& op : writes.ops()) {
            switch (op.kind) {
                case WriteSet::Kind::kPut:
                    records[op.key] = op.payload();
                    break;
                case WriteSet::Kind::kRemove:
                    records.erase(op.key);
                    break;
                case WriteSet::Kind::kRemoveRange:
                    records.erase(records.lower_bound(op.key), records.lower_bound(op.value));
                    break;
            }
        }
    }

    const std::shared_ptr<spdlog::logger> quiet_ =
        std::make_shared<spdlog::logger>("quiet", std::make_shared<spdlog::sinks::null_sink_mt>());
    std::mt19937_64 random_;
    const bool syncs_work_;
    std::shared_ptr<PowerCutFileSystem> disk_;
    std::vector<Commit> history_;
    std::atomic<std::uint64_t> confirmed_{0};  // read in the moment of the cut, on any thread
    std::atomic<std::uint64_t> confirmed_at_cut_{0};
};

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST_CASE("R4 what was confirmed survives power cuts, and nothing else appears", "[storage][power_cut]") {
    const std::uint64_t first = from_environment("RD_SEED", 1);
    const std::uint64_t seeds = from_environment("RD_SEEDS", 60);
    for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
        INFO("seed " << seed << "; repeat with RD_SEED=" << seed << " RD_SEEDS=1");
        LongLife life(seed);
        for (int cut = 1; cut <= 8; ++cut) {
            const std::string problem = life.live_and_die();
            INFO("cut " << cut);
            REQUIRE(problem == "");
        }
    }
}

TEST_CASE("control: on a disk whose syncs do nothing the power cuts are noticed", "[storage][power_cut]") {
    int noticed = 0;
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        LongLife life(seed, false);
        std::string problem;
        for (int cut = 1; cut <= 5 && problem.empty(); ++cut) problem = life.live_and_die();
        noticed += problem.empty() ? 0 : 1;
    }
    CHECK(noticed == 5);
}

}  // namespace
}  // namespace rockdove::storage

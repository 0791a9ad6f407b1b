#include <catch2/catch.hpp>

#include "storage/faulty/faulty_store.h"
#include "storage/memory/memory_store.h"
#include "storage/rocksdb/rocksdb_store.h"
#include "tests/contract/store_fixture.h"
#include "tests/support/temp_dir.h"

namespace rockdove::storage {
namespace {

std::unique_ptr<MessageStore> open_rocksdb(const std::string& path) {
    OpenOptions options;
    options.path = path;
    options.shard = ShardId(3);
    options.min_free_bytes = 0;
    RocksdbStore::Outcome outcome = RocksdbStore::open(options);
    if (const auto* failure = std::get_if<OpenFailure>(&outcome)) FAIL(failure->text);
    return std::get<std::unique_ptr<RocksdbStore>>(std::move(outcome));
}

}  // namespace

const std::vector<StoreKind>& store_kinds() {
    static const std::vector<StoreKind> kinds = {
        {"memory",
         [] {
             return [backing = std::make_shared<MemoryBacking>(ShardId(3))]() -> std::unique_ptr<MessageStore> {
                 return std::make_unique<MemoryStore>(backing);
             };
         }},
        {"faulty over memory",
         [] {
             return [backing = std::make_shared<MemoryBacking>(ShardId(3))]() -> std::unique_ptr<MessageStore> {
                 return std::make_unique<FaultyStore>(std::make_unique<MemoryStore>(backing));
             };
         }},
        {"rocksdb",
         [] {
             return [dir = std::make_shared<test::TempDir>()]() -> std::unique_ptr<MessageStore> {
                 return open_rocksdb(dir->path("data"));
             };
         }},
    };
    return kinds;
}

}  // namespace rockdove::storage

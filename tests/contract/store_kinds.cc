#include <catch2/catch.hpp>

#include "storage/faulty/faulty_store.h"
#include "storage/memory/memory_store.h"
#include "tests/contract/store_fixture.h"

namespace rockdove::storage {

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
    };
    return kinds;
}

}  // namespace rockdove::storage

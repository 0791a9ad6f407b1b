#include "storage/chain.h"

#include <xxhash.h>

#include <memory>

#include "protocol/base/check.h"

namespace rockdove::storage {
namespace {

struct FreeState {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
};

void add(XXH3_state_t* state, std::uint64_t number) { XXH3_64bits_update(state, &number, sizeof number); }

void add(XXH3_state_t* state, const std::string& bytes) {
    add(state, bytes.size());
    XXH3_64bits_update(state, bytes.data(), bytes.size());
}

}  // namespace

std::uint64_t next_chain(std::uint64_t previous, const WriteSet& writes, const CommitStamp& stamp) {
    thread_local const std::unique_ptr<XXH3_state_t, FreeState> owner(XXH3_createState());
    XXH3_state_t* state = owner.get();
    RD_CHECK(state != nullptr);
    XXH3_64bits_reset(state);
    add(state, previous);
    add(state, stamp.lsn.value);
    add(state, static_cast<std::uint64_t>(stamp.time_ms));
    for (const WriteSet::Op& op : writes.ops()) {
        add(state, static_cast<std::uint64_t>(op.kind));
        add(state, op.key);
        if (op.kind != WriteSet::Kind::kRemove) add(state, op.payload());
    }
    return XXH3_64bits_digest(state);
}

}  // namespace rockdove::storage

// A publish that the walk accepts is read alike by the generated code, and what is stored of it can be read back from a
// block: otherwise one client could spoil what others sent, or send what no client can receive.
#include <google/protobuf/stubs/logging.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/base/key_hash.h"
#include "protocol/limits.h"
#include "protocol/message_view.h"
#include "rockdove/v1/data.pb.h"
#include "storage/record.h"
#include "tests/fuzz/require.h"

namespace {

[[maybe_unused]] const google::protobuf::LogHandler* const kQuiet =
    reinterpret_cast<const google::protobuf::LogHandler*>(google::protobuf::SetLogHandler(nullptr));

constexpr std::size_t kMaxMessage = 1 << 16;

bool same(const rockdove::protocol::PublishView& view, const rockdove::v1::Publish& publish) {
    return view.queue == publish.queue() && view.topic == publish.topic() &&
           view.producer_seq == publish.producer_seq() && view.oldest_unconfirmed == publish.oldest_unconfirmed() &&
           view.ends.size() == static_cast<std::size_t>(publish.messages_size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace rockdove;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    protocol::PublishView view;
    if (!protocol::read_publish(bytes, kMaxMessage, view)) return 0;

    FUZZ_REQUIRE(!view.ends.empty() && view.ends.back() == view.records.size());
    v1::Publish publish;
    // The generated code also refuses a queue's or topic's name that is not UTF-8 and then given again. Nobody else sees
    // those; what is delivered must be readable in any case.
    const bool parsed = publish.ParseFromArray(data, static_cast<int>(size));
    FUZZ_REQUIRE(!parsed || same(view, publish));

    // As a block on disk, and as a Deliver on the wire.
    std::string block(storage::kBlockHeaderBytes, '\0');
    block += view.records;
    storage::write_block_header(block, {static_cast<std::uint32_t>(view.ends.size()), 0, 1});
    const base::Result<storage::BlockView> stored = storage::read_block(block);
    FUZZ_REQUIRE(stored && stored->ends.size() == view.ends.size());
    for (std::size_t i = 0; i < view.ends.size(); ++i) {
        FUZZ_REQUIRE(stored->ends[i] == view.ends[i] + storage::kBlockHeaderBytes);
    }
    v1::Deliver deliver;
    FUZZ_REQUIRE(deliver.ParseFromArray(view.records.data(), static_cast<int>(view.records.size())));
    FUZZ_REQUIRE(static_cast<std::size_t>(deliver.messages_size()) == view.ends.size());
    for (int i = 0; i < deliver.messages_size(); ++i) {
        const v1::Message& message = deliver.messages(i);
        FUZZ_REQUIRE(!parsed || publish.messages(i).SerializeAsString() == message.SerializeAsString());
        FUZZ_REQUIRE(message.headers_size() <= static_cast<int>(protocol::kMaxHeaders));
        const std::uint32_t priority = message.has_priority() ? message.priority() : protocol::kDefaultPriority;
        const auto at = static_cast<std::size_t>(i);
        const protocol::MessageTraits traits = view.traits.empty() ? protocol::MessageTraits() : view.traits[at];
        FUZZ_REQUIRE(priority == traits.priority);
        FUZZ_REQUIRE(message.delay_ms() == static_cast<std::uint64_t>(traits.delay_ms));
        FUZZ_REQUIRE(message.not_before_ms() == traits.not_before_ms);
        FUZZ_REQUIRE(message.ttl_ms() == static_cast<std::uint64_t>(traits.ttl_ms));
        FUZZ_REQUIRE(message.expires_at_ms() == traits.expires_at_ms);
        FUZZ_REQUIRE(message.deadline_ms() == traits.deadline_ms);
        FUZZ_REQUIRE(message.max_attempts() == traits.max_attempts);
        FUZZ_REQUIRE(base::key_hash(message.key()) == traits.key);
        FUZZ_REQUIRE(storage::message_key(message.SerializeAsString()) == message.key());
        FUZZ_REQUIRE(message.dedup_id().empty() == traits.dedup.empty());
    }
    return 0;
}

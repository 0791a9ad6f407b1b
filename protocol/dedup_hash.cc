#include "protocol/dedup_hash.h"

#include <openssl/evp.h>
#include <xxhash.h>

#include <array>

#include "protocol/base/bytes.h"
#include "protocol/base/check.h"

namespace rockdove::protocol {

base::DedupId dedup_hash(std::string_view id, std::string_view body) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    RD_CHECK(EVP_Digest(id.data(), id.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1 && size == 32);
    base::ByteReader in(std::string_view(reinterpret_cast<const char*>(digest.data()), size));
    base::DedupId out;
    out.high = in.fixed64();
    out.low = in.fixed64() | 1;  // never empty
    out.body = XXH3_64bits(body.data(), body.size());
    return out;
}

}  // namespace rockdove::protocol

#include "storage/rocksdb/file_checksum.h"

#include "protocol/base/check.h"
#include "storage/value.h"

namespace rockdove::storage {
namespace {

class Crc32cGenerator final : public rocksdb::FileChecksumGenerator {
public:
    void Update(const char* data, std::size_t size) override { crc_ = crc32c({data, size}, crc_); }
    void Finalize() override {  // big-endian, as RocksDB's own
        for (int shift = 24; shift >= 0; shift -= 8) checksum_.push_back(static_cast<char>(crc_ >> shift & 0xff));
    }
    std::string GetChecksum() const override {
        RD_CHECK(!checksum_.empty());
        return checksum_;
    }
    const char* Name() const override { return "FileChecksumCrc32c"; }

private:
    std::uint32_t crc_ = 0;
    std::string checksum_;
};

class Crc32cFactory final : public rocksdb::FileChecksumGenFactory {
public:
    std::unique_ptr<rocksdb::FileChecksumGenerator> CreateFileChecksumGenerator(
        const rocksdb::FileChecksumGenContext& context) override {
        // Somebody who checks a file asks for the function by the name that the MANIFEST gives.
        const std::string& asked = context.requested_checksum_func_name;
        if (!asked.empty() && asked != Crc32cGenerator().Name()) return nullptr;
        return std::make_unique<Crc32cGenerator>();
    }
    const char* Name() const override { return "FileChecksumGenCrc32cFactory"; }
};

}  // namespace

std::shared_ptr<rocksdb::FileChecksumGenFactory> file_checksum_factory() { return std::make_shared<Crc32cFactory>(); }

}  // namespace rockdove::storage

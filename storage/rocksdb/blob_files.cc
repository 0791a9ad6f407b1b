#include "storage/rocksdb/blob_files.h"

#include <rocksdb/metadata.h>

#include <array>
#include <cstring>
#include <memory>

#include "storage/rocksdb/files.h"

namespace rockdove::storage {
namespace {

// Both the header and the footer of a blob file begin with this number, little-endian (RocksDB's blob_log_format.h).
constexpr std::uint32_t kMagic = 2395959;
constexpr std::uint64_t kFooterBytes = 32;

rocksdb::Status corruption(const std::string& name, const std::string& what) {
    return rocksdb::Status::Corruption("its blob file " + name + " " + what);
}

bool magic_at(rocksdb::FSRandomAccessFile& file, std::uint64_t offset, rocksdb::IOStatus& status) {
    std::array<char, sizeof kMagic> scratch = {};
    rocksdb::Slice read;
    status = file.Read(offset, scratch.size(), rocksdb::IOOptions(), &read, scratch.data(), nullptr);
    std::uint32_t found = 0;
    if (read.size() == sizeof found) std::memcpy(&found, read.data(), sizeof found);
    return found == kMagic;
}

rocksdb::Status check(rocksdb::FileSystem& file_system, const std::string& path, const rocksdb::BlobMetaData& blob) {
    // As the MANIFEST has it: "000012.blob", with a leading slash or without.
    const std::string name = blob.blob_file_name.substr(blob.blob_file_name.find_first_not_of('/'));
    const std::string full = path + "/" + name;
    std::uint64_t bytes = 0;
    rocksdb::IOStatus status = file_system.GetFileSize(full, rocksdb::IOOptions(), &bytes, nullptr);
    if (is_missing(status)) return corruption(name, "is missing");
    if (!status.ok()) return status;
    if (bytes != blob.blob_file_size) {
        return corruption(
            name, "should have " + std::to_string(blob.blob_file_size) + " bytes and has " + std::to_string(bytes));
    }
    std::unique_ptr<rocksdb::FSRandomAccessFile> file;
    status = file_system.NewRandomAccessFile(full, rocksdb::FileOptions(), &file, nullptr);
    if (!status.ok()) return status;
    const bool good = magic_at(*file, 0, status) && status.ok() && magic_at(*file, bytes - kFooterBytes, status);
    if (!status.ok()) return status;
    return good ? rocksdb::Status::OK() : corruption(name, "is not one: its first or last bytes are wrong");
}

}  // namespace

rocksdb::Status check_blob_files(rocksdb::DB& db, rocksdb::FileSystem& file_system, const std::string& path) {
    rocksdb::ColumnFamilyMetaData family;
    db.GetColumnFamilyMetaData(&family);
    for (const rocksdb::BlobMetaData& blob : family.blob_files) {
        rocksdb::Status status = check(file_system, path, blob);
        if (!status.ok()) return status;
    }
    return rocksdb::Status::OK();
}

}  // namespace rockdove::storage

#include "storage/rocksdb/files.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

namespace rockdove::storage {
namespace {

using rocksdb::FileOptions;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

FileOptions plain_writes() {
    FileOptions options;
    options.use_mmap_writes = false;
    options.allow_fallocate = false;
    return options;
}

IOStatus write_file(rocksdb::FileSystem& file_system, const std::string& name, std::string_view content, bool sync) {
    std::unique_ptr<rocksdb::FSWritableFile> file;
    IOStatus status = file_system.NewWritableFile(name, plain_writes(), &file, nullptr);
    if (status.ok()) status = file->Append({content.data(), content.size()}, IOOptions(), nullptr);
    if (status.ok() && sync) status = file->Sync(IOOptions(), nullptr);
    if (status.ok()) status = file->Close(IOOptions(), nullptr);
    return status;
}

constexpr std::string_view kManifestStart = "MANIFEST-";

template <class Int>
std::optional<Int> number(std::string_view digits) {
    Int value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    return value;
}

bool ends_with(std::string_view text, std::string_view end) { return text.ends_with(end); }

}  // namespace

bool Directory::exists(std::string_view name) const {
    return file_system_->FileExists(file(name), IOOptions(), nullptr).ok();
}

IOStatus Directory::list(std::vector<std::string>& names) const {
    names.clear();
    const IOStatus status = file_system_->GetChildren(path_, IOOptions(), &names, nullptr);
    std::erase_if(names, [](const std::string& name) { return name == "." || name == ".."; });
    std::sort(names.begin(), names.end());
    return status;
}

IOStatus Directory::read(std::string_view name, std::string& content) const {
    constexpr std::size_t kPiece = 64 * 1024;  // these files are small
    content.clear();
    std::unique_ptr<rocksdb::FSSequentialFile> input;
    IOStatus status = file_system_->NewSequentialFile(file(name), FileOptions(), &input, nullptr);
    std::string scratch(kPiece, '\0');
    while (status.ok()) {
        rocksdb::Slice piece;
        status = input->Read(kPiece, IOOptions(), &piece, scratch.data(), nullptr);
        if (!status.ok() || piece.empty()) break;
        content.append(piece.data(), piece.size());
    }
    return status;
}

IOStatus Directory::write(std::string_view name, std::string_view content) const {
    return write_file(*file_system_, file(name), content, false);
}

IOStatus Directory::replace(std::string_view name, std::string_view content) const {
    const std::string target = file(name);
    const std::string temp = target + kTempSuffix;
    IOStatus status = write_file(*file_system_, temp, content, true);
    if (status.ok()) status = file_system_->RenameFile(temp, target, IOOptions(), nullptr);
    if (status.ok()) status = sync();
    return status;
}

IOStatus Directory::append(std::string_view name, std::string_view content) const {
    std::unique_ptr<rocksdb::FSWritableFile> file;
    const bool fresh = !exists(name);
    IOStatus status = fresh ? file_system_->NewWritableFile(this->file(name), plain_writes(), &file, nullptr)
                            : file_system_->ReopenWritableFile(this->file(name), plain_writes(), &file, nullptr);
    if (status.ok()) status = file->Append({content.data(), content.size()}, IOOptions(), nullptr);
    if (status.ok()) status = file->Sync(IOOptions(), nullptr);
    if (status.ok()) status = file->Close(IOOptions(), nullptr);
    if (status.ok() && fresh) status = sync();
    return status;
}

IOStatus Directory::remove(std::string_view name) const {
    return file_system_->DeleteFile(file(name), IOOptions(), nullptr);
}

IOStatus Directory::sync() const {
    std::unique_ptr<rocksdb::FSDirectory> directory;
    IOStatus status = file_system_->NewDirectory(path_, IOOptions(), &directory, nullptr);
    if (status.ok()) status = directory->Fsync(IOOptions(), nullptr);
    return status;
}

std::optional<std::uint64_t> wal_number(std::string_view name) {
    constexpr std::string_view kEnd = ".log";
    if (!ends_with(name, kEnd)) return std::nullopt;
    return number<std::uint64_t>(name.substr(0, name.size() - kEnd.size()));
}

std::optional<std::uint32_t> manifest_number(std::string_view name) {
    if (!name.starts_with(kManifestStart)) return std::nullopt;
    name.remove_prefix(kManifestStart.size());
    if (name.ends_with('\n')) name.remove_suffix(1);
    return number<std::uint32_t>(name);
}

std::string manifest_name(std::uint32_t number) {
    std::array<char, 32> digits;
    std::snprintf(digits.data(), digits.size(), "%06u", number);
    return std::string(kManifestStart) + digits.data();
}

bool is_rocksdb_name(std::string_view name) {
    return wal_number(name) || name == "CURRENT" || name == "IDENTITY" || name == "LOCK" ||
           name.starts_with(kManifestStart) || name.starts_with("OPTIONS-") || ends_with(name, ".sst") ||
           ends_with(name, ".blob") || ends_with(name, ".dbtmp");
}

bool is_missing(const rocksdb::Status& status) { return status.IsNotFound() || status.IsPathNotFound(); }

}  // namespace rockdove::storage

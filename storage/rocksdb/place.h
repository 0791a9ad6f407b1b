// Is this path a data directory, an empty place for one, or something to keep away from? (RELIABILITY R12.)
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "storage/rocksdb/files.h"
#include "storage/rocksdb/open_failure.h"

namespace rockdove::storage {

enum class Place : std::uint8_t {
    kAbsent,      // nothing there; its parent is
    kEmpty,       // a directory without content
    kUnfinished,  // a creation that did not come to its end: nothing was confirmed from here
    kStore,       // has a FORMAT
};

// The operating system's view: kind, owner, mode, access. For paths of the local file system only.
std::optional<OpenFailure> check_local_path(const std::string& path);

// Looks, and changes nothing. Errors: kUnusable for foreign content, kDamaged for a store without FORMAT, kIo.
std::variant<Place, OpenFailure> look_at(const Directory& directory);

}  // namespace rockdove::storage

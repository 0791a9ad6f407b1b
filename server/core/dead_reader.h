// Reads dead letters from a store. Runs on: a thread that may wait for the disk.
#pragma once

#include "server/core/ports.h"
#include "storage/message_store.h"

namespace rockdove::core {

// Error: the store cannot be read any more. A file that is damaged where a letter lies is DeadPage::failure.
Result<DeadPage> read_dead_letters(storage::MessageStore& store, const DeadReadRequest& request);

}  // namespace rockdove::core

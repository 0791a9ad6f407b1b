// Reads blocks and dead letters for the core, so that the shard's thread never waits for the disk. Also runs other small jobs that may
// touch the disk, such as asking for its free space.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include <boost/asio.hpp>

#include "server/core/ports.h"
#include "storage/message_store.h"

namespace rockdove::runtime {

namespace asio = boost::asio;

// Runs on: its own thread; read() and run() from the shard's thread. Results are posted to `shard`.
// Errors:  a store that cannot be read is told to `failed`, on the shard's thread; the read is then never answered.
class ReadThread final : public core::BlockReader {
public:
    // `answered` is called on the shard's thread after each answer: the core may have something to dispatch.
    ReadThread(storage::MessageStore& store, asio::io_context& shard, std::function<void()> answered,
               std::function<void(const Error&)> failed);
    ~ReadThread() override;  // stop()

    void read(const core::ReadRequest& request, core::ReadDone done) override;
    void read_dead(const core::DeadReadRequest& request, core::DeadDone done) override;
    void run(std::function<void()> job);
    // Finishes what has begun, forgets the rest.
    void stop();

private:
    void loop();
    void read_now(const core::ReadRequest& request, core::ReadDone done);

    storage::MessageStore& store_;
    asio::io_context& shard_;
    const std::function<void()> answered_;
    const std::function<void(const Error&)> failed_;

    // Shared between the shard's thread and this one, under mutex_.
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> jobs_;
    bool stopping_ = false;

    std::thread thread_;  // last: it uses all the others
};

}  // namespace rockdove::runtime

#include "server/runtime/read_thread.h"

#include "server/core/dead_reader.h"
#include "storage/keys.h"
#include "storage/record.h"

namespace rockdove::runtime {

ReadThread::ReadThread(storage::MessageStore& store, asio::io_context& shard, std::function<void()> answered,
                       std::function<void(const Error&)> failed)
    : store_(store), shard_(shard), answered_(std::move(answered)), failed_(std::move(failed)), thread_([this] {
          loop();
      }) {}

ReadThread::~ReadThread() { stop(); }

void ReadThread::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        jobs_.clear();
    }
    changed_.notify_one();
    if (thread_.joinable()) thread_.join();
}

void ReadThread::run(std::function<void()> job) {
    {
        const std::lock_guard lock(mutex_);
        jobs_.push_back(std::move(job));
    }
    changed_.notify_one();
}

void ReadThread::read(const core::ReadRequest& request, core::ReadDone done) {
    run([this, request, done = std::move(done)]() mutable { read_now(request, std::move(done)); });
}

void ReadThread::read_dead(const core::DeadReadRequest& request, core::DeadDone done) {
    run([this, request, done = std::move(done)]() mutable {
        Result<core::DeadPage> page = core::read_dead_letters(store_, request);
        if (!page) {
            asio::post(shard_, [failed = failed_, error = page.error()] { failed(error); });
            return;
        }
        asio::post(shard_, [done = std::move(done), page = *std::move(page), answered = answered_]() mutable {
            done(std::move(page));
            answered();
        });
    });
}

void ReadThread::loop() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
        if (stopping_) return;
        const std::function<void()> job = std::move(jobs_.front());
        jobs_.pop_front();
        lock.unlock();
        job();
        lock.lock();
    }
}

void ReadThread::read_now(const core::ReadRequest& request, core::ReadDone done) {
    std::vector<core::ReadBlock> blocks;
    std::size_t bytes = 0;
    const std::string begin = storage::block_key(request.ns, request.queue, request.first, request.lane);
    const std::string end =
        storage::block_key(request.ns, request.queue, Sequence(request.last.value + 1), request.lane);
    Result<void> scanned = store_.scan(begin, end, [&](const storage::RecordView& record) {
        const Result<storage::KeyView> key = storage::parse_key(record.key);
        core::ReadBlock block;
        block.first = key ? key->sequence : Sequence(0);
        if (!record.damaged) {
            Result<storage::BlockView> view = storage::read_block(record.payload);
            if (view) {
                block.payload = std::make_shared<core::Payload>();
                block.payload->bytes = record.payload;
                block.payload->ends = std::move(view->ends);
                block.payload->keys = std::move(view->keys);
            }
        }
        bytes += record.payload.size();
        blocks.push_back(std::move(block));
        return bytes < request.max_bytes;
    });
    if (!scanned && scanned.error().code == ErrorCode::kConflict) {
        // The file is damaged where the next block lies. What was read before it is good; the block itself is known to
        // be damaged once it is the first one asked for.
        if (blocks.empty()) {
            core::ReadBlock damaged;
            damaged.first = request.first;
            blocks.push_back(damaged);
        }
    } else if (!scanned) {
        asio::post(shard_, [failed = failed_, error = scanned.error()] { failed(error); });
        return;
    }
    asio::post(shard_, [done = std::move(done), blocks = std::move(blocks), answered = answered_]() mutable {
        done(std::move(blocks));
        answered();
    });
}

}  // namespace rockdove::runtime

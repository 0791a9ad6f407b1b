// Quick start 2: a worker with retry. Ends when nothing has come for two seconds.
//
//     worker [URL] [QUEUE]
#include <rockdove/client.h>

#include <atomic>
#include <condition_variable>
#include <iostream>
#include <mutex>

int main(int argc, char** argv) try {
    using namespace rockdove;
    using namespace std::chrono_literals;
    Client dove{argc > 1 ? ClientOptions{argv[1]} : ClientOptions{}};
    const std::string queue = argc > 2 ? argv[2] : "emails";
    std::atomic<int> sent{0};
    std::mutex mutex;
    std::condition_variable came;

    Worker mailer = dove.receive(
        queue,
        [&](Job& job) -> Outcome {
            came.notify_one();
            if (job.attempt() == 1 && job.sequence() % 100 == 0) return Outcome::retry("mail server is busy", 10ms);
            if (job.body().empty()) throw Reject{"empty body"};  // dead letter now
            ++sent;                                              // any other exception: retry with the queue's backoff
            return {};                                           // ack
        },
        WorkerOptions{}.concurrency(8).lease(30s).longest(10min));  // the lease is renewed while the handler runs

    std::unique_lock lock(mutex);
    while (came.wait_for(lock, 2s) == std::cv_status::no_timeout) {
    }
    mailer.stop();
    std::cout << sent << " sent\n";
    return 0;
} catch (const rockdove::Error& error) {
    std::cerr << error.what() << "\n";
    return 1;
}

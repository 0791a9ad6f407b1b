// Image jobs: three retries, a minute apart, for errors that pass; errors that do not are dead letters at once.
//
//     image_jobs [URL] [MILLISECONDS BETWEEN TRIES]
//
// With the command line:
//     rockdove queue create images --max-attempts 4 --backoff-first 60s --backoff-factor 1 --backoff-jitter 0
//     rockdove send images cat.png
//     rockdove receive images --follow --exec './resize.sh'     # exit 0: done; 65: never works; else: try again
#include <rockdove/client.h>

#include <iostream>
#include <latch>
#include <stdexcept>

namespace {

struct NotAnImage : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// What your own code does: throws NotAnImage for what no retry will mend, anything else for what may pass.
void resize(const std::string& image, int attempt) {
    if (image == "notes.txt") throw NotAnImage("notes.txt has no image header");
    if (image == "slow.png" && attempt < 3) throw std::runtime_error("image store is busy");
}

}  // namespace

int main(int argc, char** argv) try {
    using namespace rockdove;
    Client dove{argc > 1 ? ClientOptions{argv[1]} : ClientOptions{}};
    const Millis between{argc > 2 ? std::stoi(argv[2]) : 60'000};
    dove.create_queue("images", QueueOptions().max_attempts(4).backoff(between, 1.0, between, 0.0).if_not_exists());
    for (const char* image : {"cat.png", "slow.png", "notes.txt"}) dove.send("images", image);

    std::latch left{3};
    Worker worker = dove.receive("images", [&](Job& job) -> Outcome {
        const std::string image{job.body()};
        try {
            resize(image, job.attempt());
        } catch (const NotAnImage& error) {
            std::cout << image << ": given up: " << error.what() << std::endl;
            left.count_down();
            return Outcome::reject(error.what());
        } catch (const std::exception& error) {
            std::cout << image << ": attempt " << job.attempt() << " failed: " << error.what() << std::endl;
            return Outcome::retry(error.what());  // the queue's backoff; after the fourth failure a dead letter
        }
        std::cout << image << ": resized" << std::endl;
        left.count_down();
        return Outcome::ack();
    });
    left.wait();
    worker.stop();
    return 0;
} catch (const rockdove::Error& error) {
    std::cerr << error.what() << "\n";
    return 1;
}

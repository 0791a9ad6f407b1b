// A poison message: one that every attempt fails on. It does not stop its queue: it ends among the dead letters, with the
// reason, and is sent round again when the code that it broke has been mended.
//
//     poison_message [URL]
//
// With the command line:
//     rockdove queue create invoices --max-attempts 3 --backoff-first 10ms
//     rockdove send invoices '12,50'
//     rockdove receive invoices --follow --exec './book.sh'
//     rockdove dlq show invoices          # what died, of what
//     rockdove dlq redrive invoices       # after the fix
#include <rockdove/client.h>

#include <atomic>
#include <iostream>
#include <latch>
#include <stdexcept>

namespace {

// What your own code does; the first version knows no decimal comma.
std::string book(std::string amount, bool mended) {
    if (const std::size_t comma = amount.find(','); comma != std::string::npos) {
        if (!mended) throw std::runtime_error("amount \"" + amount + "\" is not a number");
        amount[comma] = '.';
    }
    return amount;
}

}  // namespace

int main(int argc, char** argv) try {
    using namespace rockdove;
    Client dove{argc > 1 ? ClientOptions{argv[1]} : ClientOptions{}};
    const Millis soon{10};
    dove.create_queue("invoices", QueueOptions().max_attempts(3).backoff(soon, 1.0, soon, 0.0).if_not_exists());
    for (const char* amount : {"12.50", "12,50", "99.00"}) dove.send("invoices", amount);

    std::atomic<bool> mended = false;
    std::latch first{3};   // two booked, one given up
    std::latch second{1};  // the last one
    Worker worker = dove.receive("invoices", [&](Job& job) -> Outcome {
        std::latch& left = mended ? second : first;
        try {
            std::cout << "booked " << book(std::string{job.body()}, mended) << std::endl;
            left.count_down();
            return Outcome::ack();
        } catch (const std::exception& error) {
            std::cout << "attempt " << job.attempt() << ": " << error.what() << std::endl;
            if (job.attempt() == 3) left.count_down();
            return Outcome::retry(error.what());  // after the third failure a dead letter
        }
    });
    first.wait();

    std::cout << "the code is mended" << std::endl;
    mended = true;
    while (dove.redrive("invoices") == 0) {  // the last failure may be on its way to the broker still
    }
    second.wait();
    worker.stop();
    return 0;
} catch (const rockdove::Error& error) {
    std::cerr << error.what() << "\n";
    return 1;
}

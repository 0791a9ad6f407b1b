// Idempotent payments: however often a payment is asked for, by a customer who clicks twice or a program that starts anew, it
// is done once. The dedup id names the payment; the queue remembers it for a day.
//
//     payments [URL]
//
// With the command line:
//     rockdove queue create payments --dedup-window 1d
//     rockdove send payments '{"invoice":4711,"cents":1200}' --dedup-id invoice-4711
//     rockdove receive payments --follow --exec './pay.sh'
#include <rockdove/client.h>

#include <iostream>
#include <latch>

namespace {

void ask_for_payment(rockdove::Client& dove, const std::string& invoice, const std::string& payment) {
    try {
        const rockdove::Receipt receipt =
            dove.send("payments", rockdove::Message{payment}.dedup_id("invoice-" + invoice));
        std::cout << "invoice " << invoice << ": " << (receipt.duplicate ? "asked for before" : "accepted") << "\n";
    } catch (const rockdove::Error& error) {
        if (error.code() != rockdove::ErrorCode::kDedupConflict) throw;
        std::cout << "invoice " << invoice << ": another payment was asked for before\n";
    }
}

}  // namespace

int main(int argc, char** argv) try {
    using namespace rockdove;
    Client dove{argc > 1 ? ClientOptions{argv[1]} : ClientOptions{}};
    dove.create_queue("payments", QueueOptions().dedup_window(std::chrono::hours{24}).if_not_exists());
    ask_for_payment(dove, "4711", R"({"cents":1200})");
    ask_for_payment(dove, "4711", R"({"cents":1200})");   // a second click
    ask_for_payment(dove, "4711", R"({"cents":99900})");  // a mistake: never done, never dropped silently
    ask_for_payment(dove, "4712", R"({"cents":500})");

    std::latch left{2};
    Worker worker = dove.receive("payments", [&](Job& job) -> Outcome {
        // A job may come twice if this program dies in the middle; its id stays, so pass it on to whoever moves the money.
        std::cout << "paid " << job.body() << std::endl;
        left.count_down();
        return Outcome::ack();
    });
    left.wait();
    worker.stop();
    ask_for_payment(dove, "4711", R"({"cents":1200})");  // paid already
    return 0;
} catch (const rockdove::Error& error) {
    std::cerr << error.what() << "\n";
    return 1;
}

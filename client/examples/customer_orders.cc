// Orders by customer: what belongs to one customer is worked on in order, one after the other; customers do not wait for
// each other. A key does it, however many workers there are.
//
//     customer_orders [URL]
//
// With the command line:
//     rockdove queue create orders
//     rockdove send orders created --key customer-9
//     rockdove receive orders --follow --concurrency 8 --exec './apply.sh'     # sees ROCKDOVE_KEY
#include <rockdove/client.h>

#include <iostream>
#include <latch>
#include <map>
#include <mutex>

int main(int argc, char** argv) try {
    using namespace rockdove;
    Client dove{argc > 1 ? ClientOptions{argv[1]} : ClientOptions{}};
    dove.create_queue("orders", QueueOptions().if_not_exists());
    const std::vector<std::string> customers{"customer-7", "customer-8", "customer-9"};
    const std::vector<std::string> steps{"created", "paid", "packed", "shipped"};
    for (const std::string& step : steps) {
        for (const std::string& customer : customers) dove.send("orders", Message{step}.key(customer));
    }

    std::mutex mutex;
    std::map<std::string, std::string> done;
    std::map<std::string, int> at_work;
    std::latch left{static_cast<std::ptrdiff_t>(customers.size() * steps.size())};
    Worker worker = dove.receive(
        "orders",
        [&](Job& job) -> Outcome {
            const std::string customer{job.key()};
            {
                const std::lock_guard lock(mutex);
                if (++at_work[customer] > 1) std::cout << "two at once for " << customer << "\n";
            }
            // The work on this step of the order goes here.
            const std::lock_guard lock(mutex);
            --at_work[customer];
            done[customer] += " " + std::string{job.body()};
            left.count_down();
            return {};
        },
        WorkerOptions{}.concurrency(8));
    left.wait();
    worker.stop();
    for (const auto& [customer, what] : done) std::cout << customer << ":" << what << "\n";
    return 0;
} catch (const rockdove::Error& error) {
    std::cerr << error.what() << "\n";
    return 1;
}

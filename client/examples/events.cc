// Events: one topic, three services. Billing wants the created orders, audit wants everything from the first day on, a
// dashboard only wants what is new. Each is a program of its own that may be killed and started again at any time: billing
// and audit go on where they were.
//
//     events billing|audit|dashboard [URL]      prints what it gets, until it is stopped
//     events order SUBJECT BODY [URL]           publishes
//
// With the command line:
//     rockdove topic create order-events --retain-age 7d
//     rockdove subscribe order-events --durable billing --subject 'order.*.created' --follow --exec ./charge.sh
//     rockdove publish order-events '{"id":7}' --subject order.eu.created
//     rockdove subscription lag order-events
//     rockdove subscription replay order-events/billing --from 1h      # one hour once more, for billing
#include <rockdove/client.h>

#include <iostream>

namespace {

constexpr char kTopic[] = "order-events";

int usage() {
    std::cerr << "events billing|audit|dashboard [URL], or events order SUBJECT BODY [URL]\n";
    return 2;
}

}  // namespace

int main(int argc, char** argv) try {
    using namespace rockdove;
    const std::string role = argc > 1 ? argv[1] : "";
    const int url = role == "order" ? 4 : 2;
    if (argc < url) return usage();
    Client dove{argc > url ? ClientOptions{argv[url]} : ClientOptions{}};
    dove.create_topic(kTopic, TopicOptions().retain_age(std::chrono::hours{24 * 7}).if_not_exists());
    if (role == "order") {
        const Receipt receipt = dove.publish(kTopic, Message{argv[3]}.subject(argv[2]));
        std::cout << receipt.id << " to " << receipt.routed << " subscriptions\n";
        return 0;
    }

    SubscriptionOptions options;
    if (role == "billing") {
        options.durable("billing").subject("order.*.created");
    } else if (role == "audit") {
        options.durable("audit").from_start();
    } else if (role != "dashboard") {
        return usage();
    }
    Worker service = dove.subscribe(
        kTopic,
        [](Job& job) -> Outcome {
            if (job.missed() != 0) std::cout << "missed " << job.missed() << "\n";
            std::cout << job.subject() << " " << job.body() << std::endl;
            return {};
        },
        options);
    service.wait();
    return 0;
} catch (const rockdove::Error& error) {
    std::cerr << error.what() << "\n";
    return 1;
}

// Quick start 1: send a job, then a thousand, pipelined.
//
//     send_job [URL] [QUEUE]
#include <rockdove/client.h>

#include <iostream>

int main(int argc, char** argv) try {
    using namespace rockdove;
    Client dove{argc > 1 ? ClientOptions{argv[1]} : ClientOptions{}};
    const std::string queue = argc > 2 ? argv[2] : "emails";
    dove.create_queue(queue, QueueOptions{}.if_not_exists());

    const Receipt receipt = dove.send(queue, Message{R"({"to":"a@b.c"})"}.header("template", "welcome"));
    std::cout << receipt.id << (receipt.duplicate ? " (already there)\n" : " stored\n");

    std::vector<std::future<Receipt>> confirms;
    for (int i = 0; i < 1000; ++i) confirms.push_back(dove.send_async(queue, "n=" + std::to_string(i)));
    for (auto& confirm : confirms) confirm.get();  // throws Error if one was refused
    std::cout << confirms.size() << " more stored\n";
    return 0;
} catch (const rockdove::Error& error) {
    std::cerr << error.what() << (error.code() == rockdove::Advice::kTryAgain ? " (try again later)\n" : "\n");
    return 1;
}

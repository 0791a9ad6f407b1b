// Quick start 7: the same in coroutines. Sends one job and receives it back.
//
//     coroutines [URL] [QUEUE]
#include <rockdove/asio.h>

#include <boost/asio.hpp>
#include <iostream>

namespace asio = boost::asio;
using namespace rockdove;

// `dove` outlives it.
asio::awaitable<void> run(Client& dove, std::string queue) {
    const Receipt receipt = co_await aio::send(dove, queue, Message{"hi"}.content_type("text/plain"));
    std::cout << receipt.id << " stored\n";
    Receiver inbox = dove.open_receiver(queue);
    for (;;) {
        Job job = co_await aio::next(inbox);
        std::cout << "received: " << job.body() << "\n";
        const bool mine = job.id() == receipt.id;
        std::move(job).ack();
        if (mine) co_return;
    }
}

int main(int argc, char** argv) try {
    Client dove{argc > 1 ? ClientOptions{argv[1]} : ClientOptions{}};
    const std::string queue = argc > 2 ? argv[2] : "greetings";
    dove.create_queue(queue, QueueOptions{}.if_not_exists());
    asio::io_context io;
    std::exception_ptr failure;
    asio::co_spawn(io, run(dove, queue), [&](std::exception_ptr error) { failure = error; });
    io.run();
    if (failure) std::rethrow_exception(failure);
    return 0;
} catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
}

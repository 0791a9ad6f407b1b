// Where coroutines start: each has a name, and an end that somebody waits for. A task that throws is logged and ends
// alone.
#pragma once

#include <boost/asio.hpp>
#include <functional>
#include <string>

namespace rockdove::runtime {

namespace asio = boost::asio;

// Runs on: one io_context thread.
class TaskGroup {
public:
    // `log`: gets name and text of what a task threw.
    explicit TaskGroup(std::function<void(const std::string& name, const std::string& what)> log)
        : log_(std::move(log)) {}

    template <class Executor>
    void spawn(std::string name, const Executor& executor, asio::awaitable<void> task) {
        ++running_;
        asio::co_spawn(executor, std::move(task), [this, name = std::move(name)](const std::exception_ptr& error) {
            --running_;
            if (!error) return;
            try {
                std::rethrow_exception(error);
            } catch (const std::exception& e) {
                log_(name, e.what());
            }
        });
    }
    [[nodiscard]] std::size_t running() const { return running_; }

private:
    std::function<void(const std::string&, const std::string&)> log_;
    std::size_t running_ = 0;
};

}  // namespace rockdove::runtime

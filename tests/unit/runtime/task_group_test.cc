#include "server/runtime/task_group.h"

#include <catch2/catch.hpp>
#include <stdexcept>
#include <vector>

namespace rockdove::runtime {
namespace {

asio::awaitable<void> throws() {
    throw std::runtime_error("broken");
    co_return;
}

asio::awaitable<void> waits(asio::steady_timer& timer) { co_await timer.async_wait(asio::use_awaitable); }

TEST_CASE("a task that throws is logged and ends alone", "[runtime][task_group]") {
    asio::io_context context;
    std::vector<std::string> log;
    TaskGroup tasks([&](const std::string& name, const std::string& what) { log.push_back(name + ": " + what); });
    asio::steady_timer timer(context);
    timer.expires_at(asio::steady_timer::time_point::max());
    tasks.spawn("wait_loop", context.get_executor(), waits(timer));
    tasks.spawn("bad_loop", context.get_executor(), throws());
    CHECK(tasks.running() == 2);
    context.poll();
    CHECK(log == std::vector<std::string>{"bad_loop: broken"});
    CHECK(tasks.running() == 1);
    timer.cancel();
    context.poll();
    CHECK(tasks.running() == 0);
    CHECK(log.size() == 2);  // a cancelled wait is an exception, too
}

}  // namespace
}  // namespace rockdove::runtime

// The client's verbs with completion tokens, for programs that live in Boost.Asio (1.81 or newer).
//
//     rockdove::Receipt receipt = co_await rockdove::aio::send(dove, "emails", "hello");
//
// Starting an operation never blocks. Handlers run through their associated executor, never on the client's I/O thread.
// The context of that executor has to outlive the Client, whose thread posts to it.
// Client, Receiver and Worker are borrowed: they must outlive the operation, as with Asio's own objects.
// Errors come as codes of rockdove::error_category(): `std::error_code(ec) == rockdove::ErrorCode::kNotFound`.
// g++ 12: name message and options before co_await unless they are built by fluent setters (no aggregates, no lambdas).
#pragma once

#include <rockdove/client.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/system_executor.hpp>
#include <boost/system/error_code.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace rockdove::aio {

namespace asio = boost::asio;

namespace detail {

// The compiled part: standard types only, so that it does not depend on the Boost it meets. Callbacks are called once, on
// the client's I/O thread or before the function returns.
ROCKDOVE_API void start_send(Client& client, std::string_view queue, Message message,
                             std::function<void(std::error_code, Receipt)> done);
ROCKDOVE_API void start_publish(Client& client, std::string_view topic, Message message,
                                std::function<void(std::error_code, Receipt)> done);
// Returns what cancels it. Without an error the job is a real one, with an error an empty one.
ROCKDOVE_API std::function<void()> start_next(Receiver& receiver, std::function<void(std::error_code, Job)> done);
ROCKDOVE_API void start_wait(Worker& worker, std::function<void(std::error_code)> done);

// A handler that waits for its answer; keeps its executor at work meanwhile.
template <class Handler>
class Waiting {
public:
    explicit Waiting(Handler handler)
        : handler_(std::move(handler)), work_(asio::make_work_guard(asio::get_associated_executor(handler_))) {}

    Handler& handler() { return handler_; }
    // Hands the answer to the handler's executor.
    template <class... Values>
    static void finish(std::shared_ptr<Waiting> self, std::error_code error, Values&&... values) {
        auto executor = asio::get_associated_executor(self->handler_);
        asio::post(executor, [self = std::move(self), error, ... values = std::forward<Values>(values)]() mutable {
            auto slot = asio::get_associated_cancellation_slot(self->handler_);
            if (slot.is_connected()) slot.clear();
            Handler handler = std::move(self->handler_);
            self.reset();
            std::move(handler)(boost::system::error_code(error), std::move(values)...);
        });
    }

private:
    Handler handler_;
    asio::executor_work_guard<asio::associated_executor_t<Handler>> work_;
};

}  // namespace detail

// void(boost::system::error_code, Receipt). As Client::send, but at the pending limit it fails with kFull instead of
// blocking. Cannot be cancelled: what is sent is sent.
template <class Token = asio::deferred_t>
auto send(Client& client, std::string_view queue, Message message, Token&& token = {}) {
    return asio::async_initiate<Token, void(boost::system::error_code, Receipt)>(
        [](auto handler, Client* to, std::string name, Message body) {
            using Waiting = detail::Waiting<decltype(handler)>;
            auto waiting = std::make_shared<Waiting>(std::move(handler));
            detail::start_send(*to, name, std::move(body), [waiting](std::error_code error, Receipt receipt) mutable {
                Waiting::finish(std::move(waiting), error, std::move(receipt));
            });
        },
        token, &client, std::string(queue), std::move(message));
}

// void(boost::system::error_code, Receipt). As Client::publish; else as send().
template <class Token = asio::deferred_t>
auto publish(Client& client, std::string_view topic, Message message, Token&& token = {}) {
    return asio::async_initiate<Token, void(boost::system::error_code, Receipt)>(
        [](auto handler, Client* to, std::string name, Message body) {
            using Waiting = detail::Waiting<decltype(handler)>;
            auto waiting = std::make_shared<Waiting>(std::move(handler));
            detail::start_publish(*to, name, std::move(body),
                                  [waiting](std::error_code error, Receipt receipt) mutable {
                                      Waiting::finish(std::move(waiting), error, std::move(receipt));
                                  });
        },
        token, &client, std::string(topic), std::move(message));
}

// void(boost::system::error_code, Job). The next job of the receiver; several may wait at a time. Can be cancelled:
// kCancelled, and no job is lost.
template <class Token = asio::deferred_t>
auto next(Receiver& receiver, Token&& token = {}) {
    return asio::async_initiate<Token, void(boost::system::error_code, Job)>(
        [](auto handler, Receiver* from) {
            using Waiting = detail::Waiting<decltype(handler)>;
            auto slot = asio::get_associated_cancellation_slot(handler);
            auto waiting = std::make_shared<Waiting>(std::move(handler));
            auto cancel = detail::start_next(*from, [waiting](std::error_code error, Job job) mutable {
                Waiting::finish(std::move(waiting), error, std::move(job));
            });
            if (slot.is_connected()) {
                slot.assign([cancel = std::move(cancel)](asio::cancellation_type type) {
                    if (type != asio::cancellation_type::none) cancel();
                });
            }
        },
        token, &receiver);
}

// void(boost::system::error_code). Completes when the worker has ended, as Worker::wait().
template <class Token = asio::deferred_t>
auto wait(Worker& worker, Token&& token = {}) {
    return asio::async_initiate<Token, void(boost::system::error_code)>(
        [](auto handler, Worker* of) {
            using Waiting = detail::Waiting<decltype(handler)>;
            auto waiting = std::make_shared<Waiting>(std::move(handler));
            detail::start_wait(
                *of, [waiting](std::error_code error) mutable { Waiting::finish(std::move(waiting), error); });
        },
        token, &worker);
}

}  // namespace rockdove::aio

// The compiled part of rockdove/asio.h. That header is not included here: it needs nothing from us but these functions,
// and declares them over standard types.
#include "client/src/core.h"

namespace rockdove::aio::detail {

namespace {

std::error_code to_code(const std::optional<base::Error>& error) {
    return error ? to_public(*error).code() : std::error_code();
}

const std::shared_ptr<rockdove::detail::Core>& core_of(Client& client) {
    const auto& core = rockdove::detail::Access::core(client);
    if (!core) rockdove::detail::fail(ErrorCode::kClosed, "this client was moved from");
    return core;
}

}  // namespace

ROCKDOVE_API void start_send(Client& client, std::string_view queue, Message message,
                             std::function<void(std::error_code, Receipt)> done);
ROCKDOVE_API void start_publish(Client& client, std::string_view topic, Message message,
                                std::function<void(std::error_code, Receipt)> done);
ROCKDOVE_API std::function<void()> start_next(Receiver& receiver, std::function<void(std::error_code, Job)> done);
ROCKDOVE_API void start_wait(Worker& worker, std::function<void(std::error_code)> done);

void start_send(Client& client, std::string_view queue, Message message,
                std::function<void(std::error_code, Receipt)> done) {
    core_of(client)->send({.name = queue}, message, rockdove::detail::ReceiptCallback(std::move(done)),
                          rockdove::detail::AtLimit::kFail);
}

void start_publish(Client& client, std::string_view topic, Message message,
                   std::function<void(std::error_code, Receipt)> done) {
    core_of(client)->send({.name = topic, .topic = true}, message, rockdove::detail::ReceiptCallback(std::move(done)),
                          rockdove::detail::AtLimit::kFail);
}

std::function<void()> start_next(Receiver& receiver, std::function<void(std::error_code, Job)> done) {
    using rockdove::detail::Access;
    const std::shared_ptr<rockdove::detail::Consumer> consumer = Access::consumer(receiver);
    auto key = std::make_shared<char>();
    consumer->next_async(
        key.get(), [consumer, done = std::move(done)](std::shared_ptr<rockdove::detail::Delivery> delivery,
                                                      const std::optional<base::Error>& error) {
            done(to_code(error), delivery ? Access::job(consumer, std::move(delivery)) : Access::job(nullptr, nullptr));
        });
    return [consumer, key] { consumer->cancel_next(key.get()); };
}

void start_wait(Worker& worker, std::function<void(std::error_code)> done) {
    rockdove::detail::Access::consumer(worker)->on_end(
        [done = std::move(done)](const std::optional<base::Error>& error) { done(to_code(error)); });
}

}  // namespace rockdove::aio::detail

// The library's way into the private parts of its public classes, and small helpers for errors.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "client/include/rockdove/client.h"
#include "client/src/call.h"

namespace rockdove::detail {

struct Access {
    static const Settings& settings(const ClientOptions& options) { return *options.settings_; }
    static const std::shared_ptr<Core>& core(const Client& client) { return client.core_; }
    static const std::shared_ptr<Consumer>& consumer(const Worker& worker) { return worker.consumer_; }
    static const std::shared_ptr<Consumer>& consumer(const Receiver& receiver) { return receiver.consumer_; }
    static const std::shared_ptr<Delivery>& delivery(const Job& job) { return job.delivery_; }

    static Worker worker(std::shared_ptr<Consumer> consumer) { return Worker(std::move(consumer)); }
    static Receiver receiver(std::shared_ptr<Consumer> consumer) { return Receiver(std::move(consumer)); }
    static Job job(std::shared_ptr<Consumer> consumer, std::shared_ptr<Delivery> delivery) {
        return Job(std::move(consumer), std::move(delivery));
    }

    static int kind(const Outcome& outcome) { return outcome.kind_; }
    static std::string& reason(Outcome& outcome) { return outcome.reason_; }
    static std::optional<Millis> after(const Outcome& outcome) { return outcome.after_; }

    static void fill(const QueueOptions& options, v1::QueueSettings& settings);
    static void fill(const QueueOptions& options, v1::QueueCreate& create);
    static void fill(const TopicOptions& options, std::string_view name, v1::TopicCreate& create);
    static void fill(const RedriveOptions& options, std::string_view queue, v1::Redrive& redrive);

    struct WorkerSettings {
        std::size_t concurrency;
        std::uint32_t prefetch;
        std::uint64_t prefetch_bytes;
        Millis lease, longest, stop_within;
        std::string name;
        std::string filter;
        bool explicit_start = false;
        bool ack_on_delivery = false;
    };
    // Throws kInvalid.
    static WorkerSettings settings(const WorkerOptions& options);
    static WorkerSettings worker_settings(const SubscriptionOptions& options);
    // Without a name, if it is ephemeral. Throws kInvalid.
    static v1::SubscriptionCreate subscription(const SubscriptionOptions& options, std::string topic);

    // Appends `message` as a field 15: tag, length, encoded Message. Body first.
    static void encode(const Message& message, std::string& out);
    static std::size_t encoded_size(const Message& message);  // of the Message alone
    static bool has_properties(const Message& message) { return message.properties_ != nullptr; }
    static bool mandatory(const Message& message);
};

// `request_id` as Error::request_id().
Error to_public(const base::Error& error, std::string request_id = {});

[[noreturn]] inline void fail(ErrorCode code, std::string detail) {
    throw Error(make_error_code(code), std::move(detail));
}

}  // namespace rockdove::detail

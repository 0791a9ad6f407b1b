// What the command line and the benchmarks need beyond the public API. Inside the tree only.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "client/include/rockdove/client.h"
#include "protocol/base/result.h"
#include "rockdove/v1/frame.pb.h"

namespace rockdove {

// Sends one request (any frame that is answered, except Hello) and blocks until its answer; the request id is set here.
// An answer of kind Error comes back as the error, as does the time limit: kUnavailable (not sent) or kOutcomeUnknown.
// Any thread but the client's I/O thread (kWouldDeadlock).
//
//     v1::Frame request;
//     request.mutable_queue_show()->set_name("emails");
//     base::Result<v1::Frame> answer = call(client, std::move(request), 30s);
//     if (answer) print(answer->queue_info());
base::Result<v1::Frame> call(Client& client, v1::Frame request, std::chrono::milliseconds timeout);

// What the broker told about itself and this connection; empty while not connected.
std::optional<v1::Welcome> welcome(const Client& client);
// Where it is connected, "host:port"; empty while not connected.
std::string endpoint(const Client& client);

// Between the exception of the public API and the error value of the rest of the tree.
base::Error to_base(const Error& error);
Error to_public(const base::Error& error);

// What a Confirm said about one message.
struct Confirmed {
    std::uint64_t sequence = 0;
    bool duplicate = false;
};
// Exactly one of the pointers is not null. Runs on the client's I/O thread: short, no blocking calls, no exceptions.
using SendCallback = std::function<void(const base::Error* error, const Confirmed* confirmed)>;
// send_async without a future. May block at the pending limit, as send_async does.
void send_with_callback(Client& client, std::string_view queue, Message message, SendCallback callback);

// Prints every frame sent and received to stderr, one line each (`rockdove -v`). Process-wide; off by default.
void trace_frames(bool on);

}  // namespace rockdove

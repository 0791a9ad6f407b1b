// What the command line and the benchmarks need beyond the public API. Inside the tree only.
#pragma once

#include <chrono>
#include <cstdint>
#include <future>
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
// The same, pipelined.
std::future<base::Result<v1::Frame>> call_async(Client& client, v1::Frame request, std::chrono::milliseconds timeout);

// What the broker told about itself and this connection; empty while not connected.
std::optional<v1::Welcome> welcome(const Client& client);
// Where it is connected, "host:port"; empty while not connected.
std::string endpoint(const Client& client);

// Between the exception of the public API and the error value of the rest of the tree.
base::Error to_base(const Error& error);
Error to_public(const base::Error& error);

// Prints every frame sent and received to stderr, one line each (`rockdove -v`). Process-wide; off by default.
void trace_frames(bool on);

}  // namespace rockdove

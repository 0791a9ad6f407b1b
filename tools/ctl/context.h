// What every command gets: the global flags, the ways to stdout and stderr, and the broker.
//
// Data goes to stdout, talk to stderr. A command returns the program's exit code; the client library's exceptions may
// pass through it and become a Failure in main.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "client/include/rockdove/client.h"
#include "protocol/base/result.h"
#include "rockdove/v1/frame.pb.h"
#include "tools/ctl/text/errors.h"
#include "tools/ctl/text/view.h"

namespace rockdove::ctl {

struct Globals {
    std::string url;  // empty: ROCKDOVE_URL, else localhost
    std::string output = "auto";
    std::string color = "auto";
    std::string timeout;  // empty: each command's own
    bool verbose = false;
};

// Flags of commands that print lists.
struct ListFlags {
    std::vector<std::string> columns;
    std::string sort;
    std::size_t limit = 0;
    bool no_headers = false;
};

class Context {
public:
    Context();
    ~Context();
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;

    Globals globals;
    std::function<int()> command;  // set by the subcommand that was named

    // --- output
    [[nodiscard]] OutputFormat format() const;
    [[nodiscard]] bool stdout_is_terminal() const { return stdout_terminal_; }
    // Somebody is there to answer a question.
    [[nodiscard]] bool can_ask() const;
    // Neither table nor tab-separated text was asked for.
    [[nodiscard]] bool structured() const;
    int print_list(const std::string& plural, std::vector<Json> rows, const std::vector<Column>& columns,
                   const std::string& name_key, const ListFlags& flags);
    int print_record(const Json& record, const std::vector<Column>& fields, const std::string& name_key);
    int print_text(std::string_view text);
    // One line on stderr.
    void say(std::string_view text) const;
    int fail(const Failure& failure) const;
    int fail(const base::Error& error) const;

    // --- broker
    [[nodiscard]] Millis timeout_or(Millis otherwise) const;
    // Connects at the first call. Throws rockdove::Error. `operation` bounds sends and settles of this connection.
    Client& client(Millis operation = Millis{30'000});
    // One administrative request.
    base::Result<v1::Frame> ask(v1::Frame request);
    // The broker's clock, as far as this side knows it.
    std::int64_t broker_now_ms();
    // Names of all queues that begin with `prefix`; empty where the broker does not answer.
    std::vector<std::string> queue_names(const std::string& prefix = "", std::size_t most = 1000);
    std::vector<std::string> topic_names(const std::string& prefix = "", std::size_t most = 1000);
    std::vector<std::string> subscription_names(const std::string& prefix = "", std::size_t most = 1000);  // TOPIC/NAME
    // Adds "did you mean" to a NOT_FOUND about this queue.
    Failure about_queue(const base::Error& error, const std::string& queue);

private:
    [[nodiscard]] View view(const ListFlags& flags) const;
    int print(const Rendered& rendered);

    bool stdout_terminal_;
    bool color_ = false;
    std::unique_ptr<Client> client_;
    std::int64_t clock_offset_ms_ = 0;
};

// Writes everything; false if the reader is gone or the disk is full (errno says which).
bool write_all(int fd, std::string_view bytes);

Failure to_failure(const Error& error);
Failure to_failure(const base::Error& error);

}  // namespace rockdove::ctl

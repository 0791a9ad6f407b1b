#include "tools/ctl/context.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "client/src/call.h"
#include "tools/ctl/text/suggest.h"
#include "tools/ctl/text/units.h"

namespace rockdove::ctl {
namespace {

bool wants_color(const std::string& flag, bool terminal) {
    if (flag != "auto") return flag == "always";
    const auto set = [](const char* name) {
        const char* value = std::getenv(name);
        return value != nullptr && *value != '\0';
    };
    if (set("NO_COLOR")) return false;
    if (set("CLICOLOR_FORCE") && std::strcmp(std::getenv("CLICOLOR_FORCE"), "0") != 0) return true;
    const char* term = std::getenv("TERM");
    return terminal && term != nullptr && std::strcmp(term, "dumb") != 0;
}

std::int64_t local_now_ms() { return std::chrono::duration_cast<Millis>(Clock::now().time_since_epoch()).count(); }

}  // namespace

bool write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(fd, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}

Failure to_failure(const base::Error& error) { return coded_failure(static_cast<int>(error.code), error.text); }

Failure to_failure(const Error& error) {
    std::string text = error.detail().empty() ? error.code().message() : error.detail();
    if (!error.request_id().empty()) text += " (request " + std::string(error.request_id()) + ")";
    return coded_failure(error.code().category() == error_category() ? error.code().value() : 0, std::move(text));
}

Context::Context() : stdout_terminal_(::isatty(STDOUT_FILENO) == 1) {}
Context::~Context() = default;

OutputFormat Context::format() const {
    return parse_output_format(globals.output).value_or(OutputFormat::kAuto);  // the flag's check let only these pass
}

bool Context::can_ask() const { return ::isatty(STDIN_FILENO) == 1 && ::isatty(STDERR_FILENO) == 1; }

bool Context::structured() const {
    const OutputFormat chosen = format();
    return chosen == OutputFormat::kJson || chosen == OutputFormat::kJsonl || chosen == OutputFormat::kYaml;
}

View Context::view(const ListFlags& flags) const {
    View view;
    view.format = format();
    view.terminal = stdout_terminal_;
    view.color = wants_color(globals.color, stdout_terminal_);
    view.headers = !flags.no_headers;
    view.columns = flags.columns;
    view.sort = flags.sort;
    view.limit = flags.limit;
    return view;
}

int Context::print(const Rendered& rendered) {
    if (!rendered.error.empty()) return fail(usage_failure(rendered.error));
    return print_text(rendered.text);
}

int Context::print_list(const std::string& plural, std::vector<Json> rows, const std::vector<Column>& columns,
                        const std::string& name_key, const ListFlags& flags) {
    return print(render_list(view(flags), plural, std::move(rows), columns, name_key));
}

int Context::print_record(const Json& record, const std::vector<Column>& fields, const std::string& name_key) {
    return print(render_record(view(ListFlags{}), record, fields, name_key));
}

int Context::print_text(std::string_view text) {
    if (write_all(STDOUT_FILENO, text)) return kOk;
    if (errno == EPIPE) return kFailed;  // the reader has had enough; nothing to say
    return fail(local_failure(std::string("cannot write to stdout: ") + std::strerror(errno)));
}

void Context::say(std::string_view text) const { write_all(STDERR_FILENO, std::string(text) + "\n"); }

int Context::fail(const Failure& failure) const {
    write_all(STDERR_FILENO, describe(failure));
    return failure.exit;
}

int Context::fail(const base::Error& error) const { return fail(to_failure(error)); }

Millis Context::timeout_or(Millis otherwise) const { return parse_duration(globals.timeout).value_or(otherwise); }

Client& Context::client(Millis operation) {
    if (client_ != nullptr) return *client_;
    trace_frames(globals.verbose);
    ClientOptions options = globals.url.empty() ? ClientOptions() : ClientOptions(globals.url);
    operation = timeout_or(operation);
    options.operation_timeout(operation).connect_timeout(std::min(operation, Millis{5000}));
    const char* from_environment = std::getenv("ROCKDOVE_URL");
    const std::string url = !globals.url.empty() ? globals.url : from_environment != nullptr ? from_environment : "";
    if (url.find("name=") == std::string::npos) options.name("rockdove-" + std::to_string(::getpid()));
    client_ = std::make_unique<Client>(std::move(options));
    if (const auto hello = welcome(*client_)) clock_offset_ms_ = hello->time_ms() - local_now_ms();
    return *client_;
}

base::Result<v1::Frame> Context::ask(v1::Frame request) {
    return call(client(), std::move(request), timeout_or(Millis{30'000}));
}

std::int64_t Context::broker_now_ms() { return local_now_ms() + clock_offset_ms_; }

std::vector<std::string> Context::queue_names(const std::string& prefix, std::size_t most) {
    v1::Frame request;
    request.mutable_queue_list()->set_prefix(prefix);
    request.mutable_queue_list()->set_limit(static_cast<std::uint32_t>(most));
    std::vector<std::string> names;
    const base::Result<v1::Frame> answer = ask(std::move(request));
    if (!answer) return names;
    for (const auto& queue : answer->queue_list_reply().queues()) names.push_back(queue.name());
    return names;
}

std::vector<std::string> Context::topic_names(const std::string& prefix, std::size_t most) {
    v1::Frame request;
    request.mutable_topic_list()->set_prefix(prefix);
    request.mutable_topic_list()->set_limit(static_cast<std::uint32_t>(most));
    std::vector<std::string> names;
    const base::Result<v1::Frame> answer = ask(std::move(request));
    if (!answer) return names;
    for (const auto& topic : answer->topic_list_reply().topics()) names.push_back(topic.name());
    return names;
}

std::vector<std::string> Context::subscription_names(const std::string& prefix, std::size_t most) {
    v1::Frame request;
    const std::size_t slash = prefix.find('/');
    if (slash != std::string::npos) request.mutable_subscription_list()->set_topic(prefix.substr(0, slash));
    request.mutable_subscription_list()->set_limit(static_cast<std::uint32_t>(most));
    std::vector<std::string> names;
    const base::Result<v1::Frame> answer = ask(std::move(request));
    if (!answer) return names;
    for (const auto& subscription : answer->subscription_list_reply().subscriptions()) {
        std::string name = subscription.topic() + "/" + subscription.name();
        if (name.starts_with(prefix)) names.push_back(std::move(name));
    }
    return names;
}

Failure Context::about_queue(const base::Error& error, const std::string& queue) {
    Failure failure = to_failure(error);
    if (error.code == base::ErrorCode::kNotFound && failure.text.find("id you mean") == std::string::npos) {
        failure.text += did_you_mean(queue, queue_names());
    }
    return failure;
}

}  // namespace rockdove::ctl

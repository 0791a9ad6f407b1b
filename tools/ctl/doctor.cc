// `rockdove doctor`: the first things to look at, with monitoring's exit codes 0 ok, 1 warning, 2 critical, 3 unknown.
#include <chrono>
#include <cstdlib>

#include "client/src/call.h"
#include "tools/ctl/checks.h"
#include "tools/ctl/commands.h"
#include "tools/ctl/stats.h"

namespace rockdove::ctl {
namespace {

using Steady = std::chrono::steady_clock;

std::string used_url(const Context& context) {
    if (!context.globals.url.empty()) return context.globals.url + " (--url)";
    const char* url = std::getenv("ROCKDOVE_URL");
    if (url != nullptr && *url != '\0') return std::string(url) + " (ROCKDOVE_URL)";
    return "rockdove://localhost:7625 (default)";
}

// False also for an older broker, which does not know the question.
bool on_test_clock(Context& context) {
    v1::Frame request;
    request.mutable_clock_show();
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    return answer && answer->clock_info().test_clock();
}

// Adds what the broker's own numbers say; false if it did not answer.
bool look_at_stats(Context& context, std::vector<Finding>& findings) {
    v1::Frame request;
    request.mutable_stats_request();
    const auto begin = Steady::now();
    const base::Result<v1::Frame> answer = context.ask(std::move(request));
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Steady::now() - begin);
    if (!answer) {
        findings.push_back({"broker", Verdict::kUnknown, "the broker does not tell its state: " + answer.error().text});
        return false;
    }
    const v1::Stats& stats = answer->stats();
    const auto hello = welcome(context.client());
    findings.push_back(
        check_latency(static_cast<std::uint64_t>(took.count()), stats.broker_version(), hello ? hello->version() : 1));
    findings.push_back(check_versions(stats.broker_version(), ROCKDOVE_VERSION));
    findings.push_back(check_disk(stats));
    findings.push_back(check_commits(stats));
    findings.push_back(check_files(stats));
    if (on_test_clock(context)) {
        findings.push_back({"clock", Verdict::kWarning, "time stands still: the broker runs on a test clock"});
        return true;
    }
    const auto now = std::chrono::duration_cast<Millis>(Clock::now().time_since_epoch());
    findings.push_back(check_clock(stats.time_ms() - now.count(), took.count() / 1000 + 1));
    return true;
}

void look_at_queues(Context& context, std::vector<Finding>& findings) {
    std::size_t healthy = 0;
    std::string after;
    do {
        v1::Frame request;
        request.mutable_queue_list()->set_after(after);
        const base::Result<v1::Frame> answer = context.ask(std::move(request));
        if (!answer) {
            findings.push_back({"queues", Verdict::kUnknown, answer.error().text});
            return;
        }
        for (const v1::QueueInfo& info : answer->queue_list_reply().queues()) {
            Finding finding = check_queue(info, context.broker_now_ms());
            if (finding.verdict == Verdict::kOk) {
                ++healthy;
            } else {
                findings.push_back(std::move(finding));
            }
        }
        after = answer->queue_list_reply().next();
    } while (!after.empty());
    findings.push_back({"queues", Verdict::kOk, std::to_string(healthy) + " queues without trouble"});
}

std::vector<Finding> examine(Context& context) {
    std::vector<Finding> findings;
    try {
        context.client(Millis{10'000});
    } catch (const Error& error) {
        const Failure failure = to_failure(error);
        const bool bad_url = failure.exit == kUsage;
        findings.push_back({bad_url ? "url" : "broker", Verdict::kCritical, failure.text});
        return findings;
    }
    findings.push_back({"url", Verdict::kOk, used_url(context) + " leads to " + endpoint(context.client())});
    if (look_at_stats(context, findings)) look_at_queues(context, findings);
    return findings;
}

int print_human(Context& context, const std::vector<Finding>& findings) {
    std::string out;
    for (const Finding& finding : findings) {
        const char* mark = finding.verdict == Verdict::kOk         ? " ok    "
                           : finding.verdict == Verdict::kWarning  ? " WARN  "
                           : finding.verdict == Verdict::kCritical ? " CRIT  "
                                                                   : " ?     ";
        out += mark + finding.check + ": " + finding.text + "\n";
    }
    return context.print_text(out);
}

int run(Context& context) {
    const std::vector<Finding> findings = examine(context);
    const Verdict verdict = worst(findings);
    int printed = kOk;
    std::vector<Json> rows;
    for (const Finding& finding : findings) {
        rows.push_back(
            Json{{"check", finding.check}, {"status", verdict_word(finding.verdict)}, {"text", finding.text}});
    }
    if (context.format() == OutputFormat::kJson || context.format() == OutputFormat::kYaml) {
        const Json record = Json{{"status", verdict_word(verdict)}, {"checks", rows}};
        printed = context.print_record(record, {}, "status");
    } else if (context.format() == OutputFormat::kAuto) {
        printed = print_human(context, findings);
    } else {
        printed = context.print_list("checks", rows,
                                     {{"check", "CHECK"}, {"status", "STATUS", Kind::kState}, {"text", "TEXT"}},
                                     "check", ListFlags{});
    }
    return printed != kOk ? static_cast<int>(Verdict::kUnknown) : static_cast<int>(verdict);
}

}  // namespace

void add_doctor(CLI::App& root, Context& context) {
    CLI::App* command = root.add_subcommand(
        "doctor", "Check broker, versions, disk, clock and queues; exits with 0 ok, 1 warning, 2 critical, 3 unknown");
    command->callback([&context] { context.command = [&context] { return run(context); }; });
}

}  // namespace rockdove::ctl

// `rockdove dlq show QUEUE` and `rockdove dlq export QUEUE`
#include <functional>

#include "tools/ctl/commands.h"
#include "tools/ctl/message_json.h"
#include "tools/ctl/text/units.h"

namespace rockdove::ctl {
namespace {

constexpr std::size_t kPreviewBytes = 60;
constexpr std::uint32_t kPage = 1000;

struct Options {
    std::string queue;
    std::uint64_t from = 0;
    std::uint64_t count = 10;
    std::string max_bytes = "8MiB";
    std::string reason;
    ListFlags list;
};

double seconds(std::uint64_t ms) { return static_cast<double>(ms) / 1000; }

Json letter_json(const v1::DeadLetter& letter, std::int64_t now_ms) {
    Json out = Json::object();
    out["sequence"] = letter.seq();
    if (letter.damaged()) {
        out["damaged"] = true;
        out["body"] = "";
        return out;
    }
    out["id"] = letter.id();
    out["commit_time"] = format_time(letter.commit_time_ms());
    out["attempts"] = letter.attempts();
    out["redrives"] = letter.redrives();
    if (letter.due_ms() != 0) out["due_time"] = format_time(letter.due_ms());
    if (letter.deaths_size() != 0) {
        const v1::Death& last = letter.deaths(letter.deaths_size() - 1);
        out["reason"] = last.reason();
        out["error"] = last.error();
        out["consumer"] = last.consumer();
        out["died_time"] = format_time(last.time_ms());
        out["died_seconds"] = seconds(static_cast<std::uint64_t>(std::max<std::int64_t>(0, now_ms - last.time_ms())));
    }
    Json& deaths = out["deaths"] = Json::array();
    for (const v1::Death& death : letter.deaths()) {
        deaths.push_back({{"time", format_time(death.time_ms())},
                          {"reason", death.reason()},
                          {"attempt", death.attempt()},
                          {"duration_seconds", seconds(death.duration_ms())},
                          {"consumer", death.consumer()},
                          {"error", death.error()}});
    }
    out["body_bytes"] = letter.message().body().size();
    const Json message = message_json(letter.message());  // items() does not keep a temporary alive
    for (const auto& [key, value] : message.items()) out[key] = value;
    out["priority"] = letter.priority();
    return out;
}

// Calls `visit` for each dead letter from `from` on, until it returns false.
std::optional<Failure> each_letter(Context& context, const std::string& queue, std::uint64_t from,
                                   const std::function<bool(const v1::DeadLetter&)>& visit) {
    do {
        v1::Frame request;
        v1::DeadList& list = *request.mutable_dead_list();
        list.set_queue(queue);
        list.set_from_seq(from);
        list.set_limit(kPage);
        list.set_max_bytes(4 << 20);
        list.set_bodies(true);
        const base::Result<v1::Frame> answer = context.ask(std::move(request));
        if (!answer) return context.about_queue(answer.error(), queue);
        for (const v1::DeadLetter& letter : answer->dead_list_reply().letters()) {
            if (!visit(letter)) return std::nullopt;
        }
        from = answer->dead_list_reply().next_seq();
    } while (from != 0);
    return std::nullopt;
}

// Tables show the beginning of the body only; every other format has all of it.
void shorten_bodies(std::vector<Json>& rows) {
    for (Json& row : rows) {
        if (row.contains("body_base64")) row["body"] = "(binary)";
        std::string body = row["body"].get<std::string>();
        if (body.size() <= kPreviewBytes) continue;
        body.resize(kPreviewBytes);
        while (!is_utf8(body)) body.pop_back();  // not in the middle of a character
        row["body"] = body + "...";
    }
}

int show(Context& context, const Options& options) {
    std::vector<Json> rows;
    std::uint64_t bytes_left = parse_size(options.max_bytes).value_or(0);
    const auto failure = each_letter(context, options.queue, options.from, [&](const v1::DeadLetter& letter) {
        const std::string last = letter.deaths_size() == 0 ? "" : letter.deaths(letter.deaths_size() - 1).reason();
        if (rows.size() >= options.count) return false;
        if (!options.reason.empty() && last != options.reason) return true;
        rows.push_back(letter_json(letter, context.broker_now_ms()));
        bytes_left -= std::min<std::uint64_t>(bytes_left, letter.message().body().size());
        return bytes_left > 0 && rows.size() < options.count;
    });
    if (failure) return context.fail(*failure);
    if (!context.structured() && context.format() != OutputFormat::kCsv) shorten_bodies(rows);
    const std::vector<Column> columns = {{"sequence", "SEQ", Kind::kCount},
                                         {"id", "ID"},
                                         {"reason", "REASON"},
                                         {"error", "ERROR"},
                                         {"died_seconds", "DIED_AGO", Kind::kSeconds},
                                         {"attempts", "ATTEMPTS", Kind::kCount},
                                         {"redrives", "REDRIVES", Kind::kCount},
                                         {"body_bytes", "BYTES", Kind::kBytes},
                                         {"body", "BODY"},
                                         {"consumer", "CONSUMER", Kind::kText, true},
                                         {"key", "KEY", Kind::kText, true},
                                         {"died_time", "DIED", Kind::kTime, true},
                                         {"commit_time", "COMMITTED", Kind::kTime, true}};
    return context.print_list("letters", std::move(rows), columns, "id", options.list);
}

// Written as it comes: there may be more than fits into memory.
int export_letters(Context& context, const Options& options) {
    const bool document = context.format() == OutputFormat::kJson;
    if (document && context.print_text("{\"api_version\":\"v1\",\"letters\":[") != kOk) return kFailed;
    std::uint64_t count = 0;
    int written = kOk;
    const auto failure = each_letter(context, options.queue, options.from, [&](const v1::DeadLetter& letter) {
        const std::string line = to_json_line(letter_json(letter, context.broker_now_ms()));
        written = context.print_text(document && count != 0 ? "," + line : line);
        ++count;
        return written == kOk;
    });
    if (failure) return context.fail(*failure);
    if (written != kOk) return written;
    if (document) written = context.print_text("]}\n");
    context.say(format_count(count) + (count == 1 ? " dead letter written." : " dead letters written."));
    return written;
}

}  // namespace

void add_dlq_show(CLI::App& dlq, Context& context) {
    CLI::App* command = dlq.add_subcommand("show", "Show dead letters of a queue, the oldest first");
    auto options = std::make_shared<Options>();
    add_queue_argument(*command, options->queue);
    command->add_option("-n,--count", options->count, "At most so many")->capture_default_str();
    command->add_option("--from", options->from, "Begin at this sequence number");
    command->add_option("--max-bytes", options->max_bytes, "Stop after so many bytes of bodies")
        ->check(size_check())
        ->capture_default_str();
    command->add_option("--reason", options->reason, "Only those that died of this last, such as max_attempts");
    add_list_flags(*command, options->list);
    command->callback(
        [&context, options] { context.command = [&context, options] { return show(context, *options); }; });

    CLI::App* write = dlq.add_subcommand("export", "Write all dead letters of a queue to stdout, a line of JSON each");
    auto written = std::make_shared<Options>();
    add_queue_argument(*write, written->queue);
    write->add_option("--from", written->from, "Begin at this sequence number");
    write->callback(
        [&context, written] { context.command = [&context, written] { return export_letters(context, *written); }; });
}

}  // namespace rockdove::ctl

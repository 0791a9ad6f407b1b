// `rockdove queue peek QUEUE`: looks at messages without lease, attempt or counter.
#include "tools/ctl/commands.h"
#include "tools/ctl/message_json.h"
#include "tools/ctl/text/units.h"

namespace rockdove::ctl {
namespace {

constexpr std::size_t kPreviewBytes = 60;

struct Options {
    std::string name;
    std::uint64_t from = 0;
    std::uint32_t count = 10;
    std::string max_bytes = "8MiB";
    std::string state;
    std::string filter;
    ListFlags list;
};

std::string lower_name(std::string name) {
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return name;
}

Json peeked_json(const v1::Peeked& peeked, std::int64_t now_ms) {
    Json out = Json::object();
    out["sequence"] = peeked.seq();
    out["id"] = peeked.id();
    out["state"] = lower_name(v1::State_Name(peeked.state()));
    out["attempts"] = peeked.attempts();
    out["commit_time"] = format_time(peeked.commit_time_ms());
    out["age_seconds"] = static_cast<double>(std::max<std::int64_t>(0, now_ms - peeked.commit_time_ms())) / 1000;
    if (peeked.visible_at_ms() != 0) out["visible_at"] = format_time(peeked.visible_at_ms());
    if (!peeked.last_error().empty()) out["last_error"] = peeked.last_error();
    if (!peeked.consumer().empty()) out["consumer"] = peeked.consumer();
    out["body_bytes"] = peeked.message().body().size();
    const Json message = message_json(peeked.message());  // items() does not keep a temporary alive
    for (const auto& [key, value] : message.items()) out[key] = value;
    return out;
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

int run(Context& context, const Options& options) {
    std::vector<Json> rows;
    std::uint64_t from = options.from;
    std::uint64_t bytes_left = parse_size(options.max_bytes).value_or(0);
    while (rows.size() < options.count && bytes_left > 0) {
        v1::Frame request;
        v1::QueuePeek& peek = *request.mutable_queue_peek();
        peek.set_name(options.name);
        peek.set_from_seq(from);
        peek.set_limit(std::min<std::uint32_t>(options.count - static_cast<std::uint32_t>(rows.size()), 1000));
        peek.set_max_bytes(bytes_left);
        peek.set_filter(options.filter);
        const base::Result<v1::Frame> answer = context.ask(std::move(request));
        if (!answer) return context.fail(context.about_queue(answer.error(), options.name));
        const v1::QueuePeekReply& page = answer->queue_peek_reply();
        for (const v1::Peeked& peeked : page.messages()) {
            Json row = peeked_json(peeked, context.broker_now_ms());
            bytes_left -= std::min<std::uint64_t>(bytes_left, peeked.message().body().size());
            if (options.state.empty() || row["state"] == options.state) rows.push_back(std::move(row));
        }
        // A page without messages is not the end where a filter passes over many.
        if (page.next_seq() <= from) break;
        from = page.next_seq();
    }
    if (rows.size() > options.count) rows.resize(options.count);
    const OutputFormat format = context.format();
    if (!context.structured() && format != OutputFormat::kCsv) shorten_bodies(rows);
    const std::vector<Column> columns = {{"sequence", "SEQ", Kind::kCount},
                                         {"id", "ID"},
                                         {"state", "STATE", Kind::kState},
                                         {"attempts", "ATTEMPTS", Kind::kCount},
                                         {"age_seconds", "AGE", Kind::kSeconds},
                                         {"body_bytes", "BYTES", Kind::kBytes},
                                         {"body", "BODY"},
                                         {"key", "KEY", Kind::kText, true},
                                         {"consumer", "CONSUMER", Kind::kText, true},
                                         {"visible_at", "VISIBLE_AT", Kind::kTime, true},
                                         {"last_error", "LAST_ERROR", Kind::kText, true},
                                         {"commit_time", "COMMITTED", Kind::kTime, true}};
    return context.print_list("messages", std::move(rows), columns, "id", options.list);
}

}  // namespace

void add_queue_peek(CLI::App& queue, Context& context) {
    CLI::App* command = queue.add_subcommand("peek", "Look at messages without receiving them");
    auto options = std::make_shared<Options>();
    add_queue_argument(*command, options->name);
    command->add_option("-n,--count", options->count, "At most so many messages")->capture_default_str();
    command->add_option("--from", options->from, "Begin at this sequence number");
    command->add_option("--max-bytes", options->max_bytes, "Stop after so many bytes of bodies")
        ->check(size_check())
        ->capture_default_str();
    command->add_option("--state", options->state, "Only messages in this state")
        ->check(CLI::IsMember({"scheduled", "ready", "buffered", "started", "waiting"}));
    add_filter_flag(*command, options->filter);
    add_list_flags(*command, options->list);
    command->callback(
        [&context, options] { context.command = [&context, options] { return run(context, *options); }; });
}

}  // namespace rockdove::ctl

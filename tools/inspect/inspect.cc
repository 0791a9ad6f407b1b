// `rockdove inspect DIR`: what is in a data directory. Reads only.
#include "tools/inspect/inspect.h"

#include "storage/rocksdb/inspection.h"
#include "tools/ctl/commands.h"
#include "tools/ctl/text/units.h"
#include "tools/inspect/contents.h"
#include "tools/inspect/offline.h"

namespace rockdove::ctl {
namespace {

using storage::Inspection;

struct Options {
    std::string directory;
    bool verify = false;
    std::optional<std::string> records;
    ListFlags list;
};

Json durable_json(const std::optional<storage::InspectedMark>& mark) {
    if (!mark) return {};
    return Json{{"epoch", mark->epoch},
                {"lsn", mark->lsn},
                {"sequence", mark->sequence},
                {"confirms", mark->confirms},
                {"clean", mark->clean}};
}

Json directory_json(const storage::InspectedDirectory& directory, const std::string& path) {
    std::uint64_t bytes = 0;
    for (const auto& file : directory.files) bytes += file.bytes;
    Json out = Json::object();
    out["path"] = path;
    out["format"] = directory.format;
    out["oldest_reader"] = directory.oldest_reader;
    out["created_by"] = directory.created_by;
    out["cluster_id"] = directory.state.cluster_id;
    out["shard"] = directory.state.shard.value;
    out["epoch"] = directory.state.epoch;
    out["lsn"] = directory.state.last_lsn.value;
    out["sequence"] = directory.sequence;
    out["time"] = format_time(directory.state.time_ms);
    out["test_clock"] = directory.test_clock;
    out["files"] = directory.files.size();
    out["bytes"] = bytes;
    out["durable"] = durable_json(directory.durable);
    out["torn_at"] = directory.torn_at.empty() ? Json() : Json(directory.torn_at);
    out["objection"] = directory.objection ? Json(directory.objection->text) : Json();
    return out;
}

const std::vector<Column>& directory_fields() {
    static const std::vector<Column> kFields = {{"path", "PATH"},
                                                {"format", "FORMAT"},
                                                {"created_by", "CREATED_BY"},
                                                {"cluster_id", "CLUSTER"},
                                                {"shard", "SHARD"},
                                                {"epoch", "EPOCH"},
                                                {"lsn", "LSN", Kind::kCount},
                                                {"sequence", "SEQUENCE", Kind::kCount},
                                                {"time", "TIME"},
                                                {"test_clock", "TEST_CLOCK"},
                                                {"files", "FILES"},
                                                {"bytes", "BYTES", Kind::kBytes},
                                                {"durable", "DURABLE"},
                                                {"torn_at", "TORN_AT"},
                                                {"objection", "OBJECTION"}};
    return kFields;
}

const std::vector<Column>& queue_columns() {
    static const std::vector<Column> kColumns = {{"namespace", "NAMESPACE"},
                                                 {"name", "NAME"},
                                                 {"id", "ID"},
                                                 {"durability", "DURABILITY"},
                                                 {"paused", "PAUSED"},
                                                 {"messages", "MESSAGES", Kind::kCount},
                                                 {"started", "STARTED", Kind::kCount},
                                                 {"returned", "RETURNED", Kind::kCount},
                                                 {"dead", "DEAD", Kind::kCount},
                                                 {"blocks", "BLOCKS", Kind::kCount},
                                                 {"bytes", "BYTES", Kind::kBytes},
                                                 {"damaged", "DAMAGED", Kind::kCount}};
    return kColumns;
}

std::vector<Json> queue_rows(const std::vector<inspect::QueueContents>& queues) {
    std::vector<Json> rows;
    for (const auto& queue : queues) {
        rows.push_back(Json{{"namespace", queue.space},
                            {"name", queue.name},
                            {"id", queue.id.value},
                            {"durability", queue.durability},
                            {"paused", queue.paused},
                            {"messages", queue.messages},
                            {"started", queue.started},
                            {"returned", queue.returned},
                            {"dead", queue.dead},
                            {"blocks", queue.blocks},
                            {"bytes", queue.bytes},
                            {"damaged", queue.damaged}});
    }
    return rows;
}

inspect::Scan scan_of(const Inspection& inspection) {
    return [&inspection](std::string_view begin, std::string_view end, const inspect::Visit& visit) {
        return inspection.scan(begin, end, visit);
    };
}

// A daemon would not start on it: said on stderr whatever else is shown.
int with_objection(Context& context, const storage::InspectedDirectory& directory, int result) {
    if (!directory.objection) return result;
    context.say("A broker will not start on it: " + directory.objection->text);
    return kFailed;
}

int show(Context& context, const Options& options, const Inspection& inspection) {
    const auto queues = inspect::read_contents(scan_of(inspection));
    if (!queues) return context.fail(queues.error());
    const Json directory = directory_json(inspection.directory(), options.directory);
    const OutputFormat format = context.format();
    int result = kOk;
    if (format == OutputFormat::kJson || format == OutputFormat::kYaml) {
        const Json record = Json{{"directory", directory}, {"queues", queue_rows(*queues)}};
        result = context.print_record(record, {}, "directory");
    } else {
        const bool people =
            format == OutputFormat::kAuto || format == OutputFormat::kTable || format == OutputFormat::kWide;
        if (people) result = context.print_record(directory, directory_fields(), "path");
        if (people && result == kOk) result = context.print_text("\n");
        if (result == kOk)
            result = context.print_list("queues", queue_rows(*queues), queue_columns(), "name", options.list);
    }
    return with_objection(context, inspection.directory(), result);
}

int verify(Context& context, const Options& options, const Inspection& inspection) {
    const auto found = inspect::verify(scan_of(inspection));
    if (!found) return context.fail(found.error());
    const Json record = Json{{"path", options.directory},
                             {"records", found->records},
                             {"bytes", found->bytes},
                             {"damaged", found->damaged_count},
                             {"damage", found->damaged}};
    const int result = context.print_record(record,
                                            {{"path", "PATH"},
                                             {"records", "RECORDS", Kind::kCount},
                                             {"bytes", "BYTES", Kind::kBytes},
                                             {"damaged", "DAMAGED", Kind::kCount}},
                                            "path");
    for (const std::string& what : found->damaged) context.say("damaged: " + what);
    const int verdict = found->damaged_count > 0 ? static_cast<int>(kFailed) : result;
    return with_objection(context, inspection.directory(), verdict);
}

int list_records(Context& context, const Options& options, const Inspection& inspection) {
    const std::size_t most = options.list.limit > 0 ? options.list.limit : 1000;
    std::vector<Json> rows;
    bool more = false;
    const auto done = inspection.scan("", std::string(64, '\xff'), [&](const storage::RecordView& record) {
        const std::string key = inspect::key_text(record.key);
        if (!key.starts_with(*options.records)) return true;
        if (rows.size() == most) return more = true, false;
        rows.push_back(Json{{"key", key},
                            {"bytes", record.payload.size()},
                            {"damaged", record.damaged},
                            {"summary", inspect::describe_record(record)}});
        return true;
    });
    if (!done) return context.fail(done.error());
    if (more) context.say("More records follow; --limit shows more than " + std::to_string(most) + ".");
    return context.print_list(
        "records", std::move(rows),
        {{"key", "KEY"}, {"bytes", "BYTES", Kind::kBytes}, {"damaged", "DAMAGED"}, {"summary", "SUMMARY"}}, "key",
        options.list);
}

int run(Context& context, const Options& options) {
    auto opened = Inspection::open(offline_options(options.directory));
    if (const auto* failure = std::get_if<storage::OpenFailure>(&opened)) {
        return context.fail(offline_failure(*failure, options.directory));
    }
    const Inspection& inspection = *std::get<std::unique_ptr<Inspection>>(opened);
    if (options.verify) return verify(context, options, inspection);
    if (options.records) return list_records(context, options, inspection);
    return show(context, options, inspection);
}

}  // namespace

void add_inspect(CLI::App& root, Context& context) {
    CLI::App* command =
        root.add_subcommand("inspect", "Look into a data directory that no broker has open; reads only");
    auto options = std::make_shared<Options>();
    command->add_option("directory", options->directory, "The data directory")->required()->option_text("DIR");
    command->add_flag("--verify", options->verify, "Read every record and check it; exit 1 if one is damaged");
    command
        ->add_option("--records", options->records, "List records whose key begins so, such as 1/block/ (\"\" for all)")
        ->type_name("PREFIX");
    add_list_flags(*command, options->list);
    command->callback(
        [&context, options] { context.command = [&context, options] { return run(context, *options); }; });
}

}  // namespace rockdove::ctl

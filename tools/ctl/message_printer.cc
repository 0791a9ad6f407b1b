#include "tools/ctl/message_printer.h"

#include "tools/ctl/text/table.h"

namespace rockdove::ctl {
namespace {

const std::vector<Column>& csv_columns() {
    static const std::vector<Column> kColumns = {{"id", "ID"},
                                                 {"queue", "QUEUE"},
                                                 {"sequence", "SEQ"},
                                                 {"attempt", "ATTEMPT"},
                                                 {"commit_time", "TIME"},
                                                 {"key", "KEY"},
                                                 {"body", "BODY"},
                                                 {"body_base64", "BODY_BASE64"}};
    return kColumns;
}

MessageView view_of(const Job& job) {
    MessageView view;
    view.id = job.id();
    view.body = job.body();
    view.key = job.key();
    view.queue = job.queue();
    view.sequence = job.sequence();
    view.attempt = job.attempt();
    view.commit_time_ms = std::chrono::duration_cast<Millis>(job.commit_time().time_since_epoch()).count();
    view.header = [&job](std::string_view name) { return job.header(name).value_or(std::string_view()); };
    return view;
}

}  // namespace

void MessagePrinter::begin(std::string& out) {
    if (output_ == OutputFormat::kJson) out += "{\"api_version\":\"v1\",\"messages\":[";
    if (output_ == OutputFormat::kYaml) out += "api_version: v1\nmessages:";
    if (output_ == OutputFormat::kCsv) out += csv(csv_columns(), {}, true);
}

void MessagePrinter::append(std::string& out, const Job& job) {
    switch (output_) {
        case OutputFormat::kJson: {
            std::string line = to_json_line(job_json(job));
            line.pop_back();
            out += printed_ == 0 ? "\n" : ",\n";
            out += line;
            break;
        }
        case OutputFormat::kJsonl: {
            Json row = new_document();
            row.update(job_json(job));
            out += to_json_line(row);
            break;
        }
        case OutputFormat::kYaml:
            out += (printed_ == 0 ? "\n" : "") + to_yaml(Json::array({job_json(job)}));
            break;
        case OutputFormat::kCsv:
            out += csv(csv_columns(), {job_json(job)}, false);
            break;
        case OutputFormat::kName:
            out += job.id() + "\n";
            break;
        case OutputFormat::kTable:
        case OutputFormat::kWide:
            out += job.id() + "\t" + std::to_string(job.attempt()) + "\t" + printable(job.body()) + "\n";
            break;
        case OutputFormat::kAuto:
            format_.append(out, view_of(job));
            break;
    }
    ++printed_;
}

void MessagePrinter::end(std::string& out) {
    if (output_ == OutputFormat::kJson) out += "\n]}\n";
    if (output_ == OutputFormat::kYaml && printed_ == 0) out += " []\n";
}

}  // namespace rockdove::ctl

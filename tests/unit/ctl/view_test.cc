#include "tools/ctl/text/view.h"

#include <catch2/catch.hpp>

#include "tools/ctl/text/table.h"

using namespace rockdove::ctl;

namespace {

const std::vector<Column> kColumns = {{"name", "NAME"},
                                      {"ready", "READY", Kind::kCount},
                                      {"oldest_seconds", "OLDEST", Kind::kSeconds},
                                      {"bytes", "BYTES", Kind::kBytes, true}};

std::vector<Json> queues() {
    return {
        Json{{"name", "emails"}, {"ready", 1204u}, {"oldest_seconds", 12}, {"bytes", 2048u}},
        Json{{"name", "thumbnails"}, {"ready", 88310u}, {"oldest_seconds", 10920}, {"bytes", 18446744073709551615u}},
        Json{{"name", "a,b \"c\""}, {"ready", 0u}, {"oldest_seconds", nullptr}, {"bytes", 0u}}};
}

std::string listed(View view) {
    const Rendered out = render_list(view, "queues", queues(), kColumns, "name");
    REQUIRE(out.error.empty());
    return out.text;
}

View view_of(OutputFormat format) {
    View view;
    view.format = format;
    return view;
}

}  // namespace

TEST_CASE("a table aligns numbers to the right and shows them for people", "[ctl][view]") {
    CHECK(listed(view_of(OutputFormat::kTable)) ==
          "NAME         READY  OLDEST\n"
          "emails       1,204     12s\n"
          "thumbnails  88,310   3h 2m\n"
          "a,b \"c\"          0       -\n");
}

TEST_CASE("without a terminal the automatic format is tab-separated and raw", "[ctl][view]") {
    CHECK(listed(view_of(OutputFormat::kAuto)) ==
          "NAME\tREADY\tOLDEST\nemails\t1204\t12\nthumbnails\t88310\t10920\na,b \"c\"\t0\t\n");
    View view = view_of(OutputFormat::kAuto);
    view.terminal = true;
    CHECK(listed(view) == listed(view_of(OutputFormat::kTable)));
}

TEST_CASE("JSON carries a version and the largest integers as numbers", "[ctl][view]") {
    const Json document = Json::parse(listed(view_of(OutputFormat::kJson)));
    CHECK(document["api_version"] == "v1");
    CHECK(document["queues"].size() == 3);
    CHECK(document["queues"][1]["bytes"].is_number_unsigned());
    CHECK(document["queues"][1]["bytes"].get<std::uint64_t>() == 18446744073709551615u);
    CHECK(listed(view_of(OutputFormat::kJson)).find("18446744073709551615,") == std::string::npos);
    CHECK(listed(view_of(OutputFormat::kJson)).find("\"bytes\": 18446744073709551615") != std::string::npos);
}

TEST_CASE("JSON lines are one valid document a line", "[ctl][view]") {
    const std::string text = listed(view_of(OutputFormat::kJsonl));
    CHECK(std::count(text.begin(), text.end(), '\n') == 3);
    CHECK(Json::parse(text.substr(0, text.find('\n')))["name"] == "emails");
}

TEST_CASE("CSV has all columns and quotes what needs it", "[ctl][view]") {
    const std::string text = listed(view_of(OutputFormat::kCsv));
    CHECK(text.starts_with("name,ready,oldest_seconds,bytes\nemails,1204,12,2048\n"));
    CHECK(text.ends_with("\"a,b \"\"c\"\"\",0,,0\n"));
}

TEST_CASE("names only are a line each", "[ctl][view]") {
    CHECK(listed(view_of(OutputFormat::kName)) == "emails\nthumbnails\na,b \"c\"\n");
}

TEST_CASE("rows are sorted both ways and cut", "[ctl][view]") {
    View view = view_of(OutputFormat::kName);
    view.sort = "ready";
    CHECK(listed(view) == "a,b \"c\"\nemails\nthumbnails\n");
    view.sort = GENERATE("-ready", "READY:desc");
    view.limit = 1;
    CHECK(listed(view) == "thumbnails\n");
}

TEST_CASE("columns can be chosen, wide ones too, and a wrong one is explained", "[ctl][view]") {
    View view = view_of(OutputFormat::kTable);
    view.columns = {"bytes", "name"};
    view.headers = false;
    CHECK(listed(view).find("  2.0 KiB  emails\n") != std::string::npos);
    view.columns = {"redy"};
    const Rendered out = render_list(view, "queues", queues(), kColumns, "name");
    CHECK(out.text.empty());
    CHECK(out.error.find("Did you mean \"ready\"?") != std::string::npos);
}

TEST_CASE("a record is shown field by field", "[ctl][view]") {
    const Json record = queues()[0];
    CHECK(render_record(view_of(OutputFormat::kTable), record, kColumns, "name").text ==
          "name            emails\nready           1,204\noldest_seconds  12s\n");
    CHECK(render_record(view_of(OutputFormat::kAuto), record, kColumns, "name").text ==
          "name\temails\nready\t1204\noldest_seconds\t12\n");
    const Json parsed = Json::parse(render_record(view_of(OutputFormat::kJson), record, kColumns, "name").text);
    CHECK(parsed["api_version"] == "v1");
    CHECK(parsed["ready"] == 1204);
}

TEST_CASE("YAML quotes whatever could be read as something else", "[ctl][view]") {
    const Json value =
        Json{{"api_version", "v1"},
             {"plain", "two words"},
             {"tricky", {"yes", "12", "a: b", "", "# no", "line\nend"}},
             {"rows", {Json{{"name", "x"}, {"list", Json::array()}}, Json{{"name", "z"}, {"deep", Json{{"k", 1}}}}}},
             {"none", nullptr}};
    CHECK(to_yaml(value) ==
          "api_version: v1\n"
          "plain: two words\n"
          "tricky:\n"
          "  - \"yes\"\n"
          "  - \"12\"\n"
          "  - \"a: b\"\n"
          "  - \"\"\n"
          "  - \"# no\"\n"
          "  - \"line\\nend\"\n"
          "rows:\n"
          "  - name: x\n"
          "    list: []\n"
          "  - name: z\n"
          "    deep:\n"
          "      k: 1\n"
          "none: null\n");
}

TEST_CASE("text of messages cannot steer the terminal", "[ctl][view]") {
    CHECK(printable("a\x1b[31mb\n\t\x7f") == "a\\x1B[31mb\\n\\t\\x7F");
    const Json row = Json{{"name", "\x1b[2Jx"}, {"ready", 1u}};
    const Rendered out = render_list(view_of(OutputFormat::kTable), "queues", {row}, kColumns, "name");
    CHECK(out.text.find('\x1b') == std::string::npos);
}

TEST_CASE("bytes that are not UTF-8 still give valid JSON", "[ctl][view]") {
    CHECK(Json::accept(to_json_line(Json{{"body", "\xff\xfe"}})));
}

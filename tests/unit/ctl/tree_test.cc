#include "tools/ctl/tree.h"

#include <catch2/catch.hpp>
#include <set>

#include "tools/ctl/cli.h"

using namespace rockdove::ctl;

namespace {

struct Tree {
    Context context;
    CLI::App root;
    Tree() { build_tree(root, context); }

    Failure refused(const std::vector<std::string>& words) {
        try {
            root.parse(std::vector<std::string>(words.rbegin(), words.rend()));
        } catch (const CLI::ParseError& error) {
            return explain_parse_error(root, words, error);
        }
        FAIL("was accepted");
        return {};
    }
    void accepted(const std::vector<std::string>& words) {
        root.parse(std::vector<std::string>(words.rbegin(), words.rend()));
        CHECK(context.command);
    }
};

bool says(const Failure& failure, const std::string& part) { return failure.text.find(part) != std::string::npos; }

// Calls `visit` for every command of the tree with its words.
void for_each_command(const CLI::App& app, const std::string& path,
                      const std::function<void(const CLI::App&, const std::string&)>& visit) {
    for (const CLI::App* sub : subcommands(app)) {
        visit(*sub, path + sub->get_name());
        for_each_command(*sub, path + sub->get_name() + " ", visit);
    }
}

}  // namespace

TEST_CASE("a mistyped command, flag or noun is answered with the near one", "[ctl][tree]") {
    Tree tree;
    CHECK(says(tree.refused({"sned", "q", "x"}), "Did you mean \"send\"?"));
    CHECK(says(tree.refused({"queue", "lst"}), "Did you mean \"list\"?"));
    CHECK(says(tree.refused({"queue", "create", "q", "--max-atempts", "3"}), "Did you mean \"--max-attempts\"?"));
    CHECK(says(tree.refused({"send", "q", "--ech", "line"}), "Did you mean \"--each\"?"));
    CHECK(says(tree.refused({"receive", "q", "--timout", "3s"}), "Did you mean \"--timeout\"?"));
}

TEST_CASE("every wrong command line is a usage error", "[ctl][tree]") {
    const std::vector<std::string> words = GENERATE(
        std::vector<std::string>{"queue"}, std::vector<std::string>{"send"}, std::vector<std::string>{"nonsense"},
        std::vector<std::string>{"queue", "show"}, std::vector<std::string>{"queue", "show", "a", "b"},
        std::vector<std::string>{"send", "q", "--delay", "soon"},
        std::vector<std::string>{"send", "q", "--priority", "10"},
        std::vector<std::string>{"queue", "create", "q", "--lease", "-5s"}, std::vector<std::string>{"clock"},
        std::vector<std::string>{"queue", "peek", "q", "--filter", " "}, std::vector<std::string>{"clock", "advance"},
        std::vector<std::string>{"clock", "advance", "-3d"}, std::vector<std::string>{"clock", "advance", "101y"},
        std::vector<std::string>{"queue", "create", "q", "--durability", "maybe"},
        std::vector<std::string>{"stats", "-o", "xml"}, std::vector<std::string>{"completion", "tcsh"},
        std::vector<std::string>{"receive", "q", "-n", "0"}, std::vector<std::string>{"stats", "--url"});
    Tree tree;
    const Failure failure = tree.refused(words);
    CHECK(failure.exit == kUsage);
    CHECK_FALSE(failure.text.empty());
    CHECK_FALSE(failure.advice.empty());
}

TEST_CASE("global flags may stand anywhere", "[ctl][tree]") {
    const std::vector<std::string> words = GENERATE(std::vector<std::string>{"--url", "rockdove://x", "queue", "list"},
                                                    std::vector<std::string>{"queue", "--url", "rockdove://x", "list"},
                                                    std::vector<std::string>{"queue", "list", "--url=rockdove://x"});
    Tree tree;
    tree.accepted(words);
    CHECK(tree.context.globals.url == "rockdove://x");
}

TEST_CASE("queues and bodies may be called like commands", "[ctl][tree]") {
    const std::vector<std::string> words =
        GENERATE(std::vector<std::string>{"send", "stats", "queue"}, std::vector<std::string>{"queue", "show", "send"},
                 std::vector<std::string>{"queue", "show", "list"}, std::vector<std::string>{"receive", "help"},
                 std::vector<std::string>{"send", "emails", "--", "--url"});
    Tree tree;
    tree.accepted(words);
}

TEST_CASE("plural nouns are accepted", "[ctl][tree]") {
    Tree tree;
    tree.accepted({"queues", "list"});
}

TEST_CASE("walking the words finds the command and the flag that waits for its value", "[ctl][tree]") {
    Tree tree;
    const Walk show = walk(tree.root, {"-o", "json", "queue", "show", "emails"});
    CHECK(show.app->get_name() == "show");
    CHECK(show.words == std::vector<std::string>{"emails"});
    CHECK(show.open == nullptr);
    const Walk open = walk(tree.root, {"queue", "create", "x", "--durability"});
    REQUIRE(open.open != nullptr);
    CHECK(open.open->check_lname("durability"));
    CHECK(walk(tree.root, {"queue", "list", "--url=x"}).open == nullptr);
}

TEST_CASE("every command has a description and help, and every flag one too", "[ctl][tree]") {
    Tree tree;
    std::set<std::string> seen;
    for_each_command(tree.root, "", [&](const CLI::App& app, const std::string& path) {
        CAPTURE(path);
        CHECK(seen.insert(path).second);
        CHECK_FALSE(app.get_description().empty());
        for (const CLI::Option* option : app.get_options()) CHECK_FALSE(option->get_description().empty());
        CHECK_FALSE(app.help().empty());
    });
    for (const char* path :
         {"send",         "receive",     "queue list",  "queue show",   "queue create", "queue update",
          "queue delete", "queue purge", "queue pause", "queue resume", "queue peek",   "inspect",
          "recover",      "stats",       "doctor",      "version",      "completion",   "examples",
          "errors",       "errors show", "help",        "bench",        "clock show",   "clock advance"}) {
        CAPTURE(path);
        CHECK(seen.count(path) == 1);
    }
    CHECK(tree_json(tree.root)["commands"].size() == subcommands(tree.root).size());
}

// `rockdove completion SHELL`, and the hidden `rockdove __complete WORD...` that the scripts call: it walks the tree of
// commands, and asks the broker where the name of a queue is wanted.
#include <algorithm>

#include "tools/ctl/commands.h"
#include "tools/ctl/text/examples.h"
#include "tools/ctl/tree.h"

namespace rockdove::ctl {
namespace {

constexpr const char* kBash = R"sh(# bash completion for rockdove. Load it with: source <(rockdove completion bash)
_rockdove() {
    local IFS=$'\n'
    COMPREPLY=($(rockdove __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == __files__ ]]; then
        COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
    fi
}
complete -F _rockdove rockdove
)sh";

constexpr const char* kZsh = R"sh(#compdef rockdove
# zsh completion for rockdove. Load it with: source <(rockdove completion zsh)
_rockdove() {
    local -a found
    found=(${(f)"$(rockdove __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)"})
    if [[ ${#found} -eq 1 && ${found[1]} == __files__ ]]; then
        _files
    else
        compadd -a found
    fi
}
compdef _rockdove rockdove
)sh";

constexpr const char* kFish = R"sh(# fish completion for rockdove. Load it with: rockdove completion fish | source
function __rockdove_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found (rockdove __complete -- $words[2..-1] 2>/dev/null)
    if test "$found" = __files__
        __fish_complete_path (commandline -ct)
    else
        printf '%s\n' $found
    end
end
complete -c rockdove -f -a '(__rockdove_complete)'
)sh";

// Tells the scripts that a path is wanted.
const std::vector<std::string> kFiles = {"__files__"};

bool wants(const CLI::App& app, const char* argument) { return app.get_option_no_throw(argument) != nullptr; }

std::vector<std::string> values_of(const CLI::Option& option) {
    const std::string name = option.get_name(false, true);
    const auto has = [&](const char* text) { return name.find(text) != std::string::npos; };
    if (has("--output")) return {"table", "wide", "json", "jsonl", "yaml", "csv", "name"};
    if (has("--color")) return {"auto", "always", "never"};
    if (has("--durability")) return {"sync", "async", "memory"};
    if (has("--overflow")) return {"reject", "drop_oldest"};
    if (has("--each")) return {"line", "json", "nul", "eof"};
    if (has("--state")) return {"scheduled", "ready", "buffered", "started", "waiting", "dead"};
    if (has("--mode")) return {"strict", "relaxed", "none"};
    return {};
}

// The words that may stand where the last of `words` is being typed.
std::vector<std::string> candidates(Context& context, const CLI::App& root, std::vector<std::string> words) {
    const std::string typed = words.empty() ? "" : words.back();
    if (!words.empty()) words.pop_back();
    const Walk at = walk(root, words);
    if (at.open != nullptr) return values_of(*at.open);
    if (typed.starts_with('-')) return flag_names(*at.app);
    if (at.words.empty() && !subcommands(*at.app).empty()) {
        std::vector<std::string> names;
        for (const CLI::App* sub : subcommands(*at.app)) names.push_back(sub->get_name());
        return names;
    }
    if (at.words.empty() && at.app->get_name() == "examples") {
        std::vector<std::string> topics;
        for (const Example& example : examples()) topics.emplace_back(example.topic);
        return topics;
    }
    // A subscription may be named wherever a queue is.
    const bool slash = typed.find('/') != std::string::npos;
    if (at.words.empty() && (wants(*at.app, "subscription") || (wants(*at.app, "queue") && slash))) {
        return context.subscription_names(typed);
    }
    if (at.words.empty() && wants(*at.app, "queue")) return context.queue_names(typed);
    if (at.words.empty() && wants(*at.app, "topic")) return context.topic_names(typed);
    if (at.app->get_name() == "completion") return {"bash", "zsh", "fish"};
    if (at.app->get_name() == "inspect" || at.app->get_name() == "recover") return kFiles;
    return {};
}

int script(Context& context, const std::string& shell) {
    const char* text = shell == "bash" ? kBash : shell == "zsh" ? kZsh : kFish;
    if (context.format() == OutputFormat::kAuto) return context.print_text(text);
    return context.print_record(Json{{"shell", shell}, {"script", text}}, {{"shell", "SHELL"}, {"script", "SCRIPT"}},
                                "shell");
}

}  // namespace

int complete(Context& context, const CLI::App& root, const std::vector<std::string>& words) {
    const std::string typed = words.empty() ? "" : words.back();
    std::string out;
    for (std::size_t i = 0; i + 2 < words.size(); ++i) {
        if (words[i] == "--url") context.globals.url = words[i + 1];
    }
    std::vector<std::string> found;
    try {
        if (context.globals.timeout.empty()) context.globals.timeout = "1s";
        found = candidates(context, root, words);
    } catch (const Error&) {
        // No broker, no names: completion stays silent.
    }
    for (const std::string& candidate : found) {
        if (candidate.starts_with(typed) || found == kFiles) out += candidate + "\n";
    }
    return context.print_text(out);
}

void add_completion(CLI::App& root, Context& context) {
    CLI::App* command = root.add_subcommand("completion", "Print a completion script for a shell");
    auto shell = std::make_shared<std::string>();
    command->add_option("shell", *shell, "bash, zsh or fish")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}))
        ->option_text("bash|zsh|fish");
    command->callback([&context, shell] { context.command = [&context, shell] { return script(context, *shell); }; });
}

}  // namespace rockdove::ctl

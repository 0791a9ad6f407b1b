// Which subscriptions want a subject (SEMANTICS P-1): a trie over the levels of their patterns, so that a match costs by the
// levels of the subject and by what matches, not by how many subscriptions there are.
//
// Runs on: the shard's thread.
// Memory:  a node for each level of each pattern that no other shares; matches of the subjects seen last.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "protocol/base/result.h"

namespace rockdove::core {

struct Subscription;

inline constexpr std::size_t kMaxSubjectLevels = 16;
inline constexpr std::size_t kMaxPatternBytes = 1'024;  // as a subject
inline constexpr std::size_t kMaxPatterns = 32;         // of a subscription
inline constexpr char kEverything[] = ">";

// Levels separated by dots: `*` stands for any one level, `>` at the end for one or more. Error: kInvalid.
Result<void> check_pattern(std::string_view pattern);
// Error: kInvalid, it has too many levels. An empty one is fine: a message without a subject.
Result<void> check_subject(std::string_view subject);

// Whether a pattern matches a subject, both checked.
bool matches(std::string_view pattern, std::string_view subject);

class TopicIndex {
public:
    using Matches = std::vector<Subscription*>;  // in no order, each once

    // A pattern that was checked.
    void add(std::string_view pattern, Subscription* subscription);
    void remove(std::string_view pattern, Subscription* subscription);

    // Holds until the next add() or remove(), whatever happens meanwhile. A message without a subject matches `>` alone.
    const Matches& match(std::string_view subject);

private:
    struct Node {
        std::map<std::string, std::unique_ptr<Node>, std::less<>> next;
        std::unique_ptr<Node> any;  // `*`
        Matches here;
        Matches rest;  // `>`
        [[nodiscard]] bool empty() const { return next.empty() && !any && here.empty() && rest.empty(); }
    };
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
    };

    static void find(const Node& node, std::string_view rest, bool at_end, Matches& out);
    static bool remove(Node& node, std::string_view rest, bool at_end, Subscription* subscription);

    Node root_;
    std::unordered_map<std::string, Matches, Hash, std::equal_to<>> known_;
    Matches found_;  // what did not fit into known_
};

}  // namespace rockdove::core

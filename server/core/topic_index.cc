#include "server/core/topic_index.h"

#include <algorithm>

namespace rockdove::core {

namespace {

// Subjects whose matches are remembered, and how long they may be; past it they are looked up anew.
constexpr std::size_t kKnownSubjects = 10'000;
constexpr std::size_t kKnownSubjectBytes = 128;

std::string_view take_level(std::string_view& rest, bool& at_end) {
    const std::size_t dot = rest.find('.');
    const std::string_view level = rest.substr(0, dot);
    at_end = dot == std::string_view::npos;
    rest = at_end ? std::string_view() : rest.substr(dot + 1);
    return level;
}

std::size_t levels(std::string_view text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '.')) + 1;
}

Error bad_pattern(std::string_view pattern, const std::string& why) {
    return {ErrorCode::kInvalid,
            "subject pattern \"" + std::string(pattern.substr(0, 64)) + "\" " + why +
                "; levels are separated by dots, * stands for one level, > at the end for the rest"};
}

}  // namespace

Result<void> check_pattern(std::string_view pattern) {
    if (pattern.empty()) return bad_pattern(pattern, "is empty");
    if (pattern.size() > kMaxPatternBytes) {
        return bad_pattern(pattern, "has more than " + std::to_string(kMaxPatternBytes) + " bytes");
    }
    if (levels(pattern) > kMaxSubjectLevels) {
        return bad_pattern(pattern, "has more than " + std::to_string(kMaxSubjectLevels) + " levels");
    }
    bool at_end = false;
    for (std::string_view rest = pattern; !at_end;) {
        const std::string_view level = take_level(rest, at_end);
        if (level.empty()) return bad_pattern(pattern, "has an empty level");
        if (level == ">" && !at_end) return bad_pattern(pattern, "has > before its end");
        if (level.size() > 1 && level.find_first_of("*>") != std::string_view::npos) {
            return bad_pattern(pattern, "has * or > within a level");
        }
    }
    return {};
}

Result<void> check_subject(std::string_view subject) {
    if (levels(subject) <= kMaxSubjectLevels) return {};
    return Error(ErrorCode::kInvalid, "subject \"" + std::string(subject.substr(0, 64)) + "\" has more than " +
                                          std::to_string(kMaxSubjectLevels) + " levels");
}

bool matches(std::string_view pattern, std::string_view subject) {
    if (pattern == kEverything) return true;
    if (subject.empty()) return false;
    bool pattern_ends = false;
    bool subject_ends = false;
    while (!pattern_ends && !subject_ends) {
        const std::string_view wanted = take_level(pattern, pattern_ends);
        if (wanted == kEverything) return true;
        const std::string_view level = take_level(subject, subject_ends);
        if (wanted != "*" && wanted != level) return false;
    }
    return pattern_ends && subject_ends;
}

void TopicIndex::add(std::string_view pattern, Subscription* subscription) {
    known_.clear();
    Node* node = &root_;
    bool at_end = false;
    while (!at_end) {
        const std::string_view level = take_level(pattern, at_end);
        if (level == kEverything) {
            node->rest.push_back(subscription);
            return;
        }
        auto& next = level == "*" ? node->any : node->next.try_emplace(std::string(level)).first->second;
        if (!next) next = std::make_unique<Node>();
        node = next.get();
    }
    node->here.push_back(subscription);
}

void TopicIndex::remove(std::string_view pattern, Subscription* subscription) {
    known_.clear();
    remove(root_, pattern, false, subscription);
}

// True if the node is empty now.
bool TopicIndex::remove(Node& node, std::string_view rest, bool at_end, Subscription* subscription) {
    const auto take_out = [&](Matches& from) {
        if (const auto at = std::find(from.begin(), from.end(), subscription); at != from.end()) from.erase(at);
    };
    if (at_end) {
        take_out(node.here);
        return node.empty();
    }
    const std::string_view level = take_level(rest, at_end);
    if (level == kEverything) {
        take_out(node.rest);
    } else if (level == "*") {
        if (node.any && remove(*node.any, rest, at_end, subscription)) node.any = nullptr;
    } else if (const auto next = node.next.find(level); next != node.next.end()) {
        if (remove(*next->second, rest, at_end, subscription)) node.next.erase(next);
    }
    return node.empty();
}

const TopicIndex::Matches& TopicIndex::match(std::string_view subject) {
    if (const auto known = known_.find(subject); known != known_.end()) return known->second;
    found_.clear();
    if (subject.empty()) {
        found_ = root_.rest;
    } else {
        find(root_, subject, false, found_);
    }
    // A subscription may have several patterns that match.
    std::sort(found_.begin(), found_.end());
    found_.erase(std::unique(found_.begin(), found_.end()), found_.end());
    if (subject.size() > kKnownSubjectBytes) return found_;
    if (known_.size() >= kKnownSubjects) known_.clear();
    return known_.emplace(subject, found_).first->second;
}

void TopicIndex::find(const Node& node, std::string_view rest, bool at_end, Matches& out) {
    if (at_end) {
        out.insert(out.end(), node.here.begin(), node.here.end());
        return;
    }
    out.insert(out.end(), node.rest.begin(), node.rest.end());
    const std::string_view level = take_level(rest, at_end);
    if (const auto next = node.next.find(level); next != node.next.end()) find(*next->second, rest, at_end, out);
    if (node.any) find(*node.any, rest, at_end, out);
}

}  // namespace rockdove::core

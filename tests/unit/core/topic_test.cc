// Topics (SEMANTICS section 12): who gets what, what is kept, where a subscription begins.
#include <catch2/catch.hpp>

#include "server/core/topic_index.h"
#include "storage/keys.h"
#include "tests/support/core_fixture.h"

namespace rockdove::test {

using core::Place;
using core::SubscribeRequest;

namespace {

class TopicFixture : public NamespaceFixture {
public:
    explicit TopicFixture(const TopicSettings& settings = {}) {
        (void)connect(SessionId(1));
        REQUIRE(create_topic(settings));
    }

    Answered say(const std::string& body, std::string_view subject = {}, std::string_view key = {},
                 bool mandatory = false, base::MessageTraits traits = {}) {
        Batch batch;
        batch.add(body, traits, key, subject);
        return say(batch, mandatory);
    }
    Answered say(const Batch& batch, bool mandatory = false) {
        PublishOptions options;
        options.queue = "t";
        options.to_topic = true;
        options.mandatory = mandatory;
        return publish(batch, options);
    }
    Answered say(const std::vector<std::string>& bodies) {
        Batch batch;
        for (const std::string& body : bodies) batch.add(body);
        return say(batch);
    }
    std::uint32_t routed(const Answered& answer) {
        REQUIRE(answer.confirm);
        return answer.confirm->routed.empty() ? 0 : answer.confirm->routed.front().subscriptions;
    }

    // Attaches a consumer, numbered by the names in the order of their first use.
    void listen(const std::string& name, std::uint32_t credit = 1'000) {
        ConsumeOptions options;
        options.queue = "t/" + name;
        options.credit = credit;
        options.number = numbers_.try_emplace(name, numbers_.size() + 100).first->second;
        if (!listening_.insert(name).second) {
            REQUIRE(credit_of(options.number));
            return;
        }
        const auto grant = consume(options);
        REQUIRE(grant);
    }
    // What came to it since the last call, acked.
    std::vector<std::string> got(const std::string& name) {
        std::vector<std::string> bodies;
        for (Received& message : take()) inbox_[message.consumer].push_back(std::move(message));
        std::vector<Received> mine = std::move(inbox_[numbers_.at(name)]);
        inbox_[numbers_.at(name)].clear();
        for (const Received& message : mine) {
            bodies.push_back(message.body);
            ids_.push_back(message);
            REQUIRE(ack(message).pending() == false);
        }
        return bodies;
    }
    // Listens, takes all there is one batch after the other, and stops.
    std::vector<std::string> all_of(const std::string& name) {
        listen(name);
        std::vector<std::string> all;
        for (;;) {
            const std::vector<std::string> some = got(name);
            if (some.empty()) break;
            all.insert(all.end(), some.begin(), some.end());
        }
        stop(name);
        return all;
    }
    void stop(const std::string& name) {
        REQUIRE(cancel(SessionId(1), numbers_.at(name)));
        listening_.erase(name);
    }
    void come_back() {
        restart();
        listening_.clear();
        (void)connect(SessionId(1));
        inbox_.clear();
    }
    core::SubscriptionInfo show(std::string_view name) { return *ns().show_subscription("t", name); }
    core::TopicInfo topic() { return *ns().show_topic("t"); }
    const std::vector<Received>& seen() const { return ids_; }
    std::size_t records(storage::Tag tag) {
        std::size_t count = 0;
        const auto [begin, end] = storage::tag_range(NamespaceId(1), tag);
        REQUIRE(store().scan(begin, end, [&](const storage::RecordView&) { return ++count, true; }));
        return count;
    }

private:
    bool credit_of(std::uint64_t number) { return credit(1'000, 0, SessionId(1), number).has_value(); }

    std::map<std::string, std::uint64_t> numbers_;
    std::set<std::string> listening_;
    std::map<std::uint64_t, std::vector<Received>> inbox_;
    std::vector<Received> ids_;
};

SubscribeRequest to_subjects(std::vector<std::string> subjects) {
    SubscribeRequest request;
    request.subjects = std::move(subjects);
    return request;
}

SubscribeRequest from(const Place& place) {
    SubscribeRequest request;
    request.from = place;
    return request;
}

SubscribeRequest ephemeral(Overflow overflow = Overflow::kReject) {
    SubscribeRequest request;
    request.ephemeral = true;
    request.settings.on_expire = OnExpire::kDrop;
    request.settings.overflow = overflow;
    return request;
}

const Place kStart{Place::kStart, {}, 0};
const Place kEnd{Place::kEnd, {}, 0};

Place at_sequence(std::uint64_t sequence) { return {Place::kSequence, Sequence(sequence), 0}; }

using Bodies = std::vector<std::string>;

TopicSettings keep(std::uint64_t messages) {
    TopicSettings settings;
    settings.retain_messages = messages;
    return settings;
}

TopicSettings keep_all() { return keep(1'000'000'000); }

}  // namespace

// --- P-1 --------------------------------------------------------------------------------------------------------

TEST_CASE("P-1 patterns match level by level", "[core][topic]") {
    using core::matches;
    CHECK(matches("a.b", "a.b"));
    CHECK_FALSE(matches("a.b", "a.c"));
    CHECK_FALSE(matches("a.b", "a"));
    CHECK_FALSE(matches("a", "a.b"));
    CHECK(matches("*", "a"));
    CHECK_FALSE(matches("*", "a.b"));
    CHECK(matches("*.b", "a.b"));
    CHECK(matches("a.*.c", "a.b.c"));
    CHECK(matches("a.>", "a.b"));
    CHECK(matches("a.>", "a.b.c.d"));
    CHECK_FALSE(matches("a.>", "a"));  // one level at least
    CHECK(matches(">", "a.b"));
    CHECK(matches(">", ""));
    CHECK_FALSE(matches("*", ""));

    for (const char* bad : {"", ".", "a..b", "a.", ".a", "a.>.b", "a*", "a.b>", "**"}) {
        INFO(bad);
        CHECK_FALSE(core::check_pattern(bad));
    }
    std::string deep = "a";
    for (int i = 1; i < 16; ++i) deep += ".a";
    CHECK(core::check_pattern(deep));
    CHECK(core::check_subject(deep));
    CHECK_FALSE(core::check_pattern(deep + ".a"));
    CHECK_FALSE(core::check_subject(deep + ".a"));
    CHECK(core::check_pattern(std::string(1'024, 'a')));
    CHECK_FALSE(core::check_pattern(std::string(1'025, 'a')));
}

TEST_CASE("P-1 the index agrees with the patterns, one by one", "[core][topic]") {
    const std::vector<std::string> patterns = {">",   "*",   "a",     "a.*",   "a.>",  "*.b",
                                               "a.b", "*.*", "a.b.>", "*.b.c", "b.*.c"};
    std::vector<core::Subscription> subscriptions(patterns.size());
    core::TopicIndex index;
    for (std::size_t i = 0; i < patterns.size(); ++i) index.add(patterns[i], &subscriptions[i]);
    const auto agree = [&](std::size_t from) {
        for (const char* subject : {"a", "b", "a.b", "a.c", "b.b", "a.b.c", "b.b.c", "b.x.c", "a.b.c.d", "", "x.y.z"}) {
            INFO(subject);
            core::TopicIndex::Matches expected;
            for (std::size_t i = from; i < patterns.size(); ++i) {
                if (core::matches(patterns[i], subject)) expected.push_back(&subscriptions[i]);
            }
            CHECK(index.match(subject) == expected);  // both ascend
            CHECK(index.match(subject) == expected);  // remembered
        }
    };
    agree(0);
    for (std::size_t i = 0; i < 6; ++i) {
        index.remove(patterns[i], &subscriptions[i]);
        agree(i + 1);
    }
}

TEST_CASE("P-1 a subscription gets what one of its patterns and its filter match, once", "[core][topic]") {
    TopicFixture t;
    REQUIRE(t.subscribe("created", to_subjects({"order.*.created", "order.>"})));
    SubscribeRequest filtered = to_subjects({"order.eu.*"});
    filtered.filter = "body=m2";
    REQUIRE(t.subscribe("m2", filtered));
    REQUIRE(t.subscribe("all"));
    CHECK(t.routed(t.say("m1", "order.eu.created")) == 2);
    CHECK(t.routed(t.say("m2", "order.eu.deleted")) == 3);
    CHECK(t.routed(t.say("m3", "payment")) == 1);
    CHECK(t.routed(t.say("m4")) == 1);  // without a subject
    CHECK(t.all_of("created") == Bodies{"m1", "m2"});
    CHECK(t.all_of("m2") == Bodies{"m2"});
    CHECK(t.all_of("all") == Bodies{"m1", "m2", "m3", "m4"});
}

TEST_CASE("P-1 a batch is routed message by message, and so it is after a restart", "[core][topic]") {
    TopicFixture t;
    REQUIRE(t.subscribe("a", to_subjects({"a"})));
    REQUIRE(t.subscribe("b", to_subjects({"b"})));
    Batch batch;
    Bodies as, bs;
    for (int i = 0; i < 300; ++i) {
        const bool a = i % 3 != 0;
        batch.add("m" + std::to_string(i), {}, {}, a ? "a" : "b");
        (a ? as : bs).push_back("m" + std::to_string(i));
    }
    const Answered answer = t.say(batch);
    REQUIRE(answer.confirm);
    CHECK(answer.confirm->routed == std::vector<core::Routed>{{0, 300, 1, {}}});
    CHECK(t.show("a").lag_messages == 200);
    t.come_back();
    CHECK(t.show("a").lag_messages == 200);
    CHECK(t.all_of("a") == as);
    CHECK(t.all_of("b") == bs);
    CHECK(t.topic().messages == 0);
}

TEST_CASE("P-1 a subject with more than 16 levels is refused where subscriptions choose", "[core][topic]") {
    TopicFixture t;
    REQUIRE(t.subscribe("a", to_subjects({"a"})));
    std::string deep = "a";
    for (int i = 1; i < 17; ++i) deep += ".a";
    Batch batch;
    batch.add("m1", {}, {}, "a");
    batch.add("m2", {}, {}, deep);
    batch.add("m3", {}, {}, "a");
    const Answered answer = t.say(batch);
    REQUIRE(answer.confirm);
    CHECK(answer.confirm->count == 2);
    REQUIRE(answer.confirm->exceptions.size() == 1);
    CHECK(answer.confirm->exceptions[0].first_index == 1);
    CHECK(answer.confirm->exceptions[0].error->code == ErrorCode::kInvalid);
    CHECK(t.all_of("a") == Bodies{"m1", "m3"});
}

// --- P-2 --------------------------------------------------------------------------------------------------------

TEST_CASE("P-2 a durable subscription keeps its place while nobody listens, also over a restart", "[core][topic]") {
    TopicFixture t;
    REQUIRE(t.subscribe("s"));
    t.say(numbered(3));
    CHECK(t.all_of("s") == numbered(3));
    t.say(numbered(3, 4));
    t.come_back();
    t.say(numbered(3, 7));
    CHECK(t.all_of("s") == numbered(6, 4));
}

TEST_CASE("P-2 an ephemeral subscription lives with its connection", "[core][topic]") {
    TopicFixture t;
    (void)t.connect(SessionId(2));
    SubscribeRequest request = ephemeral();
    request.session = SessionId(2);
    REQUIRE(t.subscribe("s", request));
    CHECK(t.routed(t.say("m1")) == 1);
    CHECK(t.records(storage::Tag::kSubscription) == 0);
    t.disconnect(SessionId(2));
    CHECK(t.ns().show_subscription("t", "s").error().code == ErrorCode::kNotFound);
    CHECK(t.routed(t.say("m2")) == 0);
    // The name is free again, and begins anew.
    REQUIRE(t.subscribe("s", ephemeral()));
    t.say("m3");
    CHECK(t.all_of("s") == Bodies{"m3"});
    t.come_back();
    CHECK_FALSE(t.ns().show_subscription("t", "s"));
}

TEST_CASE("P-2 a connection has at most 1,000 ephemeral subscriptions; durable ones do not count", "[core][topic]") {
    TopicFixture t;
    const auto name = [](std::uint32_t i) { return "s" + std::to_string(i); };
    for (std::uint32_t i = 0; i < core::kMaxEphemeralPerSession; ++i) REQUIRE(t.subscribe(name(i), ephemeral()));
    const auto one_more = t.subscribe("more", ephemeral());
    CHECK(one_more.error().code == ErrorCode::kRateLimited);
    CHECK(one_more.error().text.find("1000 ephemeral subscriptions") != std::string::npos);
    REQUIRE(t.subscribe("durable"));
    CHECK(t.routed(t.say("m")) == 1'001);
    REQUIRE(t.unsubscribe(name(7)));
    REQUIRE(t.subscribe("more", ephemeral()));
    CHECK(t.subscribe("another", ephemeral()).error().code == ErrorCode::kRateLimited);
    (void)t.connect(SessionId(2));
    SubscribeRequest of_another = ephemeral();
    of_another.session = SessionId(2);
    REQUIRE(t.subscribe("another", of_another));
}

TEST_CASE("P-1 a subscription has at most 32 patterns of 1,024 bytes and 16 levels", "[core][topic]") {
    TopicFixture t;
    std::vector<std::string> patterns;
    for (std::size_t i = 0; i < core::kMaxPatterns; ++i) patterns.push_back("a" + std::to_string(i));
    REQUIRE(t.subscribe("s", to_subjects(patterns)));
    CHECK(t.routed(t.say("m", "a31")) == 1);
    patterns.emplace_back("a");
    CHECK(t.subscribe("more", to_subjects(patterns)).error().code == ErrorCode::kInvalid);
    const std::string deepest = "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a";
    const std::string longest(core::kMaxPatternBytes, 'x');
    REQUIRE(t.subscribe("long", to_subjects({longest, deepest})));
    CHECK(t.routed(t.say("m", longest)) == 1);
    CHECK(t.routed(t.say("m", deepest)) == 1);
    CHECK(t.subscribe("longer", to_subjects({longest + "x"})).error().code == ErrorCode::kInvalid);
    CHECK(t.subscribe("deeper", to_subjects({deepest + ".a"})).error().code == ErrorCode::kInvalid);
}

TEST_CASE("P-2 several consumers share a subscription, and a key has one at a time", "[core][topic]") {
    TopicFixture t;
    REQUIRE(t.subscribe("s"));
    ConsumeOptions first, second;
    first.queue = second.queue = "t/s";
    first.credit = second.credit = 1;
    second.number = 2;
    second.name = "other";
    REQUIRE(t.consume(first));
    REQUIRE(t.consume(second));
    Batch batch;
    batch.add("a1", {}, "a");
    batch.add("a2", {}, "a");
    batch.add("b1", {}, "b");
    t.say(batch);
    const std::vector<Received> got = t.take();
    REQUIRE(got.size() == 2);
    CHECK(got[0].body == "a1");
    CHECK(got[1].body == "b1");
    CHECK(got[0].consumer != got[1].consumer);
    t.ack(got[0]);
    CHECK(t.next().body == "a2");
}

// --- P-3 --------------------------------------------------------------------------------------------------------

TEST_CASE("P-3 a message is stored once, under one id, whatever its subscriptions do with it", "[core][topic]") {
    TopicFixture t(keep_all());
    QueueSettings settings;
    settings.max_attempts = 1;
    SubscribeRequest strict;
    strict.settings = settings;
    REQUIRE(t.subscribe("strict", strict));
    REQUIRE(t.subscribe("b"));
    REQUIRE(t.subscribe("c"));
    const Answered answer = t.say(numbered(2));
    CHECK(t.records(storage::Tag::kBlock) == 1);
    CHECK(t.records(storage::Tag::kBlockIndex) == 4);
    t.listen("strict");
    const std::vector<Received> got = t.take();
    REQUIRE(got.size() == 2);
    CHECK(got[1].id_queue == answer.confirm->queue);
    CHECK(got[1].id_seq == Sequence(2));
    CHECK(got[1].commit_time_ms == answer.confirm->commit_time_ms);
    t.retry(got[0]);  // dead at once, for this one
    t.ack(got[1]);
    CHECK(t.show("strict").queue.dead == 1);
    const auto dead = t.dead_letter(Sequence(1), "t/strict");
    REQUIRE(dead);
    CHECK(dead->body == "m1");
    CHECK(dead->record.origin_queue == answer.confirm->queue);
    CHECK(t.show("b").lag_messages == 2);
    CHECK(t.all_of("b") == numbered(2));
    CHECK(t.all_of("c") == numbered(2));
    CHECK(t.records(storage::Tag::kBlock) == 1);
    CHECK(t.records(storage::Tag::kBlockIndex) == 1);

    // What is redriven in one subscription comes again to this one alone.
    core::RedriveRequest redrive;
    redrive.queue = "t/strict";
    REQUIRE(t.redrive(redrive));
    CHECK(t.all_of("strict") == Bodies{"m1"});
    CHECK(t.all_of("b").empty());
    t.say("m3");
    CHECK(t.all_of("strict") == Bodies{"m3"});
    CHECK(t.all_of("b") == Bodies{"m3"});
}

TEST_CASE("P-3 redriven and published messages of one commit do not meet", "[core][topic]") {
    TopicFixture t;
    SubscribeRequest request;
    request.settings.max_attempts = 1;
    REQUIRE(t.subscribe("s", request));
    t.say(numbered(3));
    t.listen("s");
    for (const Received& message : t.take()) t.retry(message);
    t.stop("s");
    t.hold_commits();
    core::RedriveRequest redrive;
    redrive.queue = "t/s";
    (void)t.redrive(redrive);
    t.say(numbered(3, 4));
    t.release_commits();
    t.say(numbered(3, 7));
    t.come_back();
    Bodies all = t.all_of("s");
    std::sort(all.begin(), all.end());
    CHECK(all == numbered(9));
    CHECK(t.topic().messages == 0);
}

TEST_CASE("P-3 priorities, delays and expiry hold in each subscription", "[core][topic]") {
    TopicFixture t;
    REQUIRE(t.subscribe("s"));
    base::MessageTraits urgent, later, brief;
    urgent.priority = 9;
    later.delay_ms = 1'000;
    brief.ttl_ms = 500;
    Batch batch;
    batch.add("plain");
    batch.add("later", later);
    batch.add("urgent", urgent);
    batch.add("brief", brief);
    t.say(batch);
    t.come_back();
    CHECK(t.show("s").queue.scheduled == 1);
    t.advance(Millis(600));
    CHECK(t.show("s").queue.dead == 1);  // brief
    CHECK(t.all_of("s") == Bodies{"urgent", "plain"});
    t.advance(Millis(600));
    CHECK(t.all_of("s") == Bodies{"later"});
    CHECK(t.topic().messages == 0);
}

// --- P-4 --------------------------------------------------------------------------------------------------------

TEST_CASE("P-4 a topic without bounds keeps what a durable subscription still wants", "[core][topic]") {
    TopicFixture t;
    t.say("m1");
    CHECK(t.topic().messages == 0);
    REQUIRE(t.subscribe("a"));
    REQUIRE(t.subscribe("b"));
    for (int i = 0; i < 100; ++i) t.say("m");
    CHECK(t.topic().messages == 100);
    CHECK(t.all_of("a").size() == 100);
    CHECK(t.topic().messages == 100);
    CHECK(t.all_of("b").size() == 100);
    CHECK(t.topic().messages == 0);
    CHECK(t.records(storage::Tag::kBlock) == 0);
    t.say("m");
    CHECK(t.all_of("a").size() == 1);
    REQUIRE(t.unsubscribe("b"));
    CHECK(t.topic().messages == 0);
}

TEST_CASE("P-4 a bound on messages, bytes or age takes the oldest from a lagging subscription, counted and told",
          "[core][topic]") {
    TopicSettings settings;
    const std::string bound = GENERATE("messages", "bytes", "age");
    INFO(bound);
    if (bound == "messages") settings.retain_messages = 10;
    if (bound == "bytes") settings.retain_bytes = 10 * Batch::message_bytes(3);
    if (bound == "age") settings.retain_age = Millis(9'500);
    TopicFixture t(settings);
    REQUIRE(t.subscribe("s"));
    for (int i = 10; i < 35; ++i) {
        t.say("m" + std::to_string(i));
        t.advance(Millis(1'000));
    }
    // At the limit: ten are within each of the bounds, eleven are not.
    CHECK(t.topic().messages == (bound == "age" ? 9 : 10));
    const std::uint64_t missed = bound == "age" ? 16 : 15;
    CHECK(t.show("s").record.missed == missed);
    t.come_back();
    CHECK(t.show("s").record.missed == missed);
    t.say("last");
    t.listen("s");
    const std::vector<Received> got = t.take();
    REQUIRE(got.size() == 10);
    CHECK(got.back().body == "last");
    for (const Received& message : got) t.ack(message);
    CHECK(t.show("s").lag_messages == 0);
}

TEST_CASE("P-4 what was missed is told with the next delivery, once", "[core][topic]") {
    TopicFixture t(keep(2));
    REQUIRE(t.subscribe("s"));
    for (int i = 0; i < 5; ++i) t.say("m" + std::to_string(i));
    t.listen("s");
    const std::vector<Received> got = t.take();
    REQUIRE(got.size() == 2);
    CHECK(got[0].body == "m3");
    CHECK(got[0].missed == 3);
    CHECK(got[1].missed == 0);
}

TEST_CASE("P-4 a message that is worked on stays until that is over", "[core][topic]") {
    TopicFixture t(keep(1));
    REQUIRE(t.subscribe("s"));
    t.listen("s", 1);
    for (int i = 0; i < 5; ++i) t.say("m" + std::to_string(i));
    const Received first = t.next();
    CHECK(first.body == "m0");
    CHECK(t.topic().messages == 5);
    CHECK(t.show("s").record.missed == 3);
    t.retry(first, Millis(0));
    const Received again = t.next();
    CHECK(again.body == "m0");
    CHECK(again.missed == 3);
    t.ack(again);
    const Received last = t.next();
    CHECK(last.body == "m4");
    CHECK(t.topic().messages == 1);
    CHECK(t.show("s").record.missed == 3);
}

TEST_CASE("P-4 with bounds and until-done, what is done goes at once", "[core][topic]") {
    TopicSettings settings = keep(5);
    settings.retain_until_done = true;
    TopicFixture t(settings);
    REQUIRE(t.subscribe("s"));
    t.say(numbered(3));
    CHECK(t.topic().messages == 3);
    CHECK(t.all_of("s") == numbered(3));
    CHECK(t.topic().messages == 0);
}

// --- P-5 --------------------------------------------------------------------------------------------------------

TEST_CASE("P-5 a subscription starts with the oldest, the next, a sequence or a time", "[core][topic]") {
    TopicFixture t(keep_all());
    for (int i = 1; i <= 5; ++i) {
        t.say(numbered(2, static_cast<std::size_t>(2 * i - 1)));
        t.advance(Millis(1'000));
    }
    const std::int64_t now_ms = to_unix_ms(t.now());
    REQUIRE(t.subscribe("start", from(kStart)));
    REQUIRE(t.subscribe("end"));
    REQUIRE(t.subscribe("sequence", from(at_sequence(4))));
    REQUIRE(t.subscribe("time", from({Place::kTime, {}, now_ms - 2'000})));
    REQUIRE(t.subscribe("future", from({Place::kTime, {}, now_ms + 2'000})));
    t.say(numbered(2, 11));
    if (GENERATE(false, true)) t.come_back();
    CHECK(t.all_of("start") == numbered(12));
    CHECK(t.all_of("end") == numbered(2, 11));
    CHECK(t.all_of("sequence") == numbered(9, 4));
    CHECK(t.all_of("time") == numbered(6, 7));
    CHECK(t.all_of("future") == numbered(2, 11));
}

TEST_CASE("P-5 one that chooses reads what was kept, and misses nothing that comes meanwhile", "[core][topic]") {
    TopicFixture t(keep_all());
    Bodies expected;
    for (int i = 0; i < 1'000; ++i) {
        Batch batch;
        batch.add("m" + std::to_string(i), {}, {}, i % 2 == 0 ? "a" : "b");
        t.say(batch);
        if (i % 2 == 0) expected.push_back("m" + std::to_string(i));
    }
    SubscribeRequest request = to_subjects({"a"});
    request.from = kStart;
    t.defer_reads();
    REQUIRE(t.subscribe("s", request));
    CHECK(t.show("s").behind == 1'000);
    for (int i = 1'000; i < 1'100; ++i) {
        if (i % 10 == 0 && t.pending_reads() != 0) t.serve_read();
        t.say("m" + std::to_string(i), i % 2 == 0 ? "a" : "b");
        if (i % 2 == 0) expected.push_back("m" + std::to_string(i));
        if (i == 1'050) {
            t.come_back();
            t.defer_reads();
        }
    }
    t.serve_reads();
    t.advance(Millis(1));
    CHECK(t.show("s").behind == 0);
    CHECK(t.all_of("s") == expected);
}

TEST_CASE("P-5 an ephemeral subscription from the start holds no more in memory than it may", "[core][topic]") {
    TopicFixture t(keep_all());
    const std::string big(100'000, 'x');
    for (int i = 0; i < 200; ++i) t.say(big + std::to_string(i));
    SubscribeRequest request = ephemeral();
    request.from = kStart;
    REQUIRE(t.subscribe("s", request));
    t.advance(Millis(1));
    CHECK(t.show("s").queue.bytes < (8 << 20));
    CHECK(t.show("s").lag_messages == 200);
    const Bodies got = t.all_of("s");
    REQUIRE(got.size() == 200);
    CHECK(got.back() == big + "199");
}

TEST_CASE("P-5 a subscription can be moved, forward and back", "[core][topic]") {
    TopicFixture t(keep_all());
    REQUIRE(t.subscribe("s"));
    for (int i = 1; i <= 10; ++i) t.say("m" + std::to_string(i));
    t.listen("s", 2);
    std::vector<Received> held = t.take();  // m1, m2
    REQUIRE(held.size() == 2);
    REQUIRE(t.seek("s", at_sequence(8)));
    CHECK(t.show("s").lag_messages == 2 + 3);  // what is started stays
    t.ack(held[0]);
    CHECK(t.next().body == "m8");
    REQUIRE(t.seek("s", kStart));
    if (GENERATE(false, true)) t.come_back();
    REQUIRE(t.seek("s", kEnd));
    t.advance(Millis(40'000));  // leases end
    t.advance(Millis(5'000));
    t.say("m11");
    Bodies all = t.all_of("s");
    std::sort(all.begin(), all.end());
    CHECK(all == Bodies{"m11", "m2", "m8"});
    REQUIRE(t.seek("s", kStart));
    CHECK(t.all_of("s") == numbered(11));
    REQUIRE(t.seek("s", at_sequence(11)));
    t.say("m12");
    CHECK(t.all_of("s") == Bodies{"m11", "m12"});
}

TEST_CASE("P-5 a range is replayed beside what comes", "[core][topic]") {
    TopicFixture t(keep_all());
    REQUIRE(t.subscribe("s"));
    t.say(numbered(10));
    CHECK(t.all_of("s") == numbered(10));
    t.say("m11");
    REQUIRE(t.replay("s", at_sequence(3), at_sequence(6)));
    t.say("m12");
    if (GENERATE(false, true)) t.come_back();
    CHECK(t.all_of("s") == Bodies{"m11", "m3", "m4", "m5", "m12"});
    CHECK(t.topic().messages == 12);
    // Under the ids of old.
    const auto again = std::find_if(t.seen().rbegin(), t.seen().rend(), [](const auto& m) { return m.body == "m4"; });
    CHECK(again->id_seq == Sequence(4));
    CHECK(t.show("s").behind == 0);
}

// --- P-6 --------------------------------------------------------------------------------------------------------

TEST_CASE("P-6 a new subscription gets the last message of each key that it wants", "[core][topic]") {
    TopicSettings settings;
    settings.retain_last = true;
    TopicFixture t(settings);
    t.say("a1", "x", "a");
    t.say("b1", "y", "b");
    const Answered last = t.say("a2", "x", "a");
    t.say("none", "x");
    if (GENERATE(false, true)) t.come_back();
    REQUIRE(t.subscribe("all"));
    REQUIRE(t.subscribe("x", to_subjects({"x"})));
    SubscribeRequest live = ephemeral();
    REQUIRE(t.subscribe("live", live));
    t.say("a3", "x", "a");
    CHECK(t.all_of("all") == Bodies{"b1", "a2", "a3"});
    CHECK(t.all_of("x") == Bodies{"a2", "a3"});
    CHECK(t.all_of("live") == Bodies{"b1", "a2", "a3"});
    CHECK(t.seen()[1].id_seq == last.confirm->first_seq);
    CHECK(t.seen()[1].commit_time_ms == last.confirm->commit_time_ms);
    CHECK(t.topic().last_values == 2);
    CHECK(t.records(storage::Tag::kLastValue) == 2);
    REQUIRE(t.remove_topic());
    CHECK(t.records(storage::Tag::kLastValue) == 0);
}

TEST_CASE("P-6 last values take at most 64 MiB; past it a publish is refused, not forgotten", "[core][topic]") {
    TopicSettings settings;
    settings.retain_last = true;
    TopicFixture t(settings);
    const std::string body((std::size_t{1} << 20) - 128, 'x');  // with key and framing less than 1 MiB
    for (int i = 0; i < 64; ++i) REQUIRE(t.say(body, {}, "key" + std::to_string(i)).confirm);
    CHECK(t.topic().last_values == 64);
    const Answered full = t.say(body, {}, "one more");
    REQUIRE(full.error);
    CHECK(full.error->code == ErrorCode::kFull);
    CHECK(full.error->text.find("64 MiB") != std::string::npos);
    CHECK(t.say("small", {}, "key1").confirm);  // there was one of its key
    CHECK(t.say(body, {}, "one more").confirm);
    CHECK(t.topic().last_values == 65);
}

// --- Q-2 ----------------------------------------------------------------------------------------------

TEST_CASE("A-4 a message and what its subscriptions have of it hold or fall together", "[core][topic]") {
    TopicFixture t;
    REQUIRE(t.subscribe("a"));
    REQUIRE(t.subscribe("b", to_subjects({"x"})));
    t.hold_commits();
    t.say("m1", "x");
    const bool holds = GENERATE(false, true);
    t.restart(holds);
    (void)t.connect(SessionId(1));
    CHECK(t.topic().messages == (holds ? 1 : 0));
    CHECK(t.all_of("a").size() == (holds ? 1 : 0));
    CHECK(t.all_of("b").size() == (holds ? 1 : 0));
}

TEST_CASE("A-5 routing is decided when a message is committed, and the receipt says how many get it", "[core][topic]") {
    TopicFixture t(keep_all());
    CHECK(t.routed(t.say("m1", "x")) == 0);  // accepted, and kept
    CHECK(t.topic().messages == 1);
    CHECK(t.topic().unrouted == 1);
    REQUIRE(t.subscribe("a"));
    CHECK(t.routed(t.say("m2", "x")) == 1);
    REQUIRE(t.subscribe("b", to_subjects({"x"})));
    Batch batch;
    batch.add("m3", {}, {}, "x");
    batch.add("m4", {}, {}, "y");
    batch.add("m5", {}, {}, "y");
    const Answered answer = t.say(batch);
    CHECK(answer.confirm->routed == std::vector<core::Routed>{{0, 1, 2, {}}, {1, 2, 1, {}}});
    CHECK(t.all_of("a") == Bodies{"m2", "m3", "m4", "m5"});
    CHECK(t.all_of("b") == Bodies{"m3"});
}

TEST_CASE("A-5 a subscription that comes or goes in the same turn does not change what was accepted before it",
          "[core][topic]") {
    TopicFixture t;
    REQUIRE(t.subscribe("a"));
    t.hold_commits();
    t.say("m1");
    t.say("m2");
    (void)t.subscribe("b");
    t.say("m3");
    t.release_commits();
    CHECK(t.all_of("a") == numbered(3));
    CHECK(t.all_of("b") == Bodies{"m3"});
}

TEST_CASE("A-5 mandatory: what no subscription wants is refused, alone", "[core][topic]") {
    TopicFixture t(keep_all());
    const Answered nobody = t.say("m0", "x", {}, true);
    REQUIRE(nobody.error);
    CHECK(nobody.error->code == ErrorCode::kUnroutable);
    CHECK(t.topic().messages == 0);
    REQUIRE(t.subscribe("a", to_subjects({"x"})));
    Batch batch;
    batch.add("m1", {}, {}, "x");
    batch.add("m2", {}, {}, "y");
    batch.add("m3", {}, {}, "x");
    const Answered answer = t.say(batch, true);
    REQUIRE(answer.confirm);
    CHECK(answer.confirm->count == 2);
    REQUIRE(answer.confirm->exceptions.size() == 1);
    CHECK(answer.confirm->exceptions[0].error->code == ErrorCode::kUnroutable);
    CHECK(t.all_of("a") == Bodies{"m1", "m3"});
    REQUIRE(t.subscribe("b"));
    CHECK(t.routed(t.say("m4", "z", {}, true)) == 1);
}

TEST_CASE("Q-2 a full subscription refuses a publish as a whole, or misses it, as the topic says", "[core][topic]") {
    TopicSettings settings = keep_all();
    settings.best_effort = GENERATE(false, true);
    TopicFixture t(settings);
    SubscribeRequest limited;
    limited.settings.max_messages = 2;
    REQUIRE(t.subscribe("full", limited));
    REQUIRE(t.subscribe("other"));
    CHECK(t.routed(t.say("m1")) == 2);
    const Answered answer = t.say(numbered(2, 2));
    REQUIRE(answer.confirm);
    if (!settings.best_effort) {
        CHECK(answer.confirm->count == 1);
        REQUIRE(answer.confirm->exceptions.size() == 1);
        CHECK(answer.confirm->exceptions[0].error->code == ErrorCode::kFull);
        CHECK(answer.confirm->exceptions[0].error->text.find("t/full") != std::string::npos);
        REQUIRE(t.say("m4").error);
        CHECK(t.all_of("other") == numbered(2));  // nor does anybody else get it
        CHECK(t.all_of("full") == numbered(2));
    } else {
        CHECK(answer.confirm->routed == std::vector<core::Routed>{{0, 1, 2, {}}, {1, 1, 1, {"full"}}});
        CHECK(t.show("full").record.missed == 1);
        CHECK(t.all_of("other") == numbered(3));
        CHECK(t.all_of("full") == numbered(2));
    }
    CHECK(t.routed(t.say("again")) == 2);  // there is room
}

TEST_CASE("Q-1 a subscription that drops the oldest misses them, counted", "[core][topic]") {
    TopicFixture t(keep_all());
    SubscribeRequest request;
    request.settings.max_messages = 3;
    request.settings.overflow = Overflow::kDropOldest;
    request.settings.on_expire = OnExpire::kDrop;
    REQUIRE(t.subscribe("s", request));
    t.say(numbered(10));
    CHECK(t.show("s").record.missed == 7);
    t.come_back();
    CHECK(t.all_of("s") == numbered(3, 8));
}

// --- memory -----------------------------------------------------------------------------------------------------

TEST_CASE("a topic in memory goes to ephemeral subscriptions at once, and keeps nothing", "[core][topic]") {
    TopicSettings settings;
    settings.durability = Durability::kMemory;
    TopicFixture t(settings);
    REQUIRE(t.subscribe("a", ephemeral()));
    REQUIRE(t.subscribe("b", ephemeral()));
    t.listen("a");
    t.listen("b");
    t.hold_commits();  // no commit is needed
    CHECK(t.routed(t.say(numbered(3))) == 2);
    const std::vector<Received> got = t.take();
    CHECK(got.size() == 6);
    CHECK(t.topic().messages == 0);
    t.release_commits();
    t.come_back();
    CHECK(t.topic().name == "t");
}

TEST_CASE("a slow ephemeral subscription holds the publisher back, or loses counted messages", "[core][topic]") {
    TopicSettings settings;
    settings.durability = Durability::kMemory;
    TopicFixture t(settings);
    const bool drops = GENERATE(false, true);
    SubscribeRequest request = ephemeral(drops ? Overflow::kDropOldest : Overflow::kReject);
    if (drops) request.settings.max_bytes = 1 << 20;
    REQUIRE(t.subscribe("slow", request));
    t.listen("slow", 1);
    const std::string body(100'000, 'x');
    std::uint64_t confirmed = 0;
    std::uint64_t last = 0;
    for (int i = 0; i < 100; ++i) {
        t.say(body);
        last = t.last_request();
        if (t.answer(last).confirm) ++confirmed;
    }
    if (drops) {
        CHECK(confirmed == 100);
        CHECK(t.show("slow").record.missed > 80);
        CHECK(t.show("slow").record.missed + t.show("slow").lag_messages == 100);
        return;
    }
    CHECK(confirmed > 35);
    CHECK(confirmed < 50);
    CHECK(t.answer(last).pending());
    CHECK(t.all_of("slow").size() == 100);
    CHECK(t.answer(last).confirm);
}

// --- bridges, names, ends -----------------------------------------------------------------------------------------

TEST_CASE("a subscription can feed a queue: stored once, beside the queue's own messages", "[core][topic]") {
    TopicFixture t;
    REQUIRE(t.create("q"));
    SubscribeRequest bridge = to_subjects({"x"});
    bridge.to_queue = "q";
    REQUIRE(t.subscribe("bridge", bridge));
    REQUIRE(t.subscribe("s"));
    t.say("m1", "x");
    t.publish({"own"});
    t.say("m2", "y");
    t.say("m3", "x");
    CHECK(t.records(storage::Tag::kBlock) == 4);
    t.come_back();
    ConsumeOptions options;
    REQUIRE(t.consume(options));
    CHECK(t.remove("q").error().code == ErrorCode::kConflict);
    CHECK(t.remove_topic().error().code == ErrorCode::kConflict);
    const std::vector<Received> got = t.take();
    REQUIRE(got.size() == 3);
    CHECK(got[0].body == "m1");
    CHECK(got[1].body == "own");
    CHECK(got[2].body == "m3");
    for (const Received& message : got) t.ack(message);
    CHECK(t.all_of("s") == Bodies{"m1", "m2", "m3"});
    CHECK(t.topic().messages == 0);
    CHECK(t.subscribe("again", bridge).error().code == ErrorCode::kConflict);
    REQUIRE(t.unsubscribe("bridge"));
    REQUIRE(t.remove("q"));
    REQUIRE(t.remove_topic());
}

TEST_CASE("queues, topics and subscriptions do not get in each other's way", "[core][topic]") {
    TopicFixture t;
    REQUIRE(t.create("q"));
    CHECK(t.create("t").error().code == ErrorCode::kAlreadyExists);
    CHECK(t.create_topic({}, "q").error().code == ErrorCode::kAlreadyExists);
    CHECK(t.create_topic().error().code == ErrorCode::kAlreadyExists);
    PublishOptions to_t;
    to_t.queue = "t";
    const Answered sent = t.publish({"m"}, to_t);
    REQUIRE(sent.error);
    CHECK(sent.error->code == ErrorCode::kNotFound);
    CHECK(sent.error->text.find("did you mean publish") != std::string::npos);
    PublishOptions published;
    published.queue = "q";
    published.to_topic = true;
    REQUIRE(t.publish({"m"}, published).error);
    REQUIRE(t.subscribe("s"));
    CHECK(t.subscribe("s").error().code == ErrorCode::kAlreadyExists);
    SubscribeRequest again;
    again.if_not_exists = true;
    CHECK(t.subscribe("s", again));
    again.subjects = {"x"};
    CHECK(t.subscribe("s", again).error().code == ErrorCode::kConflict);
    CHECK(t.subscribe("a/b").error().code == ErrorCode::kInvalid);
    PublishOptions to_s;
    to_s.queue = "t/s";
    CHECK(t.publish({"m"}, to_s).error->code == ErrorCode::kInvalid);
    CHECK(t.remove("t/s").error().code == ErrorCode::kInvalid);
    CHECK(t.ns().list_queues("", "", 10).size() == 1);
    CHECK(t.ns().queue_count() == 1);
    CHECK(t.ns().list_topics("", "", 10).size() == 1);
    CHECK(t.ns().list_subscriptions("", "", 10)->size() == 1);
    t.say("m");
    CHECK(t.purge("t/s").value() == 1);  // all that is for queues works for a subscription's
    CHECK(t.topic().messages == 0);
    t.say("m");
    REQUIRE(t.remove_topic());
    for (const storage::Tag tag : {storage::Tag::kBlock, storage::Tag::kBlockIndex, storage::Tag::kBlockState,
                                   storage::Tag::kTopic, storage::Tag::kSubscription, storage::Tag::kHead}) {
        CHECK(t.records(tag) == 0);
    }
    t.come_back();
    CHECK(t.create_topic());
}

TEST_CASE("a deep backlog of a subscription that chooses costs little, and is whole after a restart", "[core][topic]") {
    TopicFixture t;
    REQUIRE(t.subscribe("a", to_subjects({"a"})));
    REQUIRE(t.subscribe("all"));
    std::size_t as = 0;
    for (int i = 0; i < 2'000; ++i) {
        Batch batch;
        for (int j = 0; j < 3; ++j) batch.add("m" + std::to_string(i), {}, {}, (i + j) % 3 == 0 ? "a" : "b");
        t.say(batch);
        ++as;
    }
    if (GENERATE(false, true)) t.come_back();
    CHECK(t.show("a").lag_messages == as);
    CHECK(t.all_of("all").size() == 6'000);
    CHECK(t.topic().messages == 6'000);
    CHECK(t.all_of("a").size() == as);
    CHECK(t.topic().messages == 0);
    CHECK(t.records(storage::Tag::kBlockState) == 0);
}

}  // namespace rockdove::test

#include "tests/support/core_fixture.h"

#include <catch2/catch.hpp>

#include "protocol/base/bytes.h"
#include "protocol/base/key_hash.h"
#include "server/core/dead_reader.h"
#include "storage/keys.h"

namespace rockdove::test {

namespace {

constexpr char kBodyTag = 0x0A;     // Message.body
constexpr char kKeyTag = 0x52;      // Message.key
constexpr char kSubjectTag = 0x22;  // Message.subject
constexpr NamespaceId kNs{1};
constexpr char kName[] = "default";

std::string_view field_of(std::string_view message, char tag) {
    std::string_view found;
    ByteReader in(message);
    while (!in.at_end()) {
        const auto at = static_cast<char>(in.u8());
        RD_CHECK(at == kBodyTag || at == kKeyTag || at == kSubjectTag);
        const std::string_view value = in.string();
        if (at == tag) found = value;
    }
    RD_CHECK(in.ok());
    return found;
}

std::string body_of(std::string_view message) { return std::string(field_of(message, kBodyTag)); }

// Waits for an answer that a turn brings; kTimedOut if the commit is held.
template <class T>
struct Wait {
    std::shared_ptr<std::optional<Result<T>>> slot = std::make_shared<std::optional<Result<T>>>();

    core::Answer<T> done() {
        return [slot = slot](Result<T> result) { *slot = std::move(result); };
    }
    Result<T> result() { return *slot ? **slot : Result<T>(Error(ErrorCode::kTimedOut, "no answer yet")); }
};

}  // namespace

void Batch::add(std::string_view body, base::MessageTraits asked, std::string_view key, std::string_view subject) {
    asked.key = base::key_hash(key);
    if (!traits.empty() || !asked.plain()) {
        traits.resize(ends.size());
        traits.push_back(asked);
    }
    std::string message;
    ByteWriter inner(message);
    inner.u8(static_cast<std::uint8_t>(kBodyTag));
    inner.string(body);
    if (!key.empty()) {
        inner.u8(static_cast<std::uint8_t>(kKeyTag));
        inner.string(key);
    }
    if (!subject.empty()) {
        inner.u8(static_cast<std::uint8_t>(kSubjectTag));
        inner.string(subject);
    }
    ByteWriter out(records);
    out.u8(static_cast<std::uint8_t>(storage::kMessageTag));
    out.string(message);
    ends.push_back(static_cast<std::uint32_t>(records.size()));
}

std::size_t Batch::message_bytes(std::size_t body_bytes, std::size_t key_bytes) {
    return 1 + varint_size(body_bytes) + body_bytes + (key_bytes == 0 ? 0 : 2 + key_bytes);
}

std::vector<std::string> numbered(std::size_t count, std::size_t first) {
    std::vector<std::string> bodies;
    for (std::size_t i = 0; i < count; ++i) bodies.push_back("m" + std::to_string(first + i));
    return bodies;
}

// --- life -------------------------------------------------------------------------------------------------------

NamespaceFixture::NamespaceFixture(core::NamespaceOptions options) : options_(std::move(options)) {
    window_.drop = [this](const core::WindowBudget::Trailing& block) { ns_->drop_payload(block); };
    start();
}

NamespaceFixture::~NamespaceFixture() = default;

void NamespaceFixture::start() {
    store_ = std::make_unique<storage::MemoryStore>(backing_);
    stage_ = std::make_unique<core::Stage>();
    stage_->begin(Lsn(store_->opened().last_lsn.value + 1), store_->opened().epoch);
    stage_->set_committed(store_->opened().last_lsn);
    ns_ = std::make_unique<core::Namespace>(
        kNs, kName, options_, *stage_, static_cast<core::Outlet&>(*this), static_cast<core::BlockReader&>(*this),
        window_, [this] { return random_value; }, static_cast<core::MessageFormat&>(*this),
        [this](const std::string& text) { warnings_.push_back(text); });
    const Result<std::optional<std::string>> stored = store_->get(storage::namespace_key(kName));
    REQUIRE(stored);
    if (*stored) {
        const Result<storage::NamespaceRecord> record = storage::NamespaceRecord::decode(**stored);
        REQUIRE(record);
        const Result<void> ok = ns_->recover(*store_, *record);
        INFO((ok ? std::string() : ok.error().text));
        REQUIRE(ok);
    } else {
        storage::NamespaceRecord record;
        record.id = kNs;
        stage_->writes().put(storage::namespace_key(kName), record.encode());
    }
    turn();
}

void NamespaceFixture::restart(bool in_flight_holds) {
    if (in_flight_ && in_flight_holds) (void)store_->commit(in_flight_->writes, in_flight_->stamp);
    in_flight_.reset();
    reads_.clear();
    received_.clear();
    hold_ = false;
    ns_.reset();
    stage_.reset();
    store_.reset();
    window_.delivered.clear();
    window_.ahead = 0;
    window_.trailing = 0;
    start();
}

void NamespaceFixture::write(const storage::WriteSet& writes) {
    storage::CommitStamp stamp;
    stamp.lsn = stage_->lsn();
    stamp.time_ms = to_unix_ms(now_);
    REQUIRE(store_->commit(writes, stamp).outcome == storage::CommitOutcome::kDurable);
}

// --- turns ------------------------------------------------------------------------------------------------------

void NamespaceFixture::run(const std::vector<core::Effect>& effects) {
    for (const core::Effect& effect : effects) core::execute(effect, nullptr, *this);
}

void NamespaceFixture::turn() {
    while (step()) {
    }
}

bool NamespaceFixture::step() {
    ns_->end_turn(now_);
    run(stage_->take_immediate());
    if (!in_flight_) submit();
    if (in_flight_ && !hold_) {
        finish_commit();
        return true;
    }
    if (!reads_.empty() && !defer_) {
        serve_read();
        return true;
    }
    return false;
}

void NamespaceFixture::submit() {
    ns_->seal();
    if (stage_->writes().empty()) {
        if (stage_->has_effects()) run(stage_->take_effects());
        return;
    }
    InFlight commit;
    commit.stamp.lsn = stage_->lsn();
    commit.stamp.time_ms = to_unix_ms(now_);
    commit.effects = stage_->take_effects();
    commit.writes = stage_->take_writes();
    in_flight_ = std::move(commit);
    stage_->begin(Lsn(stage_->lsn().value + 1), stage_->epoch());
}

void NamespaceFixture::finish_commit() {
    RD_CHECK(in_flight_.has_value());
    InFlight commit = std::move(*in_flight_);
    in_flight_.reset();
    REQUIRE(store_->commit(commit.writes, commit.stamp).outcome == storage::CommitOutcome::kDurable);
    stage_->set_committed(commit.stamp.lsn);
    run(commit.effects);
    ns_->on_committed();
    ns_->end_turn(now_);
    run(stage_->take_immediate());
    submit();
}

void NamespaceFixture::release_commits() {
    hold_ = false;
    turn();
}

void NamespaceFixture::advance(Millis time) {
    const TimePoint end = now_ + time;
    while (ns_->next_time() <= end) {
        now_ = std::max(now_, ns_->next_time());
        ns_->on_time(now_);
        turn();
    }
    now_ = end;
    turn();
}

void NamespaceFixture::jump(Millis time) {
    now_ += time;
    ns_->pass_time(now_);
    turn();
}

// --- messages ---------------------------------------------------------------------------------------------------

base::MessageTraits NamespaceFixture::traits(std::string_view encoded) const {
    const auto it = asked_.find(encoded);
    return it == asked_.end() ? base::MessageTraits() : it->second;
}

std::string_view NamespaceFixture::subject(std::string_view encoded) const { return field_of(encoded, kSubjectTag); }

Result<core::MessagePredicate> NamespaceFixture::filter(std::string_view text, TimePoint) const {
    if (text.empty()) return core::MessagePredicate();
    if (text.starts_with("body<")) {
        return core::MessagePredicate([limit = std::string(text.substr(5))](std::string_view encoded, const auto&) {
            return body_of(encoded) < limit;
        });
    }
    if (!text.starts_with("body=")) return Error(ErrorCode::kInvalid, "a filter that this test does not know");
    return core::MessagePredicate([body = std::string(text.substr(5))](std::string_view encoded, const auto&) {
        return body_of(encoded) == body;
    });
}

// --- reads ------------------------------------------------------------------------------------------------------

void NamespaceFixture::read(const core::ReadRequest& request, core::ReadDone done) {
    reads_.push_back(Read{request, std::move(done), {}, {}});
}

void NamespaceFixture::read_dead(const core::DeadReadRequest& request, core::DeadDone done) {
    reads_.push_back(Read{{}, {}, request, std::move(done)});
}

void NamespaceFixture::serve_read() {
    RD_CHECK(!reads_.empty());
    Read read = std::move(reads_.front());
    reads_.pop_front();
    ++reads_done_;
    if (read.dead) {
        Result<core::DeadPage> page = core::read_dead_letters(*store_, *read.dead);
        REQUIRE(page);
        read.dead_done(*std::move(page));
        if (defer_) turn();
        return;
    }
    std::vector<core::ReadBlock> blocks;
    std::size_t bytes = 0;
    const std::string begin =
        storage::block_key(read.request.ns, read.request.queue, read.request.first, read.request.lane);
    const std::string end = storage::block_key(read.request.ns, read.request.queue,
                                               Sequence(read.request.last.value + 1), read.request.lane);
    REQUIRE(store_->scan(begin, end, [&](const storage::RecordView& record) {
        const Result<storage::KeyView> key = storage::parse_key(record.key);
        REQUIRE(key);
        core::ReadBlock block;
        block.first = key->sequence;
        if (!record.damaged) {
            Result<storage::BlockView> view = storage::read_block(record.payload);
            REQUIRE(view);
            block.payload = std::make_shared<core::Payload>();
            block.payload->bytes = record.payload;
            block.payload->ends = std::move(view->ends);
            block.payload->keys = std::move(view->keys);
        }
        bytes += record.payload.size();
        blocks.push_back(std::move(block));
        return bytes < read.request.max_bytes;
    }));
    read.done(std::move(blocks));
    if (defer_) turn();
}

void NamespaceFixture::serve_reads() {
    defer_ = false;
    turn();
}

// --- outlet -----------------------------------------------------------------------------------------------------

void NamespaceFixture::confirm(const core::Confirmation& confirmation) {
    Answered& answer = answers_[confirmation.request_id];
    if (confirmation.request_id != 0) REQUIRE(answer.pending());
    answer.confirm = confirmation;
}

void NamespaceFixture::deliver(const core::Delivery& delivery) {
    ByteReader in(delivery.bytes);
    REQUIRE(delivery.count > 0);
    for (std::uint32_t i = 0; i < delivery.count; ++i) {
        REQUIRE(in.u8() == static_cast<std::uint8_t>(storage::kMessageTag));
        Received message;
        message.session = delivery.session;
        message.consumer = delivery.consumer;
        message.seq = Sequence(delivery.first_seq.value + i);
        message.lease = delivery.lease;
        message.attempt = delivery.attempt;
        message.epoch = delivery.epoch;
        message.commit_time_ms = delivery.commit_time_ms;
        message.id_queue = delivery.queue;
        message.id_seq = delivery.original_seq.value == 0 ? message.seq : Sequence(delivery.original_seq.value + i);
        message.missed = i == 0 ? delivery.missed : 0;
        message.lease_time = delivery.lease_time;
        message.body = body_of(in.string());
        received_.push_back(std::move(message));
    }
    REQUIRE(in.ok());
    REQUIRE(in.at_end());
}

void NamespaceFixture::settled(const core::SettleReply& reply) {
    Answered& answer = answers_[reply.request_id];
    REQUIRE(answer.pending());
    answer.settled = reply;
}

void NamespaceFixture::started(const core::StartReply& reply) {
    Answered& answer = answers_[reply.request_id];
    REQUIRE(answer.pending());
    answer.started = reply;
}

void NamespaceFixture::recall(const core::Recall& recall) {
    for (std::uint64_t seq = recall.range.first.value; seq <= recall.range.last.value; ++seq) {
        Received message;
        message.recalled = true;
        message.session = recall.session;
        message.consumer = recall.consumer;
        message.seq = Sequence(seq);
        message.lease = recall.range.lease;
        message.epoch = recall.range.epoch;
        received_.push_back(std::move(message));
    }
}

void NamespaceFixture::fail(SessionId, std::uint64_t request_id, const Error& error) {
    Answered& answer = answers_[request_id];
    if (request_id != 0) REQUIRE(answer.pending());
    answer.error = error;
}

void NamespaceFixture::consumer_closed(SessionId session, std::uint64_t consumer, const Error& error) {
    closed_.push_back(Closed{session, consumer, error.code});
}

// --- requests ---------------------------------------------------------------------------------------------------

Result<std::uint64_t> NamespaceFixture::connect(SessionId session, std::string_view producer, std::uint64_t epoch) {
    Wait<std::uint64_t> wait;
    ns_->open_session(session, producer, epoch, now_, wait.done());
    turn();
    return wait.result();
}

void NamespaceFixture::disconnect(SessionId session, bool clean) {
    ns_->close_session(session, clean, now_);
    turn();
}

Result<QueueInfo> NamespaceFixture::create(std::string_view queue, const QueueSettings& settings, bool if_not_exists) {
    Wait<QueueInfo> wait;
    ns_->create_queue(queue, settings, if_not_exists, now_, wait.done());
    turn();
    return wait.result();
}

Result<QueueInfo> NamespaceFixture::update(std::string_view queue, const QueueSettings& settings) {
    Wait<QueueInfo> wait;
    ns_->update_queue(queue, settings, now_, wait.done());
    turn();
    return wait.result();
}

Result<std::uint64_t> NamespaceFixture::purge(std::string_view queue) {
    Wait<std::uint64_t> wait;
    ns_->purge_queue(queue, wait.done());
    turn();
    return wait.result();
}

Result<std::uint64_t> NamespaceFixture::remove(std::string_view queue, bool if_exists, bool if_empty) {
    Wait<std::uint64_t> wait;
    ns_->delete_queue(queue, if_exists, if_empty, wait.done());
    turn();
    return wait.result();
}

Result<std::uint64_t> NamespaceFixture::cancel_message(std::uint64_t seq, std::string_view queue) {
    Wait<std::uint64_t> wait;
    ns_->cancel_message({0, info(queue).id, Sequence(seq)}, wait.done());
    turn();
    return wait.result();
}

Result<std::uint64_t> NamespaceFixture::reschedule(std::uint64_t seq, std::int64_t due_ms, std::string_view queue) {
    Wait<std::uint64_t> wait;
    ns_->reschedule_message({0, info(queue).id, Sequence(seq)}, due_ms, now_, wait.done());
    turn();
    return wait.result();
}

core::Explanation NamespaceFixture::explain(std::uint64_t seq, std::string_view queue) const {
    return *ns_->explain(base::MessageId{0, info(queue).id, Sequence(seq)});
}

Result<std::uint64_t> NamespaceFixture::resume_key(std::string_view key, std::string_view queue) {
    Wait<std::uint64_t> wait;
    ns_->resume_key(queue, key, wait.done());
    turn();
    return wait.result();
}

Result<QueueInfo> NamespaceFixture::pause(bool paused, std::string_view queue) {
    Wait<QueueInfo> wait;
    ns_->pause_queue(queue, paused, wait.done());
    turn();
    return wait.result();
}

Result<core::PeekResult> NamespaceFixture::peek(std::uint64_t from, std::uint32_t limit, std::size_t max_bytes,
                                                std::string_view queue, core::MessagePredicate filter) {
    Wait<core::PeekResult> wait;
    ns_->peek_queue(queue, Sequence(from), limit, max_bytes, wait.done(), std::move(filter));
    turn();
    return wait.result();
}

Result<core::DeadPage> NamespaceFixture::list_dead(std::uint64_t from, std::uint32_t limit, std::size_t max_bytes,
                                                   bool bodies, std::string_view queue) {
    Wait<core::DeadPage> wait;
    core::DeadReadRequest request;
    request.first = Sequence(from);
    request.limit = limit;
    request.max_bytes = max_bytes;
    request.bodies = bodies;
    ns_->list_dead(queue, request, wait.done());
    turn();
    return wait.result();
}

Result<std::uint64_t> NamespaceFixture::delete_dead(const std::vector<Sequence>& sequences, std::string_view queue) {
    Wait<std::uint64_t> wait;
    ns_->delete_dead(queue, sequences, wait.done());
    turn();
    return wait.result();
}

Result<std::uint64_t> NamespaceFixture::purge_dead(std::string_view queue) {
    Wait<std::uint64_t> wait;
    ns_->purge_dead(queue, wait.done());
    turn();
    return wait.result();
}

Result<core::TaskInfo> NamespaceFixture::redrive(const core::RedriveRequest& request) {
    Wait<core::TaskInfo> wait;
    ns_->redrive(request, now_, wait.done());
    turn();
    return wait.result();
}

Result<core::TaskInfo> NamespaceFixture::cancel_task(std::uint64_t number) {
    Wait<core::TaskInfo> wait;
    ns_->cancel_task(number, now_, wait.done());
    turn();
    return wait.result();
}

Result<core::TopicInfo> NamespaceFixture::create_topic(const TopicSettings& settings, std::string_view topic) {
    Wait<core::TopicInfo> wait;
    ns_->create_topic(topic, settings, false, now_, wait.done());
    turn();
    return wait.result();
}

Result<std::uint64_t> NamespaceFixture::remove_topic(std::string_view topic) {
    Wait<std::uint64_t> wait;
    ns_->delete_topic(topic, false, wait.done());
    turn();
    return wait.result();
}

Result<core::SubscriptionInfo> NamespaceFixture::subscribe(std::string_view name, core::SubscribeRequest request) {
    Wait<core::SubscriptionInfo> wait;
    if (request.topic.empty()) request.topic = "t";
    if (request.session.value == 0) request.session = SessionId(1);
    request.name = name;
    ns_->subscribe(request, now_, wait.done());
    turn();
    return wait.result();
}

Result<core::SubscriptionInfo> NamespaceFixture::update_subscription(std::string_view name,
                                                                     const QueueSettings& settings,
                                                                     std::string_view topic) {
    Wait<core::SubscriptionInfo> wait;
    const Result<core::SubscriptionInfo> known = ns_->show_subscription(topic, name);
    if (!known) return known.error();
    core::SubscribeRequest request;
    request.topic = topic;
    request.name = name;
    request.subjects = known->record.subjects;
    request.filter = known->record.filter;
    request.settings = settings;
    ns_->update_subscription(request, now_, wait.done());
    turn();
    return wait.result();
}

Result<std::uint64_t> NamespaceFixture::unsubscribe(std::string_view name, std::string_view topic) {
    Wait<std::uint64_t> wait;
    ns_->delete_subscription(topic, name, false, wait.done());
    turn();
    return wait.result();
}

Result<core::SubscriptionInfo> NamespaceFixture::seek(std::string_view name, const core::Place& to,
                                                      std::string_view topic) {
    Wait<core::SubscriptionInfo> wait;
    ns_->seek(topic, name, to, wait.done());
    turn();
    return wait.result();
}

Result<core::SubscriptionInfo> NamespaceFixture::replay(std::string_view name, const core::Place& from,
                                                        const core::Place& to, std::string_view topic) {
    Wait<core::SubscriptionInfo> wait;
    ns_->replay(topic, name, from, to, wait.done());
    turn();
    return wait.result();
}

Answered NamespaceFixture::publish(const std::vector<std::string>& bodies, const PublishOptions& options) {
    Batch batch;
    for (const std::string& body : bodies) batch.add(body);
    return publish(batch, options);
}

Answered NamespaceFixture::publish(const Batch& batch, const PublishOptions& options) {
    core::PublishRequest request;
    request.session = options.session;
    request.request_id = ++last_request_;
    request.queue = options.queue;
    request.to_topic = options.to_topic;
    request.mandatory = options.mandatory;
    request.producer_seq = options.producer_seq;
    request.oldest_unconfirmed = options.oldest_unconfirmed;
    request.records = batch.records;
    request.ends = batch.ends;
    request.traits = batch.traits;
    for (std::size_t i = 0; i < batch.traits.size(); ++i) {
        if (batch.traits[i].plain()) continue;
        ByteReader in(std::string_view(batch.records).substr(i == 0 ? 0 : batch.ends[i - 1]));
        in.u8();
        asked_[std::string(in.string())] = batch.traits[i];
    }
    const std::uint64_t id = request.request_id;
    ns_->publish(request, now_);
    turn();
    return answers_[id];
}

Result<core::ConsumeGrant> NamespaceFixture::consume(const ConsumeOptions& options) {
    core::ConsumeRequest request;
    request.session = options.session;
    request.queue = options.queue;
    request.number = options.number;
    request.name = options.name;
    request.credit_messages = options.credit;
    request.credit_bytes = options.credit_bytes;
    request.lease = options.lease;
    request.held = options.held;
    request.explicit_start = options.explicit_start;
    request.ack_on_delivery = options.ack_on_delivery;
    request.filter = *filter(options.filter, now_);
    Result<core::ConsumeGrant> grant = ns_->consume(request, now_);
    turn();
    return grant;
}

Result<void> NamespaceFixture::credit(std::uint32_t messages, std::uint64_t bytes, SessionId session,
                                      std::uint64_t consumer) {
    Result<void> ok = ns_->set_credit(session, consumer, messages, bytes);
    turn();
    return ok;
}

Result<std::uint64_t> NamespaceFixture::cancel(SessionId session, std::uint64_t consumer) {
    Wait<std::uint64_t> wait;
    ns_->cancel_consumer(session, consumer, now_, wait.done());
    turn();
    return wait.result();
}

Answered NamespaceFixture::settle(Outcome outcome, const std::vector<LeaseRange>& ranges,
                                  const SettleOptions& options) {
    core::SettleRequest request;
    request.session = options.session;
    request.request_id = ++last_request_;
    request.consumer = options.consumer;
    request.outcome = outcome;
    request.ranges = ranges;
    request.reason = options.reason;
    request.after = options.after;
    const std::uint64_t id = request.request_id;
    ns_->settle(request, now_);
    turn();
    return answers_[id];
}

Answered NamespaceFixture::extend(const std::vector<LeaseRange>& ranges, Millis lease, SessionId session,
                                  std::uint64_t consumer) {
    core::ExtendRequest request;
    request.session = session;
    request.request_id = ++last_request_;
    request.consumer = consumer;
    request.ranges = ranges;
    request.lease = lease;
    const std::uint64_t id = request.request_id;
    ns_->extend(request, now_);
    turn();
    return answers_[id];
}

Answered NamespaceFixture::start(const std::vector<LeaseRange>& ranges, SessionId session, std::uint64_t consumer) {
    core::StartRequest request;
    request.session = session;
    request.request_id = ++last_request_;
    request.consumer = consumer;
    request.ranges = ranges;
    const std::uint64_t id = request.request_id;
    ns_->start(request, now_);
    turn();
    return answers_[id];
}

Received NamespaceFixture::start(const Received& buffered) {
    const Answered answer = start({buffered.range()}, buffered.session, buffered.consumer);
    REQUIRE(answer.started);
    REQUIRE(answer.started->started.size() == 1);
    Received started = buffered;
    started.lease = answer.started->started[0].range.lease;
    started.attempt = answer.started->started[0].attempt;
    return started;
}

QueueInfo NamespaceFixture::info(std::string_view queue) const {
    const Result<QueueInfo> info = ns_->show_queue(queue);
    REQUIRE(info);
    return *info;
}

// --- what was said ----------------------------------------------------------------------------------------------

std::vector<Received> NamespaceFixture::take() {
    std::vector<Received> all(received_.begin(), received_.end());
    received_.clear();
    return all;
}

Received NamespaceFixture::next() {
    REQUIRE_FALSE(received_.empty());
    Received first = received_.front();
    received_.pop_front();
    return first;
}

std::vector<std::string> NamespaceFixture::take_bodies() {
    std::vector<std::string> bodies;
    for (Received& message : take()) bodies.push_back(std::move(message.body));
    return bodies;
}

std::optional<NamespaceFixture::DeadLetter> NamespaceFixture::dead_letter(Sequence seq, std::string_view queue) {
    const Result<std::optional<std::string>> stored = store_->get(storage::dead_key(kNs, info(queue).id, seq));
    REQUIRE(stored);
    if (!*stored) return std::nullopt;
    Result<storage::DeadRecord> record = storage::DeadRecord::decode(**stored);
    REQUIRE(record);
    DeadLetter dead;
    dead.body = body_of(record->message);
    dead.record = *std::move(record);
    return dead;
}

QueueFixture::QueueFixture(const QueueSettings& settings) {
    REQUIRE(create("q", settings));
    REQUIRE(connect(SessionId(1)));
}

std::vector<std::string> drain(NamespaceFixture& queue) {
    std::vector<std::string> seen;
    while (queue.untaken() != 0) {
        const Received message = queue.next();
        seen.push_back(message.body);
        REQUIRE(queue.ack(message).settled->count == 1);
    }
    return seen;
}

ConsumeOptions one_at_a_time() {
    ConsumeOptions options;
    options.credit = 1;
    return options;
}

}  // namespace rockdove::test

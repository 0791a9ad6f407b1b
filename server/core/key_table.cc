#include "server/core/key_table.h"

#include "protocol/base/check.h"

namespace rockdove::core {

KeyTable::Change KeyTable::arrive(std::uint64_t key, const KeyMember& member) {
    keys_[key].parked.insert(member);
    ++members_;
    return settle(key);
}

KeyTable::Change KeyTable::depart(std::uint64_t key, const KeyMember& member) {
    const auto it = keys_.find(key);
    if (it == keys_.end()) return {};
    State& state = it->second;
    Change before;
    if (state.ready == member) {
        state.ready.reset();
        before.no_longer_ready = member;
        --members_;
    } else {
        members_ -= state.parked.erase(member);
    }
    Change after = settle(key);
    if (before.no_longer_ready) after.no_longer_ready = before.no_longer_ready;
    return after;
}

void KeyTable::start(std::uint64_t key) {
    State& state = keys_.at(key);
    RD_CHECK(state.ready && !state.started);
    state.ready.reset();
    state.started = true;
    --members_;
}

KeyTable::Change KeyTable::stop(std::uint64_t key) {
    const auto it = keys_.find(key);
    if (it == keys_.end()) return {};
    it->second.started = false;
    return settle(key);
}

KeyTable::Change KeyTable::begin_wait(std::uint64_t key) {
    ++keys_[key].waiting;
    return settle(key);
}

KeyTable::Change KeyTable::end_wait(std::uint64_t key) {
    const auto it = keys_.find(key);
    if (it == keys_.end()) return {};
    RD_CHECK(it->second.waiting != 0);
    --it->second.waiting;
    return settle(key);
}

KeyTable::Change KeyTable::set_paused(std::uint64_t key, bool paused) {
    keys_[key].paused = paused;
    return settle(key);
}

KeyTable::Hold KeyTable::hold(std::uint64_t key) const {
    Hold hold;
    const auto it = keys_.find(key);
    if (it == keys_.end()) return hold;
    const State& state = it->second;
    hold.started = state.started;
    hold.paused = state.paused;
    hold.waiting = hold_ && state.waiting != 0;
    if (state.ready) {
        hold.first = state.ready->position.sequence;
    } else if (!state.parked.empty()) {
        hold.first = state.parked.begin()->position.sequence;
    }
    return hold;
}

std::uint64_t KeyTable::behind(std::uint64_t key) const {
    const auto it = keys_.find(key);
    return it == keys_.end() ? 0 : it->second.parked.size() + (it->second.ready ? 1 : 0);
}

// The first of those that are due is ready, unless the key is held.
KeyTable::Change KeyTable::settle(std::uint64_t key) {
    Change change;
    const auto it = keys_.find(key);
    if (it == keys_.end()) return change;
    State& state = it->second;
    const bool held = state.started || state.paused || (hold_ && state.waiting != 0);
    if (state.ready && (held || (!state.parked.empty() && *state.parked.begin() < *state.ready))) {
        change.no_longer_ready = state.ready;
        state.parked.insert(*state.ready);
        state.ready.reset();
    }
    if (!held && !state.ready && !state.parked.empty()) {
        state.ready = *state.parked.begin();
        state.parked.erase(state.parked.begin());
        change.ready = state.ready;
    }
    if (state.unused()) keys_.erase(it);
    return change;
}

}  // namespace rockdove::core

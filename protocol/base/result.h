// A value or an Error. Named like std::expected, which g++ 12 has only in C++23 mode.
//
//     Result<QueueName> name = parse_queue_name(text);
//     if (!name) return name.error();
//     use(*name);
#pragma once

#include <optional>
#include <utility>
#include <variant>

#include "protocol/base/check.h"
#include "protocol/base/error.h"

namespace rockdove::base {

template <class T>
class [[nodiscard]] Result {
public:
    using value_type = T;

    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

    [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
    explicit operator bool() const noexcept { return has_value(); }

    // The value. Calling these without one is a broken invariant.
    T& value() & { return check(), std::get<0>(state_); }
    const T& value() const& { return check(), std::get<0>(state_); }
    T&& value() && { return check(), std::get<0>(std::move(state_)); }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }

    template <class U>
    T value_or(U&& other) const& {
        return has_value() ? std::get<0>(state_) : static_cast<T>(std::forward<U>(other));
    }

    // The error. Calling these without one is a broken invariant.
    const Error& error() const& { return RD_CHECK(!has_value()), std::get<1>(state_); }
    Error&& error() && { return RD_CHECK(!has_value()), std::get<1>(std::move(state_)); }

private:
    void check() const { RD_CHECK(has_value()); }

    std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
public:
    Result() = default;
    Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

    [[nodiscard]] bool has_value() const noexcept { return !error_; }
    explicit operator bool() const noexcept { return has_value(); }
    const Error& error() const& { return RD_CHECK(error_.has_value()), *error_; }
    Error&& error() && { return RD_CHECK(error_.has_value()), *std::move(error_); }

private:
    std::optional<Error> error_;
};

}  // namespace rockdove::base

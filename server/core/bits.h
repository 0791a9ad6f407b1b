// A fixed number of flags with range operations: one flag per message of a block.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace rockdove::core {

class Bits {
public:
    explicit Bits(std::uint32_t size) : words_((size + 63) / 64), size_(size) {}

    [[nodiscard]] std::uint32_t size() const { return size_; }
    [[nodiscard]] bool test(std::uint32_t i) const { return (words_[i / 64] >> (i % 64) & 1) != 0; }
    void set(std::uint32_t i) { words_[i / 64] |= std::uint64_t{1} << (i % 64); }
    void reset(std::uint32_t i) { words_[i / 64] &= ~(std::uint64_t{1} << (i % 64)); }

    // [first, end)
    void set(std::uint32_t first, std::uint32_t end) {
        each_word(first, end, [this](std::size_t word, std::uint64_t mask) { words_[word] |= mask; });
    }
    void reset(std::uint32_t first, std::uint32_t end) {
        each_word(first, end, [this](std::size_t word, std::uint64_t mask) { words_[word] &= ~mask; });
    }
    [[nodiscard]] std::uint32_t count(std::uint32_t first, std::uint32_t end) const {
        std::uint32_t total = 0;
        each_word(first, end, [&](std::size_t word, std::uint64_t mask) {
            total += static_cast<std::uint32_t>(std::popcount(words_[word] & mask));
        });
        return total;
    }
    // The first i >= from with test(i) == value, or size().
    [[nodiscard]] std::uint32_t find(std::uint32_t from, bool value) const {
        if (from >= size_) return size_;
        std::size_t word = from / 64;
        std::uint64_t bits = (value ? words_[word] : ~words_[word]) & ~std::uint64_t{0} << (from % 64);
        while (bits == 0) {
            if (++word == words_.size()) return size_;
            bits = value ? words_[word] : ~words_[word];
        }
        const auto at = static_cast<std::uint32_t>(word * 64 + static_cast<std::size_t>(std::countr_zero(bits)));
        return at < size_ ? at : size_;
    }

private:
    template <class F>
    static void each_word(std::uint32_t first, std::uint32_t end, F&& f) {
        while (first < end) {
            const std::uint32_t low = first % 64;
            const std::uint32_t width = end - first < 64 - low ? end - first : 64 - low;
            const std::uint64_t ones = width == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << width) - 1;
            f(first / 64, ones << low);
            first += width;
        }
    }

    std::vector<std::uint64_t> words_;
    std::uint32_t size_;
};

}  // namespace rockdove::core

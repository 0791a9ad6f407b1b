// "Did you mean": the known word closest to a mistyped one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace rockdove::ctl {

// Letters inserted, deleted, replaced or swapped with their neighbour to get from one to the other.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The candidate that is near enough to be meant, or empty. Ties go to the one named first.
std::string closest(std::string_view word, const std::vector<std::string>& candidates);

// " Did you mean \"emails\"?", or empty. Made to be put behind a sentence.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace rockdove::ctl

#include "client/src/delivery.h"

#include <algorithm>
#include <tuple>

#include "client/src/consumer.h"

namespace rockdove::detail {

bool contains(const v1::SeqRange& range, const Delivery& delivery) {
    return range.epoch() == delivery.run->epoch && range.lease() == delivery.run->lease &&
           range.first_seq() <= delivery.sequence && delivery.sequence <= range.last_seq();
}

std::vector<v1::SeqRange> to_ranges(std::vector<std::shared_ptr<Delivery>>& deliveries) {
    const auto key = [](const Delivery& d) { return std::tuple(d.run->epoch, d.run->lease, d.sequence); };
    std::sort(deliveries.begin(), deliveries.end(), [&](const auto& a, const auto& b) { return key(*a) < key(*b); });
    std::vector<v1::SeqRange> ranges;
    for (const auto& delivery : deliveries) {
        if (!ranges.empty()) {
            v1::SeqRange& last = ranges.back();
            if (last.epoch() == delivery->run->epoch && last.lease() == delivery->run->lease &&
                last.last_seq() + 1 == delivery->sequence) {
                last.set_last_seq(delivery->sequence);
                continue;
            }
        }
        v1::SeqRange& range = ranges.emplace_back();
        range.set_first_seq(delivery->sequence);
        range.set_last_seq(delivery->sequence);
        range.set_epoch(delivery->run->epoch);
        range.set_lease(delivery->run->lease);
    }
    return ranges;
}

base::Error stale_lease(const Delivery& delivery, const std::string& queue) {
    return base::Error(base::ErrorCode::kStaleLease, "message " + std::to_string(delivery.sequence) + " of \"" + queue +
                                                         "\" is no longer held: its lease ended or was given back");
}

}  // namespace rockdove::detail

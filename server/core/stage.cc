#include "server/core/stage.h"

namespace rockdove::core {

namespace {

struct Execute {
    const Error* failure;
    Outlet& outlet;

    void operator()(const Confirmation& confirmation) const {
        if (failure != nullptr) return outlet.fail(confirmation.session, confirmation.request_id, *failure);
        if (confirmation.request_id != 0) return outlet.confirm(confirmation);
        // Nobody waits for success; what was refused is told all the same.
        for (const PublishException& exception : confirmation.exceptions) {
            if (exception.error) return outlet.fail(confirmation.session, 0, *exception.error);
        }
    }
    void operator()(const Delivery& delivery) const {
        if (failure == nullptr) outlet.deliver(delivery);
    }
    void operator()(const SettleReply& reply) const {
        if (reply.request_id == 0) return;
        if (failure == nullptr) {
            outlet.settled(reply);
        } else {
            outlet.fail(reply.session, reply.request_id, *failure);
        }
    }
    void operator()(const Reply& reply) const { reply(failure); }
    void operator()(const StartReply& reply) const {
        if (failure == nullptr) {
            outlet.started(reply);
        } else if (reply.request_id != 0) {
            outlet.fail(reply.session, reply.request_id, *failure);
        }
    }
    void operator()(const Recall& recall) const {
        if (failure == nullptr) outlet.recall(recall);
    }
};

}  // namespace

void execute(const Effect& effect, const Error* failure, Outlet& outlet) {
    std::visit(Execute{failure, outlet}, effect);
}

}  // namespace rockdove::core

// A message as JSON, whether it was received or peeked at.
#pragma once

#include <string_view>

#include "client/include/rockdove/client.h"
#include "rockdove/v1/message.pb.h"
#include "tools/ctl/text/view.h"

namespace rockdove::ctl {

// "body" if it is UTF-8, else "body_base64".
void add_body(Json& out, std::string_view body);
// Headers, key, content type and the like, as far as they are set. Headers are a list, since names may repeat.
Json message_json(const v1::Message& message);
// Identity, attempt and all properties of a delivery.
Json job_json(const Job& job);

bool is_utf8(std::string_view bytes);
std::string to_base64(std::string_view bytes);

}  // namespace rockdove::ctl

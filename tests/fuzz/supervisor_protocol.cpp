// The supervisor's socket: any bytes in any pieces are frames or refused, and a message that is understood means the same
// when it is written and read once more.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "supervisor/protocol.h"

using namespace engine::supervisor;

namespace {

void check_message(const std::string& text) {
    if (auto request = request_from_json(text)) {
        auto again = request_from_json(to_json(*request));
        if (!again || again->verb != request->verb || again->ids != request->ids || again->timeouts_ns != request->timeouts_ns) abort();
    }
    if (auto reply = reply_from_json(text)) {
        auto again = reply_from_json(to_json(*reply));
        if (!again || again->id != reply->id || again->exited != reply->exited || again->error.has_value() != reply->error.has_value()) abort();
    }
    (void)endpoint_from_json(text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const size_t piece = static_cast<size_t>(data[0]) + 1;
    const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    check_message(bytes);
    FrameParser parser;
    for (size_t at = 0; at < bytes.size(); at += piece) {
        if (!parser.feed(std::string_view(bytes).substr(at, piece))) return 0;
        while (auto text = parser.next()) check_message(*text);
    }
    return 0;
}

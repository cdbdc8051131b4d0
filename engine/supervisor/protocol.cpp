#include "supervisor/protocol.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cstring>

namespace engine::supervisor {

using base::Code;
using base::fail;
using base::fail_errno;
using base::Result;
using base::Status;
namespace json = boost::json;

namespace {

constexpr size_t kMostFds = 8;

Result<json::object> parse_object(std::string_view text) {
    boost::system::error_code error;
    json::parse_options options;
    options.max_depth = 8;
    options.allow_invalid_utf8 = true;
    json::value value = json::parse({text.data(), text.size()}, error, {}, options);
    if (error || !value.is_object()) return fail(Code::corrupt, "message is not a JSON object");
    return std::move(value.as_object());
}

std::string text_of(const json::object& object, std::string_view key) {
    const auto* value = object.if_contains({key.data(), key.size()});
    return value && value->is_string() ? std::string(value->as_string()) : std::string();
}
bool flag_of(const json::object& object, std::string_view key) {
    const auto* value = object.if_contains({key.data(), key.size()});
    return value && value->is_bool() && value->as_bool();
}
std::optional<int64_t> number_of(const json::object& object, std::string_view key) {
    const auto* value = object.if_contains({key.data(), key.size()});
    if (value && value->is_int64()) return value->as_int64();
    if (value && value->is_uint64()) return static_cast<int64_t>(value->as_uint64());
    return std::nullopt;
}
std::vector<std::string> texts_of(const json::object& object, std::string_view key) {
    std::vector<std::string> texts;
    const auto* value = object.if_contains({key.data(), key.size()});
    if (value && value->is_array())
        for (const auto& each : value->as_array())
            if (each.is_string()) texts.emplace_back(each.as_string());
    return texts;
}
json::array array_of(const std::vector<std::string>& texts) {
    json::array array;
    for (const auto& text : texts) array.emplace_back(text);
    return array;
}

}  // namespace

std::string to_json(const Request& request) {
    json::object object;
    object["verb"] = request.verb;
    object["ids"] = array_of(request.ids);
    if (!request.timeouts_ns.empty()) object["timeouts"] = json::array(request.timeouts_ns.begin(), request.timeouts_ns.end());
    if (!request.signals.empty()) object["signals"] = array_of(request.signals);
    if (!request.signal.empty()) object["signal"] = request.signal;
    if (!request.network.empty()) object["network"] = request.network;
    if (!request.endpoint.empty()) object["endpoint"] = request.endpoint;
    if (request.start) object["start"] = true;
    if (!request.program.empty()) object["program"] = request.program;
    if (request.token != 0) object["token"] = request.token;
    if (request.position != 0) object["position"] = request.position;
    return json::serialize(object);
}

Result<Request> request_from_json(std::string_view text) {
    auto object = TRY(parse_object(text));
    Request request;
    request.verb = text_of(object, "verb");
    request.ids = texts_of(object, "ids");
    request.signal = text_of(object, "signal");
    request.network = text_of(object, "network");
    request.endpoint = text_of(object, "endpoint");
    request.program = text_of(object, "program");
    request.start = flag_of(object, "start");
    request.token = static_cast<uint64_t>(number_of(object, "token").value_or(0));
    request.position = static_cast<uint64_t>(number_of(object, "position").value_or(0));
    if (const auto* value = object.if_contains("timeouts"); value && value->is_array())
        for (const auto& each : value->as_array()) request.timeouts_ns.push_back(each.is_int64() ? each.as_int64() : -1);
    request.signals = texts_of(object, "signals");
    request.timeouts_ns.resize(request.ids.size(), -1);
    for (const auto& id : request.ids)
        if (id.size() != 64 || id.find_first_not_of("0123456789abcdef") != std::string::npos) return fail(Code::invalid, "message names no container");
    return request;
}

std::string to_json(const Reply& reply) {
    json::object object;
    if (!reply.id.empty()) object["id"] = reply.id;
    if (reply.end) object["end"] = true;
    if (reply.attached) object["attached"] = true;
    if (reply.tty) object["tty"] = true;
    if (reply.killed) object["killed"] = true;
    if (!reply.note.empty()) object["note"] = reply.note;
    if (reply.exited) object["exited"] = *reply.exited;
    if (reply.position) object["position"] = *reply.position;
    if (reply.error) {
        json::object error;
        error["code"] = static_cast<int>(reply.error->code);
        error["errno"] = reply.error->sys_errno;
        error["what"] = reply.error->what;
        error["context"] = array_of(reply.error->context);
        object["error"] = std::move(error);
    }
    return json::serialize(object);
}

Result<Reply> reply_from_json(std::string_view text) {
    auto object = TRY(parse_object(text));
    Reply reply;
    reply.id = text_of(object, "id");
    reply.end = flag_of(object, "end");
    reply.attached = flag_of(object, "attached");
    reply.tty = flag_of(object, "tty");
    reply.killed = flag_of(object, "killed");
    reply.note = text_of(object, "note");
    if (auto number = number_of(object, "exited")) reply.exited = static_cast<int>(*number);
    if (auto number = number_of(object, "position")) reply.position = static_cast<uint64_t>(*number);
    if (const auto* value = object.if_contains("error"); value && value->is_object()) {
        const auto& error = value->as_object();
        base::Error parsed;
        int64_t code = number_of(error, "code").value_or(0);
        parsed.code = code >= 0 && code <= static_cast<int64_t>(Code::no_such_command) ? static_cast<Code>(code) : Code::internal;
        parsed.sys_errno = static_cast<int>(number_of(error, "errno").value_or(0));
        parsed.what = text_of(error, "what");
        parsed.context = texts_of(error, "context");
        reply.error = std::move(parsed);
    }
    return reply;
}

namespace {

/// Until the fd is ready.
Status wait_ready(int fd, short events, const WhileSilent& silent) {
    if (!silent) return {};
    pollfd state{fd, events, 0};
    for (;;) {
        int ready = ::poll(&state, 1, 1000);
        if (ready > 0) return {};
        if (ready < 0 && errno != EINTR) return fail_errno("wait for the supervisor");
        if (ready == 0) TRY_VOID(silent());
    }
}

}  // namespace

Status send_frame(int fd, std::string_view text, const std::vector<int>& fds, const WhileSilent& silent) {
    FrameHead head;
    head.length = static_cast<uint32_t>(text.size());
    std::string bytes(reinterpret_cast<const char*>(&head), sizeof head);
    bytes += text;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMostFds)] = {};
    size_t sent = 0;
    while (sent < bytes.size()) {
        iovec data{bytes.data() + sent, bytes.size() - sent};
        msghdr message{};
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        if (sent == 0 && !fds.empty()) {
            message.msg_control = control;
            message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
            cmsghdr* each = CMSG_FIRSTHDR(&message);
            each->cmsg_level = SOL_SOCKET;
            each->cmsg_type = SCM_RIGHTS;
            each->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
            std::memcpy(CMSG_DATA(each), fds.data(), sizeof(int) * fds.size());
        }
        if (silent) TRY_VOID(wait_ready(fd, POLLOUT, silent));
        ssize_t n = ::sendmsg(fd, &message, MSG_NOSIGNAL | (silent ? MSG_DONTWAIT : 0));
        if (n < 0 && (errno == EINTR || (silent && errno == EAGAIN))) continue;
        if (n < 0) return fail_errno("send to the supervisor");
        sent += static_cast<size_t>(n);
    }
    return {};
}

Result<std::optional<Frame>> receive_frame(int fd, const WhileSilent& silent) {
    Frame frame;
    FrameHead head;
    std::string bytes;
    size_t wanted = sizeof head;
    bool have_head = false;
    while (bytes.size() < wanted) {
        size_t at = bytes.size();
        bytes.resize(wanted);
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMostFds)];
        iovec data{bytes.data() + at, wanted - at};
        msghdr message{};
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        if (auto ready = wait_ready(fd, POLLIN, silent); !ready) return std::move(ready.error());
        ssize_t n = ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
        bytes.resize(at + static_cast<size_t>(std::max<ssize_t>(n, 0)));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno != ECONNRESET) return fail_errno("receive from the supervisor");
        for (cmsghdr* each = n >= 0 ? CMSG_FIRSTHDR(&message) : nullptr; each; each = CMSG_NXTHDR(&message, each)) {
            if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS) continue;
            size_t count = (each->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (size_t i = 0; i < count; i++) {
                int received;
                std::memcpy(&received, CMSG_DATA(each) + i * sizeof(int), sizeof(int));
                frame.fds.emplace_back(received);
            }
        }
        if (n <= 0) return std::optional<Frame>();
        if (!have_head && bytes.size() == sizeof head) {
            std::memcpy(&head, bytes.data(), sizeof head);
            if (head.magic != FrameHead{}.magic || head.length > kLongestFrame) return fail(Code::corrupt, "answer of the supervisor is malformed");
            have_head = true;
            bytes.clear();
            wanted = head.length;
        }
    }
    frame.json = std::move(bytes);
    return std::optional<Frame>(std::move(frame));
}

Status FrameParser::feed(std::string_view bytes) {
    buffer_ += bytes;
    if (buffer_.size() >= sizeof(FrameHead)) {
        FrameHead head;
        std::memcpy(&head, buffer_.data(), sizeof head);
        if (head.magic != FrameHead{}.magic || head.length > kLongestFrame) return fail(Code::corrupt, "message is malformed");
    }
    return {};
}

std::optional<std::string> FrameParser::next() {
    FrameHead head;
    if (buffer_.size() < sizeof head) return std::nullopt;
    std::memcpy(&head, buffer_.data(), sizeof head);
    if (head.magic != FrameHead{}.magic || head.length > kLongestFrame || buffer_.size() < sizeof head + head.length) return std::nullopt;
    std::string text = buffer_.substr(sizeof head, head.length);
    buffer_.erase(0, sizeof head + head.length);
    return text;
}

std::string to_json(const Endpoint& endpoint) {
    json::object object;
    object["network"] = endpoint.network;
    object["aliases"] = array_of(endpoint.aliases);
    object["ipv4"] = endpoint.ipv4;
    object["ipv6"] = endpoint.ipv6;
    object["link_local_ips"] = array_of(endpoint.link_local_ips);
    object["mac"] = endpoint.mac;
    object["interface_name"] = endpoint.interface_name;
    object["priority"] = endpoint.priority;
    object["gateway_priority"] = endpoint.gateway_priority;
    json::object options;
    for (const auto& [name, value] : endpoint.driver_options) options[name] = value;
    object["driver_options"] = std::move(options);
    return json::serialize(object);
}

Result<Endpoint> endpoint_from_json(std::string_view text) {
    auto object = TRY(parse_object(text));
    Endpoint endpoint;
    endpoint.network = text_of(object, "network");
    endpoint.aliases = texts_of(object, "aliases");
    endpoint.ipv4 = text_of(object, "ipv4");
    endpoint.ipv6 = text_of(object, "ipv6");
    endpoint.link_local_ips = texts_of(object, "link_local_ips");
    endpoint.mac = text_of(object, "mac");
    endpoint.interface_name = text_of(object, "interface_name");
    endpoint.priority = static_cast<int>(number_of(object, "priority").value_or(0));
    endpoint.gateway_priority = static_cast<int>(number_of(object, "gateway_priority").value_or(0));
    if (const auto* options = object.if_contains("driver_options"); options && options->is_object())
        for (const auto& [name, value] : options->as_object())
            if (value.is_string()) endpoint.driver_options[std::string(name)] = std::string(value.as_string());
    return endpoint;
}

}  // namespace engine::supervisor

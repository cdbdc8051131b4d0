#include "cli/container_text.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/process_age.h"
#include "base/text.h"
#include "cli/terminal.h"

namespace compose::cli {

std::vector<Publisher> publishers(const engine::ContainerInfo& container) {
    std::vector<Publisher> result;
    for (const auto& port : container.ports) {
        std::vector<std::string> addresses{port.host_ip};
        if (port.host_ip.empty()) addresses = {"0.0.0.0", "::"};
        for (const auto& address : addresses) result.push_back({address, port.container_port, port.host_port, port.protocol});
    }
    for (const std::string& exposed : container.spec.expose) {
        auto [number, protocol] = base::cut(exposed, '/');
        auto target = static_cast<uint16_t>(base::parse_int(number).value_or(0));
        Publisher only{"", target, 0, protocol.value_or("tcp")};
        bool published = std::any_of(result.begin(), result.end(), [&](const Publisher& p) { return p.target == target && p.protocol == only.protocol; });
        if (!published && target) result.push_back(only);
    }
    std::sort(result.begin(), result.end(), [](const Publisher& a, const Publisher& b) {
        return std::tie(a.target, a.protocol, a.url, a.published) < std::tie(b.target, b.protocol, b.url, b.published);
    });
    return result;
}

std::string address_text(const std::string& ip, uint16_t port) {
    bool six = ip.find(':') != std::string::npos;
    return (six ? "[" + ip + "]" : ip) + ":" + std::to_string(port);
}

std::string ports_text(const engine::ContainerInfo& container) {
    auto all = publishers(container);
    std::vector<std::string> parts;
    for (size_t i = 0; i < all.size();) {
        // neighbours with the same address and step become a range: 0.0.0.0:8000-8010->80-90/tcp
        size_t end = i + 1;
        auto follows = [&](const Publisher& a, const Publisher& b) {
            return b.url == a.url && b.protocol == a.protocol && b.target == a.target + 1 && (a.published ? b.published == a.published + 1 : !b.published);
        };
        while (end < all.size() && follows(all[end - 1], all[end])) ++end;
        const Publisher &first = all[i], &last = all[end - 1];
        auto range = [&](uint16_t from, uint16_t to) { return from == to ? std::to_string(from) : fmt::format("{}-{}", from, to); };
        std::string text = range(first.target, last.target) + "/" + first.protocol;
        if (first.published) {
            std::string host = address_text(first.url, 0);
            text = host.substr(0, host.size() - 1) + range(first.published, last.published) + "->" + text;
        }
        parts.push_back(text);
        i = end;
    }
    return base::join(parts, ", ");
}

std::string command_text(const engine::ContainerInfo& container, bool whole) {
    std::string text = base::join(container.argv, " ");
    if (!whole && width(text) > 18) text = cut_to(text, 17) + "…";
    return base::quote(text);
}

std::string ago(engine::Time then, engine::Time now) {
    return base::format_age(std::chrono::nanoseconds(std::max<engine::Time>(0, now - then))) + " ago";
}

std::string status_text(const engine::ContainerInfo& container, engine::Time now) {
    const auto& state = container.state;
    using State = engine::ContainerStatus;
    auto age = [&](engine::Time since) { return base::format_age(std::chrono::nanoseconds(std::max<engine::Time>(0, now - since))); };
    auto up = [&] { return state.pid_start != 0 ? base::format_age(base::process_age(state.pid_start)) : age(state.started); };
    switch (state.status) {
        case State::created: return "Created";
        case State::removing: return "Removal In Progress";
        case State::dead: return "Dead";
        case State::restarting: return fmt::format("Restarting ({}) {} ago", state.exit_code, age(state.finished));
        case State::exited: return fmt::format("Exited ({}) {} ago", state.exit_code, age(state.finished));
        case State::paused: return fmt::format("Up {} (Paused)", up());
        case State::running: break;
    }
    std::string text = "Up " + up();
    if (state.health == engine::HealthStatus::starting) return text + " (health: starting)";
    if (state.health != engine::HealthStatus::none) text += fmt::format(" ({})", engine::to_text(state.health));
    return text;
}

std::string created_text(engine::Time time) {
    std::string text = base::format_time(time);  // 2026-11-24T03:55:18.123456789Z
    return text.substr(0, 10) + " " + text.substr(11, 8) + " +0000 UTC";
}

std::string labels_text(const engine::Labels& labels) {
    std::vector<std::string> parts;
    for (auto& [key, value] : labels) parts.push_back(key + "=" + value);
    return base::join(parts, ",");
}

std::pair<std::string, std::string> repository_and_tag(const std::string& reference) {
    std::string name = reference.substr(0, reference.find('@'));
    if (name.starts_with("docker.io/")) {  // in short where that stands for the same image
        std::string rest = name.substr(10), first = rest.substr(0, rest.find('/'));
        if (rest.starts_with("library/") && rest.find('/', 8) == std::string::npos)
            name = rest.substr(8);
        else if (first.find('.') == std::string::npos && first != "localhost")
            name = rest;
    }
    size_t colon = name.rfind(':'), slash = name.rfind('/');
    if (colon == std::string::npos || (slash != std::string::npos && colon < slash)) return {name, ""};
    return {name.substr(0, colon), name.substr(colon + 1)};
}

std::string short_id(const std::string& id) { return (id.starts_with("sha256:") ? id.substr(7) : id).substr(0, 12); }

}  // namespace compose::cli

// Why a container is not what its service asks for. The hash label decides; the words come from comparing what the engine was
// asked for with what the file says now, attribute by attribute.
#include <algorithm>

#include "model/render.h"
#include "plan/draft.h"

namespace compose::plan {
namespace {

std::string shorten(std::string text) {
    text = base::printable(text);
    if (text.size() <= 40) return text;
    size_t end = 37;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // whole UTF-8 characters
    return text.substr(0, end) + "…";
}

std::string words(const std::optional<std::vector<std::string>>& list) {
    return list ? base::quote(shorten(base::join(*list, " "))) : std::string("the image's");
}

std::string or_none(const std::string& text) { return text.empty() ? "none" : shorten(text); }

/// Values of such variables are not shown: the plan is printed in CI logs.
bool looks_secret(const std::string& name) {
    std::string lower = base::to_lower(name);
    for (const char* part : {"pass", "secret", "token", "key", "credential", "auth", "dsn", "url"})
        if (lower.find(part) != std::string::npos) return true;
    return false;
}

/// The first difference between two maps of names and values: `B: 1 → 2`, `NEW added`, `OLD removed`.
template <class Old, class New>
std::string map_difference(const Old& old, const New& now) {
    for (const auto& [name, value] : now) {
        auto found = old.find(name);
        if (found == old.end()) return name + " added";
        if (found->second != value)
            return looks_secret(name) ? name + " changed" : name + ": " + or_none(found->second) + " → " + or_none(value);
    }
    for (const auto& [name, value] : old)
        if (!now.contains(name)) return name + " removed";
    return "";
}

using Map = std::map<std::string, std::string>;

Map environment_of(const std::vector<std::string>& list) {
    Map result;
    for (const auto& entry : list) {
        auto [name, value] = base::cut(entry, '=');
        if (value) result[name] = *value;
    }
    return result;
}

Map environment_of(const model::Environment& environment) {
    Map result;
    for (const auto& [name, value] : environment)
        if (value) result[name] = *value;
    return result;
}

Map user_labels(const engine::Labels& labels) {
    Map result;
    for (const auto& [name, value] : labels)
        if (!name.starts_with("com.docker.compose.")) result[name] = value;
    return result;
}

std::string port_text(const engine::PortMapping& port) {
    std::string host = port.host_ip.empty() ? "" : port.host_ip + ":";
    if (port.host_port != 0) host += std::to_string(port.host_port) + ":";
    return host + std::to_string(port.container_port) + (port.protocol == "tcp" ? "" : "/" + port.protocol);
}

std::string port_text(const model::Port& port) {
    std::string host = port.host_ip.empty() ? "" : port.host_ip + ":";
    if (auto range = port.published_range(); range && range->first != 0) host += std::to_string(range->first) + ":";
    return host + std::to_string(port.target) + (port.protocol.empty() || port.protocol == "tcp" ? "" : "/" + port.protocol);
}

template <class Ports>
std::string ports_text(const Ports& ports) {
    std::vector<std::string> texts;
    for (const auto& port : ports) texts.push_back(port_text(port));
    std::sort(texts.begin(), texts.end());
    return base::join(texts, " ");
}

/// What differs in words; "" when it is nothing that is told apart here.
std::string attribute_difference(const model::Project& project, const model::Service& service, const engine::ContainerSpec& old) {
    auto changed = [](const std::string& what, const std::string& from, const std::string& to) {
        return from == to ? std::string() : what + " changed " + from + " → " + to;
    };
    auto inside = [](const std::string& what, const std::string& difference) {
        return difference.empty() ? std::string() : what + " " + difference;
    };
    if (auto text = changed("image", old.image, image_of(project, service)); !text.empty()) return text;
    if (auto text = changed("command", words(old.command), words(service.command)); !text.empty()) return text;
    if (auto text = changed("entrypoint", words(old.entrypoint), words(service.entrypoint)); !text.empty()) return text;
    if (auto text = inside("environment", map_difference(environment_of(old.env), environment_of(service.environment))); !text.empty())
        return text;
    if (auto text = inside("label", map_difference(user_labels(old.labels), user_labels(service.labels))); !text.empty()) return text;
    if (auto text = changed("ports", or_none(ports_text(old.ports)), or_none(ports_text(service.ports))); !text.empty()) return text;
    if (auto text = changed("user", or_none(old.user), or_none(service.user)); !text.empty()) return text;
    if (auto text = changed("working_dir", or_none(old.working_dir), or_none(service.working_dir)); !text.empty()) return text;
    if (auto text = changed("hostname", or_none(old.hostname), or_none(service.hostname)); !text.empty()) return text;
    if (auto text = changed("stop_signal", or_none(old.stop_signal), or_none(service.stop_signal)); !text.empty()) return text;
    if (auto text = changed("read_only", old.read_only ? "true" : "false", service.read_only ? "true" : "false"); !text.empty()) return text;
    if (auto text = changed("privileged", old.privileged ? "true" : "false", service.privileged ? "true" : "false"); !text.empty())
        return text;
    return "";
}

/// Mounts of named volumes and attachments to networks, whose real names are no part of the hash.
std::string reference_difference(const Draft& draft, const model::Service& service, const engine::ContainerSpec& old) {
    for (const auto& mount : service.volumes) {
        if (mount.type != "volume" || mount.source.empty() || !draft.project.volumes.contains(mount.source)) continue;
        std::string name = volume_name(draft.project, mount.source);
        auto there = std::find_if(old.mounts.begin(), old.mounts.end(), [&](const engine::Mount& m) { return m.target == mount.target; });
        if (there == old.mounts.end()) return "volume " + name + " is not mounted at " + mount.target;
        if (there->source != name) return "volume at " + mount.target + " changed " + or_none(there->source) + " → " + name;
    }
    std::set<std::string> now, before;
    for (const auto& key : networks_of(service)) now.insert(network_name(draft.project, key));
    for (const auto& endpoint : old.endpoints) before.insert(endpoint.network);
    if (now != before) {
        auto text = [](const std::set<std::string>& names) { return base::join({names.begin(), names.end()}, " "); };
        return "networks changed " + or_none(text(before)) + " → " + or_none(text(now));
    }
    return "";
}

}  // namespace

std::string difference(const Draft& draft, const model::Service& service, const engine::ContainerInfo& container) {
    const auto& labels = container.spec.labels;
    std::string old_hash = label_of(labels, label::kHash), new_hash = model::config_hash(service);
    if (!old_hash.empty() && old_hash != new_hash) {
        std::string text = attribute_difference(draft.project, service, container.spec);
        if (text.empty()) text = reference_difference(draft, service, container.spec);
        return text.empty() ? "configuration changed " + abbreviate(old_hash) + " → " + abbreviate(new_hash) : text;
    }
    std::string old_image = label_of(labels, label::kImage);
    auto image = draft.observed.images.find(image_of(draft.project, service));
    if (!old_image.empty() && image != draft.observed.images.end() && image->second.id != old_image)
        return "image changed " + abbreviate(old_image) + " → " + abbreviate(image->second.id);
    return reference_difference(draft, service, container.spec);
}

}  // namespace compose::plan

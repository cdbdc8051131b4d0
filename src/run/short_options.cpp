#include "run/short_options.h"

#include <unistd.h>

#include <algorithm>
#include <climits>

#include "base/text.h"
#include "model/short_forms.h"

namespace compose::run {
namespace {

using base::Code;

std::string text_of_node(const model::Node& node, std::string_view key) {
    const model::Node* value = node.find(key);
    if (!value) return "";
    if (value->is_string()) return value->as_string();
    return value->is_int() ? std::to_string(value->as_int()) : "";
}

bool flag_of_node(const model::Node* node, std::string_view key) {
    const model::Node* value = node ? node->find(key) : nullptr;
    return value && value->is_bool() && value->as_bool();
}

}  // namespace

std::string from_here(const std::string& path) {
    if (path.starts_with("/")) return path;
    if (path.starts_with("~"))
        if (const char* home = getenv("HOME"); home && (path.size() == 1 || path[1] == '/')) return home + path.substr(1);
    char folder[PATH_MAX];
    if (!getcwd(folder, sizeof folder)) return path;
    std::string_view rest = path;
    while (rest.starts_with("./")) rest.remove_prefix(2);
    return rest == "." ? std::string(folder) : std::string(folder) + "/" + std::string(rest);
}

base::Result<std::vector<model::Port>> command_line_ports(const std::string& text) {
    auto ports = model::parse_port(text);
    if (!ports) return base::fail(Code::invalid, "--publish " + base::quote(text) + ": " + ports.error());
    std::vector<model::Port> result;
    for (const auto& node : *ports) {
        model::Port port;
        port.host_ip = text_of_node(node, "host_ip");
        port.target = static_cast<uint32_t>(base::parse_int(text_of_node(node, "target")).value_or(0));
        port.published = text_of_node(node, "published");
        port.protocol = text_of_node(node, "protocol");
        port.mode = text_of_node(node, "mode");
        result.push_back(std::move(port));
    }
    return result;
}

base::Result<model::Mount> command_line_volume(const std::string& text) {
    auto node = model::parse_volume(text);
    if (!node) return base::fail(Code::invalid, "--volume " + base::quote(text) + ": " + node.error());
    model::Mount mount;
    mount.type = text_of_node(*node, "type");
    mount.target = text_of_node(*node, "target");
    mount.read_only = flag_of_node(&*node, "read_only");
    mount.source = text_of_node(*node, "source");
    if (mount.type == "bind") {
        mount.source = from_here(mount.source);
        mount.bind.emplace();
        if (const auto* bind = node->find("bind")) {
            mount.bind->propagation = text_of_node(*bind, "propagation");
            mount.bind->selinux = text_of_node(*bind, "selinux");
        }
    } else if (flag_of_node(node->find("volume"), "nocopy")) {
        mount.volume.emplace().nocopy = true;
    }
    return mount;
}

base::Result<engine::PortMapping> port_mapping(const model::Port& asked) {
    engine::PortMapping port;
    port.host_ip = asked.host_ip;
    port.container_port = static_cast<uint16_t>(asked.target);
    if (!asked.protocol.empty()) port.protocol = asked.protocol;
    auto range = asked.published_range();
    if (!range) return base::fail(Code::invalid, "Invalid hostPort: " + asked.published);
    port.host_port = range->first;
    port.host_port_last = range->second != range->first ? range->second : 0;
    return port;
}

base::Result<engine::Mount> engine_mount(const model::Mount& asked) {
    using Type = engine::Mount::Type;
    engine::Mount mount;
    mount.source = asked.source;
    mount.target = asked.target;
    mount.read_only = asked.read_only;
    if (asked.bind && !asked.read_only && (asked.bind->recursive == "writable" || asked.bind->recursive == "readonly"))
        return base::fail(Code::invalid, "volume at " + base::quote(asked.target) + ": mount options conflict: bind.recursive: " + asked.bind->recursive + " needs read_only: true");
    if (asked.type == "bind") {
        mount.type = Type::bind;
        if (!asked.bind) return mount;
        mount.create_host_path = asked.bind->creates_host_path();
        mount.propagation = asked.bind->propagation;
        mount.selinux = asked.bind->selinux;
        mount.non_recursive = asked.bind->recursive == "disabled";
        mount.read_only_non_recursive = asked.bind->recursive == "writable";
        return mount;
    }
    if (asked.type == "volume") {
        mount.type = Type::volume;
        mount.anonymous = asked.source.empty();
        if (asked.volume) {
            mount.no_copy = asked.volume->nocopy;
            mount.subpath = asked.volume->subpath;
        }
        return mount;
    }
    if (asked.type == "tmpfs") {
        mount.type = Type::tmpfs;
        if (!asked.source.empty()) return base::fail(Code::invalid, "invalid mount config for type \"tmpfs\": field Source must not be specified");
        if (asked.tmpfs && asked.tmpfs->size) mount.tmpfs_size = asked.tmpfs->size.value;
        if (asked.tmpfs && asked.tmpfs->mode != 0) mount.tmpfs_mode = asked.tmpfs->mode;
        return mount;
    }
    if (asked.type == "image") {
        mount.type = Type::image;
        if (asked.image) mount.subpath = asked.image->subpath;
        return mount;
    }
    return base::fail(Code::unsupported, "volume at " + base::quote(asked.target) + " has type " + base::quote(asked.type) + ", which exists on " +
                                             (asked.type == "npipe" ? "Windows" : "Swarm") + " only");
}

void adopt_mounts(engine::ContainerSpec& spec, const engine::ContainerInfo& peer, bool read_only) {
    for (engine::Mount mount : peer.spec.mounts) {
        bool taken = spec.tmpfs.contains(mount.target) ||
                     std::any_of(spec.mounts.begin(), spec.mounts.end(), [&](const engine::Mount& own) { return own.target == mount.target; });
        if (taken) continue;
        mount.anonymous = false;  // it is the other container's: not removed with this one
        mount.read_only = mount.read_only || read_only;
        spec.mounts.push_back(std::move(mount));
    }
}

}  // namespace compose::run

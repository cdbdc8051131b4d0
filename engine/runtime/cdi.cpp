#include "runtime/cdi.h"

#include <algorithm>
#include <boost/json.hpp>

#include "base/file.h"
#include "base/text.h"

namespace engine::runtime {
namespace {
namespace json = boost::json;
using base::Code;
using base::Result;

constexpr size_t kFileLimit = 4u << 20;

const json::object* object_at(const json::object& parent, std::string_view key) {
    const json::value* value = parent.if_contains(key);
    return value != nullptr && value->is_object() ? &value->get_object() : nullptr;
}
std::vector<const json::object*> objects_at(const json::object& parent, std::string_view key) {
    std::vector<const json::object*> out;
    if (const json::value* value = parent.if_contains(key); value != nullptr && value->is_array())
        for (const json::value& entry : value->get_array())
            if (entry.is_object()) out.push_back(&entry.get_object());
    return out;
}
std::string string_at(const json::object& parent, std::string_view key) {
    const json::value* value = parent.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}
std::vector<std::string> strings_at(const json::object& parent, std::string_view key) {
    std::vector<std::string> out;
    if (const json::value* value = parent.if_contains(key); value != nullptr && value->is_array())
        for (const json::value& entry : value->get_array())
            if (entry.is_string()) out.emplace_back(entry.get_string());
    return out;
}

base::Status add(CdiEdits& out, const json::object& edits, const std::string& name) {
    if (!objects_at(edits, "hooks").empty())
        return base::fail(Code::unsupported, "device " + base::quote(name) + ": its CDI specification needs hooks, which this engine does not run");
    for (std::string& variable : strings_at(edits, "env"))
        if (std::find(out.env.begin(), out.env.end(), variable) == out.env.end()) out.env.push_back(std::move(variable));
    for (const json::object* node : objects_at(edits, "deviceNodes")) {
        Device device;
        device.target = string_at(*node, "path");
        device.source = string_at(*node, "hostPath");
        if (device.source.empty()) device.source = device.target;
        if (std::string permissions = string_at(*node, "permissions"); !permissions.empty()) device.permissions = permissions;
        if (device.target.empty() || device.target[0] != '/') return base::fail(Code::invalid, "device " + base::quote(name) + ": a device node without an absolute path");
        if (std::find(out.devices.begin(), out.devices.end(), device) == out.devices.end()) out.devices.push_back(std::move(device));
    }
    for (const json::object* entry : objects_at(edits, "mounts")) {
        Mount mount;
        mount.source = string_at(*entry, "hostPath");
        mount.target = string_at(*entry, "containerPath");
        mount.create_host_path = false;
        for (const std::string& option : strings_at(*entry, "options")) {
            if (option == "ro") mount.read_only = true;
            if (option == "bind") mount.non_recursive = true;
            if (option == "rbind") mount.non_recursive = false;
        }
        if (mount.source.empty() || mount.target.empty() || mount.target[0] != '/') return base::fail(Code::invalid, "device " + base::quote(name) + ": a mount without paths");
        if (std::find(out.mounts.begin(), out.mounts.end(), mount) == out.mounts.end()) out.mounts.push_back(std::move(mount));
    }
    return {};
}

struct SpecFile {
    std::string path;
    json::object document;
};
/// The specifications of a kind, best first. A file that cannot be read is told of only when the kind is not found.
std::vector<SpecFile> files_of(const std::string& kind, const std::vector<std::string>& folders, std::string& unread) {
    std::vector<SpecFile> out;
    for (auto folder = folders.rbegin(); folder != folders.rend(); ++folder)
        for (const std::string& name : base::list_dir(*folder).value_or(std::vector<std::string>{})) {
            std::string path = *folder + "/" + name;
            if (name.ends_with(".yaml") || name.ends_with(".yml")) unread += " " + path + " is YAML: have it written as JSON;";
            if (!name.ends_with(".json")) continue;
            auto content = base::read_file(path, kFileLimit);
            boost::system::error_code error;
            json::value document = content ? json::parse(*content, error) : json::value();
            if (!content || error || !document.is_object()) {
                unread += " " + path + " cannot be read;";
                continue;
            }
            if (string_at(document.get_object(), "kind") == kind) out.push_back({path, std::move(document.get_object())});
        }
    return out;
}
}  // namespace

bool is_cdi_name(std::string_view text) {
    size_t slash = text.find('/'), equals = text.find('=');
    return !text.empty() && text[0] != '/' && slash != std::string_view::npos && equals != std::string_view::npos && slash > 0 && slash + 1 < equals &&
           equals + 1 < text.size() && text.find('/', slash + 1) == std::string_view::npos;
}

Result<std::vector<std::string>> cdi_names(const DeviceRequest& request) {
    auto refuse = [&](const std::string& why) {
        return base::fail(Code::unsupported, "could not select device driver " + base::quote(request.driver) + " with capabilities: [[" +
                                                 base::join(request.capabilities, " ") + "]]: " + why);
    };
    if (request.driver == "cdi") {
        for (const std::string& id : request.ids)
            if (!is_cdi_name(id)) return refuse(base::quote(id) + " is not a CDI device name (vendor.com/class=name)");
        if (request.ids.empty()) return refuse("a CDI request names its devices");
        return request.ids;
    }
    bool gpu = std::find(request.capabilities.begin(), request.capabilities.end(), "gpu") != request.capabilities.end();
    if (!gpu || (!request.driver.empty() && request.driver != "nvidia")) return refuse("only CDI devices and NVIDIA GPUs (by their CDI specification) are known");
    std::vector<std::string> out;
    for (const std::string& id : request.ids) out.push_back("nvidia.com/gpu=" + id);
    if (out.empty() && request.count <= 0) out.emplace_back("nvidia.com/gpu=all");
    for (int i = 0; out.size() < static_cast<size_t>(std::max(request.count, 0)) && i < request.count; ++i) out.push_back("nvidia.com/gpu=" + std::to_string(i));
    return out;
}

Result<CdiEdits> cdi_edits(const std::vector<std::string>& names, const std::vector<std::string>& folders) {
    CdiEdits out;
    for (const std::string& name : names) {
        auto [kind, device] = base::cut(name, '=');
        std::string unread;
        bool found = false;
        for (const SpecFile& file : files_of(kind, folders, unread)) {
            for (const json::object* entry : objects_at(file.document, "devices")) {
                if (found || string_at(*entry, "name") != device.value_or("")) continue;
                found = true;
                if (const json::object* edits = object_at(*entry, "containerEdits")) TRY_VOID(add(out, *edits, name));
                if (const json::object* edits = object_at(file.document, "containerEdits")) TRY_VOID(add(out, *edits, name));
            }
            if (found) break;
        }
        if (!found)
            return base::fail(Code::not_found, "CDI device " + base::quote(name) + " is not described in " + base::join(folders, " or ") + (unread.empty() ? "" : ":" + unread.substr(0, unread.size() - 1)));
    }
    return out;
}

Result<ContainerSpec> with_cdi(const ContainerSpec& spec) {
    std::vector<std::string> names;
    ContainerSpec out = spec;
    for (const DeviceRequest& request : spec.device_requests)
        for (std::string& name : TRY(cdi_names(request))) names.push_back(std::move(name));
    std::erase_if(out.devices, [&](const Device& device) {
        bool cdi = is_cdi_name(device.source);
        if (cdi) names.push_back(device.source);
        return cdi;
    });
    if (names.empty()) return out;
    CdiEdits edits = TRY(cdi_edits(names));
    out.device_requests.clear();
    out.env.insert(out.env.end(), edits.env.begin(), edits.env.end());
    out.devices.insert(out.devices.end(), edits.devices.begin(), edits.devices.end());
    out.mounts.insert(out.mounts.end(), edits.mounts.begin(), edits.mounts.end());
    return out;
}

}  // namespace engine::runtime

#include "runtime/cdi.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <set>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

namespace engine::runtime {
namespace {
using base::Code;
using base::Result;

constexpr size_t kFileLimit = 4u << 20;
constexpr size_t kMostFiles = 1000;
constexpr const char* kGpuKinds[] = {"nvidia.com/gpu", "amd.com/gpu", "intel.com/gpu"};
}  // namespace

void CdiEdits::append(const CdiEdits& more) {
    // Docker's edits of one name replace those before: a variable, a node and a mount point are there once.
    for (const std::string& entry : more.env)
        if (std::find(env.begin(), env.end(), entry) == env.end()) env.push_back(entry);
    for (const CdiNode& node : more.nodes) {
        std::erase_if(nodes, [&](const CdiNode& old) { return old.path == node.path; });
        nodes.push_back(node);
    }
    for (const Mount& mount : more.mounts) {
        std::erase_if(mounts, [&](const Mount& old) { return old.target == mount.target; });
        mounts.push_back(mount);
    }
    for (const CdiHook& hook : more.hooks)
        if (std::find(hooks.begin(), hooks.end(), hook) == hooks.end()) hooks.push_back(hook);
    for (uint32_t group : more.groups)
        if (std::find(groups.begin(), groups.end(), group) == groups.end()) groups.push_back(group);
}

bool is_cdi_name(std::string_view text) {
    size_t slash = text.find('/'), equals = text.find('=');
    return !text.empty() && text[0] != '/' && slash != std::string_view::npos && equals != std::string_view::npos && slash > 0 && slash + 1 < equals &&
           equals + 1 < text.size() && text.find('/', slash + 1) == std::string_view::npos;
}

bool wants_cdi(const ContainerSpec& spec) {
    return !spec.device_requests.empty() || std::any_of(spec.devices.begin(), spec.devices.end(), [](const Device& device) { return is_cdi_name(device.source); });
}

CdiRegistry::CdiRegistry(const std::vector<std::string>& folders) : folders_(folders) {
    size_t files = 0;
    for (size_t i = 0; i < folders.size(); ++i)
        for (const std::string& name : base::list_dir(folders[i]).value_or(std::vector<std::string>{})) {
            if (name[0] == '.' || !(name.ends_with(".json") || name.ends_with(".yaml") || name.ends_with(".yml"))) continue;
            std::string path = folders[i] + "/" + name;
            struct stat info{};
            if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) continue;
            if (++files > kMostFiles) {
                problems_.push_back(path + ": more than " + std::to_string(kMostFiles) + " files");
                return;
            }
            auto content = base::read_file(path, kFileLimit);
            auto spec = content ? read_cdi_spec(*content, path) : Result<CdiSpec>(std::move(content.error()));
            if (spec)
                specs_.emplace_back(i, std::move(*spec));
            else
                problems_.push_back(path + ": " + spec.error().message());
        }
}

bool CdiRegistry::describes(const std::string& kind) const {
    return std::any_of(specs_.begin(), specs_.end(), [&](const auto& entry) { return entry.second.kind == kind; });
}

Result<std::vector<std::string>> CdiRegistry::names(const DeviceRequest& request) const {
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
    std::string kind;
    for (const char* known : kGpuKinds) {
        bool meant = request.driver.empty() ? describes(known) : std::string_view(known).starts_with(request.driver + ".com/");
        if (meant && kind.empty()) kind = known;
    }
    if (request.driver.empty() && kind.empty()) kind = kGpuKinds[0];
    if (!gpu || kind.empty()) return refuse("only devices by their CDI names (driver: cdi) and GPUs of nvidia, amd and intel are known");
    std::vector<std::string> out;
    for (const std::string& id : request.ids) out.push_back(kind + "=" + id);
    if (out.empty() && request.count <= 0) out.push_back(kind + "=all");
    if (request.count > 1024) return refuse(std::to_string(request.count) + " devices are not there");
    for (int i = 0; request.ids.empty() && i < request.count; ++i) out.push_back(kind + "=" + std::to_string(i));
    return out;
}

Result<CdiEdits> CdiRegistry::edits(const std::vector<std::string>& names) const {
    CdiEdits out;
    std::set<const CdiSpec*> files;
    for (const std::string& name : names) {
        auto [kind, device_name] = base::cut(name, '=');
        const CdiSpec* file = nullptr;
        const CdiDevice* device = nullptr;
        const CdiSpec* rival = nullptr;
        size_t place = 0;
        for (const auto& [folder, spec] : specs_) {
            if (spec.kind != kind) continue;
            for (const CdiDevice& candidate : spec.devices) {
                if (candidate.name != *device_name) continue;
                rival = file != nullptr && folder == place ? file : nullptr;
                file = &spec;
                device = &candidate;
                place = folder;
            }
        }
        if (device == nullptr) {
            std::string unread;
            for (const std::string& problem : problems_) unread += "; not used: " + problem;
            return base::fail(Code::not_found, "CDI device " + base::quote(name) + " is not described in " + base::join(folders_, " or ") + unread);
        }
        if (rival != nullptr)
            return base::fail(Code::conflict, "CDI device " + base::quote(name) + " is described by " + rival->path + " and " + file->path + ": one of them has to go");
        for (const auto* refused : {&file->refused, &device->refused})
            if (*refused) return base::Error(**refused).with("CDI device " + base::quote(name) + " (" + file->path + ")");
        if (files.insert(file).second) out.append(file->edits);
        out.append(device->edits);
    }
    return out;
}

Result<WithCdi> with_cdi(const ContainerSpec& spec) {
    WithCdi out;
    out.spec = spec;
    if (!wants_cdi(spec)) return out;
    CdiRegistry registry;
    for (const std::string& problem : registry.problems()) base::log::warn("CDI file not used: " + problem);
    std::vector<std::string> names;
    for (const DeviceRequest& request : spec.device_requests)
        for (std::string& name : TRY(registry.names(request))) names.push_back(std::move(name));
    std::erase_if(out.spec.devices, [&](const Device& device) {
        bool cdi = is_cdi_name(device.source);
        if (cdi) names.push_back(device.source);
        return cdi;
    });
    out.spec.device_requests.clear();
    out.rest = TRY(registry.edits(names));
    out.spec.env.insert(out.spec.env.end(), out.rest.env.begin(), out.rest.env.end());
    // The device's mount takes the place of one on the same target.
    for (const Mount& mount : out.rest.mounts) {
        std::erase_if(out.spec.mounts, [&](const Mount& old) { return old.target == mount.target; });
        out.spec.mounts.push_back(mount);
    }
    return out;
}

Result<CdiNode> complete_node(const CdiNode& node, uint32_t uid, uint32_t gid) {
    CdiNode out = node;
    bool known = out.type != 0 && (out.major != 0 || out.type == 'p');
    if (!known) {
        struct stat info{};
        if (::stat(node.host_path.c_str(), &info) != 0) return base::fail_errno("CDI device node " + base::quote(node.host_path));
        char type = S_ISBLK(info.st_mode) ? 'b' : S_ISCHR(info.st_mode) ? 'c' : S_ISFIFO(info.st_mode) ? 'p' : '\0';
        if (type == 0) return base::fail(Code::invalid, "CDI device node " + base::quote(node.host_path) + " is not a device");
        if (out.type != 0 && out.type != type)
            return base::fail(Code::invalid, "CDI device node " + base::quote(node.host_path) + " is of type " + std::string(1, type) + ", not " + std::string(1, out.type));
        out.type = type;
        out.major = major(info.st_rdev);
        out.minor = minor(info.st_rdev);
    }
    if (!out.mode) out.mode = 0666;
    if (!out.uid) out.uid = uid;
    if (!out.gid) out.gid = gid;
    return out;
}

}  // namespace engine::runtime

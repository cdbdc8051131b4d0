#include <algorithm>

#include "base/file.h"
#include "model/load.h"
#include "plan/names.h"
#include "run/convert.h"
#include "run/short_options.h"

namespace compose::run {
namespace {

base::Error about(const model::Service& service, const std::string& what, base::Code code) {
    return base::fail(code, "service " + base::quote(service.name) + ": " + what);
}

base::Result<engine::Mount> mount_of(const model::Project& project, const model::Service& service, const model::Mount& asked) {
    auto mount = TRY(engine_mount(asked).context("service " + base::quote(service.name)));
    if (asked.type == "volume" && project.volumes.contains(asked.source)) mount.source = plan::volume_name(project, asked.source);
    return mount;
}

/// `a`, `a:ro`, `container:NAME:ro`: what that container mounts, where this one mounts nothing of its own.
base::Status mounts_from(engine::ContainerSpec& spec, const model::Service& service, const std::string& from, const Peers& peers) {
    std::string name = from;
    bool read_only = false;
    for (const char* mode : {":ro", ":rw"})
        if (name.ends_with(mode)) {
            read_only = std::string_view(mode) == ":ro";
            name.resize(name.size() - 3);
        }
    bool by_name = name.starts_with("container:");
    auto peer = by_name ? peers.by_name(name.substr(10)) : peers.of_service(name);
    if (!peer) return std::move(peer.error()).with("service " + base::quote(service.name) + ": volumes_from " + base::quote(from));
    adopt_mounts(spec, *peer, read_only);
    return {};
}

/// Anonymous volumes go over to the container that takes another's place (behaviour.md §3), as long as file or image still
/// have a volume there.
void inherit(engine::ContainerSpec& spec, const Target& target) {
    if (!target.replaces || target.renew_volumes) return;
    for (const auto& old : target.replaces->spec.mounts) {
        if (old.type != engine::Mount::Type::volume || !old.anonymous || old.source.empty()) continue;
        auto same = std::find_if(spec.mounts.begin(), spec.mounts.end(), [&](const engine::Mount& m) { return m.target == old.target; });
        if (same != spec.mounts.end()) {
            if (same->anonymous && same->type == engine::Mount::Type::volume) same->source = old.source;
            continue;
        }
        bool declared = std::find(target.image_volumes.begin(), target.image_volumes.end(), old.target) != target.image_volumes.end();
        if (declared && !spec.tmpfs.contains(old.target)) spec.mounts.push_back(old);
    }
}

std::string absolute(const std::string& folder, const std::string& target, const std::string& fallback) {
    const std::string& name = target.empty() ? fallback : target;
    return name.starts_with("/") ? name : folder + name;
}

/// A config or secret as a file: bound from the host, or with content that is written at creation.
base::Result<engine::FileMount> file_mount(const model::Project& project, const model::Service& service, const model::FileReference& asked,
                                           bool secret) {
    const char* kind = secret ? "secret" : "config";
    const auto& objects = secret ? project.secrets : project.configs;
    auto found = objects.find(asked.source);
    if (found == objects.end())
        return about(service, std::string("refers to undefined ") + kind + " " + asked.source, base::Code::invalid);
    const model::FileObject& object = found->second;
    engine::FileMount file;
    file.secret = secret;
    file.target = absolute(secret ? "/run/secrets/" : "/", asked.target, asked.source);
    file.uid = asked.uid;
    file.gid = asked.gid;
    if (asked.mode) file.mode = static_cast<uint32_t>(*asked.mode);
    if (!object.file.empty()) {
        if (!base::exists(object.file))
            return plan::at(about(service, std::string(kind) + " " + base::quote(asked.source) + ": file " + base::quote(object.file) +
                                               " does not exist",
                                  base::Code::not_found),
                            project, std::string(kind) + "s." + asked.source + ".file");
        file.host_path = object.file;
        return file;
    }
    auto content = model::content_of(project, object);
    if (!content)
        return plan::at(std::move(content.error()).with("service " + base::quote(service.name) + ": " + kind + " " + base::quote(asked.source)),
                        project, std::string(kind) + "s." + asked.source);
    file.content = std::move(*content);
    return file;
}

}  // namespace

base::Status add_mounts(engine::ContainerSpec& spec, const model::Project& project, const model::Service& service, const Target& target,
                        const Peers& peers) {
    for (const auto& entry : service.tmpfs) {
        auto [path, options] = base::cut(entry, ':');
        spec.tmpfs[path] = options.value_or("");
    }
    for (const auto& asked : service.volumes) spec.mounts.push_back(TRY(mount_of(project, service, asked)));
    for (const auto& from : service.volumes_from) TRY_VOID(mounts_from(spec, service, from, peers));
    inherit(spec, target);
    // /data before /data/sub: the one below is mounted over the one above.
    std::stable_sort(spec.mounts.begin(), spec.mounts.end(), [](const engine::Mount& a, const engine::Mount& b) {
        return std::count(a.target.begin(), a.target.end(), '/') < std::count(b.target.begin(), b.target.end(), '/');
    });
    for (const auto& config : service.configs) spec.files.push_back(TRY(file_mount(project, service, config, false)));
    for (const auto& secret : service.secrets) spec.files.push_back(TRY(file_mount(project, service, secret, true)));
    return {};
}

}  // namespace compose::run

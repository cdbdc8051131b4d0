// Creation: the spec is checked and completed with what the image says, and stored; nothing runs.
#include <sys/stat.h>
#include <unistd.h>

#include <set>

#include "api/engine_impl.h"
#include "base/file.h"
#include "base/text.h"
#include "image/reference.h"
#include "runtime/resolve.h"
#include "supervisor/removal.h"
#include "volume/file_mounts.h"

namespace engine::api {

/// A container about to be stored.
struct EngineImpl::Draft {
    ContainerInfo info;
};

namespace {

/// "80/tcp", "80", "8000-8002/udp" → ports.
Status add_exposed(const std::string& text, std::set<std::pair<uint16_t, std::string>>& ports) {
    auto [range, protocol] = base::cut(text, '/');
    auto [first_text, last_text] = base::cut(range, '-');
    auto first = base::parse_int(first_text), last = last_text ? base::parse_int(*last_text) : first;
    if (!first || !last || *first < 1 || *last > 65535 || *first > *last)
        return base::fail(base::Code::invalid, "invalid exposed port \"" + base::printable(text) + "\"");
    for (int64_t port = *first; port <= *last; ++port) ports.emplace(static_cast<uint16_t>(port), base::to_lower(protocol.value_or("tcp")));
    return {};
}

/// A random port of the host for each exposed one that is not published yet.
Status publish_exposed(ContainerSpec& spec, const ImageConfig& image) {
    std::set<std::pair<uint16_t, std::string>> exposed;
    for (const auto& text : image.exposed_ports) TRY_VOID(add_exposed(text, exposed));
    for (const auto& text : spec.expose) TRY_VOID(add_exposed(text, exposed));
    if (!spec.publish_all) return {};
    for (const auto& port : spec.ports) exposed.erase({port.container_port, port.protocol});
    for (const auto& [number, protocol] : exposed) {
        PortMapping mapping;
        mapping.container_port = number;
        mapping.protocol = protocol;
        spec.ports.push_back(mapping);
    }
    return {};
}

Status check_bind_source(const Mount& mount) {
    struct stat status;
    if (stat(mount.source.c_str(), &status) == 0) return {};
    if (errno != ENOENT && errno != ENOTDIR) return base::fail_errno("bind source path \"" + mount.source + "\"");
    if (!mount.create_host_path)
        return base::fail(base::Code::not_found, "invalid mount config for type \"bind\": bind source path does not exist: " + mount.source);
    return base::make_dirs(mount.source, 0755).context("make the bind source path");
}

}  // namespace

Result<EngineImpl::Draft> EngineImpl::draft(ContainerSpec spec, std::map<std::string, ImageInfo>& images) {
    if (geteuid() != 0)
        return base::fail(base::Code::permission, "create " + spec.name + ": containers need root on this machine (namespaces, overlay mounts, networks); run it with sudo");
    Draft draft;
    draft.info.id = base::random_hex(64);
    draft.info.created = base::now();
    draft.info.supervisor = options_.group;
    if (spec.name.empty()) spec.name = "container-" + draft.info.id.substr(0, 12);
    if (spec.name.starts_with('/')) spec.name.erase(0, 1);
    TRY_VOID(check_spec(spec));
    if (spec.network_mode.starts_with("container:") && spec.uts_mode != "host") {
        // One network, one name: that of the container whose network it is.
        auto owner = TRY(store().container(spec.network_mode.substr(10)));
        spec.hostname = owner.spec.hostname.empty() ? owner.id.substr(0, 12) : owner.spec.hostname;
        spec.domainname = owner.spec.domainname;
    }

    std::string reference = spec.image_id.empty() ? spec.image : spec.image_id;
    auto known = images.find(reference);
    if (known == images.end()) {
        auto* store = TRY(image_store());
        auto found = store->find(reference);
        if (!found) return std::move(found.error());
        known = images.emplace(reference, std::move(*found)).first;
    }
    const ImageInfo& image = known->second;
    if (spec.platform && !spec.platform->empty()) {
        Platform wanted = TRY(image::parse_platform(*spec.platform)), have = image.platform;
        if (wanted.os != have.os || wanted.architecture != have.architecture || (!wanted.variant.empty() && !have.variant.empty() && wanted.variant != have.variant))
            return base::fail(base::Code::not_found, "image with reference " + base::printable(spec.image) + " was found but its platform (" + have.text() +
                                                         ") does not match the specified platform (" + base::printable(*spec.platform) + ")");
    }
    spec.image_id = image.id;
    if (spec.image.empty()) spec.image = image.id;

    auto resolved = TRY(runtime::resolve(spec, image.config, draft.info.id));
    draft.info.argv = resolved.argv;
    for (const auto& path : resolved.volumes) {
        Mount mount;
        mount.type = Mount::Type::volume;
        mount.target = path;
        mount.anonymous = true;
        spec.mounts.push_back(mount);
    }
    for (auto& mount : spec.mounts) {
        if (mount.type == Mount::Type::bind) TRY_VOID(check_bind_source(mount));
        if (mount.type == Mount::Type::volume && mount.source.empty()) {
            mount.source = base::random_hex(64);
            mount.anonymous = true;
        }
    }
    TRY_VOID(publish_exposed(spec, image.config));

    if (spec.network_mode == "default") spec.network_mode = "bridge";
    if (spec.network_mode.empty() && spec.endpoints.empty()) spec.network_mode = "bridge";
    if (spec.network_mode == "bridge") {
        auto network = TRY(default_network());
        if (spec.endpoints.empty()) spec.endpoints.emplace_back();
        for (auto& endpoint : spec.endpoints)
            if (endpoint.network.empty() || endpoint.network == "default") endpoint.network = network.spec.name;
    }
    if (spec.network_mode.starts_with("container:")) {
        // By id: a renamed container is still meant.
        auto target = TRY(store().container(spec.network_mode.substr(10)));
        spec.network_mode = "container:" + target.id;
    }
    for (std::string* mode : {&spec.pid_mode, &spec.ipc_mode, &spec.uts_mode})
        if (mode->starts_with("container:")) *mode = "container:" + TRY(store().container_id(mode->substr(10)));
    draft.info.spec = std::move(spec);
    return draft;
}

Status EngineImpl::make_volumes(Draft& draft) {
    for (const auto& mount : draft.info.spec.mounts) {
        if (mount.type != Mount::Type::volume) continue;
        if (auto found = store().volume(mount.source); found) continue;
        VolumeSpec spec;
        spec.name = mount.source;
        if (mount.anonymous) spec.labels["com.docker.volume.anonymous"] = "";
        TRY(volume_store().create(spec));
    }
    return {};
}

Result<std::string> EngineImpl::create(const ContainerSpec& spec) { return std::move(create_many({spec}).front()); }

std::vector<Result<std::string>> EngineImpl::create_many(const std::vector<ContainerSpec>& specs) {
    std::vector<Result<std::string>> results(specs.size(), Result<std::string>(std::string()));
    std::vector<std::optional<Draft>> drafts(specs.size());
    // From before the default network is found or made until a row uses it, nobody drops it as unused.
    std::optional<base::FileLock> kept;
    if (std::any_of(specs.begin(), specs.end(), [](const ContainerSpec& spec) {
            return spec.network_mode == "bridge" || spec.network_mode == "default" || (spec.network_mode.empty() && spec.endpoints.empty());
        }))
        kept = supervisor::keep_default_network(store().paths());
    std::map<std::string, ImageInfo> images;
    for (size_t i = 0; i < specs.size(); ++i) {
        auto draft = this->draft(specs[i], images);
        if (draft)
            drafts[i] = std::move(*draft);
        else
            results[i] = std::move(draft.error());
    }
    auto busy = hold_files();
    auto give_up = [&](size_t i, base::Error error) {
        (void)volume::remove_files(paths(), drafts[i]->info.id);           // ignored: the first error is the one to tell
        (void)base::remove_tree(paths().container(drafts[i]->info.id));    // ignored: as above
        results[i] = std::move(error);
        drafts[i].reset();
    };
    // Files of a container before its row: a row is whole; folders without a row are swept by recover().
    for (size_t i = 0; i < specs.size(); ++i) {
        if (!drafts[i]) continue;
        auto& info = drafts[i]->info;
        auto made = base::make_dirs(paths().container(info.id), 0711);
        if (made) made = volume::stage_files(paths(), info.id, info.spec);
        if (!made) give_up(i, std::move(made.error()));
    }
    auto committed = store().transaction([&]() -> Status {
        for (size_t i = 0; i < specs.size(); ++i) {
            if (!drafts[i]) continue;
            const auto& info = drafts[i]->info;
            // A taken name fails this one alone. It is looked for before anything of it is written.
            if (auto holder = store().container_id(info.spec.name); holder) {
                auto named = store().container(*holder);
                if (named && named->spec.name == info.spec.name) {
                    give_up(i, base::fail(base::Code::conflict, "Conflict. The container name \"/" + info.spec.name + "\" is already in use by container \"" + *holder +
                                                                    "\". You have to remove (or rename) that container to be able to reuse that name."));
                    continue;
                }
            }
            if (auto made = make_volumes(*drafts[i]); !made) {
                give_up(i, std::move(made.error()));
                continue;
            }
            TRY_VOID(store().insert_container(info));
            TRY_VOID(store().add_event(store::container_event(info, "create")));
            results[i] = info.id;
        }
        return {};
    });
    if (!committed)
        for (size_t i = 0; i < specs.size(); ++i)
            if (drafts[i]) give_up(i, committed.error());
    for (const auto& result : results)
        if (!result) {
            kept.reset();
            drop_default_network();  // it may have been made for this one alone
            break;
        }
    return results;
}

}  // namespace engine::api

#include <algorithm>

#include "cli/container_spec.h"
#include "model/short_forms.h"
#include "run/short_options.h"

namespace compose::cli {
namespace {

using MountType = engine::Mount::Type;

/// A switch of --mount: `readonly`, `readonly=true`.
Result<bool> mount_switch(const std::string& key, const std::optional<std::string>& value) {
    if (!value || *value == "true" || *value == "1") return true;
    if (*value == "false" || *value == "0") return false;
    return fail(Code::invalid, "invalid value for " + key + ": " + *value);
}

struct LongMount {
    engine::Mount mount;
    engine::VolumeSpec volume;
    std::string type = "volume";
};

/// The keys that every type has, and those of one.
Status set_mount_field(LongMount& asked, const std::string& key, const std::optional<std::string>& value) {
    engine::Mount& mount = asked.mount;
    auto of = [&](std::string_view type) -> Status {
        if (asked.type == type) return {};
        return fail(Code::invalid, "cannot mix '" + std::string(type) + "-*' options with mount type '" + asked.type + "'");
    };
    if (key == "type") {
        asked.type = base::to_lower(value.value_or(""));
    } else if (key == "readonly" || key == "ro") {
        mount.read_only = TRY(mount_switch(key, value));
    } else if (key == "volume-nocopy") {
        TRY_VOID(of("volume"));
        mount.no_copy = TRY(mount_switch(key, value));
    } else if (key == "bind-nonrecursive") {
        TRY_VOID(of("bind"));
        mount.non_recursive = TRY(mount_switch(key, value));
    } else if (key == "bind-create-src") {
        TRY_VOID(of("bind"));
        mount.create_host_path = TRY(mount_switch(key, value));
    } else if (!value) {
        return fail(Code::invalid, "invalid field '" + key + "' must be a key=value pair");
    } else if (key == "source" || key == "src") {
        mount.source = *value;
    } else if (key == "target" || key == "dst" || key == "destination") {
        mount.target = *value;
    } else if (key == "consistency") {
        // of other systems, accepted by docker
    } else if (key == "bind-propagation") {
        TRY_VOID(of("bind"));
        mount.propagation = base::to_lower(*value);
    } else if (key == "bind-recursive") {
        TRY_VOID(of("bind"));
        if (*value == "disabled")
            mount.non_recursive = true;
        else if (*value == "writable")
            mount.read_only_non_recursive = true;
        else if (*value != "enabled" && *value != "readonly")
            return fail(Code::invalid, "invalid value for bind-recursive: " + *value + " (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")");
    } else if (key == "volume-subpath") {
        TRY_VOID(of("volume"));
        mount.subpath = *value;
    } else if (key == "volume-driver") {
        TRY_VOID(of("volume"));
        asked.volume.driver = *value;
    } else if (key == "volume-label" || key == "volume-opt") {
        TRY_VOID(of("volume"));
        auto [name, setting] = base::cut(*value, '=');
        (key == "volume-label" ? asked.volume.labels : asked.volume.driver_options)[name] = setting.value_or("");
    } else if (key == "image-subpath") {
        TRY_VOID(of("image"));
        mount.subpath = *value;
    } else if (key == "tmpfs-size") {
        TRY_VOID(of("tmpfs"));
        auto size = model::parse_size(*value);
        if (!size) return fail(Code::invalid, "invalid value for tmpfs-size: " + *value);
        mount.tmpfs_size = *size;
    } else if (key == "tmpfs-mode") {
        TRY_VOID(of("tmpfs"));
        char* end = nullptr;
        unsigned long mode = strtoul(value->c_str(), &end, 8);
        if (value->empty() || *end != '\0' || mode > 07777) return fail(Code::invalid, "invalid value for tmpfs-mode: " + *value);
        mount.tmpfs_mode = static_cast<uint32_t>(mode);
    } else {
        return fail(Code::invalid, "unexpected key '" + key + "' in '" + key + "=" + *value + "'");
    }
    return {};
}

Status add_long_mount(AskedContainer& asked, const std::string& text) {
    LongMount one;
    one.mount.create_host_path = false;  // unlike -v
    auto fields = TRY(csv_fields(text, "mount"));
    // The type first, wherever it stands: the others depend on it.
    std::stable_partition(fields.begin(), fields.end(), [](const std::string& field) { return base::to_lower(field).starts_with("type="); });
    for (const std::string& field : fields) {
        auto [key, value] = base::cut(field, '=');
        TRY_VOID(set_mount_field(one, base::to_lower(base::trim(key)), value).context("invalid argument " + base::quote(text) + " for \"--mount\" flag"));
    }
    engine::Mount& mount = one.mount;
    if (mount.target.empty()) return fail(Code::invalid, "invalid argument " + base::quote(text) + " for \"--mount\" flag: target is required");
    if (one.type == "bind") {
        mount.type = MountType::bind;
        if (mount.source.empty()) return fail(Code::invalid, "invalid mount config for type \"bind\": field Source must not be empty");
        mount.source = run::from_here(mount.source);
    } else if (one.type == "volume") {
        mount.type = MountType::volume;
        mount.anonymous = mount.source.empty();
        if (!mount.anonymous) {
            one.volume.name = mount.source;
            asked.volumes.push_back(one.volume);
        } else if (!one.volume.driver_options.empty() || !one.volume.labels.empty()) {
            one.volume.name = mount.source = base::random_hex(64);
            mount.anonymous = true;
            asked.volumes.push_back(one.volume);
        }
    } else if (one.type == "tmpfs") {
        mount.type = MountType::tmpfs;
        if (!mount.source.empty()) return fail(Code::invalid, "invalid mount config for type \"tmpfs\": source must be empty");
    } else if (one.type == "image") {
        mount.type = MountType::image;
    } else {
        return fail(Code::invalid, "invalid mount type " + base::quote(one.type) + ": must be bind, volume, tmpfs or image");
    }
    asked.spec.mounts.push_back(mount);
    return {};
}

}  // namespace

Status add_mount_flags(AskedContainer& asked, engine::Engine& engine, const Arguments& arguments) {
    engine::ContainerSpec& spec = asked.spec;
    for (const std::string& text : arguments.list("volume")) {
        auto mount = TRY(run::command_line_volume(text));
        spec.mounts.push_back(TRY(run::engine_mount(mount)));
    }
    for (const std::string& text : arguments.list("mount")) TRY_VOID(add_long_mount(asked, text));
    for (const std::string& text : arguments.list("tmpfs")) {
        auto [path, options] = base::cut(text, ':');
        spec.tmpfs[path] = options.value_or("");
    }
    for (const std::string& text : arguments.list("volumes-from")) {
        auto [name, mode] = base::cut(text, ':');
        if (mode && *mode != "ro" && *mode != "rw" && *mode != "z" && *mode != "Z") return fail(Code::invalid, "invalid mode for --volumes-from: " + *mode);
        run::adopt_mounts(spec, TRY(engine.container(name).context("--volumes-from")), mode == "ro");
    }
    // /data before /data/sub: the one below is mounted over the one above.
    std::stable_sort(spec.mounts.begin(), spec.mounts.end(), [](const engine::Mount& a, const engine::Mount& b) {
        return std::count(a.target.begin(), a.target.end(), '/') < std::count(b.target.begin(), b.target.end(), '/');
    });
    return {};
}

}  // namespace compose::cli

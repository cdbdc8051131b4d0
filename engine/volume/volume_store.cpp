#include "volume/volume_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "volume/copy_tree.h"

namespace engine::volume {
namespace {

bool valid_name(const std::string& name) {
    if (name.empty() || name.size() > 255 || !isalnum(static_cast<unsigned char>(name[0]))) return false;
    for (char c : name)
        if (!isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '.' && c != '-') return false;
    return true;
}

base::Status check_options(const VolumeSpec& spec) {
    for (const auto& [key, value] : spec.driver_options)
        if (key != "type" && key != "o" && key != "device" && key != "size")
            return base::fail(base::Code::invalid, "create " + spec.name + ": invalid option: \"" + base::printable(key) + "\"; the local driver knows type, o and device");
    auto has = [&](const char* key) { return spec.driver_options.contains(key) && !spec.driver_options.at(key).empty(); };
    if (has("device") && !has("type")) return base::fail(base::Code::invalid, "create " + spec.name + ": missing required option: \"type\"");
    if (!has("device") && (has("type") || has("o"))) return base::fail(base::Code::invalid, "create " + spec.name + ": missing required option: \"device\"");
    if (has("size")) return base::fail(base::Code::unsupported, "create " + spec.name + ": quota size requested but no quota support");
    return {};
}

base::Result<bool> is_empty(int folder) {
    int listing = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* dir = listing >= 0 ? fdopendir(listing) : nullptr;
    if (!dir) {
        base::Error error = base::fail_errno("read the volume's folder");
        if (listing >= 0) close(listing);
        return error;
    }
    bool empty = true;
    while (dirent* entry = readdir(dir)) {
        std::string_view name = entry->d_name;
        if (name != "." && name != "..") {
            empty = false;
            break;
        }
    }
    closedir(dir);
    return empty;
}

}  // namespace

base::Result<VolumeInfo> VolumeStore::create(VolumeSpec spec) {
    VolumeInfo volume;
    if (spec.driver.empty()) spec.driver = "local";
    if (spec.driver != "local")
        return base::fail(base::Code::unsupported, "create " + spec.name + ": error looking up volume plugin " + spec.driver + ": plugin \"" + spec.driver +
                                                       "\" not found; this engine has the driver \"local\"");
    if (spec.name.empty()) {
        spec.name = base::random_hex(64);
        volume.anonymous = true;
    }
    if (!valid_name(spec.name))
        return base::fail(base::Code::invalid, "create " + base::printable(spec.name) + ": \"" + base::printable(spec.name) +
                                                   "\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. "
                                                   "If you intended to pass a host directory, use absolute path");
    TRY_VOID(check_options(spec));
    volume.spec = std::move(spec);
    volume.path = store_.paths().volume_data(volume.spec.name);
    volume.created = base::now();
    std::optional<VolumeInfo> existing;
    TRY_VOID(store_.transaction([&]() -> base::Status {
        if (auto found = store_.volume(volume.spec.name)) {
            existing = std::move(*found);
            return {};
        } else if (found.error().code != base::Code::not_found) {
            return std::move(found.error());
        }
        // The folder first: a row without a folder would be a broken volume, a folder without a row is swept by recover().
        TRY_VOID(base::make_dirs(store_.paths().volume(volume.spec.name), 0711));
        TRY_VOID(base::make_dirs(volume.path, 0755));
        TRY_VOID(store_.insert_volume(volume));
        Event event;
        event.type = "volume", event.action = "create", event.id = volume.spec.name;
        event.attributes = volume.spec.labels;
        event.attributes["driver"] = volume.spec.driver;
        return store_.add_event(std::move(event));
    }));
    if (!existing) return volume;
    if (existing->spec.driver_options != volume.spec.driver_options)
        return base::fail(base::Code::conflict, "create " + volume.spec.name + ": the volume exists with other driver options; remove it first (its data is lost), or use another name");
    return std::move(*existing);
}

base::Result<VolumeInfo> VolumeStore::find(const std::string& name) { return store_.volume(name); }
base::Result<std::vector<VolumeInfo>> VolumeStore::list(const Labels& labels) { return store_.volumes(labels); }

base::Status VolumeStore::remove(const std::string& name) {
    VolumeInfo volume = TRY(store_.volume(name));
    // The row goes first, with the check that nobody uses it; then the folder. A cut between the two is finished by recover().
    TRY_VOID(store_.transaction([&]() -> base::Status {
        auto users = TRY(store_.volume_users(name));
        if (!users.empty()) return base::fail(base::Code::conflict, "remove " + name + ": volume is in use - [" + base::join(users, ", ") + "]");
        TRY_VOID(store_.erase_volume(name));
        Event event;
        event.type = "volume", event.action = "destroy", event.id = name;
        event.attributes = volume.spec.labels;
        event.attributes["driver"] = volume.spec.driver;
        return store_.add_event(std::move(event));
    }));
    while (umount2(volume.path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {  // a tmpfs of its driver options
    }
    return base::remove_tree(store_.paths().volume(name)).context("remove volume " + name);
}

base::Status VolumeStore::recover() {
    if (!base::exists(store_.paths().volumes())) return {};
    for (const auto& name : TRY(base::list_dir(store_.paths().volumes()))) {
        if (store_.volume(name)) continue;
        // Again inside a transaction: nobody is between making the folder and adding the row.
        TRY_VOID(store_.transaction([&]() -> base::Status {
            auto found = store_.volume(name);
            if (found || found.error().code != base::Code::not_found) return {};
            while (umount2(store_.paths().volume_data(name).c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
            }
            return base::remove_tree(store_.paths().volume(name));
        }));
    }
    return {};
}

base::Status VolumeStore::release_unused(const std::string& name) {
    auto volume = store_.volume(name);
    if (!volume || !has_own_mount(*volume)) return {};
    return store_.transaction([&]() -> base::Status {
        if (TRY(store_.volume_users(name)).empty())
            while (umount2(volume->path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
            }
        return {};
    });
}

base::Status copy_up(const std::string& volume_path, int image_root_fd, const std::string& target) {
    base::UniqueFd volume = TRY(base::open_at(AT_FDCWD, volume_path, O_RDONLY | O_DIRECTORY));
    std::string folder = volume_path.substr(0, volume_path.rfind('/'));
    std::string marker = folder + "/.filling";
    // The usual case, a volume that is in use, costs one look.
    if (!base::exists(marker) && !TRY(is_empty(volume.get()))) return {};
    auto source = base::open_in_root(image_root_fd, target, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
    if (!source) {
        if (source.error().sys_errno == ENOENT || source.error().sys_errno == ENOTDIR || source.error().sys_errno == ELOOP) return {};
        return std::move(source.error());
    }
    // One container at a time: replicas that start together share the volume.
    auto lock = TRY(base::FileLock::acquire(folder + "/.lock"));
    if (base::exists(marker)) {
        for (const auto& name : TRY(base::list_dir(volume_path))) TRY_VOID(base::remove_tree(volume_path + "/" + name));
    } else if (!TRY(is_empty(volume.get()))) {
        return {};
    }
    TRY_VOID(base::write_file(marker, ""));
    auto copied = copy_tree(source->get(), volume.get());
    if (copied) copied = copy_attributes(source->get(), volume.get());
    if (!copied) {
        // Leave it as it was; should that fail too, the marker makes the next start begin anew.
        auto names = base::list_dir(volume_path);
        bool clean = names.has_value();
        if (names)
            for (const auto& name : *names) clean = base::remove_tree(volume_path + "/" + name).has_value() && clean;
        if (clean) unlink(marker.c_str());
        return std::move(copied).context("fill the volume from \"" + target + "\" of the image");
    }
    if (unlink(marker.c_str()) != 0) return base::fail_errno("remove \"" + marker + "\"");
    return {};
}

}  // namespace engine::volume

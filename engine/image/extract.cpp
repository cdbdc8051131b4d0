// Tar streams into a folder. Each entry is made by name in an open parent folder, never by a path.
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/file.h"
#include "base/text.h"
#include "image/archive.h"
#include "image/tar_locale.h"

namespace engine::image {
namespace {

using base::Code;
using base::Error;
using base::fail;
using base::fail_errno;
using base::Result;
using base::Status;
using base::UniqueFd;

constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";
constexpr std::string_view kAufs = ".wh..wh.";  // aufs' own files: plnk, aufs, orph

bool is_whiteout(const struct stat& status) { return S_ISCHR(status.st_mode) && status.st_rdev == makedev(0, 0); }

/// The path without empty, `.` and `..` components; nullopt when it would leave the root.
std::optional<std::string> clean(std::string_view path, size_t* depth = nullptr) {
    std::vector<std::string_view> parts;
    while (!path.empty()) {
        size_t slash = path.find('/');
        std::string_view part = path.substr(0, slash);
        path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
        if (part.empty() || part == ".") continue;
        if (part == "..") {
            if (parts.empty()) return std::nullopt;
            parts.pop_back();
        } else {
            parts.push_back(part);
        }
    }
    std::string result;
    for (std::string_view part : parts) {
        if (!result.empty()) result += '/';
        result += part;
    }
    if (depth) *depth = parts.size();
    return result;
}

std::pair<std::string, std::string> parent_and_name(const std::string& path) {
    size_t slash = path.rfind('/');
    if (slash == std::string::npos) return {"", path};
    return {path.substr(0, slash), path.substr(slash + 1)};
}

class Extractor {
public:
    Extractor(int root, const Source& source, const ExtractOptions& options) : root_(root), source_(source), options_(options) {}

    Result<Extracted> run() {
        Utf8Locale locale;
        std::unique_ptr<archive, decltype(&archive_read_free)> reader(archive_read_new(), &archive_read_free);
        archive_ = reader.get();
        archive_read_support_format_tar(archive_);
        archive_read_support_format_empty(archive_);
        if (archive_read_open(archive_, this, nullptr, &Extractor::read_callback, nullptr) != ARCHIVE_OK) return stream_error();
        for (;;) {
            archive_entry* entry = nullptr;
            int code = archive_read_next_header(archive_, &entry);
            if (code == ARCHIVE_EOF) break;
            if (code != ARCHIVE_OK && code != ARCHIVE_WARN) return stream_error();
            if (options_.cancel && options_.cancel->load()) return fail(Code::interrupted, "interrupted");
            if (++result_.entries > options_.limits.entries) return refuse("the archive has more than " + std::to_string(options_.limits.entries) + " entries");
            TRY_VOID(one(entry));
        }
        TRY_VOID(drain());
        TRY_VOID(folder_times());
        return std::move(result_);
    }

private:
    static la_ssize_t read_callback(archive*, void* self, const void** buffer) {
        auto* extractor = static_cast<Extractor*>(self);
        auto bytes = extractor->source_();
        if (!bytes) {
            extractor->source_error_ = std::move(bytes.error());
            return ARCHIVE_FATAL;
        }
        *buffer = bytes->data();
        return static_cast<la_ssize_t>(bytes->size());
    }

    Error subject(Error error) const {
        if (!options_.subject.empty()) error.what = options_.subject + ": " + error.what;
        return error;
    }
    Error refuse(const std::string& why) const { return subject(fail(Code::corrupt, why)); }
    Error entry_error(Error error) const {
        error.what = "entry " + base::quote(shown_) + ": " + error.what;
        return subject(std::move(error));
    }
    Error bad_entry(const std::string& why) const { return entry_error(fail(Code::corrupt, why)); }
    Error entry_errno(const char* what) const { return entry_error(fail_errno(what)); }
    Error stream_error() {
        if (source_error_) return subject(std::move(*source_error_));
        const char* text = archive_error_string(archive_);
        return refuse(std::string("not a sound tar archive: ") + base::printable(text ? text : "unknown error"));
    }

    /// What follows the end marker counts for the digest.
    Status drain() {
        for (;;) {
            auto bytes = source_();
            if (!bytes) return subject(std::move(bytes.error()));
            if (bytes->empty()) return {};
        }
    }

    Status one(archive_entry* entry) {
        const char* raw = archive_entry_pathname(entry);
        if (!raw) raw = archive_entry_pathname_utf8(entry);
        if (!raw) return refuse("entry " + std::to_string(result_.entries) + " has a name that cannot be read");
        shown_ = std::string_view(raw).substr(0, 512);
        std::string given = raw;
        if (options_.rename) {
            auto renamed = options_.rename(std::move(given));
            if (!renamed) return {};
            given = std::move(*renamed);
        }
        if (given.size() > options_.limits.path) return bad_entry("the name is longer than " + std::to_string(options_.limits.path) + " bytes");
        size_t depth = 0;
        auto path = clean(given, &depth);
        if (!path) return bad_entry("the name leaves the root through `..`");
        if (depth > options_.limits.depth) return bad_entry("the name has more than " + std::to_string(options_.limits.depth) + " components");
        if (path->empty()) return root_attributes(entry);
        auto [folder, name] = parent_and_name(*path);
        int parent = TRY(open_parent(folder));
        if (options_.layer && name.starts_with(kWhiteout)) return whiteout(parent, *path, name);
        if (archive_entry_hardlink(entry)) return hard_link(entry, parent, *path, name);
        mode_t type = archive_entry_filetype(entry);
        switch (type) {
            case AE_IFDIR: return make_folder(entry, parent, *path, name);
            case AE_IFREG: return make_file(entry, parent, *path, name);
            case AE_IFLNK: return make_link(entry, parent, *path, name);
            case AE_IFCHR:
            case AE_IFBLK:
            case AE_IFIFO: return make_node(entry, parent, *path, name);
            default: return bad_entry("a kind of file that is not allowed in an archive");
        }
    }

    /// The parent folder, kept open for the next entry. Missing parents are made 0755.
    Result<int> open_parent(const std::string& folder) {
        if (parent_ && folder == parent_path_) return parent_.get();
        auto opened = folder.empty() ? base::open_at(root_, ".", O_PATH | O_DIRECTORY) : make_parents(folder);
        if (!opened) return entry_error(std::move(opened.error()));
        parent_ = std::move(*opened);
        parent_path_ = folder;
        return parent_.get();
    }
    Result<UniqueFd> make_parents(const std::string& folder) {
        auto there = base::open_in_root(root_, folder, O_PATH | O_DIRECTORY);
        if (there) return there;
        if (options_.layer && there.error().sys_errno == ENOTDIR) TRY_VOID(replace_whiteouts(folder));
        auto made = base::make_dirs_in_root(root_, folder, 0755, options_.keep_owner ? 0 : options_.owner.first, options_.keep_owner ? 0 : options_.owner.second);
        return made;
    }
    /// A parent that this layer deleted and now fills anew without naming it.
    Status replace_whiteouts(const std::string& folder) {
        for (size_t end = 0; end != std::string::npos;) {
            end = folder.find('/', end + 1);
            std::string part = folder.substr(0, end);
            auto [above, name] = parent_and_name(part);
            auto parent = base::open_in_root(root_, above, O_PATH | O_DIRECTORY);
            if (!parent) return {};
            struct stat status {};
            if (::fstatat(parent->get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return {};
            if (!is_whiteout(status)) continue;
            if (::unlinkat(parent->get(), name.c_str(), 0) != 0 || ::mkdirat(parent->get(), name.c_str(), 0755) != 0) return fail_errno("make the folder");
            return set_opaque(parent->get(), name);
        }
        return {};
    }
    void forget_parent() {
        parent_.reset();
        parent_path_.clear();
    }

    Status set_opaque(int parent, const std::string& name) {
        auto folder = base::open_at(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (!folder) return std::move(folder.error());
        if (::fsetxattr(folder->get(), "trusted.overlay.opaque", "y", 1, 0) == 0) return {};
        if (errno == EPERM && ::fsetxattr(folder->get(), "user.overlay.opaque", "y", 1, 0) == 0) return {};
        return fail_errno("mark as opaque");
    }

    Status whiteout(int parent, const std::string& path, const std::string& name) {
        if (name == kOpaque) {
            auto marked = set_opaque(parent, ".");
            if (!marked) return entry_error(std::move(marked.error()));
            return {};
        }
        if (name.starts_with(kAufs)) return {};
        std::string hidden = name.substr(kWhiteout.size());
        if (hidden.empty() || hidden == "." || hidden == "..") return bad_entry("a whiteout of " + base::quote(hidden) + " climbs out of its folder");
        struct stat status {};
        if (::fstatat(parent, hidden.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
            // Only lower layers are hidden; what this layer has of that name stays.
            if (!S_ISDIR(status.st_mode)) return {};
            auto marked = set_opaque(parent, hidden);
            if (!marked) return entry_error(std::move(marked.error()));
            return {};
        }
        if (::mknodat(parent, hidden.c_str(), S_IFCHR, makedev(0, 0)) != 0) return entry_errno("make the whiteout");
        (void)path;
        return {};
    }

    /// Makes room for a new entry. Returns whether a whiteout was there.
    Result<bool> remove_old(int parent, const std::string& path, const std::string& name, bool new_is_folder) {
        struct stat status {};
        if (::fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT) return false;
            return entry_errno("replace");
        }
        if (!S_ISDIR(status.st_mode)) {
            if (!options_.replace_kind && new_is_folder && !options_.layer)
                return entry_error(fail(Code::conflict, "cannot overwrite non-directory with directory"));
            if (::unlinkat(parent, name.c_str(), 0) != 0) return entry_errno("replace");
            return is_whiteout(status);
        }
        if (!options_.replace_kind) return entry_error(fail(Code::conflict, "cannot overwrite directory with non-directory"));
        if (auto removed = base::remove_tree(base::proc_path(parent) + "/" + name); !removed) return entry_error(std::move(removed.error()));
        std::erase_if(folders_, [&](const auto& item) { return item.first == path || item.first.starts_with(path + "/"); });
        if (parent_path_ == path || parent_path_.starts_with(path + "/")) forget_parent();
        return false;
    }

    Status make_folder(archive_entry* entry, int parent, const std::string& path, const std::string& name) {
        bool was_whiteout = false;
        if (::mkdirat(parent, name.c_str(), 0700) != 0) {
            if (errno != EEXIST) return entry_errno("make the folder");
            struct stat status {};
            if (::fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return entry_errno("make the folder");
            if (!S_ISDIR(status.st_mode)) {
                was_whiteout = TRY(remove_old(parent, path, name, true));
                if (::mkdirat(parent, name.c_str(), 0700) != 0) return entry_errno("make the folder");
            }
        }
        UniqueFd folder(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!folder) return entry_errno("open the folder");
        if (was_whiteout && options_.layer) {
            auto marked = set_opaque(parent, name);
            if (!marked) return entry_error(std::move(marked.error()));
        }
        TRY_VOID(attributes(entry, folder.get()));
        remember_time(entry, path);
        return {};
    }

    Status root_attributes(archive_entry* entry) {
        if (archive_entry_filetype(entry) != AE_IFDIR) return bad_entry("the root is not a folder in this archive");
        if (!options_.layer) return {};  // `cp` into a folder does not change the folder itself
        auto folder = base::open_at(root_, ".", O_RDONLY | O_DIRECTORY);
        if (!folder) return entry_error(std::move(folder.error()));
        TRY_VOID(attributes(entry, folder->get()));
        remember_time(entry, "");
        return {};
    }

    Status make_file(archive_entry* entry, int parent, const std::string& path, const std::string& name) {
        int64_t size = archive_entry_size(entry);
        if (size < 0) return bad_entry("a negative size");
        result_.bytes += static_cast<uint64_t>(size);
        if (result_.bytes > options_.limits.bytes) return bad_entry("the archive unpacks to more than " + std::to_string(options_.limits.bytes) + " bytes");
        constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
        UniqueFd file(::openat(parent, name.c_str(), kFlags, 0600));
        if (!file && errno == EEXIST) {
            TRY(remove_old(parent, path, name, false));
            file.reset(::openat(parent, name.c_str(), kFlags, 0600));
        }
        if (!file) return entry_errno("make the file");
        TRY_VOID(content(file.get(), size));
        return attributes(entry, file.get(), true);
    }

    Status content(int file, int64_t size) {
        int64_t written = 0;
        for (;;) {
            const void* block = nullptr;
            size_t length = 0;
            int64_t offset = 0;
            int code = archive_read_data_block(archive_, &block, &length, &offset);
            if (code == ARCHIVE_EOF) break;
            if (code != ARCHIVE_OK && code != ARCHIVE_WARN) return stream_error();
            if (options_.cancel && options_.cancel->load()) return fail(Code::interrupted, "interrupted");
            if (offset < 0 || offset > size || static_cast<int64_t>(length) > size - offset) return bad_entry("more content than its size says");
            const char* from = static_cast<const char*>(block);
            while (length > 0) {
                ssize_t n = offset == written ? ::write(file, from, length) : ::pwrite(file, from, length, offset);
                if (n < 0 && errno == EINTR) continue;
                if (n < 0) return entry_errno("write");
                if (offset == written) written += n;
                from += n;
                offset += n;
                length -= static_cast<size_t>(n);
            }
            if (offset > written) {  // after a hole: go on by position
                if (::lseek(file, offset, SEEK_SET) < 0) return entry_errno("seek");
                written = offset;
            }
        }
        if (written < size && ::ftruncate(file, size) != 0) return entry_errno("set the size");
        return {};
    }

    Status make_link(archive_entry* entry, int parent, const std::string& path, const std::string& name) {
        const char* target = archive_entry_symlink(entry);
        if (!target) target = archive_entry_symlink_utf8(entry);
        if (!target || !*target) return bad_entry("a link without a target");
        if (::symlinkat(target, parent, name.c_str()) != 0) {
            if (errno != EEXIST) return entry_errno("make the link");
            TRY(remove_old(parent, path, name, false));
            if (::symlinkat(target, parent, name.c_str()) != 0) return entry_errno("make the link");
        }
        return attributes_by_name(entry, parent, name, false);
    }

    Status make_node(archive_entry* entry, int parent, const std::string& path, const std::string& name) {
        mode_t type = archive_entry_filetype(entry);
        if (type != AE_IFIFO && !options_.allow_devices) return bad_entry("a device is not allowed here");
        dev_t device = type == AE_IFIFO ? 0 : makedev(static_cast<unsigned>(archive_entry_rdevmajor(entry)), static_cast<unsigned>(archive_entry_rdevminor(entry)));
        mode_t kind = type == AE_IFIFO ? S_IFIFO : type == AE_IFCHR ? S_IFCHR : S_IFBLK;
        if (::mknodat(parent, name.c_str(), kind | 0600, device) != 0) {
            if (errno == EEXIST) {
                TRY(remove_old(parent, path, name, false));
                if (::mknodat(parent, name.c_str(), kind | 0600, device) != 0) return entry_errno("make the device");
            } else {
                return entry_errno("make the device");
            }
        }
        return attributes_by_name(entry, parent, name, true);
    }

    Status hard_link(archive_entry* entry, int parent, const std::string& path, const std::string& name) {
        std::string target_text = archive_entry_hardlink(entry);
        if (options_.rename) {
            auto renamed = options_.rename(std::move(target_text));
            if (!renamed) return bad_entry("a hard link to what is left out");
            target_text = std::move(*renamed);
        }
        auto target = clean(target_text);
        if (!target || target->empty()) return bad_entry("a hard link to " + base::quote(target_text.substr(0, 512)) + ", which leaves the root");
        if (*target == path) return bad_entry("a hard link to itself");
        auto [folder, base_name] = parent_and_name(*target);
        auto from = base::open_in_root(root_, folder, O_PATH | O_DIRECTORY);
        struct stat status {};
        bool there = from && ::fstatat(from->get(), base_name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && !(options_.layer && is_whiteout(status));
        if (!there) {
            if (!options_.layer) return bad_entry("a hard link to " + base::quote(target_text.substr(0, 512)) + ", which is not there");
            result_.links_below.emplace_back(*target, path);
            return {};
        }
        if (S_ISDIR(status.st_mode)) return bad_entry("a hard link to a folder");
        TRY(remove_old(parent, path, name, false));
        if (::linkat(from->get(), base_name.c_str(), parent, name.c_str(), 0) != 0) return entry_errno("make the hard link");
        return {};
    }

    std::pair<uint32_t, uint32_t> owner_of(archive_entry* entry) const {
        if (!options_.keep_owner) return options_.owner;
        return {static_cast<uint32_t>(archive_entry_uid(entry)), static_cast<uint32_t>(archive_entry_gid(entry))};
    }
    Status check_owner(archive_entry* entry) const {
        auto good = [](int64_t id) { return id >= 0 && id < int64_t{0xffffffff}; };
        if (options_.keep_owner && (!good(archive_entry_uid(entry)) || !good(archive_entry_gid(entry)))) return bad_entry("an owner beyond 32 bits");
        return {};
    }
    static std::array<timespec, 2> times_of(archive_entry* entry) {
        timespec modified{0, UTIME_OMIT};
        if (archive_entry_mtime_is_set(entry)) modified = {archive_entry_mtime(entry), archive_entry_mtime_nsec(entry)};
        timespec accessed = modified;
        if (archive_entry_atime_is_set(entry)) accessed = {archive_entry_atime(entry), archive_entry_atime_nsec(entry)};
        return {accessed, modified};
    }

    /// In this order: chown clears setuid bits and capabilities.
    Status attributes(archive_entry* entry, int fd, bool set_times = false) {
        TRY_VOID(check_owner(entry));
        auto [uid, gid] = owner_of(entry);
        if ((uid != ::geteuid() || gid != ::getegid() || !set_times) && ::fchown(fd, uid, gid) != 0) return entry_errno("set the owner");
        if (::fchmod(fd, archive_entry_perm(entry) & 07777) != 0) return entry_errno("set the mode");
        if (archive_entry_xattr_reset(entry) > 0)
            TRY_VOID(xattrs(entry, [&](const char* key, const void* value, size_t size) { return ::fsetxattr(fd, key, value, size, 0); }));
        if (set_times) {
            auto times = times_of(entry);
            if (::futimens(fd, times.data()) != 0) return entry_errno("set the time");
        }
        return {};
    }
    Status attributes_by_name(archive_entry* entry, int parent, const std::string& name, bool set_mode) {
        TRY_VOID(check_owner(entry));
        auto [uid, gid] = owner_of(entry);
        if (::fchownat(parent, name.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW) != 0) return entry_errno("set the owner");
        if (set_mode && ::fchmodat(parent, name.c_str(), archive_entry_perm(entry) & 07777, 0) != 0) return entry_errno("set the mode");
        if (archive_entry_xattr_reset(entry) > 0) {
            std::string path = base::proc_path(parent) + "/" + name;
            TRY_VOID(xattrs(entry, [&](const char* key, const void* value, size_t size) { return ::lsetxattr(path.c_str(), key, value, size, 0); }));
        }
        auto times = times_of(entry);
        if (::utimensat(parent, name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0) return entry_errno("set the time");
        return {};
    }
    template <class Set>
    Status xattrs(archive_entry* entry, Set set) {
        const char* key = nullptr;
        const void* value = nullptr;
        size_t size = 0;
        while (archive_entry_xattr_next(entry, &key, &value, &size) == ARCHIVE_OK) {
            std::string_view name = key ? key : "";
            // overlayfs' own marks in an archive would make the kernel read other layers' files: dropped.
            if (name.empty() || name.starts_with("trusted.overlay.") || name.starts_with("user.overlay.")) continue;
            if (set(key, value, size) == 0) continue;
            bool refused = errno == EOPNOTSUPP || errno == EPERM;
            if (refused && name != "security.capability") continue;  // as Docker: file systems without user.* are common
            return entry_errno(("set attribute " + base::printable(name)).c_str());
        }
        return {};
    }

    void remember_time(archive_entry* entry, const std::string& path) {
        if (archive_entry_mtime_is_set(entry)) folders_[path] = times_of(entry);
    }
    /// Last, since every entry made in a folder changes the folder's time.
    Status folder_times() {
        for (const auto& [path, times] : folders_) {
            auto folder = base::open_in_root(root_, path, O_RDONLY | O_DIRECTORY);
            if (folder) (void)::futimens(folder->get(), times.data());  // ignored: a time is not worth a pull
        }
        return {};
    }

    int root_;
    const Source& source_;
    const ExtractOptions& options_;
    archive* archive_ = nullptr;
    std::optional<Error> source_error_;
    UniqueFd parent_;
    std::string parent_path_, shown_;
    std::unordered_map<std::string, std::array<timespec, 2>> folders_;
    Extracted result_;
};

}  // namespace

Result<Extracted> extract_tar(int root, const Source& source, const ExtractOptions& options) { return Extractor(root, source, options).run(); }

Status extract_into(int root, const std::string& path, const Source& source, const ExtractOptions& options) {
    auto folder = base::open_in_root(root, path, O_RDONLY | O_DIRECTORY);
    if (!folder) {
        if (folder.error().sys_errno == ENOENT) return fail(Code::not_found, "Could not find the file " + path);
        if (folder.error().sys_errno == ENOTDIR) return fail(Code::invalid, "extraction point is not a directory: " + path);
        return std::move(folder.error());
    }
    // From the container's root, so that links below `path` lead where they lead inside the container.
    ExtractOptions inner = options;
    inner.rename = [&](std::string name) -> std::optional<std::string> {
        if (options.rename) {
            auto renamed = options.rename(std::move(name));
            if (!renamed) return std::nullopt;
            name = std::move(*renamed);
        }
        auto cleaned = clean(name);
        if (!cleaned) return name;  // refused with its own words
        if (cleaned->empty()) return std::nullopt;
        return path + "/" + *cleaned;
    };
    TRY(extract_tar(root, source, inner));
    return {};
}

}  // namespace engine::image

// Trees into tar streams (pax), in the order of names, each file read through its own fd.
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>
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

constexpr unsigned kDeepest = 1000;
constexpr size_t kChunk = 256u << 10;

bool is_whiteout(const struct stat& status) { return S_ISCHR(status.st_mode) && status.st_rdev == makedev(0, 0); }

std::string attribute(const std::string& path, const char* key) {
    std::string value(4096, '\0');
    ssize_t n = ::getxattr(path.c_str(), key, value.data(), value.size());  // follows /proc's link to the file itself, not further
    value.resize(n < 0 ? 0 : static_cast<size_t>(n));
    return value;
}

class Packer {
public:
    Packer(const PackOptions& options, const Sink& sink) : options_(options), sink_(sink), archive_(archive_write_new(), &archive_write_free) {
        archive_write_set_format_pax(archive_.get());
        archive_write_set_format_option(archive_.get(), "pax", "xattrheader", "SCHILY");
        archive_write_set_bytes_per_block(archive_.get(), 64 << 10);
        archive_write_set_bytes_in_last_block(archive_.get(), 1);  // the end marker only, no padding to a tape block
        archive_write_open(archive_.get(), this, nullptr, &Packer::write_callback, nullptr);
        buffer_.resize(kChunk);
    }

    /// One path and what is below; `name` is its entry's name, empty for the top of a tree without an entry.
    Status add(int parent, const std::string& file, const std::string& name, const std::string& relative, unsigned depth) {
        if (depth > kDeepest) return fail(Code::invalid, "\"" + name + "\": folders nest too deeply");
        if (options_.cancel && options_.cancel->load()) return fail(Code::interrupted, "interrupted");
        UniqueFd handle(::openat(parent, file.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
        if (!handle) {
            if (errno == ENOENT && depth > 0) return {};  // gone since the folder was read
            return fail_errno("read \"" + name + "\"");
        }
        return add_handle(handle.get(), name, relative, depth);
    }

    Status add_handle(int handle, const std::string& name, const std::string& relative, unsigned depth) {
        struct stat status {};
        if (::fstatat(handle, "", &status, AT_EMPTY_PATH) != 0) return fail_errno("read \"" + name + "\"");
        if (depth == 0) device_ = status.st_dev;
        if (depth > 0 && is_whiteout(status)) return options_.whiteouts ? whiteout(name) : Status();
        if (S_ISSOCK(status.st_mode)) return {};
        bool folder = S_ISDIR(status.st_mode);
        bool opaque = folder && options_.whiteouts && attribute(base::proc_path(handle), "trusted.overlay.opaque") == "y";
        if (!opaque && folder && options_.whiteouts) opaque = attribute(base::proc_path(handle), "user.overlay.opaque") == "y";
        if (!name.empty()) TRY_VOID(entry(handle, status, name));
        if (!folder) return {};
        if (opaque && depth > 0) TRY_VOID(mark((name.empty() ? "" : name + "/") + ".wh..wh..opq"));
        if (options_.one_device && status.st_dev != device_) return {};
        return children(handle, name, relative, depth);
    }

    Status children(int handle, const std::string& name, const std::string& relative, unsigned depth) {
        int fd = ::openat(handle, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) return fail_errno("read folder \"" + name + "\"");
        DIR* dir = ::fdopendir(fd);
        if (!dir) {
            ::close(fd);
            return fail_errno("read folder \"" + name + "\"");
        }
        std::vector<std::string> names;
        while (dirent* item = ::readdir(dir)) {
            std::string_view child = item->d_name;
            if (child != "." && child != "..") names.emplace_back(child);
        }
        ::closedir(dir);
        std::sort(names.begin(), names.end());
        for (const std::string& child : names) {
            std::string below = relative.empty() ? child : relative + "/" + child;
            if (options_.skip && options_.skip(below)) continue;
            TRY_VOID(add(handle, child, name.empty() ? child : name + "/" + child, below, depth + 1));
        }
        return {};
    }

    Status finish() {
        if (archive_write_close(archive_.get()) != ARCHIVE_OK) return stream_error();
        return {};
    }

private:
    static la_ssize_t write_callback(archive*, void* self, const void* buffer, size_t length) {
        auto* packer = static_cast<Packer*>(self);
        auto written = packer->sink_(std::string_view(static_cast<const char*>(buffer), length));
        if (!written) {
            packer->sink_error_ = std::move(written.error());
            return -1;
        }
        return static_cast<la_ssize_t>(length);
    }
    Error stream_error() {
        if (sink_error_) return std::move(*sink_error_);
        const char* text = archive_error_string(archive_.get());
        return fail(Code::internal, std::string("write tar: ") + base::printable(text ? text : "unknown error"));
    }

    Status whiteout(const std::string& name) {
        size_t slash = name.rfind('/');
        return slash == std::string::npos ? mark(".wh." + name) : mark(name.substr(0, slash + 1) + ".wh." + name.substr(slash + 1));
    }
    /// An empty file that is an OCI whiteout. Without a time: the overlay's mark has only that of its making, which differs
    /// each time the same layer is unpacked.
    Status mark(const std::string& name) {
        archive_entry* entry = clear();
        archive_entry_set_pathname(entry, name.c_str());
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_perm(entry, 0);
        archive_entry_set_size(entry, 0);
        archive_entry_set_mtime(entry, 0, 0);
        return header(entry);
    }
    archive_entry* clear() {
        archive_entry_clear(entry_.get());
        return entry_.get();
    }
    Status header(archive_entry* entry) {
        int code = archive_write_header(archive_.get(), entry);
        if (code != ARCHIVE_OK && code != ARCHIVE_WARN) return stream_error();
        return {};
    }

    Status entry(int handle, const struct stat& status, const std::string& name) {
        archive_entry* to = clear();
        archive_entry_set_pathname(to, (S_ISDIR(status.st_mode) ? name + "/" : name).c_str());
        archive_entry_set_mode(to, status.st_mode);
        archive_entry_set_uid(to, options_.owner ? options_.owner->first : status.st_uid);
        archive_entry_set_gid(to, options_.owner ? options_.owner->second : status.st_gid);
        if (options_.folder_times || !S_ISDIR(status.st_mode)) archive_entry_set_mtime(to, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
        std::string path = base::proc_path(handle);
        if (S_ISLNK(status.st_mode)) {
            std::string target(4096, '\0');
            ssize_t n = ::readlinkat(handle, "", target.data(), target.size());
            if (n < 0) return fail_errno("read link \"" + name + "\"");
            target.resize(static_cast<size_t>(n));
            archive_entry_set_symlink(to, target.c_str());
        } else {
            xattrs(path, to);
        }
        if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) {
            archive_entry_set_rdevmajor(to, major(status.st_rdev));
            archive_entry_set_rdevminor(to, minor(status.st_rdev));
        }
        if (!S_ISDIR(status.st_mode) && status.st_nlink > 1) {
            auto [first, is_new] = links_.emplace(std::pair(status.st_dev, status.st_ino), name);
            if (!is_new) {
                archive_entry_set_hardlink(to, first->second.c_str());
                archive_entry_set_size(to, 0);
                return header(to);
            }
        }
        if (!S_ISREG(status.st_mode)) return header(to);
        // By its fd, and checked again: what was a file is a file.
        UniqueFd file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
        if (!file) return fail_errno("open \"" + name + "\"");
        archive_entry_set_size(to, status.st_size);
        TRY_VOID(header(to));
        return content(file.get(), status.st_size, name);
    }

    /// Exactly the size of the header: a file that shrinks is filled with zeros, one that grows is cut.
    Status content(int file, int64_t size, const std::string& name) {
        while (size > 0) {
            if (options_.cancel && options_.cancel->load()) return fail(Code::interrupted, "interrupted");
            ssize_t n = ::read(file, buffer_.data(), std::min<size_t>(buffer_.size(), static_cast<size_t>(size)));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return fail_errno("read \"" + name + "\"");
            if (n == 0) {
                n = static_cast<ssize_t>(std::min<size_t>(buffer_.size(), static_cast<size_t>(size)));
                std::fill(buffer_.begin(), buffer_.begin() + n, '\0');
            }
            if (archive_write_data(archive_.get(), buffer_.data(), static_cast<size_t>(n)) < 0) return stream_error();
            size -= n;
        }
        return {};
    }

    void xattrs(const std::string& path, archive_entry* to) {
        std::string list(64 << 10, '\0');
        ssize_t n = ::listxattr(path.c_str(), list.data(), list.size());
        if (n <= 0) return;  // none, or a file system without
        list.resize(static_cast<size_t>(n));
        std::vector<std::string> keys;
        for (const std::string& key : base::split(list, '\0'))
            if (!key.empty() && !key.starts_with("trusted.overlay.") && !key.starts_with("user.overlay.") && key != "security.selinux") keys.push_back(key);
        std::sort(keys.begin(), keys.end());
        std::string value(64 << 10, '\0');
        for (const std::string& key : keys) {
            ssize_t size = ::getxattr(path.c_str(), key.c_str(), value.data(), value.size());
            if (size >= 0) archive_entry_xattr_add_entry(to, key.c_str(), value.data(), static_cast<size_t>(size));
        }
    }

    const PackOptions& options_;
    const Sink& sink_;
    std::unique_ptr<archive, decltype(&archive_write_free)> archive_;
    std::unique_ptr<archive_entry, decltype(&archive_entry_free)> entry_{archive_entry_new(), &archive_entry_free};
    std::optional<Error> sink_error_;
    std::map<std::pair<dev_t, ino_t>, std::string> links_;
    std::vector<char> buffer_;
    dev_t device_ = 0;
};

}  // namespace

Sink to_fd(int fd) {
    return [fd](std::string_view bytes) { return base::write_all(fd, bytes); };
}

Source from_fd(int fd) {
    return [fd, buffer = std::make_shared<std::vector<char>>(kChunk)]() -> Result<std::string_view> {
        for (;;) {
            ssize_t n = ::read(fd, buffer->data(), buffer->size());
            if (n >= 0) return std::string_view(buffer->data(), static_cast<size_t>(n));
            if (errno != EINTR) return fail_errno("read the archive");
        }
    };
}

Status pack_tree(int folder, const PackOptions& options, const Sink& sink) {
    Utf8Locale locale;
    Packer packer(options, sink);
    TRY_VOID(packer.add_handle(folder, options.name, "", 0));
    return packer.finish();
}

Status pack_path(int root, const std::string& path, bool follow_link, const PackOptions& options, const Sink& sink) {
    std::string trimmed = path;
    bool content = false;
    while (!trimmed.empty() && (trimmed.ends_with("/") || trimmed == "." || trimmed.ends_with("/."))) {
        if (trimmed.ends_with(".")) content = true;
        trimmed.pop_back();
    }
    size_t slash = trimmed.rfind('/');
    std::string name = slash == std::string::npos ? trimmed : trimmed.substr(slash + 1);
    auto handle = base::open_in_root(root, trimmed.empty() ? "/" : trimmed, O_PATH | (follow_link || content ? 0 : O_NOFOLLOW));
    if (!handle && handle.error().code == Code::not_found) return fail(Code::not_found, "Could not find the file " + path);
    if (!handle) return std::move(handle.error());
    Utf8Locale locale;
    PackOptions named = options;
    named.name = content || name.empty() ? "." : !options.name.empty() ? options.name : name;
    Packer packer(named, sink);
    TRY_VOID(packer.add_handle(handle->get(), named.name, "", 0));
    return packer.finish();
}

Result<Engine::PathStat> stat_path(int root, const std::string& path) {
    auto handle = base::open_in_root(root, path, O_PATH | O_NOFOLLOW);
    if (!handle && handle.error().code == Code::not_found) return fail(Code::not_found, "Could not find the file " + path);
    if (!handle) return std::move(handle.error());
    struct stat status {};
    if (::fstatat(handle->get(), "", &status, AT_EMPTY_PATH) != 0) return fail_errno("read \"" + path + "\"");
    Engine::PathStat result;
    std::string trimmed = path;
    while (trimmed.size() > 1 && trimmed.ends_with("/")) trimmed.pop_back();
    result.name = trimmed.substr(trimmed.rfind('/') + 1);
    if (result.name.empty()) result.name = "/";
    result.mode = status.st_mode;
    result.size = static_cast<uint64_t>(status.st_size);
    result.modified = status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec;
    if (S_ISLNK(status.st_mode)) {
        std::string target(4096, '\0');
        ssize_t n = ::readlinkat(handle->get(), "", target.data(), target.size());
        if (n > 0) result.link_target = target.substr(0, static_cast<size_t>(n));
    }
    return result;
}

}  // namespace engine::image

#include "cli/tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"

namespace compose::cli {
namespace {

using base::Code;
using base::fail;
using base::Status;

struct Writer {
    archive* handle = archive_write_new();
    std::map<std::pair<dev_t, ino_t>, std::string> hard_links;  ///< files with several names → the first one's
    ~Writer() { archive_write_free(handle); }
};
struct EntryFree {
    void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};
using Entry = std::unique_ptr<archive_entry, EntryFree>;

base::Error archive_error(archive* handle, const std::string& doing) {
    const char* text = archive_error_string(handle);
    return fail(Code::internal, doing + ": " + (text ? text : "unknown error of the archive library"));
}

Status copy_content(Writer& writer, int fd, const std::string& path) {
    std::vector<char> buffer(256 * 1024);
    for (;;) {
        ssize_t size = ::read(fd, buffer.data(), buffer.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return base::fail_errno("read " + base::quote(path));
        if (size == 0) return {};
        if (archive_write_data(writer.handle, buffer.data(), static_cast<size_t>(size)) < 0) return archive_error(writer.handle, "pack " + base::quote(path));
    }
}

/// One path and what is below it; `name` is its name in the archive, empty for a folder whose content alone is wanted.
Status add(Writer& writer, int folder, const std::string& path, const std::string& shown, const std::string& name, bool follow) {
    struct stat info {};
    if (fstatat(folder, path.c_str(), &info, follow ? 0 : AT_SYMLINK_NOFOLLOW) != 0) return base::fail_errno("lstat " + shown);
    if (S_ISSOCK(info.st_mode)) return {};  // tar knows none
    Entry entry(archive_entry_new());
    archive_entry_copy_stat(entry.get(), &info);
    archive_entry_set_pathname(entry.get(), (S_ISDIR(info.st_mode) ? name + "/" : name).c_str());
    if (S_ISLNK(info.st_mode)) {
        std::string target(static_cast<size_t>(info.st_size) + 1, '\0');
        ssize_t size = readlinkat(folder, path.c_str(), target.data(), target.size());
        if (size < 0) return base::fail_errno("readlink " + shown);
        target.resize(static_cast<size_t>(size));
        archive_entry_set_symlink(entry.get(), target.c_str());
    }
    bool content = S_ISREG(info.st_mode);
    if (content && info.st_nlink > 1) {
        auto [first, added] = writer.hard_links.try_emplace({info.st_dev, info.st_ino}, name);
        if (!added) {
            archive_entry_set_hardlink(entry.get(), first->second.c_str());
            archive_entry_set_size(entry.get(), 0);
            content = false;
        }
    }
    base::UniqueFd fd;
    if (S_ISREG(info.st_mode) || S_ISDIR(info.st_mode)) {
        int flags = O_RDONLY | O_NONBLOCK | (S_ISDIR(info.st_mode) ? O_DIRECTORY : 0) | (follow ? 0 : O_NOFOLLOW);
        auto opened = base::open_at(folder, path, flags);
        if (!opened) return base::Error(opened.error()).with("pack " + base::quote(shown));
        fd = std::move(*opened);
    }
    if (!name.empty() && archive_write_header(writer.handle, entry.get()) < ARCHIVE_WARN) return archive_error(writer.handle, "pack " + base::quote(shown));
    if (content) return copy_content(writer, fd.get(), shown);
    if (!S_ISDIR(info.st_mode)) return {};
    for (const std::string& child : TRY(base::list_dir(base::proc_path(fd.get()))))
        TRY_VOID(add(writer, fd.get(), child, shown + "/" + child, name.empty() ? child : name + "/" + child, false));
    return {};
}

}  // namespace

Status pack(const std::string& path, const PackOptions& options, int fd) {
    Writer writer;
    archive_write_set_format_pax_restricted(writer.handle);
    archive_write_add_filter_none(writer.handle);
    archive_write_set_bytes_in_last_block(writer.handle, 1);
    if (archive_write_open_fd(writer.handle, fd) != ARCHIVE_OK) return archive_error(writer.handle, "pack " + base::quote(path));
    TRY_VOID(add(writer, AT_FDCWD, path, path, options.name, options.follow_link));
    if (archive_write_close(writer.handle) != ARCHIVE_OK) return archive_error(writer.handle, "pack " + base::quote(path));
    return {};
}

namespace {

/// Extracts entry by entry below one folder. Every path is opened inside of it, each last part without following a link.
class Unpacker {
public:
    Unpacker(archive* in, base::UniqueFd root, const UnpackOptions& options) : in_(in), root_(std::move(root)), options_(options) {}

    Status run() {
        for (;;) {
            archive_entry* entry = nullptr;
            int code = archive_read_next_header(in_, &entry);
            if (code == ARCHIVE_EOF) break;
            if (code < ARCHIVE_WARN) return archive_error(in_, "unpack");
            const char* raw = archive_entry_pathname(entry);
            std::string name = raw ? raw : "";
            if (auto status = place(entry, name); !status) return Error(status.error()).with("unpack " + base::quote(name));
        }
        // modes and times of folders last: a folder may be one that its owner cannot write to
        for (auto it = folders_.rbegin(); it != folders_.rend(); ++it) {
            (void)fchmod(it->fd.get(), it->mode);  // ignored: the content is there
            (void)futimens(it->fd.get(), it->times);
        }
        return {};
    }

private:
    using Error = base::Error;
    struct Folder {
        base::UniqueFd fd;
        mode_t mode;
        timespec times[2];
    };

    /// Where an entry goes, relative to the root; an error when the name leads out of it. Empty: the root itself.
    base::Result<std::string> target_of(std::string name) const {
        while (name.starts_with("./")) name.erase(0, 2);
        while (name.ends_with('/')) name.pop_back();
        if (name == options_.strip || (options_.strip == "." && name.empty()))
            name = options_.name;
        else if (name.starts_with(options_.strip + "/"))
            name = options_.name + name.substr(options_.strip.size() + (options_.name.empty() ? 1 : 0));
        std::vector<std::string> parts = base::split(name, '/');
        if (name.starts_with("/") || std::find(parts.begin(), parts.end(), "..") != parts.end())
            return fail(Code::corrupt, "the name leads out of the folder");
        return name;
    }

    /// The folder that holds the last part of a path, made when absent.
    base::Result<base::UniqueFd> parent(const std::string& path, std::string& last) const {
        size_t slash = path.rfind('/');
        last = slash == std::string::npos ? path : path.substr(slash + 1);
        if (slash == std::string::npos) return root_.duplicate();
        return base::make_dirs_in_root(root_.get(), path.substr(0, slash), 0755, geteuid(), getegid());
    }

    Status place(archive_entry* entry, const std::string& name) {
        std::string path = TRY(target_of(name)), last;
        if (path.empty()) return {};  // the folder is there already
        auto folder = TRY(parent(path, last));
        mode_t mode = archive_entry_perm(entry);
        timespec times[2] = {{0, UTIME_NOW}, {archive_entry_mtime(entry), archive_entry_mtime_nsec(entry)}};
        if (archive_entry_filetype(entry) == AE_IFDIR && !archive_entry_hardlink(entry)) {
            if (mkdirat(folder.get(), last.c_str(), 0700) != 0 && errno != EEXIST) return base::fail_errno("make the folder");
            auto made = TRY(base::open_at(folder.get(), last, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
            folders_.push_back({std::move(made), mode, {times[0], times[1]}});
            return {};
        }
        if (unlinkat(folder.get(), last.c_str(), 0) != 0 && errno != ENOENT) return base::fail_errno("replace what is there");
        if (const char* link = archive_entry_hardlink(entry)) {
            std::string source = TRY(target_of(link)), source_last;
            auto source_folder = TRY(parent(source, source_last));
            if (linkat(source_folder.get(), source_last.c_str(), folder.get(), last.c_str(), 0) != 0) return base::fail_errno("link to " + base::quote(link));
            return {};
        }
        if (archive_entry_filetype(entry) == AE_IFLNK) {
            if (symlinkat(archive_entry_symlink(entry), folder.get(), last.c_str()) != 0) return base::fail_errno("make the link");
            (void)utimensat(folder.get(), last.c_str(), times, AT_SYMLINK_NOFOLLOW);  // ignored: the content is there
            return {};
        }
        if (archive_entry_filetype(entry) == AE_IFREG) return write_file(folder.get(), last, mode, times, archive_entry_size(entry));
        // devices, pipes: as root only, and never followed
        if (mknodat(folder.get(), last.c_str(), archive_entry_filetype(entry) | mode, archive_entry_rdev(entry)) != 0) return base::fail_errno("make the device or pipe");
        return {};
    }

    Status write_file(int folder, const std::string& last, mode_t mode, const timespec (&times)[2], la_int64_t whole) {
        auto file = TRY(base::open_at(folder, last, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
        const void* block = nullptr;
        size_t size = 0;
        la_int64_t offset = 0, end = 0;
        int code = 0;
        while ((code = archive_read_data_block(in_, &block, &size, &offset)) == ARCHIVE_OK) {
            if (offset != end && lseek(file.get(), offset, SEEK_SET) < 0) return base::fail_errno("write");
            TRY_VOID(base::write_all(file.get(), {static_cast<const char*>(block), size}));
            end = offset + static_cast<la_int64_t>(size);
        }
        if (code != ARCHIVE_EOF) return archive_error(in_, "read");
        if (end != whole && ftruncate(file.get(), whole) != 0) return base::fail_errno("write");  // a sparse file's end
        if (fchmod(file.get(), mode) != 0) return base::fail_errno("set the mode");
        (void)futimens(file.get(), times);  // ignored: the content is there
        return {};
    }

    archive* in_;
    base::UniqueFd root_;
    const UnpackOptions& options_;
    std::vector<Folder> folders_;
};

}  // namespace

Status unpack(int fd, const std::string& folder, const UnpackOptions& options) {
    std::unique_ptr<archive, int (*)(archive*)> in(archive_read_new(), archive_read_free);
    archive_read_support_format_tar(in.get());
    auto root = TRY(base::open_at(AT_FDCWD, folder, O_PATH | O_DIRECTORY));
    if (archive_read_open_fd(in.get(), fd, 256 * 1024) != ARCHIVE_OK) return archive_error(in.get(), "unpack");
    return Unpacker(in.get(), std::move(root), options).run();
}

}  // namespace compose::cli

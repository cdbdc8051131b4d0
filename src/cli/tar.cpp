#include "cli/tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

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
        ssize_t size = read(fd, buffer.data(), buffer.size());
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

Status unpack(int fd, const std::string& folder, const UnpackOptions& options) {
    std::unique_ptr<archive, int (*)(archive*)> in(archive_read_new(), archive_read_free), out(archive_write_disk_new(), archive_write_free);
    archive_read_support_format_tar(in.get());
    int flags = ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_SECURE_NODOTDOT | ARCHIVE_EXTRACT_SECURE_SYMLINKS | ARCHIVE_EXTRACT_UNLINK;
    archive_write_disk_set_options(out.get(), flags);
    // the library resolves links of the whole path; the folder itself is the user's own and may be reached through links
    std::string real(PATH_MAX, '\0');
    if (!realpath(folder.c_str(), real.data())) return base::fail_errno("open " + base::quote(folder));
    real.resize(std::char_traits<char>::length(real.c_str()));
    if (archive_read_open_fd(in.get(), fd, 256 * 1024) != ARCHIVE_OK) return archive_error(in.get(), "unpack");
    auto placed = [&](std::string name) -> std::optional<std::string> {
        while (name.starts_with("./")) name.erase(0, 2);
        while (name.ends_with('/')) name.pop_back();
        if (name == options.strip || (options.strip == "." && name.empty()))
            name = options.name;
        else if (name.starts_with(options.strip + "/"))
            name = options.name + name.substr(options.strip.size() + (options.name.empty() ? 1 : 0));
        if (name.starts_with("/")) return std::nullopt;
        for (const std::string& part : base::split(name, '/'))
            if (part == "..") return std::nullopt;
        return name.empty() ? real : real + "/" + name;
    };
    for (;;) {
        archive_entry* entry = nullptr;
        int code = archive_read_next_header(in.get(), &entry);
        if (code == ARCHIVE_EOF) return {};
        if (code < ARCHIVE_WARN) return archive_error(in.get(), "unpack");
        const char* raw = archive_entry_pathname(entry);
        std::string name = raw ? raw : "";
        auto target = placed(name);
        if (!target) return fail(Code::corrupt, "unpack " + base::quote(name) + ": the name leads out of the folder");
        if (*target == real && archive_entry_filetype(entry) == AE_IFDIR) continue;  // the folder is there already
        archive_entry_set_pathname(entry, target->c_str());
        if (const char* link = archive_entry_hardlink(entry)) {
            auto linked = placed(link);
            if (!linked) return fail(Code::corrupt, "unpack " + base::quote(name) + ": the hard link leads out of the folder");
            archive_entry_set_hardlink(entry, linked->c_str());
        }
        // absolute names are refused above; ours begin with the folder. A link in an earlier entry's place is not followed.
        if (archive_write_header(out.get(), entry) < ARCHIVE_WARN) return archive_error(out.get(), "unpack " + base::quote(name));
        const void* block = nullptr;
        size_t size = 0;
        la_int64_t offset = 0;
        while ((code = archive_read_data_block(in.get(), &block, &size, &offset)) == ARCHIVE_OK)
            if (archive_write_data_block(out.get(), block, size, offset) < ARCHIVE_WARN) return archive_error(out.get(), "unpack " + base::quote(name));
        if (code != ARCHIVE_EOF) return archive_error(in.get(), "unpack " + base::quote(name));
        if (archive_write_finish_entry(out.get()) < ARCHIVE_WARN) return archive_error(out.get(), "unpack " + base::quote(name));
    }
}

}  // namespace compose::cli

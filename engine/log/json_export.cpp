#include "log/json_export.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "log/log_files.h"

namespace engine::log {
namespace {

constexpr size_t kPart = 16 * 1024;  // Docker's Copier cuts longer lines into parts without a newline

struct Saved {
    uint64_t position = 0, size = 0;
};

// Go's encoding/json of a []byte as string: control characters, quotes and <>& escaped, invalid UTF-8 replaced.
void escape(std::string& out, std::string_view text) {
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < text.size();) {
        unsigned char c = static_cast<unsigned char>(text[i]);
        if (c < 0x80) {
            if (c == '"' || c == '\\') {
                out += '\\';
                out += static_cast<char>(c);
            } else if (c == '\n') {
                out += "\\n";
            } else if (c == '\r') {
                out += "\\r";
            } else if (c == '\t') {
                out += "\\t";
            } else if (c < 0x20 || c == '<' || c == '>' || c == '&') {
                out += "\\u00";
                out += hex[c >> 4];
                out += hex[c & 15];
            } else {
                out += static_cast<char>(c);
            }
            i++;
            continue;
        }
        size_t length = c >= 0xf0 && c <= 0xf4 ? 4 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xc2 && c < 0xe0 ? 2 : 0;
        bool valid = length != 0 && i + length <= text.size();
        for (size_t k = 1; valid && k < length; k++) valid = (static_cast<unsigned char>(text[i + k]) & 0xc0) == 0x80;
        if (valid && length == 3) {
            unsigned char second = static_cast<unsigned char>(text[i + 1]);
            valid = !(c == 0xe0 && second < 0xa0) && !(c == 0xed && second >= 0xa0);
        } else if (valid && length == 4) {
            unsigned char second = static_cast<unsigned char>(text[i + 1]);
            valid = !(c == 0xf0 && second < 0x90) && !(c == 0xf4 && second >= 0x90);
        }
        if (valid) {
            out.append(text.substr(i, length));
            i += length;
        } else {
            out += "\\ufffd";
            i++;
        }
    }
}

}  // namespace

base::Result<JsonExport> JsonExport::open(const std::string& folder, const LogSettings& settings) {
    JsonExport self;
    self.folder_ = folder;
    self.max_size_ = settings.max_size;
    self.max_files_ = settings.max_files;
    if (!settings.attributes.empty()) {
        self.attributes_ = ",\"attrs\":{";
        for (const auto& [name, value] : settings.attributes) {
            if (self.attributes_.back() != '{') self.attributes_ += ',';
            self.attributes_ += '"';
            escape(self.attributes_, name);
            self.attributes_ += "\":\"";
            escape(self.attributes_, value);
            self.attributes_ += '"';
        }
        self.attributes_ += '}';
    }
    self.position_fd_ = TRY(base::open_at(AT_FDCWD, folder + "/json.position", O_RDWR | O_CREAT, 0600));
    Saved saved;
    if (::pread(self.position_fd_.get(), &saved, sizeof saved, 0) != static_cast<ssize_t>(sizeof saved)) saved = {};
    self.file_ = TRY(base::open_at(AT_FDCWD, folder + "/json.log", O_WRONLY | O_CREAT, 0640));
    self.size_ = std::min(saved.size, file_size(self.file_.get()));
    if (::ftruncate(self.file_.get(), static_cast<off_t>(self.size_)) != 0) return base::fail_errno("cut \"" + folder + "/json.log\"");
    self.position_ = self.seen_ = saved.position;
    return self;
}

void JsonExport::line(Stream stream, Time time, std::string_view text, bool whole) {
    pending_ += "{\"log\":\"";
    escape(pending_, text);
    if (whole) pending_ += "\\n";
    pending_ += stream == Stream::out ? "\",\"stream\":\"stdout\"" : "\",\"stream\":\"stderr\"";
    pending_ += attributes_;
    pending_ += ",\"time\":\"" + base::format_time(time) + "\"}\n";
}

base::Status JsonExport::add(Stream stream, Time time, std::string_view bytes, uint64_t after) {
    std::string& partial = partial_[static_cast<size_t>(stream)];
    while (!bytes.empty()) {
        size_t room = kPart - partial.size();
        size_t end = bytes.find('\n');
        if (end == std::string_view::npos || end > room) {
            size_t take = std::min(room, bytes.size());
            partial.append(bytes.substr(0, take));
            bytes.remove_prefix(take);
            if (partial.size() < kPart) break;
            line(stream, time, partial, false);
            partial.clear();
            continue;
        }
        if (partial.empty()) {
            line(stream, time, bytes.substr(0, end), true);
        } else {
            partial.append(bytes.substr(0, end));
            line(stream, time, partial, true);
            partial.clear();
        }
        bytes.remove_prefix(end + 1);
    }
    return flush(after);
}

base::Status JsonExport::finish(Time time) {
    for (Stream stream : {Stream::out, Stream::err}) {
        std::string& partial = partial_[static_cast<size_t>(stream)];
        if (!partial.empty()) line(stream, time, partial, false);
        partial.clear();
    }
    return flush(seen_);
}

base::Status JsonExport::flush(uint64_t after) {
    seen_ = after;
    if (!pending_.empty()) {
        size_t done = 0;
        while (done < pending_.size()) {
            ssize_t n = ::pwrite(file_.get(), pending_.data() + done, pending_.size() - done, static_cast<off_t>(size_ + done));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return base::fail_errno("write \"" + folder_ + "/json.log\"");
            done += static_cast<size_t>(n);
        }
        size_ += done;
        pending_.clear();
    }
    if (!partial_[0].empty() || !partial_[1].empty()) return {};  // a restart would have to begin before these bytes
    position_ = after;
    Saved saved{position_, size_};
    if (::pwrite(position_fd_.get(), &saved, sizeof saved, 0) != static_cast<ssize_t>(sizeof saved))
        return base::fail_errno("write \"" + folder_ + "/json.position\"");
    if (max_size_ != 0 && size_ >= max_size_) return rotate();
    return {};
}

base::Status JsonExport::rotate() {
    auto name = [&](int number) { return folder_ + "/json.log" + (number == 0 ? std::string() : "." + std::to_string(number)); };
    if (max_files_ == 1) {
        if (::ftruncate(file_.get(), 0) != 0) return base::fail_errno("cut \"" + name(0) + "\"");
    } else {
        for (int number = max_files_ - 1; number > 0; number--) (void)::rename(name(number - 1).c_str(), name(number).c_str());
        file_ = TRY(base::open_at(AT_FDCWD, name(0), O_WRONLY | O_CREAT | O_TRUNC, 0640));
    }
    size_ = 0;
    Saved saved{position_, size_};
    if (::pwrite(position_fd_.get(), &saved, sizeof saved, 0) != static_cast<ssize_t>(sizeof saved))
        return base::fail_errno("write \"" + folder_ + "/json.position\"");
    return {};
}

}  // namespace engine::log

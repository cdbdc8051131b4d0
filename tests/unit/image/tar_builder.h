#pragma once
// Tar archives by hand, so that a test can write what no honest tool would.
#include <stdio.h>
#include <string.h>

#include <cstdint>
#include <map>
#include <string>

namespace image_test {

class Tar {
public:
    struct Options {
        char type = '0';
        std::string link;
        unsigned mode = 0644, uid = 0, gid = 0;
        int64_t mtime = 1700000000;
        unsigned major = 0, minor = 0;
        std::map<std::string, std::string> pax;
        int64_t size = -1;  ///< what the header says, when it lies
    };
    Tar& file(const std::string& name, const std::string& content, Options options) {
        if (!options.pax.empty()) {
            std::string records;
            for (const auto& [key, value] : options.pax) {
                // "LENGTH key=value\n", the length counting itself
                size_t rest = key.size() + value.size() + 3, length = rest + 1;
                while (std::to_string(length).size() + rest != length) length = std::to_string(length).size() + rest;
                records += std::to_string(length) + " " + key + "=" + value + "\n";
            }
            Options header;
            header.type = 'x';
            entry("pax", records, header);
        }
        return entry(name, content, options);
    }
    Tar& file(const std::string& name, const std::string& content = "", unsigned mode = 0644) {
        Options options;
        options.mode = mode;
        return file(name, content, options);
    }
    Tar& folder(const std::string& name, unsigned mode = 0755) {
        Options options;
        options.type = '5';
        options.mode = mode;
        return file(name, "", options);
    }
    Tar& symlink(const std::string& name, const std::string& target) { return link('2', name, target); }
    Tar& hardlink(const std::string& name, const std::string& target) { return link('1', name, target); }
    Tar& device(const std::string& name, char type, unsigned major, unsigned minor) {
        Options options;
        options.type = type;
        options.major = major;
        options.minor = minor;
        return file(name, "", options);
    }
    std::string bytes() const { return bytes_ + std::string(1024, '\0'); }
    std::string without_end() const { return bytes_; }

private:
    Tar& link(char type, const std::string& name, const std::string& target) {
        Options options;
        options.type = type;
        options.link = target;
        return file(name, "", options);
    }
    Tar& entry(const std::string& name, const std::string& content, const Options& options) {
        char header[512] = {};
        snprintf(header, 100, "%s", name.c_str());
        snprintf(header + 100, 8, "%07o", options.mode);
        snprintf(header + 108, 8, "%07o", options.uid);
        snprintf(header + 116, 8, "%07o", options.gid);
        snprintf(header + 124, 12, "%011llo", static_cast<unsigned long long>(options.size >= 0 ? static_cast<size_t>(options.size) : content.size()));
        snprintf(header + 136, 12, "%011llo", static_cast<unsigned long long>(options.mtime));
        header[156] = options.type;
        snprintf(header + 157, 100, "%s", options.link.c_str());
        memcpy(header + 257, "ustar\0" "00", 8);
        snprintf(header + 329, 8, "%07o", options.major);
        snprintf(header + 337, 8, "%07o", options.minor);
        memset(header + 148, ' ', 8);
        unsigned sum = 0;
        for (char c : header) sum += static_cast<unsigned char>(c);
        snprintf(header + 148, 8, "%06o", sum);
        bytes_.append(header, 512);
        bytes_ += content;
        bytes_.append((512 - content.size() % 512) % 512, '\0');
        return *this;
    }
    std::string bytes_;
};

}  // namespace image_test

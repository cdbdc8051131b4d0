#include "tiny_image.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>

#include "base/file.h"
#include "base/text.h"

namespace engine::api::testing {
namespace {

std::string octal(uint64_t value, int digits) {
    char text[32];
    snprintf(text, sizeof text, "%0*llo", digits, static_cast<unsigned long long>(value));
    return text;
}

}  // namespace

std::string tar_of(const std::vector<TarEntry>& entries) {
    std::string tar;
    for (const auto& entry : entries) {
        std::string header(512, '\0');
        auto put = [&](size_t at, const std::string& text) { header.replace(at, text.size(), text); };
        put(0, entry.name);
        put(100, octal(entry.mode, 7));
        put(108, octal(entry.uid, 7));
        put(116, octal(entry.gid, 7));
        put(124, octal(entry.type == '0' ? entry.content.size() : 0, 11));
        put(136, octal(1000000000, 11));
        put(148, "        ");
        header[156] = entry.type;
        if (entry.type == '2') put(157, entry.content);
        put(257, std::string("ustar\0" "00", 8));
        unsigned sum = 0;
        for (unsigned char c : header) sum += c;
        put(148, octal(sum, 6) + std::string("\0 ", 2));
        tar += header;
        if (entry.type == '0') {
            tar += entry.content;
            tar.append((512 - entry.content.size() % 512) % 512, '\0');
        }
    }
    return tar + std::string(1024, '\0');
}

std::map<std::string, std::string> read_tar(const std::string& bytes) {
    std::map<std::string, std::string> files;
    std::string pax_path;
    for (size_t at = 0; at + 512 <= bytes.size();) {
        const char* header = bytes.data() + at;
        if (header[0] == '\0') break;
        size_t size = strtoull(std::string(header + 124, 12).c_str(), nullptr, 8);
        std::string name(header, strnlen(header, 100)), prefix(header + 345, strnlen(header + 345, 155));
        if (!prefix.empty() && memcmp(header + 257, "ustar", 6) == 0) name = prefix + "/" + name;
        std::string content = bytes.substr(at + 512, size);
        char type = header[156];
        if (type == 'x') {
            size_t found = content.find(" path=");
            pax_path = found == std::string::npos ? "" : content.substr(found + 6, content.find('\n', found) - found - 6);
        } else if (type != 'g') {
            files[pax_path.empty() ? name : pax_path] = type == '0' ? content : "";
            pax_path.clear();
        }
        at += 512 + (size + 511) / 512 * 512;
    }
    return files;
}

base::Result<base::UniqueFd> tiny_image() {
    std::string busybox;
    for (const char* path : {"/bin/busybox", "/usr/bin/busybox"})
        if (auto bytes = base::read_file(path)) {
            busybox = std::move(*bytes);
            break;
        }
    if (busybox.empty()) return base::fail(base::Code::not_found, "no busybox on this machine (package busybox-static)");
    std::vector<TarEntry> entries = {
        {"bin/", "", '5', 0755},
        {"bin/busybox", busybox, '0', 0755},
        {"etc/", "", '5', 0755},
        {"etc/passwd", "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n"},
        {"etc/group", "root:x:0:\nalice:x:1000:\nextra:x:2000:alice\n"},
        {"root/", "", '5', 0700},
        {"tmp/", "", '5', 01777},
        {"data/", "", '5', 0750, 1000, 2000},
        {"data/seed", "from the image\n", '0', 0640, 1000, 2000},
        {"data/sub/", "", '5', 0755},
        {"data/sub/link", "../seed", '2', 0777},
        {"greeting", "hello\n"},
    };
    for (const char* applet : {"sh", "sleep", "echo", "cat", "ls", "stat", "true", "false", "id", "env", "touch", "rm", "mkdir", "kill", "nslookup", "ping", "ip", "nc",
                               "hostname", "mount", "grep", "seq", "dd", "wc", "sync", "trap", "ps", "printf", "httpd", "wget", "test", "ln", "readlink"})
        entries.push_back({std::string("bin/") + applet, "busybox", '2', 0777});
    std::string layer = tar_of(entries);
    std::string diff_id = "sha256:" + base::sha256_hex(layer);
    std::string config = R"({"architecture":"amd64","os":"linux","created":"2026-01-01T00:00:00Z","config":{"Cmd":["sh"],"Env":["FROM_IMAGE=yes"],)"
                         R"("Labels":{"image.label":"tiny"},"ExposedPorts":{"8080/tcp":{}}},"rootfs":{"type":"layers","diff_ids":[")" +
                         diff_id + R"("]},"history":[{"created":"2026-01-01T00:00:00Z","created_by":"test"}]})";
#if defined(__aarch64__)
    config.replace(config.find("amd64"), 5, "arm64");
#endif
    std::string name = base::sha256_hex(config) + ".json";
    std::string manifest = R"([{"Config":")" + name + R"(","RepoTags":["tiny:1"],"Layers":["layer.tar"]}])";
    std::string archive = tar_of({{"manifest.json", manifest}, {name, config}, {"layer.tar", layer}});
    base::UniqueFd fd(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!fd) return base::fail_errno("temporary file");
    TRY_VOID(base::write_all(fd.get(), archive));
    lseek(fd.get(), 0, SEEK_SET);
    return fd;
}

}  // namespace engine::api::testing

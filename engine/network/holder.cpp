#include "network/holder.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <set>
#include <sstream>

#include "base/file.h"
#include "base/text.h"

namespace engine::network {

namespace {

/// An address of /proc/net/tcp: 32-bit words in the host's order, in hexadecimal.
bool parse_proc_address(const std::string& hex, Address& address) {
    if (hex.size() != 8 && hex.size() != 32) return false;
    address = {};
    address.v6 = hex.size() == 32;
    for (size_t word = 0; word < hex.size() / 8; word++) {
        uint32_t value = static_cast<uint32_t>(std::strtoul(hex.substr(word * 8, 8).c_str(), nullptr, 16));
        std::memcpy(address.bytes.data() + word * 4, &value, 4);
    }
    return true;
}

/// Whether two bound addresses get into each other's way.
bool clash(const Address& wanted, const Address& held) {
    if (wanted == held) return true;
    if (held.is_any()) return held.v6 || !wanted.v6;  // [::] may be dual-stack
    return wanted.is_any() && wanted.v6 == held.v6;
}

void collect_inodes(const char* table, const Address& address, uint16_t port, bool listening_only, std::set<uint64_t>& inodes) {
    auto text = base::read_file(std::string("/proc/thread-self/net/") + table);
    if (!text) return;
    std::istringstream lines(*text);
    std::string line;
    std::getline(lines, line);
    while (std::getline(lines, line)) {
        std::istringstream fields(line);
        std::string slot, local, remote, state, queues, timer, retransmit, uid, timeout;
        uint64_t inode = 0;
        if (!(fields >> slot >> local >> remote >> state >> queues >> timer >> retransmit >> uid >> timeout >> inode) || inode == 0)
            continue;
        size_t colon = local.find(':');
        Address held;
        if (colon == std::string::npos || !parse_proc_address(local.substr(0, colon), held)) continue;
        if (std::strtoul(local.c_str() + colon + 1, nullptr, 16) != port || !clash(address, held)) continue;
        if (listening_only && state != "0A") continue;
        inodes.insert(inode);
    }
}

}  // namespace

std::string port_holder(const Address& address, uint16_t port, bool udp) {
    std::set<uint64_t> inodes;
    // A listener first; a socket that is only bound or connected can be in the way as well.
    for (bool listening : {true, false}) {
        if (udp && listening) continue;
        for (const char* table : {udp ? "udp" : "tcp", udp ? "udp6" : "tcp6"}) collect_inodes(table, address, port, listening, inodes);
        if (!inodes.empty()) break;
    }
    if (inodes.empty()) return {};
    auto processes = base::list_dir("/proc");
    if (!processes) return {};
    for (const std::string& pid : *processes) {
        if (pid.empty() || pid[0] < '1' || pid[0] > '9') continue;
        const std::string folder = "/proc/" + pid + "/fd";
        DIR* fds = opendir(folder.c_str());
        if (!fds) continue;
        bool holds = false;
        while (dirent* entry = readdir(fds)) {
            char link[64];
            ssize_t size = readlinkat(dirfd(fds), entry->d_name, link, sizeof link - 1);
            if (size <= 0) continue;
            link[size] = '\0';
            unsigned long long inode = 0;
            if (std::sscanf(link, "socket:[%llu]", &inode) == 1 && inodes.contains(inode)) {
                holds = true;
                break;
            }
        }
        closedir(fds);
        if (!holds) continue;
        auto name = base::read_file("/proc/" + pid + "/comm", 256);
        return "pid " + pid + (name ? " (" + base::printable(base::trim(*name)) + ")" : "");
    }
    return {};
}

}  // namespace engine::network

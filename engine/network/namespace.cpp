#include "network/namespace.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <thread>

#include "base/file.h"
#include "network/network.h"

namespace engine::network {

using base::Code;

namespace {

/// ENOENT, or not a namespace (a pin whose mount is gone): not_found.
Result<base::NetnsFd> open_pin(const std::string& path) {
    base::NetnsFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return base::fail_errno("open network namespace " + base::quote(path));
    struct statfs info {};
    if (fstatfs(fd.get(), &info) != 0 || info.f_type != NSFS_MAGIC)
        return base::fail(Code::not_found, "open network namespace " + base::quote(path) + ": nothing is bound there");
    return fd;
}

Status loopback_up() {
    base::UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd) return base::fail_errno("open a socket");
    ifreq request{};
    std::memcpy(request.ifr_name, "lo", 3);
    request.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
    if (ioctl(fd.get(), SIOCSIFFLAGS, &request) != 0) return base::fail_errno("set lo up");
    return {};
}

void preset(const char* path, const char* value) {
    // What a kernel without IPv6 or with an older sysctl lacks is left at its default.
    base::UniqueFd fd(::open(path, O_WRONLY | O_CLOEXEC));
    if (fd) (void)!::write(fd.get(), value, std::strlen(value));
}

}  // namespace

Status run_in_thread(const std::function<Status()>& work) {
    Status status;
    try {
        std::thread([&] { status = work(); }).join();
    } catch (const std::exception& error) {
        return base::fail(Code::unavailable, std::string("start a thread: ") + error.what());
    }
    return status;
}

Result<base::NetnsFd> enter_new_netns(const std::string& pin_path) {
    if (unshare(CLONE_NEWNET) != 0) return base::fail_errno("create a network namespace");
    base::NetnsFd fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    if (!fd) return base::fail_errno("open the new network namespace");
    TRY_VOID(loopback_up());
    preset("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    preset("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
    preset("/proc/sys/net/ipv4/ip_forward", "1");
    // Links are born without IPv6; those of networks that have it get it by name.
    preset("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
    if (pin_path.empty()) return fd;
    base::UniqueFd file(::open(pin_path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0444));
    if (!file) return base::fail_errno("create " + base::quote(pin_path));
    if (mount("/proc/thread-self/ns/net", pin_path.c_str(), nullptr, MS_BIND, nullptr) != 0) {
        int error = errno;
        unlink(pin_path.c_str());
        return base::fail_errno("bind the network namespace at " + base::quote(pin_path), error);
    }
    return fd;
}

Status enter_netns(int netns) {
    if (setns(netns, CLONE_NEWNET) != 0) return base::fail_errno("enter the network namespace");
    return {};
}

Status write_sysctl(const std::string& name, const std::string& value) {
    if (!name.starts_with("net.") && !name.starts_with("net/"))
        return base::fail(Code::invalid, "sysctl " + base::quote(name) + " is not one of a network namespace");
    // As sysctl(8): a name with slashes keeps its dots (net/ipv4/conf/eth0.1/mtu).
    std::string path = name;
    size_t dot = path.find_first_of("./");
    if (path[dot] == '.')
        for (char& c : path) c = c == '.' ? '/' : c == '/' ? '.' : c;
    if (("/" + path + "/").find("/../") != std::string::npos)
        return base::fail(Code::invalid, "sysctl " + base::quote(name) + " leaves /proc/sys/net");
    auto done = base::write_file("/proc/sys/" + path, value);
    if (!done && done.error().code == Code::not_found)
        return base::fail(Code::invalid, "sysctl " + base::quote(name) + ": no such setting in this kernel");
    return std::move(done).context("set sysctl " + name + " to " + base::quote(value));
}

Result<base::NetnsFd> open_netns(const std::string& pin_path) { return open_pin(pin_path); }

Result<base::NetnsFd> create_netns(const std::string& pin_path) {
    if (auto there = open_pin(pin_path)) return there;
    TRY_VOID(base::make_dirs(pin_path.substr(0, pin_path.rfind('/')), 0700));
    base::NetnsFd made;
    TRY_VOID(run_in_thread([&]() -> Status {
        made = TRY(enter_new_netns(pin_path));
        return {};
    }));
    return made;
}

Status remove_netns(const std::string& pin_path) {
    // The file can carry several mounts when a killed process left one: all go.
    while (umount2(pin_path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
    }
    if (errno != EINVAL && errno != ENOENT) return base::fail_errno("unmount network namespace " + base::quote(pin_path));
    if (unlink(pin_path.c_str()) != 0 && errno != ENOENT) return base::fail_errno("remove " + base::quote(pin_path));
    return {};
}

Status in_netns(int netns, const std::function<Status()>& work) {
    return run_in_thread([&]() -> Status {
        TRY_VOID(enter_netns(netns));
        return work();
    });
}

Status set_sysctls(int netns, const std::map<std::string, std::string>& sysctls) {
    if (sysctls.empty()) return {};
    return in_netns(netns, [&]() -> Status {
        for (const auto& [name, value] : sysctls) TRY_VOID(write_sysctl(name, value));
        return {};
    });
}

}  // namespace engine::network

// The configuration that `spec` writes: a bundle of rootfs/ that runs `sh` on a terminal with few rights, the same as runc's.
#include <boost/json.hpp>

#include <unistd.h>

#include "base/text.h"
#include "oci/spec.h"

namespace engine::oci {
namespace json = boost::json;
namespace {

constexpr std::string_view kDefault = R"json({
	"ociVersion": "1.2.0",
	"process": {
		"terminal": true,
		"user": {
			"uid": 0,
			"gid": 0
		},
		"args": [
			"sh"
		],
		"env": [
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			"TERM=xterm"
		],
		"cwd": "/",
		"capabilities": {
			"bounding": [
				"CAP_AUDIT_WRITE",
				"CAP_KILL",
				"CAP_NET_BIND_SERVICE"
			],
			"effective": [
				"CAP_AUDIT_WRITE",
				"CAP_KILL",
				"CAP_NET_BIND_SERVICE"
			],
			"permitted": [
				"CAP_AUDIT_WRITE",
				"CAP_KILL",
				"CAP_NET_BIND_SERVICE"
			],
			"ambient": [
				"CAP_AUDIT_WRITE",
				"CAP_KILL",
				"CAP_NET_BIND_SERVICE"
			]
		},
		"rlimits": [
			{
				"type": "RLIMIT_NOFILE",
				"hard": 1024,
				"soft": 1024
			}
		],
		"noNewPrivileges": true
	},
	"root": {
		"path": "rootfs",
		"readonly": true
	},
	"hostname": "compose",
	"mounts": [
		{
			"destination": "/proc",
			"type": "proc",
			"source": "proc"
		},
		{
			"destination": "/dev",
			"type": "tmpfs",
			"source": "tmpfs",
			"options": [
				"nosuid",
				"strictatime",
				"mode=755",
				"size=65536k"
			]
		},
		{
			"destination": "/dev/pts",
			"type": "devpts",
			"source": "devpts",
			"options": [
				"nosuid",
				"noexec",
				"newinstance",
				"ptmxmode=0666",
				"mode=0620",
				"gid=5"
			]
		},
		{
			"destination": "/dev/shm",
			"type": "tmpfs",
			"source": "shm",
			"options": [
				"nosuid",
				"noexec",
				"nodev",
				"mode=1777",
				"size=65536k"
			]
		},
		{
			"destination": "/dev/mqueue",
			"type": "mqueue",
			"source": "mqueue",
			"options": [
				"nosuid",
				"noexec",
				"nodev"
			]
		},
		{
			"destination": "/sys",
			"type": "sysfs",
			"source": "sysfs",
			"options": [
				"nosuid",
				"noexec",
				"nodev",
				"ro"
			]
		},
		{
			"destination": "/sys/fs/cgroup",
			"type": "cgroup",
			"source": "cgroup",
			"options": [
				"nosuid",
				"noexec",
				"nodev",
				"relatime",
				"ro"
			]
		}
	],
	"linux": {
		"resources": {
			"devices": [
				{
					"allow": false,
					"access": "rwm"
				}
			]
		},
		"namespaces": [
			{
				"type": "pid"
			},
			{
				"type": "network"
			},
			{
				"type": "ipc"
			},
			{
				"type": "uts"
			},
			{
				"type": "mount"
			}
		],
		"maskedPaths": [
			"/proc/acpi",
			"/proc/asound",
			"/proc/kcore",
			"/proc/keys",
			"/proc/latency_stats",
			"/proc/timer_list",
			"/proc/timer_stats",
			"/proc/sched_debug",
			"/sys/firmware",
			"/proc/scsi"
		],
		"readonlyPaths": [
			"/proc/bus",
			"/proc/fs",
			"/proc/irq",
			"/proc/sys",
			"/proc/sysrq-trigger"
		]
	}
})json";
}  // namespace

std::string default_config(bool rootless) {
    json::object config = json::parse(kDefault).as_object();
    if (rootless) {
        // One user, ourselves: no device groups, no network of its own, and sysfs only as the host's.
        json::object& part = config["linux"].as_object();
        part["namespaces"] = json::array{json::object{{"type", "pid"}}, json::object{{"type", "ipc"}}, json::object{{"type", "uts"}}, json::object{{"type", "mount"}},
                                         json::object{{"type", "user"}}};
        part["uidMappings"] = json::array{json::object{{"containerID", 0}, {"hostID", ::geteuid()}, {"size", 1}}};
        part["gidMappings"] = json::array{json::object{{"containerID", 0}, {"hostID", ::getegid()}, {"size", 1}}};
        part.erase("resources");
        json::array mounts;
        for (json::value& entry : config["mounts"].as_array()) {
            json::object& mount = entry.as_object();
            std::string destination(mount["destination"].as_string());
            if (destination == "/dev/pts") mount["options"] = json::array{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"};
            if (destination == "/sys") {
                mount["type"] = "none";
                mount["source"] = "/sys";
                mount["options"] = json::array{"rbind", "nosuid", "noexec", "nodev", "ro"};
            }
            if (destination != "/sys/fs/cgroup") mounts.push_back(entry);
        }
        config["mounts"] = std::move(mounts);
    }
    return pretty(config, "\t");
}

}  // namespace engine::oci

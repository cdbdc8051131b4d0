// Compose attributes in, the engine's spec out, as the JSON of what differs from a service with an image alone.
#include "run/convert.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "projects.h"
#include "store/codec.h"

namespace compose::run::test {
namespace {

Peers peers() {
    Peers peers;
    peers.of_service = [](const std::string& service) -> base::Result<engine::ContainerInfo> {
        if (service == "gone") return base::fail(base::Code::not_found, "service \"gone\" has no container");
        engine::ContainerInfo info;
        info.id = "id-of-" + service;
        info.spec.mounts = {{.type = engine::Mount::Type::volume, .source = "p_data", .target = "/data"},
                            {.type = engine::Mount::Type::volume, .source = "deadbeef", .target = "/anon", .anonymous = true}};
        return info;
    };
    peers.by_name = peers.of_service;
    return peers;
}

base::Result<engine::ContainerSpec> spec_of(const model::Project& project, Target target = {}) {
    if (target.name.empty()) target.name = "p-a-1";
    return container_spec(project, project.services.at("a"), target, peers());
}

std::string difference(const std::string& attributes, const std::string& top = "") {
    auto base = spec_of(project_of("services: {a: {image: i}}"));
    auto spec = spec_of(project_of("services: {a: {image: i, " + attributes + "}, x: {image: i}, gone: {image: i}}\n" + top,
                                   {{"VALUE", "from the caller"}}));
    if (!spec) return "error: " + spec.error().message();
    spec->labels.clear();
    spec->name.clear();
    spec->image.clear();
    if (spec->endpoints == base->endpoints) spec->endpoints.clear();
    return engine::store::to_json(*spec);
}

struct Row {
    const char* attributes;
    const char* json;
    const char* top = "";
};

const Row kRows[] = {
    // what runs
    {"command: echo 'a b' c", R"({"command":["echo","a b","c"]})"},
    {"command: []", R"({"command":[]})"},
    {"entrypoint: [/e, x]", R"({"entrypoint":["/e","x"]})"},
    {"environment: {A: 1, EMPTY: '', VALUE: , ABSENT: }", R"({"env":["A=1","ABSENT","EMPTY=","VALUE=from the caller"]})"},
    {"user: '1000:50', working_dir: /w, hostname: h, domainname: d.example", R"({"user":"1000:50","working_dir":"/w","hostname":"h","domainname":"d.example"})"},
    {"group_add: [staff, 777]", R"({"group_add":["staff","777"]})"},
    {"tty: true, stdin_open: true, init: true, read_only: true, privileged: true",
     R"({"tty":true,"stdin_open":true,"init":true,"read_only":true,"privileged":true})"},
    {"stop_signal: SIGUSR1, stop_grace_period: 1m30s", R"({"stop_signal":"SIGUSR1","stop_grace":90000000000})"},
    {"annotations: {k: v}", R"({"annotations":{"k":"v"}})"},
    {"platform: linux/amd64, runtime: crun", R"({"runtime":"crun","platform":"linux/amd64"})"},
    // rights
    {"cap_add: [NET_ADMIN], cap_drop: [ALL]", R"({"cap_add":["NET_ADMIN"],"cap_drop":["ALL"]})"},
    {"security_opt: ['seccomp=profile.json', 'seccomp:/abs.json', 'seccomp=unconfined', 'no-new-privileges:true']",
     R"({"security_opt":["seccomp=/p/profile.json","seccomp=/abs.json","seccomp=unconfined","no-new-privileges:true"]})"},
    {"sysctls: {net.core.somaxconn: 321}", R"({"sysctls":{"net.core.somaxconn":"321"}})"},
    {"ulimits: {nofile: {soft: 10, hard: 20}, core: 0}", R"({"ulimits":[{"name":"core"},{"name":"nofile","soft":10,"hard":20}]})"},
    {"devices: ['/dev/null:/dev/x:r', /dev/zero]",
     R"({"devices":[{"source":"/dev/null","target":"/dev/x","permissions":"r"},{"source":"/dev/zero","target":"/dev/zero"}]})"},
    {"devices: ['vendor.com/class=name']", R"({"device_requests":[{"driver":"cdi","ids":["vendor.com/class=name"]}]})"},
    {"device_cgroup_rules: ['c 1:3 mr']", R"({"device_cgroup_rules":["c 1:3 mr"]})"},
    {"gpus: all", R"({"device_requests":[{"count":-1,"capabilities":["gpu"]}]})"},
    {"deploy: {resources: {reservations: {devices: [{driver: nvidia, count: 2, capabilities: [gpu, utility]}]}}}",
     R"({"device_requests":[{"driver":"nvidia","count":2,"capabilities":["gpu","utility"]}]})"},
    {"pid: host, ipc: shareable, uts: host, userns_mode: host, cgroup: private, cgroup_parent: c",
     R"({"pid_mode":"host","ipc_mode":"shareable","uts_mode":"host","userns_mode":"host","cgroup_mode":"private","cgroup_parent":"c"})"},
    {"pid: 'service:x', ipc: 'service:x'", R"({"pid_mode":"container:id-of-x","ipc_mode":"container:id-of-x"})"},
    {"pid: 'service:gone'", "error: service \"a\": pid \"service:gone\": service \"gone\" has no container"},
    // limits
    {"mem_limit: 64m, mem_reservation: 32m, memswap_limit: 128m, mem_swappiness: 10",
     R"({"resources":{"memory":67108864,"memory_reservation":33554432,"memory_swap":134217728,"memory_swappiness":10}})"},
    {"cpus: 0.5, cpu_shares: 512, cpuset: '0', pids_limit: 25, oom_kill_disable: true",
     R"({"resources":{"cpus":5E-1,"cpu_shares":512,"cpuset_cpus":"0","pids":25,"oom_kill_disable":true}})"},
    {"deploy: {resources: {limits: {cpus: '0.25', memory: 60M, pids: 7}, reservations: {memory: 20M}}}",
     R"({"resources":{"memory":62914560,"memory_reservation":20971520,"cpus":2.5E-1,"pids":7}})"},
    {"shm_size: 8m, oom_score_adj: 345", R"({"shm_size":8388608,"oom_score_adj":345})"},
    {"blkio_config: {weight: 300, device_read_bps: [{path: /dev/sda, rate: 1k}]}",
     R"({"resources":{"blkio_weight":300,"read_bps":[{"path":"/dev/sda","rate":1024}]}})"},
    // life
    {"restart: 'on-failure:3'", R"({"restart":{"name":"on-failure","maximum_retries":3}})"},
    {"restart: always", R"({"restart":{"name":"always"}})"},
    {"deploy: {restart_policy: {condition: on-failure, max_attempts: 2}}", R"({"restart":{"name":"on-failure","maximum_retries":2}})"},
    {"deploy: {restart_policy: {condition: any}}, restart: 'no'", R"({"restart":{"name":"always"}})"},
    {"healthcheck: {test: [CMD, x], interval: 1s, timeout: 2s, start_period: 3s, start_interval: 4s, retries: 5}",
     R"({"health_check":{"test":["CMD","x"],"interval":1000000000,"timeout":2000000000,"start_period":3000000000,"start_interval":4000000000,"retries":5}})"},
    {"healthcheck: {disable: true}", R"({"health_check":{"test":["NONE"]}})"},
    {"logging: {driver: json-file, options: {max-size: 1m}}", R"({"log":{"driver":"json-file","options":{"max-size":"1m"}}})"},
    // files
    {"tmpfs: ['/short:size=4m,mode=1750', /plain]", R"({"tmpfs":{"/plain":"","/short":"size=4m,mode=1750"}})"},
    {"volumes: ['./rel:/r', '/abs:/deep/er:ro']",
     R"({"mounts":[{"source":"/p/rel","target":"/r"},{"source":"/abs","target":"/deep/er","read_only":true}]})"},
    {"volumes: [{type: bind, source: /s, target: /t, bind: {create_host_path: false, propagation: rshared, selinux: z, recursive: disabled}}]",
     R"({"mounts":[{"source":"/s","target":"/t","create_host_path":false,"propagation":"rshared","non_recursive":true,"selinux":"z"}]})"},
    {"volumes: ['vol:/v', /anonymous, {type: volume, source: vol, target: /w, volume: {nocopy: true, subpath: in}}]",
     R"({"mounts":[{"type":"volume","source":"p_vol","target":"/v"},{"type":"volume","target":"/anonymous","anonymous":true},{"type":"volume","source":"p_vol","target":"/w","no_copy":true,"subpath":"in"}]})",
     "volumes: {vol: {}}"},
    {"volumes: ['/x:/data/sub', '/y:/data']", R"({"mounts":[{"source":"/y","target":"/data"},{"source":"/x","target":"/data/sub"}]})"},
    {"volumes: [{type: tmpfs, target: /t, tmpfs: {size: 3145728, mode: 0700}}]", R"({"mounts":[{"type":"tmpfs","target":"/t","tmpfs_size":3145728,"tmpfs_mode":448}]})"},
    {"volumes: [{type: image, source: img, target: /i, image: {subpath: s}}]", R"({"mounts":[{"type":"image","source":"img","target":"/i","subpath":"s"}]})"},
    {"volumes: [{type: npipe, source: x, target: /i}]", "error: service \"a\": volume at \"/i\" has type \"npipe\", which exists on Windows only"},
    {"volumes_from: ['x:ro'], volumes: ['/own:/data']",
     R"({"mounts":[{"source":"/own","target":"/data"},{"type":"volume","source":"deadbeef","target":"/anon","read_only":true}]})"},
    // network
    {"network_mode: host, ports: ['80:80']", R"({"network_mode":"host"})"},
    {"network_mode: 'service:x'", R"({"network_mode":"container:id-of-x"})"},
    {"ports: ['127.0.0.1:8080:80/udp', '3000-3002:53', '9000']",
     R"({"ports":[{"host_ip":"127.0.0.1","host_port":8080,"container_port":80,"protocol":"udp"},{"host_port":3000,"host_port_last":3002,"container_port":53},{"container_port":9000}]})"},
    {"expose: [80, 90/udp, 3000-3001]", R"({"expose":["80/tcp","90/udp","3000/tcp","3001/tcp"]})"},
    {"dns: 1.1.1.1, dns_search: [a.example], dns_opt: ['timeout:3']", R"({"dns":["1.1.1.1"],"dns_search":["a.example"],"dns_options":["timeout:3"]})"},
    {"extra_hosts: {h: 10.1.2.3, g: host-gateway}", R"({"extra_hosts":["g:host-gateway","h:10.1.2.3"]})"},
    {"links: [x, 'x:other']", R"({"links":["x-1=p-x-1","other=x","x-1=p-x-1"]})"},
    {"networks: {n: {aliases: [y], ipv4_address: 10.0.0.7, mac_address: '02:00:00:00:00:01', priority: 5, gw_priority: 2, interface_name: e0, link_local_ips: [169.254.1.1]}}",
     R"({"endpoints":[{"network":"p_n","aliases":["a","y"],"ipv4":"10.0.0.7","link_local_ips":["169.254.1.1"],"mac":"02:00:00:00:00:01","interface_name":"e0","priority":5,"gateway_priority":2}]})",
     "networks: {n: {ipam: {config: [{subnet: 10.0.0.0/24}]}}}"},
    {"mac_address: '02:00:00:00:00:01', networks: {m: , n: {priority: 5}}",
     R"({"endpoints":[{"network":"p_m","aliases":["a"]},{"network":"p_n","aliases":["a"],"mac":"02:00:00:00:00:01","priority":5}]})",
     "networks: {m: {}, n: {}}"},
    // configs and secrets
    {"configs: [c, {source: c, target: /etc/x, uid: '1000', gid: '50', mode: 0440}]",
     R"({"files":[{"target":"/c","content":"text"},{"target":"/etc/x","content":"text","uid":"1000","gid":"50","mode":288}]})",
     "configs: {c: {content: text}}"},
    {"secrets: [s, {source: s, target: renamed}, {source: s, target: /abs}]",
     R"({"files":[{"target":"/run/secrets/s","content":"from the caller","secret":true},{"target":"/run/secrets/renamed","content":"from the caller","secret":true},{"target":"/abs","content":"from the caller","secret":true}]})",
     "secrets: {s: {environment: VALUE}}"},
    {"secrets: [s]", "error: service \"a\": secret \"s\": file \"/p/not-here.txt\" does not exist", "secrets: {s: {file: not-here.txt}}"},
};

TEST(Convert, Attributes) {
    for (const auto& row : kRows) EXPECT_EQ(difference(row.attributes, row.top), row.json) << row.attributes;
}

TEST(Convert, Labels) {
    auto project = project_of("services: {a: {image: i, labels: {l: v}, depends_on: {b: {condition: service_healthy, restart: true}}}, b: {image: i}}");
    auto labels = container_labels(project, project.services.at("a"), {.number = 2, .image_id = "sha256:1", .replace_label = "a-2"});
    EXPECT_EQ(labels.at("com.docker.compose.config-hash").size(), 64u);
    labels.erase("com.docker.compose.config-hash");
    EXPECT_EQ(engine::store::to_json(labels),
              R"({"com.docker.compose.container-number":"2","com.docker.compose.depends_on":"b:service_healthy:true",)"
              R"("com.docker.compose.image":"sha256:1","com.docker.compose.oneoff":"False","com.docker.compose.project":"p",)"
              R"("com.docker.compose.project.config_files":"-","com.docker.compose.project.working_dir":"/p",)"
              R"("com.docker.compose.replace":"a-2","com.docker.compose.service":"a","com.docker.compose.version":"2.40.3","l":"v"})");
}

TEST(Convert, NetworkAndVolume) {
    auto project = project_of(
        "services: {a: {image: i}}\n"
        "networks: {n: {internal: true, enable_ipv6: true, driver_opts: {mtu: '1400'}, labels: {l: v}, ipam: {config: [{subnet: 10.0.0.0/24, gateway: 10.0.0.9, ip_range: 10.0.0.128/25, aux_addresses: {x: 10.0.0.5}}]}}}\n"
        "volumes: {vol: {driver_opts: {type: tmpfs}, labels: {l: v}}}");
    auto network = network_spec(project, "n");
    EXPECT_EQ(network.labels.at("com.docker.compose.network"), "n");
    EXPECT_EQ(network.labels.at("l"), "v");
    network.labels.clear();
    EXPECT_EQ(engine::store::to_json(network),
              R"({"name":"p_n","driver_options":{"mtu":"1400"},"pools":[{"subnet":"10.0.0.0/24","gateway":"10.0.0.9","ip_range":"10.0.0.128/25","aux_addresses":{"x":"10.0.0.5"}}],"internal":true,"enable_ipv6":true})");
    auto volume = volume_spec(project, "vol");
    EXPECT_EQ(volume.labels.at("com.docker.compose.volume"), "vol");
    volume.labels.clear();
    EXPECT_EQ(engine::store::to_json(volume), R"({"name":"p_vol","driver_options":{"type":"tmpfs"}})");
}

TEST(Convert, AnonymousVolumesGoOver) {
    engine::ContainerInfo old;
    old.spec.mounts = {{.type = engine::Mount::Type::volume, .source = "one", .target = "/declared", .anonymous = true},
                       {.type = engine::Mount::Type::volume, .source = "two", .target = "/of-the-image", .anonymous = true},
                       {.type = engine::Mount::Type::volume, .source = "three", .target = "/no-more", .anonymous = true},
                       {.type = engine::Mount::Type::volume, .source = "four", .target = "/now-bound", .anonymous = true}};
    auto project = project_of("services: {a: {image: i, volumes: [/declared, '/host:/now-bound']}}");
    auto sources = [&](bool renew) {
        auto spec = spec_of(project, {.image_volumes = {"/of-the-image"}, .replaces = &old, .renew_volumes = renew});
        std::string text;
        for (const auto& mount : spec->mounts) text += mount.target + "=" + mount.source + " ";
        return text;
    };
    EXPECT_EQ(sources(false), "/declared=one /now-bound=/host /of-the-image=two ");
    EXPECT_EQ(sources(true), "/declared= /now-bound=/host ");
}

TEST(Convert, ASecretFileIsBoundAndItsOwnerKept) {
    auto folder = base::TempDir::make("/tmp", "compose-convert-");
    ASSERT_TRUE(folder);
    ASSERT_TRUE(base::write_file(folder->path() + "/key", "x"));
    auto project = project_of("services: {a: {image: i, secrets: [{source: s, mode: 0400, uid: '7'}]}}\nsecrets: {s: {file: ./key}}", {}, folder->path());
    auto spec = spec_of(project);
    ASSERT_TRUE(spec) << spec.error().message();
    EXPECT_EQ(spec->files[0].host_path, folder->path() + "/key");
    EXPECT_EQ(spec->files[0].mode, 0400u);
    EXPECT_EQ(spec->files[0].uid, "7");
    EXPECT_FALSE(spec->files[0].content);
}

TEST(Convert, WhatHasNoEffectIsNamed) {
    auto lines = [](const std::string& attributes) {
        auto project = project_of("services: {a: {image: i, " + attributes + "}}");
        return base::join(ignored_attributes(project, project.services.at("a")), "\n");
    };
    EXPECT_EQ(lines("command: x"), "");
    EXPECT_EQ(lines("cpu_count: 2"), "-:1:37: service \"a\": cpu_count is for Windows containers only, ignored");
    EXPECT_EQ(lines("deploy: {placement: {constraints: [x]}, update_config: {parallelism: 1}}"),
              "-:1:35: service \"a\": deploy.placement is for Swarm only, ignored\n-:1:66: service \"a\": deploy.update_config is for Swarm only, ignored");
    EXPECT_EQ(lines("network_mode: host, ports: ['80:80']"), "-:1:53: service \"a\": ports are discarded with this network_mode, ignored");
    EXPECT_EQ(lines("use_api_socket: true"), "-:1:42: service \"a\": use_api_socket needs an engine with a socket, which this one is not, ignored");
    EXPECT_EQ(lines("volumes: ['.:/a:z']"), "-:1:26: service \"a\": volumes.bind.selinux has no effect: labels for SELinux are not set, ignored");
    auto project = project_of("services: {a: {image: i, networks: [n]}}\nnetworks: {n: {driver_opts: {com.docker.network.bridge.host_binding_ipv4: 127.0.0.1}}}");
    const std::string line = base::join(ignored_attributes(project, project.services.at("a")), "\n");
    EXPECT_EQ(line.find("-:2:"), 0u) << line;
    EXPECT_NE(line.find("network \"n\": driver_opts com.docker.network.bridge.host_binding_ipv4 is not honoured"), std::string::npos) << line;
}

}  // namespace
}  // namespace compose::run::test

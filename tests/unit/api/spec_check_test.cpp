#include <gtest/gtest.h>

#include "api/engine_impl.h"

namespace engine::api {
namespace {

using base::Code;

ContainerSpec good() {
    ContainerSpec spec;
    spec.name = "web";
    spec.image = "x";
    return spec;
}

struct Row {
    const char* name;
    std::function<void(ContainerSpec&)> change;
    Code code;
    const char* text;  ///< part of the message
};

TEST(SpecCheck, ARefusalSaysWhat) {
    const Row rows[] = {
        {"name", [](auto& s) { s.name = "a/b"; }, Code::invalid, "Invalid container name (a/b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"},
        {"name of one letter", [](auto& s) { s.name = "a"; }, Code::invalid, "Invalid container name"},
        {"name with a newline", [](auto& s) { s.name = "a\nb"; }, Code::invalid, "(a\\nb)"},
        {"hostname", [](auto& s) { s.hostname = std::string(65, 'h'); }, Code::invalid, "longer than 64"},
        {"working dir", [](auto& s) { s.working_dir = "rel"; }, Code::invalid, "it needs to be an absolute path"},
        {"signal", [](auto& s) { s.stop_signal = "SIGNOPE"; }, Code::invalid, "Invalid signal: SIGNOPE"},
        {"runtime", [](auto& s) { s.runtime = "runsc9"; }, Code::unsupported, "unknown or invalid runtime name: runsc9"},
        {"isolation", [](auto& s) { s.isolation = "hyperv"; }, Code::invalid, "isolation"},
        {"oom score", [](auto& s) { s.oom_score_adj = 1001; }, Code::invalid, "[-1000, 1000]"},
        {"shm", [](auto& s) { s.shm_size = -1; }, Code::invalid, "SHM size"},
        {"relative target", [](auto& s) { s.mounts = {Mount{.source = "/a", .target = "b"}}; }, Code::invalid, "mount path must be absolute"},
        {"root target", [](auto& s) { s.mounts = {Mount{.source = "/a", .target = "/."}}; }, Code::invalid, "destination can't be '/'"},
        {"twice", [](auto& s) { s.mounts = {Mount{.source = "/a", .target = "/b"}, Mount{.source = "/c", .target = "/b//"}}; }, Code::invalid, "Duplicate mount point: /b"},
        {"twice with tmpfs", [](auto& s) { s.mounts = {Mount{.source = "/a", .target = "/b"}}, s.tmpfs = {{"/b", ""}}; }, Code::invalid, "Duplicate mount point: /b"},
        {"relative source", [](auto& s) { s.mounts = {Mount{.source = "a", .target = "/b"}}; }, Code::invalid, "'a' mount path must be absolute"},
        {"propagation", [](auto& s) { s.mounts = {Mount{.source = "/a", .target = "/b", .propagation = "up"}}; }, Code::invalid, "propagation \"up\""},
        {"subpath", [](auto& s) { s.mounts = {Mount{.type = Mount::Type::volume, .source = "v", .target = "/b", .subpath = "a/../../x"}}; }, Code::invalid, "leaves the volume"},
        {"memory", [](auto& s) { s.resources.memory = 1 << 20; }, Code::invalid, "Minimum memory limit allowed is 6MB"},
        {"swap alone", [](auto& s) { s.resources.memory_swap = 1 << 30; }, Code::invalid, "always set the Memory limit"},
        {"swap below", [](auto& s) { s.resources.memory = 64 << 20, s.resources.memory_swap = 32 << 20; }, Code::invalid, "larger than memory limit"},
        {"reservation", [](auto& s) { s.resources.memory = 64 << 20, s.resources.memory_reservation = 65 << 20; }, Code::invalid, "reservation"},
        {"cpus and quota", [](auto& s) { s.resources.cpus = 1, s.resources.cpu_quota = 5000; }, Code::invalid, "Conflicting options"},
        {"period", [](auto& s) { s.resources.cpu_period = 10; }, Code::invalid, "CPU cfs period"},
        {"blkio", [](auto& s) { s.resources.blkio_weight = 5; }, Code::invalid, "blkio weight"},
        {"small reservation", [](auto& s) { s.resources.memory_reservation = 1 << 20; }, Code::invalid, "Minimum memory reservation allowed is 6MB"},
        {"few cpus", [](auto& s) { s.resources.cpus = 0.001; }, Code::invalid, "range of CPUs"},
        {"negative shares", [](auto& s) { s.resources.cpu_shares = -1; }, Code::invalid, "invalid CPU shares (-1)"},
        {"one share", [](auto& s) { s.resources.cpu_shares = 1; }, Code::invalid, "from 2 to 262144"},
        {"pid mode", [](auto& s) { s.pid_mode = "private"; }, Code::invalid, "invalid PID mode: private"},
        {"ipc mode", [](auto& s) { s.ipc_mode = "bogus"; }, Code::invalid, "invalid IPC mode: bogus"},
        {"uts mode", [](auto& s) { s.uts_mode = "bogus"; }, Code::invalid, "invalid UTS mode: bogus"},
        {"uts and domain", [](auto& s) { s.uts_mode = "host", s.domainname = "d"; }, Code::invalid, "domainname"},
        {"extra host", [](auto& s) { s.extra_hosts = {"a:bogus"}; }, Code::invalid, "invalid IP address in add-host: \"bogus\""},
        {"dns", [](auto& s) { s.dns = {"bogus"}; }, Code::invalid, "bad nameserver address bogus"},
        {"health", [](auto& s) { s.health_check = HealthCheck{.test = {"CMD", "x"}, .interval = std::chrono::microseconds(1)}; }, Code::invalid, "Interval in Healthcheck"},
        {"storage", [](auto& s) { s.storage_options = {{"size", "1G"}}; }, Code::unsupported, "storage_opt size"},
        {"restart", [](auto& s) { s.restart.name = "sometimes"; }, Code::invalid, "unknown policy 'sometimes'"},
        {"retries", [](auto& s) { s.restart = {"always", 3}; }, Code::invalid, "can only be used with 'on-failure'"},
        {"auto remove", [](auto& s) { s.auto_remove = true, s.restart.name = "always"; }, Code::invalid, "auto-remove"},
        {"network and mode", [](auto& s) { s.network_mode = "host", s.endpoints = {{.network = "n"}}; }, Code::invalid, "conflicting options"},
        {"ports of another", [](auto& s) { s.network_mode = "container:x", s.ports = {{.container_port = 1}}; }, Code::invalid, "port publishing"},
        {"uts", [](auto& s) { s.uts_mode = "host", s.hostname = "h"; }, Code::invalid, "UTS mode"},
        {"sysctl", [](auto& s) { s.network_mode = "host", s.sysctls = {{"net.core.somaxconn", "1"}}; }, Code::invalid, "net.core.somaxconn"},
        {"port", [](auto& s) { s.ports = {{.host_port = 80}}; }, Code::invalid, "the container's port is missing"},
        {"log driver", [](auto& s) { s.log.driver = "splunk"; }, Code::unsupported, "splunk"},
    };
    for (const auto& row : rows) {
        ContainerSpec spec = good();
        row.change(spec);
        auto checked = check_spec(spec);
        ASSERT_FALSE(checked) << row.name;
        EXPECT_EQ(checked.error().code, row.code) << row.name << ": " << checked.error().message();
        EXPECT_NE(checked.error().message().find(row.text), std::string::npos) << row.name << ": " << checked.error().message();
    }
}

TEST(SpecCheck, WhatIsFine) {
    EXPECT_TRUE(check_spec(good()));
    ContainerSpec spec = good();
    spec.restart = {"on-failure", 3};
    spec.stop_signal = "SIGRTMIN+3";
    spec.resources.memory = 64 << 20;
    spec.resources.memory_swap = -1;
    spec.mounts = {Mount{.source = "/a", .target = "/b"}, Mount{.type = Mount::Type::volume, .target = "/b/c", .subpath = "x/y"}};
    spec.tmpfs = {{"/tmp", "size=1m"}};
    spec.ports = {{.container_port = 80}};
    spec.endpoints = {{.network = "n"}};
    spec.extra_hosts = {"a:1.2.3.4", "b=[::1]", "c:host-gateway", "d:fe80::1%eth0"};
    spec.dns = {"1.1.1.1", "::1"};
    spec.ipc_mode = "shareable";
    spec.pid_mode = "container:x";
    auto checked = check_spec(spec);
    EXPECT_TRUE(checked) << checked.error().message();
}

TEST(ProcessIdentity, AReusedPidIsNotTheContainers) {
    ContainerState state;
    EXPECT_FALSE(is_alive(state));
    state.pid = getpid();
    state.pid_start = process_start_time(getpid());
    ASSERT_GT(state.pid_start, 0u);
    EXPECT_TRUE(is_alive(state));
    state.pid_start += 1;
    EXPECT_FALSE(is_alive(state));
}

}  // namespace
}  // namespace engine::api

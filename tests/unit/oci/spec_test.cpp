#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/mount.h>

#include "oci/command_line.h"
#include "oci/mount_words.h"
#include "oci/resources.h"
#include "oci/spec.h"
#include "oci/store.h"

namespace engine::oci {
namespace {
namespace json = boost::json;
using testing::HasSubstr;

json::object bundle_config() { return parse_object(default_config(false), "config.json").value(); }
json::object object(const char* text) { return parse_object(text, "test").value(); }

TEST(OciSpec, TheDefaultConfigurationIsRead) {
    Spec spec = read_spec(bundle_config()).value();
    EXPECT_EQ(spec.process->args, std::vector<std::string>{"sh"});
    EXPECT_TRUE(spec.process->terminal);
    EXPECT_EQ(spec.process->capabilities.bounding, uint64_t{0x20000420});
    EXPECT_TRUE(spec.has(CLONE_NEWPID));
    EXPECT_FALSE(spec.has(CLONE_NEWUSER));
    Spec rootless = read_spec(parse_object(default_config(true), "config.json").value()).value();
    EXPECT_TRUE(rootless.has(CLONE_NEWUSER));
    EXPECT_EQ(rootless.uid_mappings.size(), 1U);
}

TEST(OciSpec, WrongConfigurationsAreRefusedWithTheirPlace) {
    auto refused = [](auto&& change) {
        json::object config = bundle_config();
        change(config);
        auto spec = read_spec(config);
        return spec ? std::string("accepted") : spec.error().message();
    };
    EXPECT_THAT(refused([](json::object& c) { c["ociVersion"] = "2.0.0"; }), HasSubstr("ociVersion"));
    EXPECT_THAT(refused([](json::object& c) { c["process"].as_object()["args"] = json::array{}; }), HasSubstr("process.args"));
    EXPECT_THAT(refused([](json::object& c) { c["process"].as_object()["args"] = "sh"; }), HasSubstr("must be a list of strings"));
    EXPECT_THAT(refused([](json::object& c) { c["process"].as_object()["cwd"] = "x"; }), HasSubstr("Cwd must be an absolute path"));
    EXPECT_THAT(refused([](json::object& c) { c["process"].as_object()["rlimits"] = json::array{json::object{{"type", "RLIMIT_NONE"}}}; }), HasSubstr("RLIMIT_NONE"));
    EXPECT_THAT(refused([](json::object& c) { c["linux"].as_object()["intelRdt"] = json::object{}; }), HasSubstr("intelRdt"));
    EXPECT_THAT(refused([](json::object& c) { c["linux"].as_object()["namespaces"] = json::array{}; }), HasSubstr("mount namespace"));
    EXPECT_THAT(refused([](json::object& c) { c["linux"].as_object()["namespaces"].as_array().push_back(json::object{{"type", "user"}}); }), HasSubstr("mappings"));
    EXPECT_THAT(refused([](json::object& c) { c["linux"].as_object()["namespaces"].as_array().push_back(json::object{{"type", "pid"}}); }), HasSubstr("duplicated"));
    EXPECT_THAT(refused([](json::object& c) { c["hooks"] = json::object{{"prestart", json::array{json::object{{"path", "relative"}}}}}; }), HasSubstr("hooks.prestart"));
    for (const char* text : {"", "[]", "{", "{\"a\":", "\"x\""}) EXPECT_FALSE(parse_object(text, "config.json")) << text;
}

TEST(OciMounts, OptionsAreAttributesPropagationOrTheFilesystems) {
    MountWords words = read_mount_words({"rbind", "rro", "nosuid", "noatime", "rslave", "size=64k", "newinstance", "defaults"});
    EXPECT_TRUE(words.bind && words.recursive);
    EXPECT_EQ(words.set, uint64_t{MOUNT_ATTR_NOSUID} | MOUNT_ATTR_NOATIME);
    EXPECT_EQ(words.recursive_set, uint64_t{MOUNT_ATTR_RDONLY});
    EXPECT_EQ(words.propagation, std::vector<uint64_t>{uint64_t{MS_SLAVE} | MS_REC});
    EXPECT_EQ(words.data, (std::vector<std::string>{"size", "64k", "newinstance", ""}));
    EXPECT_EQ(read_mount_words({"ro", "rw"}).clear, uint64_t{MOUNT_ATTR_RDONLY});
    EXPECT_EQ(read_mount_words({"ro", "rw"}).set, 0U);
}

TEST(OciResources, BothVersionsOfControlGroups) {
    json::object resources = object(R"({"memory":{"limit":67108864,"swap":134217728},"cpu":{"quota":50000,"period":100000,"shares":1024},"pids":{"limit":10}})");
    auto text = [&](runtime::CgroupVersion version) {
        std::string out;
        std::vector<runtime::CgroupWrite> writes = resource_writes(resources, version).value();
        for (const runtime::CgroupWrite& write : writes) out += write.file + "=" + write.value + ";";
        return out;
    };
    EXPECT_EQ(text(runtime::CgroupVersion::v1),
              "memory.limit_in_bytes=67108864;memory.memsw.limit_in_bytes=134217728;cpu.shares=1024;cpu.cfs_period_us=100000;cpu.cfs_quota_us=50000;pids.max=10;");
    EXPECT_EQ(text(runtime::CgroupVersion::v2), "memory.max=67108864;memory.swap.max=67108864;cpu.weight=39;cpu.max=50000 100000;pids.max=10;");
    EXPECT_FALSE(resource_writes(object(R"({"memory":{"limit":"64m"}})"), runtime::CgroupVersion::v1));
    EXPECT_FALSE(resource_writes(object(R"({"unified":{"memory.max":"1"}})"), runtime::CgroupVersion::v1));
    EXPECT_FALSE(resource_writes(object(R"({"unified":{"../memory.max":"1"}})"), runtime::CgroupVersion::v2));
    auto rules = resource_devices(object(R"({"devices":[{"allow":true,"type":"c","major":10,"minor":229,"access":"rw"}]})")).value();
    EXPECT_EQ(rules[0].text(), "a *:* rwm");
    EXPECT_EQ(rules[1].text(), "c 10:229 rw");
    EXPECT_FALSE(resource_devices(object(R"({"devices":[{"type":"c","access":"x"}]})")));
}

TEST(OciStore, IdsAreNames) {
    for (const char* good : {"a", "A-b_c.d+1", "0"}) EXPECT_TRUE(check_id(good)) << good;
    for (const char* bad : {"", ".", "..", ".hidden", "a/b", "../x", "a b", "a\n"}) EXPECT_FALSE(check_id(bad)) << bad;
}

TEST(OciCommandLine, OptionsAsGosFlagPackageReadsThem) {
    constexpr Option options[] = {{"bundle", 'b', true}, {"detach", 'd', false}};
    Parsed words = parse_options(options, {"-bundle=x", "-d", "--bundle", "y", "id", "-d"}).value();
    EXPECT_EQ(words.all("bundle"), (std::vector<std::string>{"x", "y"}));
    EXPECT_TRUE(words.on("detach"));
    EXPECT_EQ(words.rest, (std::vector<std::string>{"id", "-d"}));
    EXPECT_FALSE(parse_options(options, {"--nosuch"}));
    EXPECT_FALSE(parse_options(options, {"--bundle"}));
}
}  // namespace
}  // namespace engine::oci

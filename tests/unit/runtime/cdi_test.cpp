#include "runtime/cdi.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "runtime/yaml_json.h"

using namespace engine;
using namespace engine::runtime;

namespace {

constexpr const char* kThing = R"({"cdiVersion":"0.6.0","kind":"vendor.com/thing","containerEdits":{"env":["ALL=1"]},
  "devices":[{"name":"one","containerEdits":{"env":["ONE=1"],"deviceNodes":[{"path":"/dev/thing0","hostPath":"/dev/null","permissions":"rw"}],
      "mounts":[{"hostPath":"/usr/lib/thing","containerPath":"/opt/thing","options":["ro","nosuid","bind"]}]}},
    {"name":"hooked","containerEdits":{"hooks":[{"hookName":"createContainer","path":"/bin/x","args":["x","y"],"timeout":3}]}}]})";

struct CdiFolders : testing::Test {
    base::Result<base::TempDir> low = base::TempDir::make("/tmp", "compose-cdi-"), high = base::TempDir::make("/tmp", "compose-cdi-");
    std::vector<std::string> folders{low->path(), high->path()};
    void write(const base::Result<base::TempDir>& folder, const std::string& name, std::string_view content) const {
        ASSERT_TRUE(base::write_file(folder->path() + "/" + name, content));
    }
    CdiRegistry registry() const { return CdiRegistry(folders); }
};

TEST(Cdi, NamesOfDevices) {
    for (const char* good : {"vendor.com/class=name", "nvidia.com/gpu=0", "a/b=c:d"}) EXPECT_TRUE(is_cdi_name(good)) << good;
    for (const char* bad : {"", "/dev/null", "/dev/x=y", "vendor.com/class", "vendor.com/=x", "vendor.com/class=", "a/b/c=d"}) EXPECT_FALSE(is_cdi_name(bad)) << bad;
}

TEST_F(CdiFolders, RequestsAsNames) {
    DeviceRequest request;
    request.capabilities = {"gpu"};
    request.count = -1;
    EXPECT_EQ(*registry().names(request), std::vector<std::string>{"nvidia.com/gpu=all"});
    request.count = 2;
    EXPECT_EQ(*registry().names(request), (std::vector<std::string>{"nvidia.com/gpu=0", "nvidia.com/gpu=1"}));
    request.driver = "amd";
    request.ids = {"GPU-x"};
    request.count = 0;
    EXPECT_EQ(*registry().names(request), std::vector<std::string>{"amd.com/gpu=GPU-x"});
    request.driver = "cdi";
    EXPECT_FALSE(registry().names(request));
    request.ids = {"vendor.com/thing=one"};
    EXPECT_EQ(*registry().names(request), request.ids);
    request.driver = "other";
    EXPECT_FALSE(registry().names(request));
    // Without a driver the vendor whose devices are described.
    write(low, "i.json", R"({"cdiVersion":"0.5.0","kind":"intel.com/gpu","devices":[{"name":"card0","containerEdits":{"env":["I=1"]}}]})");
    request.driver.clear();
    request.ids = {"card0"};
    EXPECT_EQ(*registry().names(request), std::vector<std::string>{"intel.com/gpu=card0"});
}

TEST_F(CdiFolders, EditsOfADeviceAndOfItsFile) {
    write(low, "v.json", kThing);
    auto edits = registry().edits({"vendor.com/thing=one", "vendor.com/thing=one"});
    ASSERT_TRUE(edits) << edits.error().message();
    EXPECT_EQ(edits->env, (std::vector<std::string>{"ALL=1", "ONE=1"}));
    ASSERT_EQ(edits->nodes.size(), 1U);
    EXPECT_EQ(edits->nodes[0].host_path, "/dev/null");
    EXPECT_EQ(edits->nodes[0].permissions, "rw");
    ASSERT_EQ(edits->mounts.size(), 1U);
    EXPECT_TRUE(edits->mounts[0].read_only && edits->mounts[0].non_recursive);
    EXPECT_EQ(edits->mounts[0].bind_options, std::vector<std::string>{"nosuid"});
    auto hooked = registry().edits({"vendor.com/thing=hooked"});
    ASSERT_TRUE(hooked);
    EXPECT_EQ(hooked->hooks, (std::vector<CdiHook>{{"createContainer", {"/bin/x", {"x", "y"}, {}, 3}}}));
    auto node = complete_node(edits->nodes[0], 7, 8);
    ASSERT_TRUE(node);
    EXPECT_TRUE(node->type == 'c' && node->major == 1 && node->minor == 3 && node->mode == 0666U && node->uid == 7U && node->gid == 8U);
    EXPECT_FALSE(complete_node({.path = "/dev/x", .host_path = "/etc"}, 0, 0));
}

TEST_F(CdiFolders, YamlIsReadAsJson) {
    write(high, "v.yaml", R"(
cdiVersion: 0.7.0
kind: "vendor.com/thing"
containerEdits: {env: &all [ALL=1]}
devices:
- name: "0"
  annotations: {note: x}
  containerEdits:
    env: *all
    additionalGids: [0, 44, 45]
    deviceNodes:
    - {path: /dev/thing0, type: c, major: 195, minor: 254, fileMode: 0640, uid: 1, gid: 2, permissions: none}
    mounts:
    - hostPath: /usr/lib/thing
      containerPath: /opt/thing
      options: [rbind, ro, rprivate]
    - {hostPath: tmpfs, containerPath: /scratch, type: tmpfs, options: [size=1m]}
)");
    write(high, "w.yml", "cdiVersion: 0.5.0\nkind: other.com/x\ndevices: [{name: y, containerEdits: {env: [Y=1]}}]\n");
    auto edits = registry().edits({"vendor.com/thing=0", "other.com/x=y"});
    ASSERT_TRUE(edits) << edits.error().message();
    EXPECT_EQ(edits->env, (std::vector<std::string>{"ALL=1", "Y=1"}));
    EXPECT_EQ(edits->groups, (std::vector<uint32_t>{44, 45}));
    ASSERT_EQ(edits->nodes.size(), 1U);
    const CdiNode& node = edits->nodes[0];
    EXPECT_TRUE(node.type == 'c' && node.major == 195 && node.minor == 254 && node.mode == 0640U && node.uid == 1U && node.gid == 2U && node.permissions.empty());
    ASSERT_EQ(edits->mounts.size(), 2U);
    EXPECT_EQ(edits->mounts[1].tmpfs_options, "size=1m");
}

TEST_F(CdiFolders, LaterFoldersWinAndRivalsOfOneFolderDoNot) {
    write(low, "v.json", kThing);
    write(high, "v.json", R"({"cdiVersion":"0.3.0","kind":"vendor.com/thing","devices":[{"name":"one","containerEdits":{"env":["HIGH=1"]}}]})");
    EXPECT_EQ(registry().edits({"vendor.com/thing=one"})->env, std::vector<std::string>{"HIGH=1"});
    // The other devices of the lower file are there still.
    EXPECT_TRUE(registry().edits({"vendor.com/thing=hooked"}));
    write(high, "w.yaml", "cdiVersion: 0.3.0\nkind: vendor.com/thing\ndevices: [{name: one, containerEdits: {env: [X=1]}}]\n");
    auto both = registry().edits({"vendor.com/thing=one"});
    ASSERT_FALSE(both);
    EXPECT_EQ(both.error().code, base::Code::conflict);
    EXPECT_NE(both.error().message().find("w.yaml"), std::string::npos);
}

TEST_F(CdiFolders, BadFilesAreToldAndHideNothing) {
    write(low, "a.json", kThing);
    write(high, "broken.json", "{");
    write(high, "tabs.yaml", "a:\n\t- b\n");
    write(high, "notes.txt", "not read");
    CdiRegistry found = registry();
    EXPECT_EQ(found.problems().size(), 2U);
    EXPECT_TRUE(found.edits({"vendor.com/thing=one"}));
    auto absent = found.edits({"other.com/x=1"});
    ASSERT_FALSE(absent);
    EXPECT_EQ(absent.error().code, base::Code::not_found);
    for (const char* name : {"broken.json", "tabs.yaml"}) EXPECT_NE(absent.error().message().find(name), std::string::npos) << absent.error().message();
}

TEST(CdiSpecFile, WhatIsWrongIsSaidWithItsPlace) {
    struct Row {
        const char *edits, *says;
    };
    const Row rows[] = {
        {R"({"env":["NOVALUE"]})", "devices[0].containerEdits.env"},
        {R"({"deviceNodes":[{"path":"dev/x"}]})", "deviceNodes[0]"},
        {R"({"deviceNodes":[{"path":"/dev/x","permissions":"rx"}]})", "permissions"},
        {R"({"deviceNodes":[{"path":"/dev/x","major":-1}]})", "major"},
        {R"({"deviceNodes":[{"path":"/dev/x","hostPath":"/dev/y"}]})", "needs a cdiVersion of 0.5.0"},
        {R"({"additionalGids":[1]})", "needs a cdiVersion of 0.7.0"},
        {R"({"hooks":[{"hookName":"later","path":"/x"}]})", "hookName"},
        {R"({"hooks":[{"hookName":"prestart","path":"x"}]})", "hooks[0].path"},
        {R"({"mounts":[{"hostPath":"/x"}]})", "containerPath"},
        {R"({"novel":[]})", "unknown member"},
    };
    for (const Row& row : rows) {
        auto spec = read_cdi_spec(std::string(R"({"cdiVersion":"0.3.0","kind":"v.com/c","devices":[{"name":"d","containerEdits":)") + row.edits + "}]}", "x.json");
        ASSERT_FALSE(spec) << row.edits;
        EXPECT_NE(spec.error().message().find(row.says), std::string::npos) << spec.error().message();
    }
    for (const char* whole : {R"({"kind":"v.com/c","devices":[{"name":"d"}]})", R"({"cdiVersion":"9.0.0","kind":"v.com/c","devices":[{"name":"d"}]})",
                              R"({"cdiVersion":"0.3.0","kind":"nokind","devices":[{"name":"d"}]})", R"({"cdiVersion":"0.3.0","kind":"v.com/c","devices":[]})",
                              R"({"cdiVersion":"0.3.0","kind":"v.com/c","devices":[{"name":"d"},{"name":"d"}]})", R"({"cdiVersion":"0.3.0","kind":"v.com/c","devices":[{"name":"-d"}]})", "[]"})
        EXPECT_FALSE(read_cdi_spec(whole, "x.json")) << whole;
}

TEST_F(CdiFolders, WhatIsNotThereIsRefusedByNameAndOnlyWhenAsked) {
    write(low, "v.json", R"({"cdiVersion":"1.1.0","kind":"v.com/c","devices":[{"name":"rdt","containerEdits":{"intelRdt":{"closID":"x"}}},
        {"name":"net","containerEdits":{"netDevices":[{"hostInterfaceName":"a","name":"b"}]}},{"name":"late","containerEdits":{"hooks":[{"hookName":"poststop","path":"/x"}]}},
        {"name":"odd","containerEdits":{"mounts":[{"hostPath":"/x","containerPath":"/y","options":["idmap"]}]}},{"name":"good","containerEdits":{"env":["A=1"]}}]})");
    for (auto [name, says] : {std::pair{"rdt", "Intel RDT"}, {"net", "network devices"}, {"late", "poststop"}, {"odd", "idmap"}}) {
        auto edits = registry().edits({std::string("v.com/c=") + name});
        ASSERT_FALSE(edits);
        EXPECT_EQ(edits.error().code, base::Code::unsupported);
        EXPECT_NE(edits.error().message().find(says), std::string::npos) << edits.error().message();
    }
    EXPECT_TRUE(registry().edits({"v.com/c=good"}));
}

TEST(Yaml, BecomesJson) {
    struct Row {
        const char *yaml, *json;
    };
    const Row rows[] = {
        {"a: 1\nb: [x, 'y', \"z\\n\", ~, true, yes, 0x10, 0o17, 017, 1.5]", R"({"a":1,"b":["x","y","z\u000a",null,true,"yes",16,15,15,"1.5"]})"},
        {"- &x {k: v}\n- *x", R"([{"k":"v"},{"k":"v"}])"},
        {"a: \"1\"", R"({"a":"1"})"},
        {"a: !!str 1", R"({"a":"1"})"},
    };
    for (const Row& row : rows) {
        auto out = json_from_yaml(row.yaml);
        ASSERT_TRUE(out) << out.error().message();
        EXPECT_EQ(*out, row.json);
    }
    for (const char* bad : {"", "a: 1\na: 2", "a: *x", "a: &x [*x]", "{[a]: b}", "a: 1\n---\nb: 2", "<<: {}", "a: [", "\ta: b"}) EXPECT_FALSE(json_from_yaml(bad)) << bad;
    EXPECT_FALSE(json_from_yaml(std::string(100, '[') + std::string(100, ']')));
    // Aliases of aliases stay bounded.
    std::string bomb = "a0: &a0 [xxxxxxxxxxxxxxxx]\n";
    for (int i = 1; i < 60; ++i) {
        std::string last = "*a" + std::to_string(i - 1);
        bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + last + ", " + last + ", " + last + "]\n";
    }
    EXPECT_FALSE(json_from_yaml(bomb));
}

}  // namespace

// Networks, volumes, images, orphans and what is refused.
#include "world.h"

namespace compose::plan::test {
namespace {

using Status = engine::ContainerStatus;

const char* kSubnet1 = "services: {a: {image: i, networks: [n]}, b: {image: i, network_mode: none}}\nnetworks: {n: {ipam: {config: [{subnet: 10.1.0.0/24}]}}}";
const char* kSubnet2 = "services: {a: {image: i, networks: [n]}, b: {image: i, network_mode: none}}\nnetworks: {n: {ipam: {config: [{subnet: 10.2.0.0/24}]}}}";
const char* kVolume1 = "services: {a: {image: i, network_mode: none, volumes: ['vol:/v']}}\nvolumes: {vol: {}}";
const char* kVolume2 = "services: {a: {image: i, network_mode: none, volumes: ['vol:/v']}}\nvolumes: {vol: {driver_opts: {type: tmpfs, device: tmpfs}}}";

const Case kResources[] = {
    {"a changed network is made anew, the same containers go on in it", [] { return World(kSubnet1).up().now(kSubnet2).text(); }, R"(
#1: stop a-1: network p_n is made again
#2 after #1: remove network p_n: subnet changed 10.1.0.0/24 → 10.2.0.0/24
#3 after #2: create network p_n: subnet changed 10.1.0.0/24 → 10.2.0.0/24
#4 after #1,#3: start a-1: its network was made again
#5: keep b-1: up to date
)"},
    {"an external network that is there", [] {
         World world("services: {a: {image: i, networks: [n]}}\nnetworks: {n: {external: true, name: out}}");
         world.images().observed.networks["out"].spec.name = "out";
         return world.text();
     }, R"(
#1: create a-1: not here
#2 after #1: start a-1
)"},
    {"an external network that is not", [] {
         return World("services: {a: {image: i, networks: [n]}}\nnetworks: {n: {external: true, name: out}}").images().text();
     }, "error: network out declared as external, but could not be found\n"},
    {"a network without labels is somebody else's", [] {
         World world("services: {a: {image: i}}");
         world.images().observed.networks["p_default"].spec.name = "p_default";
         return world.text();
     }, "error: network p_default was found but has incorrect label com.docker.compose.network set to \"\" (expected: \"default\")\n"},
    {"a network of another project", [] {
         World world("services: {a: {image: i, networks: [n]}}\nnetworks: {n: {name: shared}}");
         world.images().network("n").observed.networks["shared"].spec.labels[label::kProject] = "q";
         return world.text();
     }, R"(
warning: a network with name shared exists but was not created for project "p".
Set `external: true` to use an existing network
#1: create a-1: not here
#2 after #1: start a-1
)"},
    {"an external volume that is not there", [] {
         return World("services: {a: {image: i, volumes: ['vol:/v']}}\nvolumes: {vol: {external: true, name: extv}}").images().text();
     }, "error: external volume \"extv\" not found\n"},
    {"a changed volume is asked about and kept", [] { return World(kVolume1).up().now(kVolume2).text(); }, R"(
question: Volume "p_vol" exists but doesn't match configuration in compose file. Recreate (data will be lost)?
#1: keep a-1: up to date
)"},
    {"with a yes it is made anew, and its container", [] {
         World world(kVolume1);
         world.up().now(kVolume2);
         world.options.recreate_volumes = {"p_vol"};
         return world.text();
     }, R"(
#1: stop a-1: volume p_vol is made again
#2 after #1: remove a-1: volume p_vol is made again
#3 after #2: remove volume p_vol: configuration changed, and the answer was yes
#4 after #3: create volume p_vol: configuration changed
#5 after #2,#4: create a-1: not here
#6 after #5: start a-1
)"},
    {"a volume that somebody made by hand is used, with a warning", [] {
         World world(kVolume1);
         world.images().volume("vol").observed.volumes["p_vol"].spec.labels.clear();
         return world.text();
     }, R"(
warning: volume "p_vol" already exists but was not created by Docker Compose. Use `external: true` to use an existing volume
#1: create a-1: not here
#2 after #1: start a-1
)"},
};

TEST(PlanResources, NetworksAndVolumes) {
    for (const auto& row : kResources) check(row);
}

World with_policy(const std::string& policy) { return World("services: {a: {image: img, network_mode: none, pull_policy: " + policy + "}}"); }

const Case kImages[] = {
    {"never, not here", [] { return with_policy("never").text(); },
     "error: No such image: img (service \"a\", pull policy never)\n"},
    {"never, here", [] { return with_policy("never").images().text(); }, "#1: create a-1: not here\n#2 after #1: start a-1\n"},
    {"always, here", [] { return with_policy("always").images().text(); },
     "#1: pull img: pull_policy: always\n#2 after #1: create a-1: not here\n#3 after #2: start a-1\n"},
    {"--pull always wins over the file", [] {
         World world = with_policy("never");
         world.options.pull = "always";
         return world.images().text();
     }, "#1: pull img: --pull always\n#2 after #1: create a-1: not here\n#3 after #2: start a-1\n"},
    {"daily, pulled an hour ago", [] {
         World world = with_policy("daily");
         world.options.now = 1'000'000'000 + 3'600'000'000'000;
         return world.images().text();
     }, "#1: create a-1: not here\n#2 after #1: start a-1\n"},
    {"daily, pulled two days ago", [] {
         World world = with_policy("daily");
         world.options.now = 1'000'000'000 + 48 * 3'600'000'000'000;
         return world.images().text();
     }, "#1: pull img: pull_policy: daily, pulled 2 days ago\n#2 after #1: create a-1: not here\n#3 after #2: start a-1\n"},
    {"every_12h", [] {
         World world = with_policy("every_12h");
         world.options.now = 1'000'000'000 + 13 * 3'600'000'000'000;
         return world.images().text();
     }, "#1: pull img: pull_policy: every_12h, pulled 13 hours ago\n#2 after #1: create a-1: not here\n#3 after #2: start a-1\n"},
    {"every_2d", [] {
         World world = with_policy("every_2d");
         world.options.now = 1'000'000'000 + 13 * 3'600'000'000'000;
         return world.images().text();
     }, "#1: create a-1: not here\n#2 after #1: start a-1\n"},
    {"a service that is built", [] { return World("services: {a: {build: ., network_mode: none}}").text(); },
     "#1: build p-a: not here\n#2 after #1: create a-1: not here\n#3 after #2: start a-1\n"},
    {"built or pulled", [] { return World("services: {a: {build: ., image: me/a, network_mode: none}}").text(); },
     "#1: pull me/a: not here\n#2 after #1: build me/a: if the pull fails\n#3 after #2: create a-1: not here\n#4 after #3: start a-1\n"},
    {"--build", [] {
         World world("services: {a: {build: ., network_mode: none}}");
         world.options.build = true;
         return world.images().text();
     }, "#1: build p-a: --build\n#2 after #1: create a-1: not here\n#3 after #2: start a-1\n"},
    {"a build on another service's", [] {
         return World("services: {a: {build: {context: ., additional_contexts: {base: 'service:b'}}, network_mode: none}, b: {build: ., network_mode: none}}").text();
     }, R"(
#1: build p-b: not here
#2 after #1: build p-a: not here
#3 after #2: create a-1: not here
#4 after #3: start a-1
#5 after #1: create b-1: not here
#6 after #5: start b-1
)"},
    {"pull: what the policies leave", [] {
         World world("services: {a: {image: i, pull_policy: missing}, b: {image: j, pull_policy: missing}, c: {image: k, pull_policy: never}, d: {image: l}, e: {image: l}, f: {build: .}}");
         world.options.verb = Verb::pull;
         return world.image("i").text();
     }, "#1: pull j: not here\n#2: pull l: not here\n"},
};

TEST(PlanResources, Images) {
    for (const auto& row : kImages) check(row);
}

TEST(PlanResources, ImagesOfExistingContainersComeFirst) {
    World world = with_policy("always");
    world.up();
    auto plan = make_plan(world.project, world.observed, world.options);
    ASSERT_TRUE(plan);
    EXPECT_TRUE(plan->images_first);
    world.options.images_ready = true;
    world.image("img", "sha256:2222222222222222");
    EXPECT_EQ(world.text(), "#1: recreate a-1: image changed 111111111111… → 222222222222…\n#2 after #1: start a-1\n");
}

World orphaned() {
    World world("services: {a: {image: i, network_mode: none}, old: {image: i, network_mode: none}}");
    world.up().now("services: {a: {image: i, network_mode: none}}");
    return world;
}

const Case kOrphans[] = {
    {"warned of", [] { return orphaned().text(); },
     "warning: Found orphan containers ([p-old-1]) for this project. If you removed or renamed this service in your compose file, you can run "
     "this command with the --remove-orphans flag to clean it up.\n#1: keep a-1: up to date\n"},
    {"removed", [] {
         World world = orphaned();
         world.options.remove_orphans = true;
         return world.text();
     }, R"(
#1: keep a-1: up to date
#2: stop old-1: orphan, --remove-orphans
#3 after #2: remove old-1: orphan, --remove-orphans
)"},
    {"silenced", [] {
         World world = orphaned();
         world.options.ignore_orphans = true;
         return world.text();
     }, "#1: keep a-1: up to date\n"},
    {"a service whose profile is off is none", [] {
         World world("services: {a: {image: i, network_mode: none}, old: {image: i, network_mode: none}}");
         world.up().now("services: {a: {image: i, network_mode: none}, old: {image: i, network_mode: none, profiles: [x]}}");
         return world.text();
     }, "#1: keep a-1: up to date\n"},
};

TEST(PlanResources, Orphans) {
    for (const auto& row : kOrphans) check(row);
}

TEST(PlanResources, NameTakenByAnother) {
    World world("services: {a: {image: i, container_name: fixed}}");
    world.images().observed.taken_names["fixed"] = "0123";
    EXPECT_EQ(world.text(),
              "error: Conflict. The container name \"/fixed\" is already in use by container \"0123\". You have to remove (or rename) that "
              "container to be able to reuse that name.\n");
}

TEST(PlanResources, UnknownServiceWithTheNearestName) {
    World world("services: {frontend: {image: i}}");
    world.options.services = {"fronted"};
    EXPECT_EQ(world.text(), "error: no such service: fronted — did you mean \"frontend\"?\n");
}

TEST(PlanResources, CycleAsItsPath) {
    // The loader refuses it first; the planner stands by itself.
    World world("services: {a: {image: i}, b: {image: i}, c: {image: i}}");
    for (auto [from, to] : {std::pair{"a", "b"}, {"b", "c"}, {"c", "a"}}) world.project.services[from].depends_on[to] = {};
    EXPECT_EQ(world.text(), "error: dependency cycle detected: a -> b -> c -> a\n");
}

}  // namespace
}  // namespace compose::plan::test

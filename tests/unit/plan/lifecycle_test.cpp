// start, stop, restart, kill, pause, rm, down (behaviour.md §8).
#include "world.h"

namespace compose::plan::test {
namespace {

using Status = engine::ContainerStatus;

const char* kStack = "services: {app: {image: i, depends_on: [db]}, db: {image: j}, other: {image: k}}\nvolumes: {vol: {}}";

World stack(Verb verb) {
    World world(kStack);
    world.up();
    world.options.verb = verb;
    return world;
}

const Case kLifecycle[] = {
    {"stop: dependents first", [] { return stack(Verb::stop).text(); }, R"(
#1: stop other-1: asked for
#2: stop app-1: asked for
#3 after #2: stop db-1: asked for
)"},
    {"stop of one leaves its dependents", [] {
         World world = stack(Verb::stop);
         world.options.services = {"db"};
         return world.text();
     }, "#1: stop db-1: asked for\n"},
    {"stop of what has ended is nothing", [] {
         World world = stack(Verb::stop);
         for (auto& container : world.observed.containers) container.state.status = Status::exited;
         return world.text();
     }, ""},
    {"stop: through a service that does not run", [] {
         World world("services: {a: {image: i, depends_on: [b]}, b: {image: i, depends_on: [c]}, c: {image: i}}");
         world.up().there("p-b-1").state.status = Status::exited;
         world.options.verb = Verb::stop;
         return world.text();
     }, "#1: stop a-1: asked for\n#2 after #1: stop c-1: asked for\n"},
    {"pre_stop hooks come first, and their failure stops nothing", [] {
         World world("services: {a: {image: i, pre_stop: [{command: [x]}]}}");
         world.up().options.verb = Verb::stop;
         std::string text = world.text();
         auto plan = make_plan(world.project, world.observed, world.options);
         return text + (plan->edges[0].required ? "required\n" : "optional\n");
     }, "#1: pre_stop hook a-1\n#2 after #1: stop a-1: asked for\noptional\n"},
    {"start: dependencies first, with their conditions", [] {
         World world("services: {app: {image: i, depends_on: {db: {condition: service_healthy}}}, db: {image: j}}");
         world.up();
         for (auto& container : world.observed.containers) container.state.status = Status::exited;
         world.options.verb = Verb::start;
         return world.text();
     }, R"(
#1: start db-1: exited
#2 after #1: wait db: service_healthy
#3 after #2: start app-1: exited
)"},
    {"start of what runs", [] { return stack(Verb::start).text(); }, R"(
#1: keep db-1: up to date
#2: keep app-1: up to date
#3: keep other-1: up to date
)"},
    {"start without containers", [] {
         World world(kStack);
         world.options.verb = Verb::start;
         world.options.services = {"other"};
         return world.text();
     }, "error: service \"other\" has no container to start\n"},
    {"restart goes by the conditions that up honours", [] {
         World world("services: {app: {image: i, depends_on: {db: {condition: service_healthy}}}, db: {image: j}}");
         world.up().options.verb = Verb::restart;
         return world.text();
     }, R"(
#1: restart db-1: asked for
#2 after #1: wait db: service_healthy
#3 after #2: restart app-1: asked for
)"},
    {"restart of one takes those with restart: true along", [] {
         World world("services: {follows: {image: i, depends_on: {db: {condition: service_started, restart: true}}}, stays: {image: i, depends_on: [db]}, db: {image: j}}");
         world.up().options.verb = Verb::restart;
         world.options.services = {"db"};
         std::string text = world.text();
         world.options.no_deps = true;
         return text + "--\n" + world.text();
     }, R"(
#1: restart db-1: asked for
#2 after #1: restart follows-1: it depends on what is restarted
--
#1: restart db-1: asked for
)"},
    {"restart of the owner of a shared namespace", [] {
         World world("services: {web: {image: i}, side: {image: i, network_mode: 'service:web'}}");
         world.up().options.verb = Verb::restart;
         world.options.services = {"web"};
         return world.text();
     }, "#1: restart web-1: asked for\n#2 after #1: restart side-1: it depends on what is restarted\n"},
    {"kill", [] {
         World world = stack(Verb::kill);
         world.there("p-db-1").state.status = Status::exited;
         world.options.signal = "SIGUSR1";
         return world.text();
     }, "#1: kill app-1: SIGUSR1\n#2: kill other-1: SIGUSR1\n"},
    {"pause and unpause", [] {
         World world = stack(Verb::pause);
         world.there("p-db-1").state.status = Status::paused;
         std::string text = world.text();
         world.options.verb = Verb::unpause;
         return text + world.text();
     }, "#1: pause app-1: asked for\n#2: pause other-1: asked for\n#1: unpause db-1: asked for\n"},
    {"rm takes what has ended", [] {
         World world = stack(Verb::remove);
         world.there("p-db-1").state.status = Status::exited;
         return world.text();
     }, "#1: remove db-1: exited\n"},
    {"rm -s stops first", [] {
         World world = stack(Verb::remove);
         world.options.stop_first = true;
         world.options.services = {"app"};
         return world.text();
     }, "#1: stop app-1: --stop\n#2 after #1: remove app-1: asked for\n"},
};

TEST(PlanLifecycle, Table) {
    for (const auto& row : kLifecycle) check(row);
}

const char* kFull = "services: {app: {image: i, depends_on: [db], volumes: ['vol:/v']}, db: {build: .}}\nvolumes: {vol: {}, out: {external: true, name: out}}";

World full() {
    World world(kFull);
    world.up().options.verb = Verb::down;
    world.observed.volumes["out"].spec.name = "out";
    return world;
}

const Case kDown[] = {
    {"containers, then networks", [] { return full().text(); }, R"(
#1: stop app-1: down
#2 after #1: remove app-1: down
#3 after #1: stop db-1: down
#4 after #3: remove db-1: down
#5 after #2,#4: remove network p_default: down
)"},
    {"-v: declared volumes, never external ones", [] {
         World world = full();
         world.options.volumes = true;
         std::string text = world.text();
         return text.substr(text.find("#5"));
     }, R"(
#5 after #2,#4: remove network p_default: down
#6 after #2: remove volume p_vol: down
)"},
    {"--rmi local: what has no name of its own; all: all", [] {
         World world = full();
         world.options.rmi = "local";
         std::string text = world.text();
         world.options.rmi = "all";
         std::string all = world.text();
         return text.substr(text.find("#6")) + "--\n" + all.substr(all.find("#6"));
     }, R"(
#6 after #2,#4: remove image p-db: --rmi local
--
#6 after #2,#4: remove image i: --rmi all
#7 after #2,#4: remove image p-db: --rmi all
)"},
    {"one service: the network stays in use", [] {
         World world = full();
         world.options.services = {"app"};
         return world.text();
     }, R"(
#1: stop app-1: down
#2 after #1: remove app-1: down
#3 after #2: remove network p_default: still used by p-db-1
)"},
    {"what has ended is only removed", [] {
         World world = full();
         for (auto& container : world.observed.containers) container.state.status = Status::exited;
         return world.text();
     }, R"(
#1: remove app-1: down
#2: remove db-1: down
#3 after #1,#2: remove network p_default: down
)"},
    {"nothing there is nothing to do", [] {
         World world(kFull);
         world.options.verb = Verb::down;
         return world.text();
     }, ""},
    {"one-offs and orphans stay, and go with --remove-orphans", [] {
         World world = full();
         auto one_off = world.there("p-app-1");
         one_off.id = std::string(64, 'e');
         one_off.spec.name = "p-app-run-0123456789ab";
         one_off.spec.labels[label::kOneOff] = "True";
         one_off.spec.labels.erase(label::kNumber);
         world.observed.containers.push_back(one_off);
         std::string text = world.text();
         world.options.remove_orphans = true;
         std::string all = world.text();
         return text.substr(text.find("#5")) + "--\n" + all.substr(all.find("#5"));
     }, R"(
#5 after #2,#4: remove network p_default: still used by p-app-run-0123456789ab
--
#5: stop app-run-0123456789ab: orphan, --remove-orphans
#6 after #5: remove app-run-0123456789ab: orphan, --remove-orphans
#7 after #2,#4,#6: remove network p_default: down
)"},
    {"a service whose profile is off stays", [] {
         World world = full();
         world.now("services: {app: {image: i, volumes: ['vol:/v']}, db: {build: ., profiles: [x]}}\nvolumes: {vol: {}}");
         return world.text();
     }, R"(
#1: stop app-1: down
#2 after #1: remove app-1: down
#3 after #2: remove network p_default: still used by p-db-1
)"},
    {"an external network never", [] {
         World world("services: {a: {image: i, networks: [n]}}\nnetworks: {n: {external: true, name: out}}");
         world.up().options.verb = Verb::down;
         return world.text();
     }, "#1: stop a-1: down\n#2 after #1: remove a-1: down\n"},
};

TEST(PlanDown, Table) {
    for (const auto& row : kDown) check(row);
}

TEST(PlanText, LinesAndKinds) {
    Plan plan;
    plan.steps = {{.id = 1, .kind = Kind::pull, .object = "x:1"}, {.id = 2, .kind = Kind::create, .object = "a-1", .reason = "not here"}};
    plan.edges = {{1, 2, true}};
    EXPECT_EQ(plan.text(), "#1: pull x:1\n#2 after #1: create a-1: not here\n");
    EXPECT_TRUE(plan.changes());
    plan.steps = {{.id = 1, .kind = Kind::keep, .object = "a-1"}};
    EXPECT_FALSE(plan.changes());
}

}  // namespace
}  // namespace compose::plan::test

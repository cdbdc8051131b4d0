// up, create, scale, run: state and file in, printed plan out (behaviour.md §6).
#include "world.h"

namespace compose::plan::test {
namespace {

using Status = engine::ContainerStatus;

const Case kFresh[] = {
    {"one service, nothing there", [] { return World("services: {a: {image: img:1}}").text(); }, R"(
#1: pull img:1: not here
#2: create network p_default: not here
#3 after #1,#2: create a-1: not here
#4 after #3: start a-1
)"},
    {"image there: no pull", [] { return World("services: {a: {image: img:1}}").images().text(); }, R"(
#1: create network p_default: not here
#2 after #1: create a-1: not here
#3 after #2: start a-1
)"},
    {"two services of one image are one pull", [] { return World("services: {a: {image: img:1}, b: {image: img:1}}").text(); }, R"(
#1: pull img:1: not here
#2: create network p_default: not here
#3 after #1,#2: create a-1: not here
#4 after #3: start a-1
#5 after #1,#2: create b-1: not here
#6 after #5: start b-1
)"},
    {"conditions of depends_on become waits", [] {
         return World(R"(services:
  app: {image: i, depends_on: {db: {condition: service_healthy}, job: {condition: service_completed_successfully}, cache: {condition: service_started}}}
  db: {image: i}
  job: {image: i, depends_on: [db]}
  cache: {image: i}
)").images().text();
     }, R"(
#1: create network p_default: not here
#2 after #1: create cache-1: not here
#3 after #2: start cache-1
#4 after #1: create db-1: not here
#5 after #4: start db-1
#6 after #1: create job-1: not here
#7 after #5,#6: start job-1
#8 after #1: create app-1: not here
#9 after #5: wait db: service_healthy
#10 after #7: wait job: service_completed_successfully
#11 after #3,#8,#9,#10: start app-1
)"},
    {"replicas, all before what depends on them", [] {
         return World("services: {a: {image: i, scale: 3}, b: {image: i, depends_on: [a]}}").images().text();
     }, R"(
#1: create network p_default: not here
#2 after #1: create a-1: not here
#3 after #2: start a-1
#4 after #1: create a-2: not here
#5 after #4: start a-2
#6 after #1: create a-3: not here
#7 after #6: start a-3
#8 after #1: create b-1: not here
#9 after #3,#5,#7,#8: start b-1
)"},
    {"networks and volumes only of what uses them", [] {
         return World(R"(services:
  a: {image: i, networks: [n], volumes: ["vol:/v"]}
  b: {image: i, network_mode: none}
networks: {n: {}, unused: {}}
volumes: {vol: {}, w: {}}
)").images().text();
     }, R"(
#1: create network p_n: not here
#2: create volume p_vol: not here
#3 after #1,#2: create a-1: not here
#4 after #3: start a-1
#5: create b-1: not here
#6 after #5: start b-1
)"},
    {"a shared network namespace: the other's container first", [] {
         return World("services: {web: {image: i}, side: {image: i, network_mode: 'service:web'}}").images().text();
     }, R"(
#1: create network p_default: not here
#2 after #1: create web-1: not here
#3 after #2: start web-1
#4 after #2: create side-1: not here
#5 after #3,#4: start side-1
)"},
    {"volumes_from: the other's container first", [] {
         return World("services: {b: {image: i, network_mode: none}, a: {image: i, volumes_from: [b], network_mode: none}}").images().text();
     }, R"(
#1: create b-1: not here
#2 after #1: start b-1
#3 after #1: create a-1: not here
#4 after #2,#3: start a-1
)"},
    {"create starts nothing", [] {
         World world("services: {a: {image: i}}");
         world.options.verb = Verb::create;
         return world.images().text();
     }, R"(
#1: create network p_default: not here
#2 after #1: create a-1: not here
)"},
    {"run brings up what the service needs, not the service", [] {
         World world("services: {a: {image: i, depends_on: {db: {condition: service_healthy}}}, db: {image: j}, other: {image: k}}");
         world.options.verb = Verb::run;
         world.options.services = {"a"};
         return world.text();
     }, R"(
#1: pull j: not here
#2: pull i: not here
#3: create network p_default: not here
#4 after #1,#3: create db-1: not here
#5 after #4: start db-1
#6 after #5: wait db: service_healthy
)"},
    {"--wait", [] {
         World world("services: {a: {image: i}, b: {image: i, depends_on: {job: {condition: service_completed_successfully}}}, job: {image: i}}");
         world.options.wait = true;
         return world.images().text();
     }, R"(
#1: create network p_default: not here
#2 after #1: create a-1: not here
#3 after #2: start a-1
#4 after #1: create job-1: not here
#5 after #4: start job-1
#6 after #1: create b-1: not here
#7 after #5: wait job: service_completed_successfully
#8 after #6,#7: start b-1
#9 after #3: wait a: running or healthy
#10 after #8: wait b: running or healthy
)"},
    {"hooks run after the start, one after the other, before the service counts as started", [] {
         return World("services: {a: {image: i, post_start: [{command: [x]}, {command: [y]}]}, b: {image: i, depends_on: [a]}}").images().text();
     }, R"(
#1: create network p_default: not here
#2 after #1: create a-1: not here
#3 after #2: start a-1
#4 after #3: post_start hook a-1
#5 after #4: post_start hook a-1
#6 after #1: create b-1: not here
#7 after #5,#6: start b-1
)"},
    {"a fixed name", [] { return World("services: {a: {image: i, container_name: fixed, network_mode: none}}").images().text(); }, R"(
#1: create fixed: not here
#2 after #1: start fixed
)"},
    {"named services and their dependencies only", [] {
         World world("services: {a: {image: i, depends_on: [b]}, b: {image: i}, c: {image: i}}");
         world.options.services = {"a"};
         return world.images().text();
     }, R"(
#1: create network p_default: not here
#2 after #1: create b-1: not here
#3 after #2: start b-1
#4 after #1: create a-1: not here
#5 after #3,#4: start a-1
)"},
    {"--no-deps", [] {
         World world("services: {a: {image: i, depends_on: {b: {condition: service_healthy}}}, b: {image: i}}");
         world.options.services = {"a"};
         world.options.no_deps = true;
         return world.images().text();
     }, R"(
#1: create network p_default: not here
#2 after #1: create a-1: not here
#3 after #2: start a-1
)"},
};

TEST(PlanUp, FromNothing) {
    for (const auto& row : kFresh) check(row);
}

const char* kTwo = "services: {a: {image: i, depends_on: [db]}, db: {image: j}}";

const Case kConverge[] = {
    {"up twice changes nothing", [] { return World(kTwo).up().text(); }, R"(
#1: keep db-1: up to date
#2: keep a-1: up to date
)"},
    {"a changed command", [] {
         return World("services: {a: {image: i, command: sleep 1}}").up().now("services: {a: {image: i, command: sleep 2}}").text();
     }, R"(
#1: recreate a-1: command changed "sleep 1" → "sleep 2"
#2 after #1: start a-1
)"},
    {"a changed variable, and no value of what looks secret", [] {
         return World("services: {a: {image: i, environment: {LEVEL: 1}}, b: {image: i, environment: {DB_PASSWORD: old}}}")
             .up()
             .now("services: {a: {image: i, environment: {LEVEL: 2}}, b: {image: i, environment: {DB_PASSWORD: new}}}")
             .text();
     }, R"(
#1: recreate a-1: environment LEVEL: 1 → 2
#2 after #1: start a-1
#3: recreate b-1: environment DB_PASSWORD changed
#4 after #3: start b-1
)"},
    {"a new port, a new label, another image", [] {
         return World("services: {a: {image: i}, b: {image: i}, c: {image: i}}")
             .up()
             .now("services: {a: {image: i, ports: ['127.0.0.1:8080:80']}, b: {image: i, labels: {l: '1'}}, c: {image: j}}")
             .images()
             .text();
     }, R"(
#1: recreate a-1: ports changed none → 127.0.0.1:8080:80
#2 after #1: start a-1
#3: recreate b-1: label l added
#4 after #3: start b-1
#5: recreate c-1: image changed i → j
#6 after #5: start c-1
)"},
    {"what has no words of its own is told by the hashes", [] {
         World world("services: {a: {image: i}}");
         world.up().there("p-a-1").spec.labels[label::kHash] = "00112233445566778899";
         std::string text = world.text();
         return text.substr(0, text.find("→"));
     }, R"(
#1: recreate a-1: configuration changed 001122334455… )"},
    {"the image behind the reference has moved", [] {
         World world("services: {a: {image: i}}");
         world.up().image("i", "sha256:2222222222222222");
         return world.text();
     }, R"(
#1: recreate a-1: image changed 111111111111… → 222222222222…
#2 after #1: start a-1
)"},
    {"made by hand, without a hash: left alone", [] {
         World world("services: {a: {image: i, command: x}}");
         world.up().there("p-a-1").spec.labels.erase(label::kHash);
         return world.now("services: {a: {image: i, command: y}}").text();
     }, R"(
#1: keep a-1: up to date
)"},
    {"--force-recreate: only the named", [] {
         World world(kTwo);
         world.up();
         world.options.services = {"a"};
         world.options.force_recreate = true;
         return world.text();
     }, R"(
#1: keep db-1: up to date
#2: recreate a-1: --force-recreate
#3 after #2: start a-1
)"},
    {"--always-recreate-deps: the dependencies of the named", [] {
         World world(kTwo);
         world.up();
         world.options.services = {"a"};
         world.options.always_recreate_deps = true;
         return world.text();
     }, R"(
#1: recreate db-1: --always-recreate-deps
#2 after #1: start db-1
#3: keep a-1: up to date
)"},
    {"--no-recreate keeps what differs", [] {
         World world("services: {a: {image: i, command: x}}");
         world.up().now("services: {a: {image: i, command: y}, b: {image: i}}");
         world.options.no_recreate = true;
         return world.text();
     }, R"(
#1: keep a-1: up to date
#2: create b-1: not here
#3 after #2: start b-1
)"},
    {"a recreated dependency leaves its dependents running", [] {
         return World(kTwo).up().now("services: {a: {image: i, depends_on: [db]}, db: {image: j, command: x}}").text();
     }, R"(
#1: recreate db-1: command changed the image's → "x"
#2 after #1: start db-1
#3: keep a-1: up to date
)"},
    {"but those with restart: true are stopped before and started after", [] {
         return World("services: {a: {image: i, depends_on: {db: {condition: service_healthy, restart: true}}}, db: {image: j}}")
             .up()
             .now("services: {a: {image: i, depends_on: {db: {condition: service_healthy, restart: true}}}, db: {image: j, command: x}}")
             .text();
     }, R"(
#1: stop a-1: it depends on db, which is made anew, with restart: true
#2 after #1: recreate db-1: command changed the image's → "x"
#3 after #2: start db-1
#4 after #3: wait db: service_healthy
#5 after #1,#4: start a-1: it depends on db, which is made anew, with restart: true
)"},
    {"if they are part of the selection", [] {
         World world("services: {a: {image: i, depends_on: {db: {condition: service_started, restart: true}}}, db: {image: j}}");
         world.up().now("services: {a: {image: i, depends_on: {db: {condition: service_started, restart: true}}}, db: {image: j, command: x}}");
         world.options.services = {"db"};
         return world.text();
     }, R"(
#1: recreate db-1: command changed the image's → "x"
#2 after #1: start db-1
)"},
    {"who shares a namespace is made anew with its owner", [] {
         const char* before = "services: {web: {image: i}, side: {image: i, network_mode: 'service:web'}}";
         World world(before);
         world.up();
         world.there("p-side-1").spec.network_mode = "container:" + world.there("p-web-1").id;
         std::string text = world.text();
         return text + "--\n" + world.now("services: {web: {image: i, command: x}, side: {image: i, network_mode: 'service:web'}}").text();
     }, R"(
#1: keep web-1: up to date
#2: keep side-1: up to date
--
#1: recreate web-1: command changed the image's → "x"
#2 after #1: start web-1
#3 after #1: recreate side-1: its network is that of web, which is made anew
#4 after #2,#3: start side-1
)"},
    {"ended, created and paused containers", [] {
         World world("services: {a: {image: i}, b: {image: i}, c: {image: i}, d: {image: i}}");
         world.up();
         world.there("p-a-1").state = {.status = Status::exited, .exit_code = 3};
         world.there("p-b-1").state.status = Status::created;
         world.there("p-c-1").state.status = Status::paused;
         world.there("p-d-1").state.status = Status::restarting;
         return world.text();
     }, R"(
#1: start a-1: exited (3)
#2: start b-1: created, never started
#3: unpause c-1: it is paused
#4: keep d-1: up to date
)"},
    {"a condition that holds is not waited for, one that does not is", [] {
         const char* yaml = "services: {a: {image: i, depends_on: {db: {condition: service_healthy}, m: {condition: service_completed_successfully}}}, db: {image: i}, m: {image: i}}";
         World world(yaml);
         world.up();
         world.there("p-db-1").state.health = engine::HealthStatus::healthy;
         world.there("p-m-1").state.status = Status::exited;
         world.there("p-a-1").state.status = Status::exited;
         return world.text();
     }, R"(
#1: keep db-1: up to date
#2: start m-1: exited (0)
#3 after #2: wait m: service_completed_successfully
#4 after #3: start a-1: exited (0)
)"},
    {"an attachment to another network", [] {
         World world("services: {a: {image: i, networks: [n]}}\nnetworks: {n: {name: one}}");
         world.up().now("services: {a: {image: i, networks: [n]}}\nnetworks: {n: {name: two}}").network("n");
         return world.text();
     }, R"(
#1: recreate a-1: networks changed one → two
#2 after #1: start a-1
)"},
    {"another volume at the same place", [] {
         World world("services: {a: {image: i, volumes: ['vol:/v']}}\nvolumes: {vol: {name: one}}");
         world.up().now("services: {a: {image: i, volumes: ['vol:/v']}}\nvolumes: {vol: {name: two}}").volume("vol");
         return world.text();
     }, R"(
#1: recreate a-1: volume at /v changed one → two
#2 after #1: start a-1
)"},
    {"-V renews anonymous volumes, also where nothing else changed", [] {
         World world("services: {a: {image: i, volumes: [/data]}, b: {image: i}}");
         world.up();
         world.options.renew_anonymous_volumes = true;
         return world.text();
     }, R"(
#1: recreate a-1: --renew-anon-volumes, /data is anonymous
#2 after #1: start a-1
#3: keep b-1: up to date
)"},
};

TEST(PlanUp, Convergence) {
    for (const auto& row : kConverge) check(row);
}

World scaled(int there, int wanted) {
    World world("services: {a: {image: i}}");
    world.images().network("default");
    for (int i = 1; i <= there; ++i) world.container("a", i);
    world.options.scale["a"] = wanted;
    return world;
}

const Case kScale[] = {
    {"up", [] { return scaled(1, 3).text(); }, R"(
#1: keep a-1: up to date
#2: create a-2: scale 1 → 3
#3 after #2: start a-2
#4: create a-3: scale 1 → 3
#5 after #4: start a-3
)"},
    {"down removes the highest numbers", [] { return scaled(3, 1).text(); }, R"(
#1: keep a-1: up to date
#2: stop a-2: scale 3 → 1
#3 after #2: remove a-2: scale 3 → 1
#4: stop a-3: scale 3 → 1
#5 after #4: remove a-3: scale 3 → 1
)"},
    {"to none", [] { return scaled(1, 0).text(); }, R"(
#1: stop a-1: scale 1 → 0
#2 after #1: remove a-1: scale 1 → 0
)"},
    {"numbers go on from the highest: no gap is filled", [] {
         World world = scaled(3, 3);
         world.observed.containers.erase(world.observed.containers.begin() + 1);
         return world.text();
     }, R"(
#1: keep a-1: up to date
#2: keep a-3: up to date
#3: create a-4: scale 2 → 3
#4 after #3: start a-4
)"},
    {"of too many those that differ go first", [] {
         World world = scaled(3, 2);
         world.there("p-a-1").spec.labels[label::kHash] = "00112233445566778899";
         return world.text();
     }, R"(
#1: stop a-1: scale 3 → 2
#2 after #1: remove a-1: scale 3 → 2
#3: keep a-2: up to date
#4: keep a-3: up to date
)"},
    {"a fixed name and two of them", [] {
         World world("services: {a: {image: i, container_name: fixed}}");
         world.options.scale["a"] = 2;
         return world.images().text();
     },
     "error: WARNING: The \"a\" service is using the custom container name \"fixed\". Docker requires each container to have a unique "
     "name. Remove the custom name to scale the service\n"},
    {"of an unknown service", [] {
         World world("services: {a: {image: i}}");
         world.options.scale["b"] = 2;
         return world.images().text();
     }, "error: no such service: b\n"},
};

TEST(PlanUp, Scale) {
    for (const auto& row : kScale) check(row);
}

const Case kInterrupted[] = {
    {"the old container is still there: the new one goes, and it is done again", [] {
         World world("services: {a: {image: i, command: x}}");
         world.up().now("services: {a: {image: i, command: y}}");
         auto temporary = world.there("p-a-1");
         temporary.id = std::string(64, 'f');
         temporary.spec.name = world.there("p-a-1").id.substr(0, 12) + "_p-a-1";
         temporary.spec.labels[label::kReplace] = "a-1";
         temporary.spec.labels[label::kHash] = model::config_hash(world.project.services.at("a"));
         temporary.state.status = Status::created;
         world.observed.containers.push_back(temporary);
         return world.text();
     }, R"(
#1: remove a10000000000_p-a-1: left over from an interrupted recreation
#2 after #1: recreate a-1: command changed "x" → "y"
#3 after #2: start a-1
)"},
    {"the old one is gone: the new one gets its name", [] {
         World world("services: {a: {image: i}}");
         world.up();
         auto& container = world.there("p-a-1");
         container.spec.name = "0123456789ab_p-a-1";
         container.spec.labels[label::kReplace] = "a-1";
         container.state.status = Status::created;
         return world.text();
     }, R"(
#1: rename a-1: an interrupted recreation left it so
#2 after #1: start a-1: created, never started
)"},
};

TEST(PlanUp, ConvergesAfterACommandThatWasCutShort) {
    for (const auto& row : kInterrupted) check(row);
}

}  // namespace
}  // namespace compose::plan::test

// Plans carried out on an engine that counts: batches, order, failures, conditions.
#include <gtest/gtest.h>

#include <thread>

#include "fake_engine.h"
#include "plan/names.h"
#include "projects.h"
#include "run/project_ops.h"

namespace compose::run::test {
namespace {

class Executor : public testing::Test {
protected:
    FakeEngine engine;
    std::vector<std::string> events, warnings;
    plan::Options options;
    std::atomic<bool> cancel{false};

    Context context() {
        Context context;
        context.engine = &engine;
        context.cancel = &cancel;
        context.listener = [this](const StepEvent& event) { events.push_back(event.id + " " + event.status); };
        context.warn = [this](const std::string& text) { warnings.push_back(text); };
        return context;
    }
    void images(const std::vector<std::string>& names) {
        for (const auto& name : names) engine.local_images[name].id = "sha256:" + name;
    }
    Report up(const std::string& yaml) {
        auto report = run::up(context(), project_of(yaml), options);
        if (!report) {
            ADD_FAILURE() << report.error().message();
            return {};
        }
        return std::move(*report);
    }
    std::string first_error(const Report& report) { return report.errors.empty() ? "" : report.errors[0].message(); }
    bool saw(const std::string& event) { return std::find(events.begin(), events.end(), event) != events.end(); }
};

TEST_F(Executor, FiftyServicesAreOneCallOfEachKind) {
    std::string yaml = "services:\n";
    for (int i = 0; i < 50; ++i) yaml += "  s" + std::to_string(i) + ": {image: i}\n";
    images({"i"});
    EXPECT_TRUE(up(yaml).ok());
    EXPECT_EQ(engine.count("create_many"), 1u);
    EXPECT_EQ(engine.count("start_many"), 1u);
    EXPECT_EQ(engine.count("create_network"), 1u);
    EXPECT_EQ(engine.store.size(), 50u);
    engine.calls.clear();
    auto down = run::down(context(), project_of(yaml), {});
    ASSERT_TRUE(down);
    EXPECT_EQ(engine.count("stop_many"), 1u);
    EXPECT_TRUE(engine.store.empty());
    EXPECT_TRUE(engine.network_store.empty());
}

TEST_F(Executor, NoMoreThanTheLimitIsUnderWay) {
    std::string yaml = "services:\n";
    for (int i = 0; i < 7; ++i) yaml += "  s" + std::to_string(i) + ": {image: i}\n";
    images({"i"});
    auto limited = context();
    limited.parallel = 3;
    auto report = run::up(limited, project_of(yaml), options);
    ASSERT_TRUE(report && report->ok());
    // Seven of a kind are calls of at most three.
    EXPECT_GE(engine.count("create_many"), 3u);
    EXPECT_GE(engine.count("start_many"), 3u);
    EXPECT_EQ(engine.store.size(), 7u);
}

TEST_F(Executor, ImagesAreOnePull) {
    for (const char* name : {"i", "j", "k"}) engine.remote_images[name].id = std::string("sha256:") + name;
    EXPECT_TRUE(up("services: {a: {image: i}, b: {image: j}, c: {image: k}}").ok());
    EXPECT_EQ(engine.count("pull"), 1u);
    EXPECT_EQ(engine.named("p-b-1")->spec.image_id, "sha256:j");
    EXPECT_TRUE(saw("a Pulling"));
    EXPECT_TRUE(saw("c Pulled"));
}

TEST_F(Executor, AMissingImageLeavesNothing) {
    images({"here"});
    Report report = up("services: {a: {image: here}, ghost: {image: gone}}");
    EXPECT_EQ(first_error(report), "service \"ghost\": pull gone: not found");
    EXPECT_TRUE(engine.store.empty());
    EXPECT_TRUE(engine.network_store.empty());
    EXPECT_EQ(engine.calls, (std::vector<std::string>{"pull gone"}));
}

TEST_F(Executor, DependenciesStartFirstInBatches) {
    images({"i"});
    EXPECT_TRUE(up("services: {a: {image: i, depends_on: [c]}, b: {image: i, depends_on: [c]}, c: {image: i}}").ok());
    EXPECT_EQ(engine.count("create_many p-a-1 p-b-1 p-c-1") + engine.count("create_many p-c-1 p-a-1 p-b-1"), 1u);
    EXPECT_EQ(engine.count("start_many"), 2u);
    EXPECT_LT(engine.at("start_many p-c-1"), engine.at("start_many p-a-1 p-b-1"));
}

TEST_F(Executor, UpAgainDoesNothing) {
    images({"i"});
    std::string yaml = "services: {a: {image: i, volumes: ['vol:/v']}, b: {image: i, scale: 2}}\nvolumes: {vol: {}}";
    EXPECT_TRUE(up(yaml).ok());
    engine.calls.clear();
    events.clear();
    EXPECT_TRUE(up(yaml).ok());
    EXPECT_TRUE(engine.calls.empty());
    EXPECT_TRUE(saw("Container p-b-2 Running"));
}

TEST_F(Executor, RecreateCreatesBeforeItStops) {
    images({"i"});
    EXPECT_TRUE(up("services: {a: {image: i, command: x}}").ok());
    std::string old = engine.named("p-a-1")->id;
    engine.calls.clear();
    events.clear();
    options.timeout = std::chrono::seconds(3);
    EXPECT_TRUE(up("services: {a: {image: i, command: y}}").ok());
    std::string temporary = old.substr(0, 12) + "_p-a-1";
    EXPECT_EQ(engine.calls, (std::vector<std::string>{"create_many " + temporary, "stop_many of 1", "stop p-a-1 3s", "remove_many of 1",
                                                      "remove p-a-1", "rename " + temporary + " p-a-1", "start_many p-a-1"}));
    EXPECT_EQ(engine.named("p-a-1")->spec.labels["com.docker.compose.replace"], "a-1");
    EXPECT_EQ(events, (std::vector<std::string>{"Container p-a-1 Recreate", "Container p-a-1 Recreated", "Container p-a-1 Starting",
                                                "Container p-a-1 Started"}));
}

TEST_F(Executor, RecreateKeepsAnonymousVolumesUnlessToldNotTo) {
    images({"i"});
    EXPECT_TRUE(up("services: {a: {image: i, volumes: [/data], command: x}}").ok());
    engine.named("p-a-1")->spec.mounts[0].source = "deadbeef";
    EXPECT_TRUE(up("services: {a: {image: i, volumes: [/data], command: y}}").ok());
    EXPECT_EQ(engine.named("p-a-1")->spec.mounts[0].source, "deadbeef");
    options.renew_anonymous_volumes = true;
    EXPECT_TRUE(up("services: {a: {image: i, volumes: [/data], command: y}}").ok());
    EXPECT_EQ(engine.named("p-a-1")->spec.mounts[0].source, "");
}

TEST_F(Executor, AChangedNetworkKeepsItsContainers) {
    images({"i"});
    std::string with = "services: {a: {image: i, networks: [n]}}\nnetworks: {n: {ipam: {config: [{subnet: 10.";
    EXPECT_TRUE(up(with + "1.0.0/24}]}}}").ok());
    std::string id = engine.named("p-a-1")->id;
    engine.calls.clear();
    EXPECT_TRUE(up(with + "2.0.0/24}]}}}").ok());
    EXPECT_EQ(engine.calls, (std::vector<std::string>{"stop_many of 1", "stop p-a-1", "remove_network p_n", "create_network p_n", "start_many p-a-1"}));
    EXPECT_EQ(engine.named("p-a-1")->id, id);
}

TEST_F(Executor, WhatCannotStartKeepsItsDependents) {
    images({"i"});
    engine.cannot_start = {"p-db-1"};
    Report report = up("services: {app: {image: i, depends_on: [db]}, db: {image: i}, other: {image: i}}");
    EXPECT_EQ(first_error(report), "start container p-db-1: exec: no-such-command");
    EXPECT_EQ(engine.named("p-app-1")->state.status, engine::ContainerStatus::created);
    EXPECT_EQ(engine.named("p-other-1")->state.status, engine::ContainerStatus::running);
    EXPECT_TRUE(saw("Container p-db-1 Error"));
}

TEST_F(Executor, ACompletedDependency) {
    images({"i"});
    engine.ends_with = {{"p-job-1", 0}};
    EXPECT_TRUE(up("services: {a: {image: i, depends_on: {job: {condition: service_completed_successfully}}}, job: {image: i}}").ok());
    EXPECT_EQ(engine.named("p-a-1")->state.status, engine::ContainerStatus::running);
    EXPECT_TRUE(saw("Container p-job-1 Waiting"));
    EXPECT_TRUE(saw("Container p-job-1 Exited"));
}

TEST_F(Executor, AFailedDependencyNamesItsExit) {
    images({"i"});
    engine.ends_with = {{"p-job-1", 4}};
    Report report = up("services: {a: {image: i, depends_on: {job: {condition: service_completed_successfully}}}, job: {image: i}}");
    EXPECT_EQ(first_error(report), "service \"job\" didn't complete successfully: exit 4");
    EXPECT_EQ(report.errors.size(), 1u);
    EXPECT_EQ(engine.named("p-a-1")->state.status, engine::ContainerStatus::created);
}

TEST_F(Executor, AnOptionalDependencyThatFailsIsAWarning) {
    images({"i"});
    engine.ends_with = {{"p-job-1", 4}};
    Report report = up("services: {a: {image: i, depends_on: {job: {condition: service_completed_successfully, required: false}}}, job: {image: i}}");
    EXPECT_TRUE(report.ok()) << first_error(report);
    EXPECT_EQ(warnings, (std::vector<std::string>{"optional dependency \"job\" didn't complete successfully: exit 4"}));
    EXPECT_EQ(engine.named("p-a-1")->state.status, engine::ContainerStatus::running);
}

const char* kHealthy = "services: {a: {image: i, depends_on: {db: {condition: service_healthy}}}, db: {image: i, healthcheck: {test: x}}}";

TEST_F(Executor, AnUnhealthyDependencySaysWhy) {
    images({"i"});
    engine.turns = {{"p-db-1", engine::HealthStatus::starting}};
    engine.log_text = {{"p-db-1", "starting up\nno disk\n"}};
    std::thread supervisor([&] {
        while (engine.at("wait_until p-db-1") < 0) std::this_thread::yield();
        engine.change("p-db-1", [](engine::ContainerInfo& info) {
            info.state.health = engine::HealthStatus::unhealthy;
            info.state.probes = {{.exit_code = 1, .output = "connection refused\n"}};
        });
    });
    Report report = up(kHealthy);
    supervisor.join();
    EXPECT_EQ(first_error(report),
              "dependency failed to start: container p-db-1 is unhealthy\n"
              "  last health check exited with 1:\n    connection refused\n"
              "  last lines of its log:\n    starting up\n    no disk\n"
              "  waiting for it: a-1");
    EXPECT_EQ(engine.named("p-a-1")->state.status, engine::ContainerStatus::created);
}

TEST_F(Executor, ADependencyThatEndsBeforeItIsHealthy) {
    images({"i"});
    engine.ends_with = {{"p-db-1", 0}};
    EXPECT_EQ(first_error(up(kHealthy)), "dependency failed to start: container p-db-1 exited (0)");
}

TEST_F(Executor, HealthyWithoutAHealthCheckIsAnError) {
    images({"i"});
    EXPECT_EQ(first_error(up("services: {a: {image: i, depends_on: {db: {condition: service_healthy}}}, db: {image: i}}")),
              "dependency failed to start: container p-db-1 has no healthcheck configured");
}

TEST_F(Executor, WaitFlag) {
    images({"i"});
    options.wait = true;
    engine.turns = {{"p-b-1", engine::HealthStatus::healthy}};
    EXPECT_TRUE(up("services: {a: {image: i}, b: {image: i, healthcheck: {test: x}}}").ok());
    EXPECT_TRUE(saw("Container p-a-1 Healthy"));
    EXPECT_TRUE(saw("Container p-b-1 Healthy"));
}

TEST_F(Executor, WaitFlagAndAnEnd) {
    images({"i"});
    options.wait = true;
    engine.ends_with = {{"p-bad-1", 3}};
    EXPECT_EQ(first_error(up("services: {bad: {image: i}}")), "container p-bad-1 exited (3)");
}

TEST_F(Executor, WaitFlagAcceptsAOneShotThatSucceeded) {
    images({"i"});
    options.wait = true;
    engine.ends_with = {{"p-job-1", 0}};
    EXPECT_TRUE(up("services: {job: {image: i}}").ok());
}

TEST_F(Executor, WaitTimeout) {
    images({"i"});
    options.wait = true;
    options.wait_timeout = std::chrono::milliseconds(20);
    engine.turns = {{"p-a-1", engine::HealthStatus::starting}};
    EXPECT_EQ(first_error(up("services: {a: {image: i, healthcheck: {test: x}}}")), "application not healthy after 20ms");
}

TEST_F(Executor, HooksRunAfterTheStart) {
    images({"i"});
    std::string yaml = "services: {a: {image: i, post_start: [{command: [one, x]}, {command: [two]}], pre_stop: [{command: [bye]}]}}";
    EXPECT_TRUE(up(yaml).ok());
    EXPECT_LT(engine.at("start_many"), engine.at("exec p-a-1 one x"));
    EXPECT_LT(engine.at("exec p-a-1 one x"), engine.at("exec p-a-1 two"));
    EXPECT_TRUE(run::stop(context(), project_of(yaml), {})->ok());
    EXPECT_LT(engine.at("exec p-a-1 bye"), engine.at("stop p-a-1"));
}

TEST_F(Executor, AHookThatFailsFailsUpAndLeavesTheContainer) {
    images({"i"});
    engine.exec_status = 5;
    Report report = up("services: {a: {image: i, post_start: [{command: [x]}]}, b: {image: i, depends_on: [a]}}");
    EXPECT_EQ(first_error(report), "container p-a-1: post_start hook: a hook exited with status 5");
    EXPECT_EQ(engine.named("p-a-1")->state.status, engine::ContainerStatus::running);
    EXPECT_EQ(engine.named("p-b-1")->state.status, engine::ContainerStatus::created);
}

TEST_F(Executor, CancelStopsWaitsAndStartsNothingMore) {
    images({"i"});
    engine.turns = {{"p-db-1", engine::HealthStatus::starting}};
    std::thread user([&] {
        while (engine.at("wait_until p-db-1") < 0) std::this_thread::yield();
        cancel = true;
        engine.wake();
    });
    Report report = up(kHealthy);
    user.join();
    EXPECT_TRUE(report.interrupted);
    EXPECT_TRUE(report.errors.empty());
    EXPECT_EQ(engine.named("p-a-1")->state.status, engine::ContainerStatus::created);
}

TEST_F(Executor, PullAlwaysRecreatesOnlyWhenTheImageChanged) {
    images({"i"});
    engine.remote_images["i"].id = "sha256:i";
    std::string yaml = "services: {a: {image: i}}";
    EXPECT_TRUE(up(yaml).ok());
    options.pull = "always";
    engine.calls.clear();
    EXPECT_TRUE(up(yaml).ok());
    EXPECT_EQ(engine.calls, (std::vector<std::string>{"pull i"}));
    engine.remote_images["i"].id = "sha256:new";
    EXPECT_TRUE(up(yaml).ok());
    EXPECT_EQ(engine.named("p-a-1")->spec.labels["com.docker.compose.image"], "sha256:new");
}

TEST_F(Executor, ABuildWithoutABuilderSaysWhatToDo) {
    Report report = up("services: {a: {build: .}}");
    EXPECT_TRUE(first_error(report).find("this engine does not build images") != std::string::npos) << first_error(report);
    EXPECT_TRUE(engine.store.empty());
}

TEST_F(Executor, DownLeavesWhatOthersUse) {
    images({"i"});
    std::string yaml = "services: {a: {image: i}, b: {image: i}}";
    EXPECT_TRUE(up(yaml).ok());
    options.services = {"a"};
    auto report = run::down(context(), project_of(yaml), options);
    EXPECT_TRUE(report->ok());
    EXPECT_TRUE(saw("Network p_default Resource is still in use"));
    EXPECT_TRUE(engine.network_store.contains("p_default"));
    EXPECT_EQ(engine.store.size(), 1u);
}

TEST_F(Executor, DownByNameWorksFromLabels) {
    images({"i"});
    EXPECT_TRUE(up("services: {a: {image: i, depends_on: [b], volumes: ['vol:/v']}, b: {image: i}}\nvolumes: {vol: {}}").ok());
    auto observed = observe(engine, "p");
    auto project = project_from_labels("p", *observed);
    options.labels_only = options.volumes = true;
    engine.calls.clear();
    EXPECT_TRUE(run::down(context(), project, options)->ok());
    EXPECT_TRUE(engine.store.empty());
    EXPECT_TRUE(engine.network_store.empty());
    EXPECT_TRUE(engine.volume_store.empty());
    EXPECT_LT(engine.at("stop p-a-1"), engine.at("stop p-b-1"));
}

TEST_F(Executor, DryRunTellsAndDoesNothing) {
    images({"i"});
    Context dry = context();
    dry.dry_run = true;
    EXPECT_TRUE(run::up(dry, project_of("services: {a: {image: i}}"), options)->ok());
    EXPECT_TRUE(engine.calls.empty());
    EXPECT_TRUE(saw("Container p-a-1 Started"));
}

TEST_F(Executor, AVolumeIsMadeAnewOnlyAfterAYes) {
    images({"i"});
    std::string before = "services: {a: {image: i, volumes: ['vol:/v']}}\nvolumes: {vol: {}}";
    std::string after = "services: {a: {image: i, volumes: ['vol:/v']}}\nvolumes: {vol: {driver_opts: {type: tmpfs, device: tmpfs}}}";
    EXPECT_TRUE(up(before).ok());
    engine.calls.clear();
    EXPECT_TRUE(up(after).ok());
    EXPECT_TRUE(engine.calls.empty());
    Context asked = context();
    asked.confirm = [](const std::string& question) { return question.find("Recreate (data will be lost)?") != std::string::npos; };
    EXPECT_TRUE(run::up(asked, project_of(after), options)->ok());
    EXPECT_LT(engine.at("remove_volume p_vol"), engine.at("create_volume p_vol"));
    EXPECT_EQ(engine.named("p-a-1")->state.status, engine::ContainerStatus::running);
}

TEST_F(Executor, RunPreparesAOneOff) {
    images({"i"});
    std::string yaml = "services: {a: {image: i, command: own, restart: always, ports: ['80:80'], depends_on: [db], volumes: ['/x:/own']}, db: {image: i}}";
    RunOptions run;
    run.service = "a";
    run.command = {"echo", "hi"};
    run.env = {"A=1", "FROM_SHELL", "ABSENT"};
    run.environment = [](const std::string& name) { return name == "FROM_SHELL" ? std::optional<std::string>("shell") : std::nullopt; };
    run.volumes = {"/extra:/extra:ro"};
    run.publish = {"127.0.0.1:8080:80"};
    run.labels = {"l=v"};
    Report report;
    auto one_off = prepare_run(context(), project_of(yaml), run, {}, report);
    ASSERT_TRUE(one_off) << one_off.error().message();
    EXPECT_EQ(engine.named("p-db-1")->state.status, engine::ContainerStatus::running);
    const auto& spec = engine.store.at(one_off->id).spec;
    EXPECT_EQ(spec.name.substr(0, 8), "p-a-run-");
    EXPECT_EQ(spec.name.size(), 8u + 12);
    EXPECT_EQ(spec.labels.at("com.docker.compose.oneoff"), "True");
    EXPECT_EQ(spec.labels.at("com.docker.compose.slug").substr(0, 12), spec.name.substr(8));
    EXPECT_FALSE(spec.labels.contains("com.docker.compose.container-number"));
    EXPECT_EQ(spec.labels.at("l"), "v");
    EXPECT_EQ(*spec.command, (std::vector<std::string>{"echo", "hi"}));
    EXPECT_EQ(spec.env, (std::vector<std::string>{"A=1", "FROM_SHELL=shell"}));
    EXPECT_EQ(spec.restart.name, "no");
    ASSERT_EQ(spec.ports.size(), 1u);
    EXPECT_EQ(spec.ports[0].host_port, 8080);
    EXPECT_TRUE(spec.endpoints[0].aliases.empty());
    ASSERT_EQ(spec.mounts.size(), 2u);
    EXPECT_TRUE(spec.mounts[1].read_only);
    EXPECT_EQ(engine.store.at(one_off->id).state.status, engine::ContainerStatus::created);
}

TEST_F(Executor, WaitForServices) {
    images({"i"});
    engine.ends_with = {{"p-a-1", 7}};
    EXPECT_TRUE(up("services: {a: {image: i}}").ok());
    std::vector<int> codes;
    auto ended = run::wait(context(), project_of("services: {a: {image: i}}"), {"a"}, false, [&](const Ended& one) { codes.push_back(one.exit_code); });
    ASSERT_TRUE(ended);
    EXPECT_EQ(codes, std::vector<int>{7});
    auto none = run::wait(context(), project_of("services: {b: {image: i}}"), {"b"}, false, {});
    EXPECT_EQ(none.error().what, "no containers for project \"p\"");
}

}  // namespace
}  // namespace compose::run::test

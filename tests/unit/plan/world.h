#pragma once
// A project from YAML and a made-up actual state, for table tests of the planner.
#include <gtest/gtest.h>

#include <string>

#include "model/load.h"
#include "model/render.h"
#include "plan/names.h"
#include "plan/observed.h"
#include "plan/planner.h"

namespace compose::plan::test {

inline model::Project project_of(const std::string& yaml, const std::string& profile = "") {
    model::LoadOptions options;
    options.files = {"-"};
    options.stdin_text = yaml;
    options.stdin_given = true;
    options.project_name = "p";
    options.project_directory = "/p";
    options.working_dir = "/p";
    if (!profile.empty()) options.profiles = {profile};
    model::Loaded loaded = model::load(options);
    for (const auto& error : loaded.errors()) ADD_FAILURE() << error.message << " in\n" << yaml;
    return loaded.project;
}

class World {
public:
    explicit World(const std::string& yaml) : project(project_of(yaml)) {}

    model::Project project;
    Observed observed;
    Options options;

    /// An image with this id, under the reference that services use.
    World& image(const std::string& reference, const std::string& id = "sha256:1111111111111111") {
        auto& image = observed.images[reference];
        image.id = id;
        image.references = {reference};
        image.tagged = 1'000'000'000;
        return *this;
    }
    /// Every image that the services name.
    World& images() {
        for (const auto& [name, service] : project.services) image(image_of(project, service));
        return *this;
    }
    World& network(const std::string& key) {
        model::Network network = network_of(project, key);
        auto& info = observed.networks[network.name];
        info.spec.name = network.name;
        info.spec.internal = network.internal;
        for (const auto& pool : network.ipam.config) info.spec.pools.push_back({.subnet = pool.subnet});
        info.spec.labels = {{label::kProject, "p"}, {label::kNetwork, key}, {label::kHash, model::config_hash(network)}};
        return *this;
    }
    World& volume(const std::string& key) {
        model::Volume volume = volume_of(project, key);
        auto& info = observed.volumes[volume.name];
        info.spec.name = volume.name;
        info.spec.labels = {{label::kProject, "p"}, {label::kVolume, key}, {label::kHash, model::config_hash(volume)}};
        return *this;
    }
    /// A container as the file asks for, in this state.
    engine::ContainerInfo& container(const std::string& service_name, int number = 1,
                                     engine::ContainerStatus status = engine::ContainerStatus::running) {
        const model::Service& service = project.services.at(service_name);
        engine::ContainerInfo info;
        std::string serial = service_name + std::to_string(number);
        info.id = (serial + std::string(64, '0')).substr(0, 64);
        info.spec.name = container_name(project, service, number);
        info.spec.image = image_of(project, service);
        info.spec.command = service.command;
        info.spec.entrypoint = service.entrypoint;
        for (const auto& [name, value] : service.environment) info.spec.env.push_back(name + "=" + value.value_or(""));
        info.spec.labels = service.labels;
        info.spec.labels[label::kProject] = "p";
        info.spec.labels[label::kService] = service_name;
        info.spec.labels[label::kNumber] = std::to_string(number);
        info.spec.labels[label::kOneOff] = "False";
        info.spec.labels[label::kHash] = model::config_hash(service);
        if (auto found = observed.images.find(info.spec.image); found != observed.images.end())
            info.spec.labels[label::kImage] = info.spec.image_id = found->second.id;
        for (const auto& key : networks_of(service)) info.spec.endpoints.push_back({.network = network_name(project, key)});
        for (const auto& mount : service.volumes) {
            if (mount.type != "volume") continue;
            engine::Mount made{.type = engine::Mount::Type::volume, .target = mount.target};
            made.anonymous = mount.source.empty();
            made.source = made.anonymous ? "anonymous-" + serial : volume_name(project, mount.source);
            info.spec.mounts.push_back(made);
        }
        info.state.status = status;
        observed.containers.push_back(std::move(info));
        return observed.containers.back();
    }
    /// Everything as the file asks for and running.
    World& up() {
        images();
        std::set<std::string> networks, volumes;
        for (const auto& [name, service] : project.services) {
            for (const auto& key : networks_of(service)) networks.insert(key);
            for (const auto& key : volumes_of(project, service)) volumes.insert(key);
            for (int i = 1; i <= replicas_of(service, options); ++i) container(name, i);
        }
        for (const auto& key : networks) network(key);
        for (const auto& key : volumes) volume(key);
        return *this;
    }
    /// The same state under a changed file.
    World& now(const std::string& yaml) {
        project = project_of(yaml);
        return *this;
    }
    engine::ContainerInfo& there(const std::string& name) {
        for (auto& container : observed.containers)
            if (container.spec.name == name) return container;
        ADD_FAILURE() << "no container " << name;
        return observed.containers.front();
    }

    std::string text() const {
        auto plan = make_plan(project, observed, options);
        if (!plan) return "error: " + plan.error().message() + "\n";
        std::string result;
        for (const auto& warning : plan->warnings) result += "warning: " + warning + "\n";
        for (const auto& question : plan->questions) result += "question: " + question.text + "\n";
        return result + plan->text();
    }
};

/// One row: a world made by a function, and the plan as it is printed.
struct Case {
    const char* name;
    std::string (*text)();
    const char* expected;
};

inline void check(const Case& row) {
    std::string expected = row.expected;
    if (expected.starts_with("\n")) expected.erase(0, 1);
    EXPECT_EQ(row.text(), expected) << row.name;
}

}  // namespace compose::plan::test

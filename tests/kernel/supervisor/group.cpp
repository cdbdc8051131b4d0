#include "group.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "image/image_store.h"
#include "kernel/api/tiny_image.h"
#include "log/log_reader.h"
#include "network/network.h"
#include "supervisor/removal.h"

namespace engine::supervisor::testing {
namespace {

constexpr auto kGenerous = std::chrono::seconds(90);

std::string command_line(pid_t pid) {
    auto text = base::read_file("/proc/" + std::to_string(pid) + "/cmdline", 8192).value_or("");
    std::replace(text.begin(), text.end(), '\0', ' ');
    return text;
}

pid_t parent_of(pid_t pid) {
    auto text = base::read_file("/proc/" + std::to_string(pid) + "/stat", 4096).value_or("");
    size_t at = text.rfind(')');
    return at == std::string::npos ? 0 : std::atoi(text.c_str() + at + 4);
}

}  // namespace

void Group::SetUp() {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: containers are made for real";
    auto image = api::testing::tiny_image();
    if (!image) GTEST_SKIP() << image.error().message();
    auto dir = base::TempDir::make("/var/tmp", "compose-ks-");
    ASSERT_TRUE(dir) << dir.error().message();
    dir_ = std::make_unique<base::TempDir>(std::move(*dir));
    paths_.root = dir_->path() + "/root";
    paths_.run = dir_->path() + "/run";
    options_.root = paths_.root;
    options_.run_dir = paths_.run;
    ASSERT_TRUE(paths_.make());
    auto store = store::Store::open(paths_);
    ASSERT_TRUE(store) << store.error().message();
    store_ = std::move(*store);
    auto images = image::ImageStore::open(paths_.root);
    ASSERT_TRUE(images) << images.error().message();
    auto loaded = (*images)->load(image->get());
    ASSERT_TRUE(loaded) << loaded.error().message();
    image_id_ = (*images)->find("tiny:1").value().id;
    auto client = SupervisorClient::connect_or_start(options_, "kt");
    ASSERT_TRUE(client) << client.error().message();
    client_ = std::move(*client);
}

void Group::TearDown() {
    if (!client_) return;
    auto all = store_->containers({});
    ASSERT_TRUE(all);
    for (const auto& each : *all) (void)client_->stop(each.id, Nanoseconds(0));
    for (const auto& each : *all) {
        auto removed = remove_container(options_, *store_, each.id, true);
        EXPECT_TRUE(removed) << removed.error().message();
    }
    client_.reset();
    // It ends with its last container; one that never had any is told to by the signal that nothing survives.
    if (all->empty()) {
        if (pid_t keeper = guardian()) {
            pid_t child = supervisor();
            ::kill(keeper, SIGKILL);
            if (child > 0) ::kill(child, SIGKILL);
        }
    }
    wait_for([&] { return guardian() == 0; }, "the end of the guardian");
    EXPECT_FALSE(base::exists(paths_.supervisor_socket("kt")) && !all->empty());
    auto mounts = base::read_file("/proc/self/mounts").value_or("");
    EXPECT_EQ(mounts.find(dir_->path()), std::string::npos) << mounts;
    EXPECT_TRUE(base::list_dir(paths_.netns_dir()).value_or(std::vector<std::string>{}).empty());
    EXPECT_TRUE(base::list_dir(paths_.containers_run()).value_or(std::vector<std::string>{}).empty());
    store_.reset();
}

std::string Group::create(const std::string& name, const std::string& script, const std::function<void(ContainerSpec&)>& change) {
    ContainerInfo info;
    info.id = base::random_hex(64);
    info.created = base::now();
    info.supervisor = "kt";
    info.spec.name = name;
    info.spec.image = "tiny:1";
    info.spec.image_id = image_id_;
    info.spec.command = {"sh", "-c", script};
    info.spec.network_mode = "none";
    if (change) change(info.spec);
    auto inserted = store_->insert_container(info);
    EXPECT_TRUE(inserted) << inserted.error().message();
    return info.id;
}

void Group::start(const std::string& id) {
    auto results = client_->start_many({id}, {});
    ASSERT_EQ(results.size(), 1u);
    ASSERT_TRUE(results[0].status) << results[0].status.error().message();
}

std::string Group::run(const std::string& name, const std::string& script, const std::function<void(ContainerSpec&)>& change) {
    std::string id = create(name, script, change);
    start(id);
    return id;
}

ContainerState Group::state(const std::string& id) { return store_->container_state(id).value_or(ContainerState{}); }

ContainerState Group::wait(const std::string& id, const std::function<bool(const ContainerState&)>& done, const char* what) {
    auto watch = store_->watch();
    const auto deadline = std::chrono::steady_clock::now() + kGenerous;
    for (;;) {
        auto now = state(id);
        if (done(now)) return now;
        auto woken = watch->wait(deadline);
        if (!woken || !*woken) {
            ADD_FAILURE() << "waited in vain for " << what << "; it is " << to_text(now.status) << ", exit code " << now.exit_code << " " << now.error;
            return now;
        }
    }
}

ContainerState Group::wait_exited(const std::string& id) {
    return wait(id, [](const ContainerState& now) { return now.status == ContainerStatus::exited; }, "the end");
}

std::string Group::log_text(const std::string& id) {
    std::string text;
    (void)log::read_log(paths_.container_log(id), {}, {}, [&](const LogLine& line) {
        text += line.text;
        if (line.ends_line) text += '\n';
        return true;
    });
    return text;
}

void Group::wait_log(const std::string& id, const std::string& text) {
    wait_for([&] { return log_text(id).find(text) != std::string::npos; }, text.c_str());
}

std::vector<std::string> Group::actions(const std::string& id) {
    std::vector<std::string> all;
    for (const auto& event : store_->events_since(0, 100'000).value_or(std::vector<Event>{}))
        if (event.id == id) all.push_back(event.action);
    return all;
}

pid_t Group::guardian() {
    DIR* dir = ::opendir("/proc");
    pid_t found = 0;
    while (const dirent* entry = ::readdir(dir)) {
        pid_t pid = std::atoi(entry->d_name);
        if (pid <= 0 || !command_line(pid).starts_with("compose-guardian " + paths_.root + " ")) continue;
        // Guardian and supervisor have the same words; the supervisor's parent has them too.
        if (!command_line(parent_of(pid)).starts_with("compose-guardian " + paths_.root + " ")) found = pid;
    }
    ::closedir(dir);
    return found;
}

pid_t Group::supervisor() {
    pid_t keeper = guardian();
    if (keeper == 0) return 0;
    DIR* dir = ::opendir("/proc");
    pid_t found = 0;
    while (const dirent* entry = ::readdir(dir)) {
        pid_t pid = std::atoi(entry->d_name);
        if (pid > 0 && pid != keeper && parent_of(pid) == keeper && command_line(pid).starts_with("compose-guardian ")) found = pid;
    }
    ::closedir(dir);
    return found;
}

void Group::kill_hard(pid_t pid) {
    auto process = base::PidFd::open(pid);
    if (!process) return;
    (void)process->signal(SIGKILL);
    while (process->alive()) ::usleep(1000);
}

void Group::wait_for(const std::function<bool()>& done, const char* what) {
    const auto deadline = std::chrono::steady_clock::now() + kGenerous;
    while (!done()) {
        ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "waited in vain for " << what;
        ::usleep(10'000);
    }
}

}  // namespace engine::supervisor::testing

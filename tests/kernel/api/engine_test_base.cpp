#include "engine_test_base.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <thread>

#include "base/file.h"
#include "store/paths.h"
#include "supervisor/client.h"
#include "tiny_image.h"

namespace engine::api::testing {
namespace {
constexpr auto kGenerous = std::chrono::seconds(90);
auto soon() { return std::chrono::steady_clock::now() + kGenerous; }
}  // namespace

Reader::Reader() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) abort();
    read_.reset(ends[0]);
    write_.reset(ends[1]);
    thread_ = std::thread([this] { text_ = base::read_all(read_.get(), 1u << 30).value_or("<read error>"); });
}
Reader::~Reader() {
    if (thread_.joinable()) finish();
}
std::string Reader::finish() {
    write_.reset();
    thread_.join();
    return text_;
}

void EngineTest::SetUp() {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: containers are made for real";
    auto image = tiny_image();
    if (!image) GTEST_SKIP() << image.error().message();
    auto dir = base::TempDir::make("/var/tmp", "compose-kt-");
    ASSERT_TRUE(dir) << dir.error().message();
    dir_ = std::make_unique<base::TempDir>(std::move(*dir));
    root_ = dir_->path() + "/root";
    engine_ = open();
    ASSERT_TRUE(engine_);
    auto loaded = engine_->load_images(image->get());
    ASSERT_TRUE(loaded) << loaded.error().message();
}

void EngineTest::TearDown() {
    // Also what a failed test left while it had no engine.
    if (!engine_ && !root_.empty()) engine_ = open();
    if (!engine_) return;
    remove_everything();
    auto left = engine_->containers({});
    EXPECT_TRUE(left && left->empty());
    std::string run = engine_->options().run_dir;
    engine_.reset();
    // Nothing of the engine is mounted any more.
    auto mounts = base::read_file("/proc/self/mounts");
    ASSERT_TRUE(mounts);
    EXPECT_EQ(mounts->find(root_), std::string::npos) << *mounts;
    EXPECT_EQ(mounts->find(run + "/"), std::string::npos) << *mounts;
    EXPECT_TRUE(base::remove_tree(run));
    dir_.reset();
}

void EngineTest::remove_everything() {
    auto all = engine_->containers({});
    ASSERT_TRUE(all) << all.error().message();
    std::vector<RemoveRequest> requests;
    for (const auto& container : *all) requests.push_back({container.id, true, true});
    for (const auto& removed : engine_->remove_many(requests)) EXPECT_TRUE(removed) << removed.error().message();
    auto networks = engine_->networks({});
    ASSERT_TRUE(networks);
    for (const auto& network : *networks) {
        auto removed = engine_->remove_network(network.spec.name);
        EXPECT_TRUE(removed) << removed.error().message();
    }
    auto volumes = engine_->volumes({});
    ASSERT_TRUE(volumes);
    for (const auto& volume : *volumes) {
        auto removed = engine_->remove_volume(volume.spec.name);
        EXPECT_TRUE(removed) << removed.error().message();
    }
}

std::unique_ptr<Engine> EngineTest::open(const std::string& group) {
    EngineOptions options;
    options.root = root_;
    options.group = group;
    auto opened = Engine::open(options);
    EXPECT_TRUE(opened) << opened.error().message();
    return opened ? std::move(*opened) : nullptr;
}

ContainerSpec EngineTest::spec(const std::string& name, const std::string& script) {
    ContainerSpec spec;
    spec.name = name;
    spec.image = "tiny:1";
    spec.command = std::vector<std::string>{"sh", "-c", script};
    spec.stop_grace = Nanoseconds(std::chrono::seconds(5));
    spec.network_mode = "none";
    return spec;
}

std::string EngineTest::run(const ContainerSpec& wanted) {
    auto id = engine_->create(wanted);
    EXPECT_TRUE(id) << id.error().message();
    if (!id) return {};
    auto started = engine_->start(*id);
    EXPECT_TRUE(started) << started.error().message();
    return *id;
}

bool EngineTest::wait_status(const std::string& id, ContainerStatus status) {
    auto reached = engine_->wait_until(id, [&](const ContainerInfo& info) { return info.state.status == status; }, soon());
    EXPECT_TRUE(reached) << reached.error().message();
    return reached.has_value();
}

int EngineTest::wait_exit(const std::string& id) {
    auto ended = engine_->wait_until(id, [](const ContainerInfo& info) { return info.state.status == ContainerStatus::exited; }, soon());
    EXPECT_TRUE(ended) << ended.error().message();
    return ended ? ended->state.exit_code : -1;
}

std::pair<std::string, int> EngineTest::exec(const std::string& id, const std::string& script, const std::string& user) {
    Reader output;
    base::UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    ExecOptions options;
    options.argv = {"sh", "-c", script};
    options.user = user;
    options.streams = {null.get(), output.fd(), output.fd()};
    auto code = engine_->exec(id, options);
    std::string text = output.finish();
    if (!code) return {code.error().message(), -1};
    return {text, *code};
}

std::string EngineTest::log_text(const std::string& id) {
    Reader output;
    auto copied = engine_->copy_log(id, {}, output.fd(), nullptr);
    EXPECT_TRUE(copied) << copied.error().message();
    return output.finish();
}

std::string EngineTest::log_with(const std::string& id, const std::string& text) {
    auto deadline = soon();
    std::string log;
    do {
        log = log_text(id);
        if (log.find(text) != std::string::npos) return log;
        std::this_thread::yield();
    } while (std::chrono::steady_clock::now() < deadline);
    ADD_FAILURE() << "\"" << text << "\" never came to the log: " << log;
    return log;
}

}  // namespace engine::api::testing

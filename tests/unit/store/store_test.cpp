#include "store/store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"
#include "samples.h"
#include "store/address.h"
#include "store/codec.h"

namespace engine::store {
namespace {

using base::Code;

class StoreTest : public testing::Test {
protected:
    void SetUp() override {
        auto dir = base::TempDir::make("/tmp", "store-");
        ASSERT_TRUE(dir) << dir.error().message();
        dir_ = std::make_unique<base::TempDir>(std::move(*dir));
        paths_ = {dir_->path() + "/root", dir_->path() + "/run"};
        store_ = open();
        ASSERT_TRUE(store_);
    }
    std::unique_ptr<Store> open() {
        auto opened = Store::open(paths_);
        EXPECT_TRUE(opened) << opened.error().message();
        return opened ? std::move(*opened) : nullptr;
    }
    static ContainerInfo container(const std::string& name, char digit) {
        ContainerInfo info;
        info.id = std::string(64, digit);
        info.spec.name = name;
        info.spec.image_id = "sha256:00";
        return info;
    }
    static NetworkInfo network(const std::string& name, char digit, const std::string& subnet4, const std::string& gateway4) {
        NetworkInfo info;
        info.id = std::string(64, digit);
        info.spec.name = name;
        info.subnet4 = subnet4;
        info.gateway4 = gateway4;
        return info;
    }

    std::unique_ptr<base::TempDir> dir_;
    Paths paths_;
    std::unique_ptr<Store> store_;
};

TEST_F(StoreTest, FoldersAreClosedToOthers) {
    struct stat status;
    ASSERT_EQ(stat(paths_.root.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700u);
    ASSERT_EQ(stat(paths_.run.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700u);
}

TEST(StoreOpen, SaysWhatIsInTheWay) {
    auto dir = base::TempDir::make("/tmp", "store-");
    ASSERT_TRUE(dir);
    ASSERT_TRUE(base::make_dirs(dir->path() + "/root/state.db"));  // a folder where the file should be
    auto opened = Store::open({dir->path() + "/root", dir->path() + "/run"});
    ASSERT_FALSE(opened);
    EXPECT_NE(opened.error().message().find(dir->path() + "/root/state.db\": "), std::string::npos) << opened.error().message();
    EXPECT_EQ(opened.error().sys_errno, EISDIR) << opened.error().message();
    ASSERT_TRUE(base::remove_tree(dir->path() + "/root/state.db"));
    ASSERT_TRUE(base::write_file(dir->path() + "/root/state.db", std::string(8192, 'x')));
    opened = Store::open({dir->path() + "/root", dir->path() + "/run"});
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Code::corrupt) << opened.error().message();
}

TEST_F(StoreTest, AContainerComesBackWhole) {
    auto sample = samples::container();
    ASSERT_TRUE(store_->insert_container(sample));
    auto other = open();  // as another process sees it
    auto back = other->container(sample.id);
    ASSERT_TRUE(back) << back.error().message();
    EXPECT_EQ(to_json(*back), to_json(sample));
}

TEST_F(StoreTest, FoundByIdNameAndPrefix) {
    ASSERT_TRUE(store_->insert_container(container("web", 'a')));
    ASSERT_TRUE(store_->insert_container(container("aaaa", 'b')));
    EXPECT_EQ(store_->container("web")->id, std::string(64, 'a'));
    EXPECT_EQ(store_->container("/web")->id, std::string(64, 'a'));
    EXPECT_EQ(store_->container(std::string(64, 'a'))->spec.name, "web");
    EXPECT_EQ(store_->container("aaa")->spec.name, "web");
    EXPECT_EQ(store_->container("aaaa")->id, std::string(64, 'b')) << "a name goes before a prefix";
    auto absent = store_->container("nosuch");
    ASSERT_FALSE(absent);
    EXPECT_EQ(absent.error().code, Code::not_found);
    EXPECT_EQ(absent.error().message(), "No such container: nosuch");
    EXPECT_FALSE(store_->container(""));
    auto twin = container("twin", 'a');
    twin.id.back() = 'c';
    ASSERT_TRUE(store_->insert_container(twin));
    EXPECT_EQ(store_->container("aaa").error().code, Code::conflict);
}

TEST_F(StoreTest, ATakenNameIsAConflictInDockersWords) {
    ASSERT_TRUE(store_->insert_container(container("fixed", 'a')));
    auto second = store_->insert_container(container("fixed", 'b'));
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Code::conflict);
    EXPECT_EQ(second.error().message(), "Conflict. The container name \"/fixed\" is already in use by container \"" + std::string(64, 'a') +
                                            "\". You have to remove (or rename) that container to be able to reuse that name.");
    ASSERT_TRUE(store_->insert_container(container("other", 'b')));
    EXPECT_EQ(store_->rename_container(std::string(64, 'b'), "fixed").error().code, Code::conflict);
    ASSERT_TRUE(store_->rename_container(std::string(64, 'b'), "third"));
    EXPECT_EQ(store_->container("third")->spec.name, "third");
    ASSERT_TRUE(store_->erase_container(std::string(64, 'a')));
    EXPECT_TRUE(store_->rename_container(std::string(64, 'b'), "fixed"));
}

TEST_F(StoreTest, FiltersByLabelsIdsAndImage) {
    for (char digit : {'1', '2', '3'}) {
        auto info = container(std::string("c") + digit, digit);
        info.spec.labels["com.docker.compose.project"] = digit == '3' ? "q" : "p";
        info.spec.labels["service"] = digit == '1' ? "web" : "db";
        if (digit == '2') info.spec.image_id = "sha256:11";
        info.supervisor = info.spec.labels["com.docker.compose.project"];
        ASSERT_TRUE(store_->insert_container(info));
    }
    auto names = [&](Store::ContainerQuery query) {
        std::vector<std::string> found;
        auto containers = store_->containers(query);
        EXPECT_TRUE(containers);
        for (const auto& info : *containers) found.push_back(info.spec.name);
        return found;
    };
    using Names = std::vector<std::string>;
    EXPECT_EQ(names({}), (Names{"c1", "c2", "c3"}));
    EXPECT_EQ(names({.labels = {{"com.docker.compose.project", "p"}}}), (Names{"c1", "c2"}));
    EXPECT_EQ(names({.labels = {{"com.docker.compose.project", ""}}}), (Names{"c1", "c2", "c3"}));
    EXPECT_EQ(names({.labels = {{"com.docker.compose.project", "p"}, {"service", "db"}}}), (Names{"c2"}));
    EXPECT_EQ(names({.labels = {{"absent", ""}}}), Names{});
    EXPECT_EQ(names({.ids = {std::string(64, '3'), std::string(64, '9')}}), (Names{"c3"}));
    EXPECT_EQ(names({.image_id = "sha256:11"}), (Names{"c2"}));
    EXPECT_EQ(names({.supervisor = "q"}), (Names{"c3"}));
}

TEST_F(StoreTest, StateIsChangedInOneTransaction) {
    auto info = container("web", 'a');
    ASSERT_TRUE(store_->insert_container(info));
    info.state.status = ContainerStatus::running;
    info.state.pid = 7;
    ASSERT_TRUE(store_->update_state(info.id, info.state));
    ASSERT_TRUE(store_->modify_state(info.id, [](ContainerState& state) { return ++state.restart_count, true; }));
    ASSERT_TRUE(store_->modify_state(info.id, [](ContainerState& state) { return state.pid = 99, false; }));
    auto state = store_->container_state(info.id);
    ASSERT_TRUE(state);
    EXPECT_EQ(state->pid, 7);
    EXPECT_EQ(state->restart_count, 1);
    EXPECT_EQ(state->status, ContainerStatus::running);
    EXPECT_EQ(store_->update_state(std::string(64, 'f'), {}).error().code, Code::not_found);
    ASSERT_TRUE(store_->set_runtime(info.id, {samples::endpoint_state()}, {samples::port()}));
    EXPECT_EQ(store_->container("web")->endpoints.size(), 1u);
    EXPECT_EQ(store_->container("web")->ports.front(), samples::port());
}

TEST_F(StoreTest, AFailedTransactionLeavesNothing) {
    auto failed = store_->transaction([&]() -> base::Status {
        TRY_VOID(store_->insert_container(container("web", 'a')));
        return base::fail(Code::invalid, "on purpose");
    });
    EXPECT_FALSE(failed);
    EXPECT_FALSE(store_->container("web"));
}

TEST_F(StoreTest, UsersOfNetworksAndVolumes) {
    auto info = container("web", 'a');
    info.spec.endpoints = {samples::endpoint()};
    info.spec.mounts = {Mount{.type = Mount::Type::volume, .source = "data", .target = "/d"}, Mount{.type = Mount::Type::bind, .source = "/x", .target = "/x"}};
    ASSERT_TRUE(store_->insert_container(info));
    using Names = std::vector<std::string>;
    EXPECT_EQ(*store_->network_users("net"), Names{"web"});
    EXPECT_EQ(*store_->network_users("net", true), Names{}) << "it does not run";
    EXPECT_EQ(*store_->volume_users("data"), Names{"web"});
    info.state.status = ContainerStatus::running;
    ASSERT_TRUE(store_->update_state(info.id, info.state));
    EXPECT_EQ(*store_->network_users("net", true), Names{"web"});
    ASSERT_TRUE(store_->erase_container(info.id));
    EXPECT_EQ(*store_->network_users("net"), Names{});
    EXPECT_EQ(*store_->volume_users("data"), Names{});
}

TEST_F(StoreTest, NetworksAndVolumesComeBackWhole) {
    ASSERT_TRUE(store_->insert_network(samples::network()));
    EXPECT_EQ(to_json(*store_->network("n")), to_json(samples::network()));
    EXPECT_EQ(to_json(*store_->network("bbbb")), to_json(samples::network()));
    EXPECT_EQ(store_->insert_network(samples::network()).error().code, Code::conflict);
    EXPECT_EQ(store_->networks({{"a", "b"}})->size(), 1u);
    EXPECT_EQ(store_->networks({{"a", "c"}})->size(), 0u);
    EXPECT_EQ(store_->network("x").error().message(), "network x not found");
    ASSERT_TRUE(store_->erase_network(samples::network().id));
    EXPECT_EQ(store_->network("n").error().code, Code::not_found);

    ASSERT_TRUE(store_->insert_volume(samples::volume()));
    EXPECT_EQ(to_json(*store_->volume("v")), to_json(samples::volume()));
    EXPECT_EQ(store_->volumes({})->size(), 1u);
    ASSERT_TRUE(store_->erase_volume("v"));
    EXPECT_EQ(store_->volume("v").error().message(), "no such volume: v");
}

TEST_F(StoreTest, LeasesAreUniqueStableAndReleased) {
    auto net = network("n", 'c', "10.9.0.0/29", "10.9.0.1");
    ASSERT_TRUE(store_->insert_network(net));
    std::vector<std::string> given;
    for (char digit : {'1', '2', '3', '4', '5'}) {
        auto endpoint = store_->lease_address(net, std::string(64, digit), {.network = "n", .aliases = {"web"}});
        ASSERT_TRUE(endpoint) << endpoint.error().message();
        given.push_back(endpoint->ipv4);
        EXPECT_EQ(endpoint->prefix4, 29);
        EXPECT_EQ(endpoint->gateway4, "10.9.0.1");
        EXPECT_EQ(endpoint->aliases, std::vector<std::string>{"web"});
    }
    EXPECT_EQ(given, (std::vector<std::string>{"10.9.0.2", "10.9.0.3", "10.9.0.4", "10.9.0.5", "10.9.0.6"}));
    EXPECT_EQ(store_->lease_address(net, std::string(64, '3'), {})->ipv4, "10.9.0.4") << "asked again: the same";
    auto full = store_->lease_address(net, std::string(64, '6'), {});
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().code, Code::conflict);
    EXPECT_NE(full.error().message().find("no available IPv4 addresses on this network's address pools: n"), std::string::npos);
    ASSERT_TRUE(store_->release_addresses(std::string(64, '2')));
    EXPECT_EQ(store_->lease_address(net, std::string(64, '6'), {})->ipv4, "10.9.0.3");
    ASSERT_TRUE(store_->erase_container(std::string(64, '6')));
    EXPECT_EQ(store_->lease_address(net, std::string(64, '7'), {})->ipv4, "10.9.0.3");
}

TEST_F(StoreTest, LeasesOfAskedForAddresses) {
    auto net = network("n", 'c', "10.9.0.0/24", "10.9.0.1");
    net.subnet6 = "fd00:9::/64";
    net.gateway6 = "fd00:9::1";
    net.spec.pools = {{"10.9.0.0/24", "", "10.9.0.128/30", {{"router", "10.9.0.128"}}}, {"fd00:9::/64", "", "", {}}};
    ASSERT_TRUE(store_->insert_network(net));
    auto lease = [&](char digit, Endpoint endpoint) { return store_->lease_address(net, std::string(64, digit), endpoint); };
    auto first = lease('1', {.ipv4 = "10.9.0.77", .ipv6 = "fd00:9::77"});
    ASSERT_TRUE(first) << first.error().message();
    EXPECT_EQ(first->ipv4, "10.9.0.77") << "outside the ip_range is fine when asked for";
    EXPECT_EQ(first->ipv6, "fd00:9::77");
    EXPECT_EQ(first->prefix6, 64);
    auto taken = lease('2', {.ipv4 = "10.9.0.77"});
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().code, Code::conflict);
    EXPECT_NE(taken.error().message().find("Address already in use"), std::string::npos);
    EXPECT_EQ(lease('2', {.ipv4 = "10.9.0.1"}).error().code, Code::conflict) << "the gateway's";
    EXPECT_EQ(lease('2', {.ipv4 = "10.8.0.5"}).error().code, Code::invalid);
    EXPECT_EQ(lease('2', {.ipv4 = "10.9.0"}).error().code, Code::invalid);
    auto ranged = lease('2', {});
    ASSERT_TRUE(ranged);
    EXPECT_EQ(ranged->ipv4, "10.9.0.129") << "the lowest of the range but the auxiliary one";
    EXPECT_EQ(ranged->ipv6, "fd00:9::2");
    auto plain = network("plain", 'd', "10.10.0.0/24", "10.10.0.1");
    ASSERT_TRUE(store_->insert_network(plain));
    auto refused = store_->lease_address(plain, std::string(64, '1'), {.ipv4 = "10.10.0.9"});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message(), "user specified IP address is supported only when connecting to networks with user configured subnets");
}

TEST_F(StoreTest, EventsInOrder) {
    for (int i = 1; i <= 5; ++i) ASSERT_TRUE(store_->add_event({.time = i * 10, .type = "container", .action = "a" + std::to_string(i)}));
    auto all = store_->events_since(0, 100);
    ASSERT_TRUE(all);
    ASSERT_EQ(all->size(), 5u);
    EXPECT_EQ(all->front().action, "a1");
    int64_t from = *store_->event_sequence_at(30);
    auto later = store_->events_since(from, 2);
    ASSERT_EQ(later->size(), 2u);
    EXPECT_EQ(later->front().action, "a3");
    auto made = container_event(samples::container(), "die", {{"exitCode", "3"}});
    EXPECT_EQ(made.attributes["name"], "p-web-1");
    EXPECT_EQ(made.attributes["image"], "web:1");
    EXPECT_EQ(made.attributes["exitCode"], "3");
    EXPECT_EQ(made.attributes["com.docker.compose.project"], "p");
}

TEST_F(StoreTest, ManyThreadsAndProcessesWriteAtOnce) {
    constexpr int kThreads = 8, kEach = 20;
    std::vector<std::unique_ptr<Store>> stores;
    for (int i = 0; i < kThreads / 2; ++i) stores.push_back(open());
    std::atomic<int> failures = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t)
        threads.emplace_back([&, t] {
            Store& store = *stores[static_cast<size_t>(t) / 2];  // two threads share a store
            for (int i = 0; i < kEach; ++i) {
                ContainerInfo info;
                info.id = base::random_hex(64);
                info.spec.name = "c" + std::to_string(t) + "-" + std::to_string(i);
                if (!store.insert_container(info) || !store.modify_state(info.id, [](ContainerState& s) { return s.pid = 1, true; })) ++failures;
            }
        });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(failures, 0);
    EXPECT_EQ(store_->containers({})->size(), static_cast<size_t>(kThreads * kEach));
}

TEST(Paths, GroupsBecomeShortFolders) {
    EXPECT_EQ(Paths::folder_name("shop"), "shop");
    EXPECT_EQ(Paths::folder_name(""), "_");
    for (const char* odd : {"../x", "a/b", ".hidden", "_", "x y"}) {
        EXPECT_EQ(Paths::folder_name(odd).find('/'), std::string::npos);
        EXPECT_TRUE(Paths::folder_name(odd).starts_with("_")) << odd;
        EXPECT_GT(Paths::folder_name(odd).size(), 10u) << odd;
    }
    EXPECT_LE(Paths::folder_name(std::string(200, 'a')).size(), 40u);
}

TEST(Paths, AnotherRootHasARunFolderOfItsOwn) {
    auto one = Paths::resolve("/tmp/store-test-one", ""), two = Paths::resolve("/tmp/store-test-two/", ""), given = Paths::resolve("/tmp/x", "/tmp/run");
    ASSERT_TRUE(one && two && given);
    EXPECT_NE(one->run, two->run);
    EXPECT_EQ(two->root, "/tmp/store-test-two");
    EXPECT_EQ(given->run, "/tmp/run");
    EXPECT_LT(one->supervisor_socket(std::string(200, 'g')).size(), 108u);
}

TEST(Address, NumbersAndTexts) {
    EXPECT_EQ(Address::parse("10.0.0.9")->text(), "10.0.0.9");
    EXPECT_EQ(Address::parse("fd00::1")->text(), "fd00::1");
    EXPECT_FALSE(Address::parse("10.0.0"));
    EXPECT_EQ(Address::from_key(Address::parse("fd00::abcd")->key()), *Address::parse("fd00::abcd"));
    EXPECT_EQ(Subnet::parse("10.1.2.3/8")->first().text(), "10.0.0.0");
    EXPECT_EQ(Subnet::parse("10.1.2.3/30")->last().text(), "10.1.2.3");
    EXPECT_EQ(Subnet::parse("::/0")->last().text(), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    EXPECT_FALSE(Subnet::parse("10.0.0.0/33"));
    EXPECT_FALSE(Subnet::parse("10.0.0.0"));
    auto range = *Subnet::parse("10.0.0.0/30");
    EXPECT_FALSE(lowest_free(range, {*Address::parse("10.0.0.0"), *Address::parse("10.0.0.1"), *Address::parse("10.0.0.2"), *Address::parse("10.0.0.3")}));
    EXPECT_EQ(lowest_free(range, {*Address::parse("9.0.0.0"), *Address::parse("10.0.0.0"), *Address::parse("10.0.0.0")})->text(), "10.0.0.1");
}

}  // namespace
}  // namespace engine::store

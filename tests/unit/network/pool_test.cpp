// Addresses, subnets and which of them a network and a container get.
#include "network/pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace engine::network {
namespace {

using testing::HasSubstr;

TEST(Address, parses_prints_and_counts) {
    EXPECT_EQ(Address::parse("10.0.0.255")->plus(1).text(), "10.0.1.0");
    EXPECT_EQ(Address::parse("fd00::ffff")->plus(1).text(), "fd00::1:0");
    EXPECT_EQ(Address::parse("255.255.255.255")->plus(1).text(), "0.0.0.0");
    EXPECT_TRUE(Address::parse("127.3.2.1")->is_loopback());
    EXPECT_TRUE(Address::parse("::1")->is_loopback());
    EXPECT_FALSE(Address::parse("::2")->is_loopback());
    for (const char* text : {"", "1.2.3", "1.2.3.4.5", "1.2.3.256", "::g", "1.2.3.4/8", " 1.2.3.4", "01.2.3.4"})
        EXPECT_FALSE(Address::parse(text)) << text;
    EXPECT_FALSE(Address::parse(std::string_view("1.2.3.4\0x", 9)));
}

TEST(Prefix, contains_and_overlaps) {
    struct Row {
        const char *a, *b;
        bool overlaps;
    } rows[] = {
        {"10.0.0.0/8", "10.1.0.0/16", true},   {"10.1.0.0/16", "10.0.0.0/8", true},     {"10.0.0.0/9", "10.128.0.0/9", false},
        {"0.0.0.0/0", "192.168.0.0/16", true}, {"fd00::/8", "fd00:1::/64", true},       {"10.0.0.0/8", "fd00::/8", false},
        {"10.0.0.0/31", "10.0.0.2/31", false}, {"fd00::/64", "fd00:0:0:1::/64", false},
    };
    for (const Row& row : rows) EXPECT_EQ(Prefix::parse(row.a)->overlaps(*Prefix::parse(row.b)), row.overlaps) << row.a << " " << row.b;
    EXPECT_EQ(Prefix::parse("10.1.2.3/16")->text(), "10.1.0.0/16") << "host bits are cleared";
    EXPECT_EQ(Prefix::parse("10.1.0.0/20")->last().text(), "10.1.15.255");
    EXPECT_EQ(Prefix::parse("fd00::/120")->last().text(), "fd00::ff");
    for (const char* text : {"10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1", "fd00::/129", "10.0.0.0/", "/8", "x/8"})
        EXPECT_FALSE(Prefix::parse(text)) << text;
}

TEST(Mac, from_address_and_text) {
    EXPECT_EQ(mac_text(mac_from(*Address::parse("172.17.0.2"))), "02:42:ac:11:00:02");
    EXPECT_EQ(mac_text(mac_from(*Address::parse("fd00::12:3456"))), "02:42:00:12:34:56");
    EXPECT_EQ(mac_text(*parse_mac("02-42-AC-11-00-02")), "02:42:ac:11:00:02");
    for (const char* text : {"", "02:42:ac:11:00", "02:42:ac:11:00:0g", "02:42:ac:11:00:02:03", "01:00:00:00:00:00", "02.42.ac.11.00.02"})
        EXPECT_FALSE(parse_mac(text)) << text;
}

std::vector<Prefix> prefixes(const std::vector<std::string>& texts) {
    std::vector<Prefix> list;
    for (const std::string& text : texts) list.push_back(*Prefix::parse(text));
    return list;
}

TEST(ChooseSubnet, docker_order_around_what_is_taken) {
    EXPECT_EQ(choose_subnet4({})->text(), "172.17.0.0/16");
    EXPECT_EQ(choose_subnet4(prefixes({"172.17.0.0/16", "172.18.5.0/24"}))->text(), "172.19.0.0/16");
    EXPECT_EQ(choose_subnet4(prefixes({"172.16.0.0/12"}))->text(), "192.168.0.0/20");
    EXPECT_EQ(choose_subnet4(prefixes({"172.16.0.0/12", "192.168.1.0/24"}))->text(), "192.168.16.0/20");
    EXPECT_EQ(choose_subnet4(prefixes({"172.16.0.0/12", "192.168.0.0/16"}))->text(), "10.208.0.0/24") << "more than Docker's thirty";
    auto none = choose_subnet4(prefixes({"172.16.0.0/12", "192.168.0.0/16", "10.0.0.0/8"}));
    ASSERT_FALSE(none);
    EXPECT_THAT(none.error().message(), HasSubstr("could not find an available, non-overlapping IPv4 address pool"));
}

TEST(ChooseSubnet, four_hundred_networks) {
    std::vector<Prefix> taken;
    for (int i = 0; i < 400; i++) {
        auto subnet = choose_subnet4(taken);
        ASSERT_TRUE(subnet);
        for (const Prefix& other : taken) ASSERT_FALSE(subnet->overlaps(other));
        taken.push_back(*subnet);
    }
}

TEST(ChooseSubnet, six_is_unique_local_and_stable) {
    auto subnet = *choose_subnet6("id", {});
    EXPECT_EQ(subnet.length, 64);
    EXPECT_EQ(subnet.base.bytes[0], 0xfd);
    EXPECT_EQ(*choose_subnet6("id", {}), subnet);
    std::vector<Prefix> taken{subnet};
    EXPECT_NE(*choose_subnet6("id", taken), subnet);
}

NetworkInfo network(std::vector<IpamPool> pools, bool v6 = false) {
    NetworkInfo info;
    info.id = "0123456789abcdef";
    info.spec.name = "n";
    info.spec.pools = std::move(pools);
    info.spec.enable_ipv6 = v6;
    return info;
}

TEST(FillSubnets, configured_is_honoured_and_checked) {
    struct Row {
        const char* name;
        std::vector<IpamPool> pools;
        bool v6;
        std::vector<std::string> networks, host;
        const char *subnet4, *gateway4, *subnet6, *error;
    } rows[] = {
        {"nothing asked for", {}, false, {}, {}, "172.17.0.0/16", "172.17.0.1", "", ""},
        {"host routes are avoided", {}, false, {}, {"172.17.0.0/16", "0.0.0.0/0"}, "172.18.0.0/16", "172.18.0.1", "", ""},
        {"subnet", {{"10.5.0.0/16", "", "", {}}}, false, {}, {}, "10.5.0.0/16", "10.5.0.1", "", ""},
        {"a configured subnet may overlap a host route",
         {{"10.5.0.0/16", "", "", {}}},
         false,
         {},
         {"10.0.0.0/8"},
         "10.5.0.0/16",
         "10.5.0.1",
         "",
         ""},
        {"gateway", {{"10.5.0.0/24", "10.5.0.254", "", {}}}, false, {}, {}, "10.5.0.0/24", "10.5.0.254", "", ""},
        {"aux has the first address",
         {{"10.5.0.0/24", "", "", {{"router", "10.5.0.1"}}}},
         false,
         {},
         {},
         "10.5.0.0/24",
         "10.5.0.2",
         "",
         ""},
        {"six beside a chosen four", {{"fd00:9::/64", "", "", {}}}, true, {}, {}, "172.17.0.0/16", "172.17.0.1", "fd00:9::/64", ""},
        {"six without being enabled", {{"fd00:9::/64", "", "", {}}}, false, {}, {}, "172.17.0.0/16", "172.17.0.1", "", ""},
        {"overlap",
         {{"10.5.0.0/16", "", "", {}}},
         false,
         {"10.5.1.0/24"},
         {},
         "",
         "",
         "",
         "invalid pool request: Pool overlaps with other one on this address space"},
        {"gateway outside",
         {{"10.5.0.0/24", "10.6.0.1", "", {}}},
         false,
         {},
         {},
         "",
         "",
         "",
         "gateway 10.6.0.1 is outside the subnet 10.5.0.0/24"},
        {"gateway is broadcast", {{"10.5.0.0/24", "10.5.0.255", "", {}}}, false, {}, {}, "", "", "", "network or broadcast address"},
        {"range outside", {{"10.5.0.0/24", "", "10.6.0.0/28", {}}}, false, {}, {}, "", "", "", "ip_range 10.6.0.0/28 is outside"},
        {"range wider", {{"10.5.0.0/24", "", "10.5.0.0/16", {}}}, false, {}, {}, "", "", "", "is outside"},
        {"aux outside", {{"10.5.0.0/24", "", "", {{"x", "10.6.0.1"}}}}, false, {}, {}, "", "", "", "aux_addresses \"x\""},
        {"too small", {{"10.5.0.0/31", "", "", {}}}, false, {}, {}, "", "", "", "too small"},
        {"no subnet", {{"", "10.5.0.1", "", {}}}, false, {}, {}, "", "", "", "gateway and ip_range need a subnet"},
        {"nonsense", {{"10.5.0.0", "", "", {}}}, false, {}, {}, "", "", "", "invalid subnet \"10.5.0.0\""},
        {"two of a family",
         {{"10.5.0.0/24", "", "", {}}, {"10.6.0.0/24", "", "", {}}},
         false,
         {},
         {},
         "",
         "",
         "",
         "more than one IPv4 subnet"},
    };
    for (const Row& row : rows) {
        NetworkInfo info = network(row.pools, row.v6);
        auto done = fill_subnets(info, prefixes(row.networks), prefixes(row.host));
        if (*row.error) {
            ASSERT_FALSE(done) << row.name;
            EXPECT_THAT(done.error().message(), HasSubstr(row.error)) << row.name;
            continue;
        }
        ASSERT_TRUE(done) << row.name << ": " << done.error().message();
        EXPECT_EQ(info.subnet4, row.subnet4) << row.name;
        EXPECT_EQ(info.gateway4, row.gateway4) << row.name;
        EXPECT_EQ(info.subnet6, row.subnet6) << row.name;
    }
}

NetworkInfo filled(std::vector<IpamPool> pools, bool v6 = false) {
    NetworkInfo info = network(std::move(pools), v6);
    EXPECT_TRUE(fill_subnets(info, {}, {}));
    return info;
}

TEST(Allocate, first_free_after_the_gateway) {
    NetworkInfo info = filled({});
    EXPECT_EQ(*allocate_text(info, false, {}), "172.17.0.2");
    EXPECT_EQ(*allocate_text(info, false, {"172.17.0.2", "172.17.0.4"}), "172.17.0.3");
    EXPECT_EQ(*allocate_text(info, false, {"172.17.0.2"}, "", "172.17.0.9"), "172.17.0.10") << "goes on after the last";
    EXPECT_EQ(*allocate_text(info, false, {}, "", "172.17.255.254"), "172.17.0.2") << "and round";
}

TEST(Allocate, gateway_at_the_end_ranges_and_aux) {
    EXPECT_EQ(*allocate_text(filled({{"10.5.0.0/24", "10.5.0.254", "", {}}}), false, {}), "10.5.0.1");
    EXPECT_EQ(*allocate_text(filled({{"10.5.0.0/24", "", "10.5.0.128/25", {}}}), false, {}), "10.5.0.128");
    EXPECT_EQ(*allocate_text(filled({{"10.5.0.0/24", "", "", {{"x", "10.5.0.2"}}}}), false, {}), "10.5.0.3");
    auto full = allocate_text(filled({{"10.5.0.0/24", "", "10.5.0.128/31", {}}}), false, {"10.5.0.128", "10.5.0.129"});
    ASSERT_FALSE(full);
    EXPECT_THAT(full.error().message(), HasSubstr("no available IP addresses on network \"n\""));
    EXPECT_EQ(*allocate_text(filled({{"10.5.0.0/24", "", "10.5.0.128/31", {}}}), false, {"10.5.0.128"}, "", "10.5.0.129"), "10.5.0.129")
        << "the last one, when it is the only one";
}

TEST(Allocate, requested_is_checked) {
    NetworkInfo info = filled({{"10.5.0.0/24", "", "10.5.0.128/25", {}}});
    EXPECT_EQ(*allocate_text(info, false, {}, "10.5.0.77"), "10.5.0.77") << "outside the range is fine";
    struct Row {
        const char *requested, *error;
    } rows[] = {
        {"10.5.0.9", "Address already in use"},
        {"10.5.0.1", "Address already in use"},
        {"10.5.0.0", "Address already in use"},
        {"10.5.0.255", "Address already in use"},
        {"10.6.0.1", "no configured subnet contains"},
        {"fd00::1", "no configured subnet contains"},
        {"nonsense", "invalid IP address"},
    };
    for (const Row& row : rows) {
        auto result = allocate_text(info, false, {"10.5.0.9"}, row.requested);
        ASSERT_FALSE(result) << row.requested;
        EXPECT_THAT(result.error().message(), HasSubstr(row.error));
    }
    EXPECT_THAT(allocate_text(filled({}), false, {}, "172.17.0.9").error().message(),
                HasSubstr("user specified IP address is supported only when connecting to networks with user configured subnets"));
}

TEST(Allocate, six) {
    NetworkInfo info = filled({{"fd00:9::/64", "", "", {}}}, true);
    EXPECT_EQ(*allocate_text(info, true, {}), "fd00:9::2");
    EXPECT_EQ(*allocate_text(info, true, {"fd00:9::2"}), "fd00:9::3");
    EXPECT_EQ(*allocate_text(info, true, {}, "fd00:9::77"), "fd00:9::77");
    EXPECT_FALSE(allocate_text(network({}), true, {}));
}

TEST(Allocate, fills_a_subnet_completely) {
    NetworkInfo info = filled({{"10.5.0.0/28", "", "", {}}});
    std::set<Address> used;
    for (int i = 0; i < 13; i++) {
        auto address = allocate(info, false, used);
        ASSERT_TRUE(address) << i;
        ASSERT_TRUE(used.insert(*address).second);
    }
    EXPECT_FALSE(allocate(info, false, used));
}

}  // namespace
}  // namespace engine::network

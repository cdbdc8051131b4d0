#include "network/files.h"

#include <gtest/gtest.h>

#include "network/dns.h"

namespace engine::network {
namespace {

constexpr const char* kLoopback =
    "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

TEST(Hosts, loopback_extra_and_own_in_this_order) {
    struct Row {
        const char* name;
        HostsInput input;
        const char* rest;
    } rows[] = {
        {"none", {}, ""},
        {"own", {"web", "", {"172.17.0.2", "fd00::2"}, {}, ""}, "172.17.0.2\tweb\nfd00::2\tweb\n"},
        {"domain", {"hh", "example.org", {"172.17.0.2"}, {}, ""}, "172.17.0.2\thh.example.org hh\n"},
        {"a host name with a domain in it", {"web.example.org", "", {"172.17.0.2"}, {}, ""}, "172.17.0.2\tweb.example.org web\n"},
        {"extra",
         {"web", "", {"172.17.0.2"}, {"a:10.1.2.3", "b=10.4.5.6", "six:fd00:99::7", "seven=[::1]", "gw:host-gateway"}, "172.17.0.1"},
         "10.1.2.3\ta\n10.4.5.6\tb\nfd00:99::7\tsix\n::1\tseven\n172.17.0.1\tgw\n172.17.0.2\tweb\n"},
        {"without a gateway the line is left out", {"web", "", {}, {"gw:host-gateway", "odd"}, ""}, ""},
    };
    for (const Row& row : rows) EXPECT_EQ(make_hosts(row.input), std::string(kLoopback) + row.rest) << row.name;
}

TEST(ResolvConf, embedded_and_plain) {
    const std::string host =
        "# local\nnameserver 10.0.0.53\nnameserver  10.0.0.54 \nsearch old.example\nsearch corp.example lab.example # here\noptions "
        "edns0\n";
    struct Row {
        const char* name;
        ResolvInput input;
        std::vector<std::string> has, lacks;
    } rows[] = {
        {"host's search and options",
         {true, {}, {}, {}, host},
         {"\nnameserver 127.0.0.11\n", "\nsearch corp.example lab.example\n", "\noptions edns0 ndots:0\n",
          "ExtServers: [host(10.0.0.53) host(10.0.0.54)]"},
         {"\nnameserver 10."}},
        {"own",
         {true, {"9.9.9.9"}, {"a.example"}, {"timeout:1"}, host},
         {"\nsearch a.example\n", "\noptions timeout:1 ndots:0\n", "ExtServers: [9.9.9.9]"},
         {"corp", "edns0"}},
        {"own ndots stays", {true, {}, {}, {"ndots:2"}, ""}, {"\noptions ndots:2\n"}, {"ndots:0", "search"}},
        {"a dot is no search list", {true, {}, {"."}, {}, host}, {}, {"search"}},
        {"plain",
         {false, {}, {}, {}, host},
         {"\nnameserver 10.0.0.53\nnameserver 10.0.0.54\n", "\noptions edns0\n"},
         {"127.0.0.11", "ndots"}},
        {"plain with own servers", {false, {"9.9.9.9"}, {}, {}, host}, {"\nnameserver 9.9.9.9\n"}, {"10.0.0.53"}},
    };
    for (const Row& row : rows) {
        std::string text = make_resolv_conf(row.input);
        for (const std::string& part : row.has) EXPECT_NE(text.find(part), std::string::npos) << row.name << ": " << part << "\n" << text;
        for (const std::string& part : row.lacks) EXPECT_EQ(text.find(part), std::string::npos) << row.name << ": " << part << "\n" << text;
    }
}

TEST(Nameservers, at_most_three_and_no_comments) {
    EXPECT_EQ(
        nameservers("nameserver 1.1.1.1\n#nameserver 2.2.2.2\n nameserver\t3.3.3.3\nnameserver ::1\nnameserver 4.4.4.4\nnameserver\n"),
        (std::vector<std::string>{"1.1.1.1", "3.3.3.3", "::1"}));
    EXPECT_TRUE(nameservers("").empty());
}

}  // namespace
}  // namespace engine::network

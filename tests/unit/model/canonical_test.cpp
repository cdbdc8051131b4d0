// YAML → the canonical form: short forms, merge rules, defaults, extends, include, tags.
#include <gtest/gtest.h>

#include "base/file.h"
#include "unit/model/project_files.h"

namespace compose::model::testing {

struct Row {
    const char* name;
    const char* yaml;
    const char* services;
};

const Row kForms[] = {
    {"ports", R"(services: {a: {image: x, ports: ["8080:80", 81, "127.0.0.1:90-91:92-93/udp", "9000-9002:9"]}})",
     R"({"a":{"image":"x","networks":{"default":null},"ports":[{"mode":"ingress","target":80,"published":"8080","protocol":"tcp"},)"
     R"({"mode":"ingress","target":81,"protocol":"tcp"},{"mode":"ingress","host_ip":"127.0.0.1","target":92,"published":"90","protocol":"udp"},)"
     R"({"mode":"ingress","host_ip":"127.0.0.1","target":93,"published":"91","protocol":"udp"},)"
     R"({"mode":"ingress","target":9,"published":"9000-9002","protocol":"tcp"}]}})"},
    {"volumes", R"(services: {a: {image: x, volumes: ["./d:/d:ro,z", "v1:/v", "/anonymous//"]}}
volumes: {v1: {}})",
     R"({"a":{"image":"x","networks":{"default":null},"volumes":[{"type":"bind","source":"@DIR@/d","target":"/d","read_only":true,)"
     R"("bind":{"selinux":"z","create_host_path":true}},{"type":"volume","source":"v1","target":"/v","volume":{}},)"
     R"({"type":"volume","target":"/anonymous","volume":{}}]}})"},
    {"command_line", R"(services: {a: {image: x, command: "run 'a b' \"c\" d\\ e", entrypoint: []}})",
     R"({"a":{"command":["run","a b","c","d e"],"entrypoint":[],"image":"x","networks":{"default":null}}})"},
    {"durations_and_sizes", R"(services: {a: {image: x, stop_grace_period: 90s, mem_limit: 1.5g, healthcheck: {test: t, interval: 1d}}})",
     R"({"a":{"healthcheck":{"test":["CMD-SHELL","t"],"interval":"24h0m0s"},"image":"x","mem_limit":"1610612736",)"
     R"("networks":{"default":null},"stop_grace_period":"1m30s"}})"},
    {"implied_dependencies", R"(services: {a: {image: x, links: ["b:bee"], pid: "service:c", volumes_from: [d]}, b: {image: x}, c: {image: x}, d: {image: x}})",
     R"({"a":{"depends_on":{"b":{"condition":"service_started","restart":true,"required":true},)"
     R"("c":{"condition":"service_started","restart":true,"required":true},"d":{"condition":"service_started","required":true}},"image":"x",)"
     R"("links":["b:bee"],"networks":{"default":null},"pid":"service:c","volumes_from":["d"]},)"
     R"("b":{"image":"x","networks":{"default":null}},"c":{"image":"x","networks":{"default":null}},"d":{"image":"x","networks":{"default":null}}})"},
    {"merge_keys", "x-1: &one {image: x, labels: {a: '1'}}\nx-2: &two {hostname: two, image: y}\nservices: {a: {<<: [*one, *two], labels: {b: '2'}}}",
     R"({"a":{"hostname":"two","image":"x","labels":{"b":"2"},"networks":{"default":null}}})"},
    {"scalars_of_yaml", "services: {a: {image: x, environment: {A: 0755, B: 0o17, C: 1_000, D: yes, E: 1e3, F: ~, G: 1:30, H: 0x1F, I: .5}}}",
     R"({"a":{"environment":{"A":"493","B":"15","C":"1000","D":"yes","E":"1000","F":null,"G":"1:30","H":"31","I":"0.5"},"image":"x",)"
     R"("networks":{"default":null}}})"},
};

TEST(Canonical, forms) {
    for (const Row& row : kForms) {
        SCOPED_TRACE(row.name);
        EXPECT_EQ(services_of(row.yaml), row.services);
    }
}

TEST(Canonical, extends_takes_a_list_whose_later_one_wins) {
    ProjectFiles files({{"compose.yaml",
                         "services:\n  a: {image: x, labels: {l: a, a: '1'}}\n  b: {image: y, hostname: h, labels: {l: b}}\n"
                         "  c: {extends: [a, {service: b}], labels: {c: '1'}}\n"}});
    Loaded loaded = load(files.options());
    ASSERT_TRUE(loaded.ok()) << findings(loaded);
    const Service& c = loaded.project.services.at("c");
    EXPECT_EQ(c.image, "y");
    EXPECT_EQ(c.hostname, "h");
    EXPECT_EQ(c.labels, (Labels{{"a", "1"}, {"c", "1"}, {"l", "b"}}));
}

TEST(Canonical, override_files_reset_and_override) {
    ProjectFiles files({{"compose.yaml",
                         "services:\n  a:\n    image: x\n    ports: ['80:80']\n    command: run\n    environment: {A: '1', B: '2'}\n    labels: {l: '1'}\n"
                         "  gone: {image: y}\n"},
                        {"compose.override.yaml",
                         "services:\n  a:\n    ports: !override ['90:90']\n    command: !reset null\n    environment: {A: !reset null, C: '3'}\n"
                         "  gone: !reset null\n"}});
    Loaded loaded = load(files.options());
    ASSERT_TRUE(loaded.ok()) << findings(loaded);
    EXPECT_FALSE(loaded.project.services.contains("gone"));
    const Service& a = loaded.project.services.at("a");
    ASSERT_EQ(a.ports.size(), 1u);
    EXPECT_EQ(a.ports[0].target, 90u);
    EXPECT_FALSE(a.command.has_value());
    EXPECT_EQ(a.environment, (Environment{{"B", "2"}, {"C", "3"}}));
    EXPECT_EQ(a.labels, (Labels{{"l", "1"}}));
}

TEST(Canonical, include_keeps_paths_and_variables_of_its_folder) {
    ProjectFiles files({{"compose.yaml", "include: [lib/compose.yaml]\nservices: {outer: {image: 'x:${TAG:-none}', depends_on: [inner]}}\n"},
                        {"lib/compose.yaml", "services: {inner: {image: 'x:${TAG}', volumes: ['./data:/d'], env_file: vars.env}}\n"},
                        {"lib/.env", "TAG=lib\n"},
                        {"lib/vars.env", "A=1\nB=${A}2\n"}});
    Loaded loaded = load(files.options());
    ASSERT_TRUE(loaded.ok()) << findings(loaded);
    EXPECT_EQ(loaded.project.services.at("outer").image, "x:none");
    const Service& inner = loaded.project.services.at("inner");
    EXPECT_EQ(inner.image, "x:lib");
    EXPECT_EQ(inner.volumes.at(0).source, files.folder() + "/lib/data");
    EXPECT_EQ(inner.environment, (Environment{{"A", "1"}, {"B", "12"}}));
}

TEST(Canonical, yaml_loads_back_to_the_same_model) {
    ProjectFiles files({{"compose.yaml",
                         "services:\n  a:\n    image: x\n    command: [\"sh\", \"-c\", \"echo $$HOME: # 'x'\\n\\ty\", \"\", \" \", \"yes\", \"1:30\", \"0x1\", \"null\"]\n"
                         "    environment: {MULTI: \"a\\nb\\n\", TRAIL: \"a\\nb\\n\\n\", LEAD: \"\\n a\", TAB: \"\\t\", CR: \"a\\rb\", ESC: \"\\e[0m\", UNI: \"\\u2028\\u0085ü🐳\", EMPTY: }\n"
                         "    ports: ['1.2.3.4:80-81:80-81/udp']\n    tmpfs: ['/a:size=1m']\n    extra_hosts: ['a=::1', 'a=1.1.1.1']\n"
                         "    ulimits: {nofile: {soft: 1, hard: 2}, nproc: 3}\n    deploy: {resources: {limits: {cpus: '0.1', memory: 5m}}}\n"
                         "    configs: [{source: c, mode: 0440}]\n    healthcheck: {test: [NONE]}\n    x-any: {k: [1, 1.5, true, null, '2024-01-01']}\n"
                         "configs: {c: {content: \"k: v\\n\"}}\n"}});
    Loaded first = load(files.options());
    ASSERT_TRUE(first.ok()) << findings(first);
    Node tree = to_tree(first.project);
    escape_dollars(tree);
    std::string text = to_yaml(tree);
    ASSERT_TRUE(base::write_file(files.folder() + "/compose.yaml", text));
    Loaded second = load(files.options());
    ASSERT_TRUE(second.ok()) << findings(second) << text;
    Node again = to_tree(second.project);
    escape_dollars(again);
    EXPECT_TRUE(tree == again) << text << "----\n" << to_yaml(again);
}

TEST(Canonical, the_hash_changes_with_what_makes_another_container) {
    auto hash = [](const std::string& body) {
        ProjectFiles files({{"compose.yaml", "services: {a: {image: x" + body + "}, b: {image: y}}\n"}});
        Loaded loaded = load(files.options());
        EXPECT_TRUE(loaded.ok()) << findings(loaded);
        return config_hash(loaded.project.services.at("a"));
    };
    std::string plain = hash("");
    EXPECT_EQ(plain.size(), 64u);
    for (const char* same : {", build: .", ", pull_policy: always", ", scale: 2", ", depends_on: [b]", ", x-any: 1", ", networks: [default]",
                             ", privileged: false", ", cap_add: []"}) {
        EXPECT_EQ(hash(same), plain) << same;
    }
    for (const char* other : {", attach: false", ", labels: {a: '1'}", ", restart: always", ", stop_grace_period: 1s", ", expose: ['1']",
                              ", deploy: {}", ", command: []", ", hostname: h", ", environment: {A: }"}) {
        EXPECT_NE(hash(other), plain) << other;
    }
    EXPECT_EQ(hash(", deploy: {}"), hash(", deploy: {replicas: 2}"));
}

TEST(Canonical, a_named_service_is_enabled_with_what_it_depends_on) {
    ProjectFiles files({{"compose.yaml",
                         "services:\n  web: {image: x, profiles: [front], depends_on: [db], env_file: e.env}\n  db: {image: y}\n  other: {image: z}\n"},
                        {"e.env", "A=1\n"}});
    Loaded loaded = load(files.options());
    ASSERT_TRUE(loaded.ok()) << findings(loaded);
    auto chosen = select_services(loaded.project, {"web"});
    ASSERT_TRUE(chosen) << chosen.error().message();
    EXPECT_EQ(*chosen, (std::vector<std::string>{"db", "web"}));
    EXPECT_EQ(loaded.project.services.at("web").environment, (Environment{{"A", "1"}}));
    auto unknown = select_services(loaded.project, {"wev"});
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().message(), "no such service: wev — did you mean \"web\"?");
}

TEST(Canonical, explain_names_every_place_that_had_a_say) {
    ProjectFiles files({{"compose.yaml", "services:\n  web:\n    image: x:${TAG}\n    hostname: one\n"},
                        {"compose.override.yaml", "services:\n  web:\n    hostname: two\n"},
                        {".env", "OTHER=1\nTAG=3\n"}});
    ConfigOptions options;
    options.load = files.options();
    options.explain = "web.image";
    std::string text = run_config(options).text;
    EXPECT_TRUE(text.starts_with("services.web.image: x:3\n  compose.yaml:3:12: x:${TAG}\n    TAG=3 from .env:2\n")) << text;
    options.explain = "web.hostname";
    text = run_config(options).text;
    EXPECT_TRUE(text.starts_with(
              "services.web.hostname: two\n  compose.override.yaml:3:15: two\n  compose.yaml:4:15: one  (overridden by compose.override.yaml)\n")) << text;
    options.load.environment = {{"TAG", "4"}};
    options.explain = "TAG";
    EXPECT_EQ(run_config(options).text, "TAG=4 from the environment (.env:2 says 3)\nused at\n  compose.yaml:3:12\n");
    options.load.environment.clear();
    EXPECT_EQ(run_config(options).text, "TAG=3 from .env:2\nused at\n  compose.yaml:3:12\n");
}

TEST(Canonical, explain_follows_bases_and_env_files) {
    ProjectFiles files({{"compose.yaml", "services:\n  web:\n    extends: [{file: base.yaml, service: a}, {file: base.yaml, service: b}]\n    image: x\n"
                                         "    env_file: [one.env, two.env]\n    environment:\n      LOG: warn\n      KEPT: here\n"},
                        {"base.yaml", "services:\n  a: {environment: {LOG: info}}\n  b: {environment: {LOG: debug}}\n"},
                        {"one.env", "# first\nMODE=slow\nKEPT=there\n"},
                        {"two.env", "MODE=fast\n"}});
    ConfigOptions options;
    options.load = files.options();
    options.explain = "web.environment";
    std::string text = run_config(options).text;
    const char* written =
        "services.web.environment.LOG: warn\n  compose.yaml:7:12: warn\n  base.yaml:3:26: debug  (overridden by service web, which extends it)\n"
        "  base.yaml:2:26: info  (overridden by the base b)\n"
        "services.web.environment.KEPT: here\n  compose.yaml:8:13: here\n  one.env:3:1: there  (overridden by environment)\n"
        "services.web.environment.MODE: fast\n  two.env:1:1: fast\n  one.env:2:1: slow  (overridden by two.env)\n";
    EXPECT_NE(text.find(written), std::string::npos) << text;
    options.explain = "MODE";
    text = run_config(options).text;
    EXPECT_TRUE(text.starts_with("MODE is no variable of the files, only of containers\nservices.web.environment.MODE: fast\n  two.env:1:1: fast\n")) << text;
    options.explain = "web.nothing";
    EXPECT_EQ(run_config(options).status, 1);
}

TEST(Canonical, a_reset_value_is_not_looked_at) {
    ProjectFiles files({{"compose.yaml", "services:\n  web: {image: x, read_only: true, cpus: 2}\n"},
                        {"compose.override.yaml", "services:\n  web: {read_only: !reset \"null\", cpus: !reset \"${NO:?such}\"}\n"}});
    Loaded loaded = load(files.options());
    EXPECT_EQ(findings(loaded), "");
    EXPECT_FALSE(loaded.project.services.at("web").read_only);
    EXPECT_EQ(loaded.project.services.at("web").cpus, 0);
}

TEST(Canonical, an_empty_bind_source_is_the_project_directory) {
    std::string text = services_of("services:\n  a: {image: x, volumes: [{type: bind, source: \"${NO-}\", target: /b}]}\n");
    EXPECT_NE(text.find("\"source\":\"@DIR@\""), std::string::npos) << text;
}

TEST(Canonical, scale_is_printed_as_replicas_beside_deploy) {
    EXPECT_NE(services_of("services:\n  a: {image: x, scale: 2, deploy: {}}\n").find("\"replicas\":2"), std::string::npos);
}

}  // namespace compose::model::testing

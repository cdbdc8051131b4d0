// YAML → the text of what is wrong with it. Places are those where the value was written.
#include <gtest/gtest.h>

#include "unit/model/project_files.h"

namespace compose::model::testing {

struct FindingRow {
    const char* name;
    const char* yaml;
    const char* findings;
};

const FindingRow kErrors[] = {
    {"misspelt_attribute", "services:\n  web:\n    imagee: x\n    image: y\n",
     "compose.yaml:3:5: services.web: unknown property \"imagee\" — did you mean \"image\"?\n"},
    {"attribute_of_a_part", "services:\n  web: {image: x, replicas: 2}\n",
     "compose.yaml:2:19: services.web: unknown property \"replicas\" — it belongs below \"deploy\"\n"},
    {"all_at_once", "services:\n  web: {imagee: x}\n  db: {image: 5, restart: yes}\nvolums: {}\n",
     "compose.yaml:2:9: services.web: unknown property \"imagee\" — did you mean \"image\"?\n"
     "compose.yaml:3:15: services.db.image: must be a string, not an integer — put it in quotes\n"
     "compose.yaml:4:1: unknown property \"volums\" — did you mean \"volumes\"?\n"},
    {"list_wanted", "services:\n  web: {image: x, cap_add: NET_ADMIN}\n",
     "compose.yaml:2:28: services.web.cap_add: must be a list, not a string — write [NET_ADMIN]\n"},
    {"one_of_some", "services:\n  web: {image: x, depends_on: {db: {condition: service_helthy}}}\n  db: {image: y}\n",
     "compose.yaml:2:48: services.web.depends_on.db.condition: must be one of 'service_started', 'service_healthy', "
     "'service_completed_successfully', not \"service_helthy\" — did you mean \"service_healthy\"?\n"},
    {"undefined_dependency", "services:\n  web: {image: x, depends_on: [dbb]}\n  db: {image: y}\n",
     "compose.yaml:2:32: services.web.depends_on.dbb: service \"web\" depends on undefined service \"dbb\": invalid compose project "
     "— did you mean \"db\"?\n"},
    {"hidden_by_profile", "services:\n  web: {image: x, depends_on: [db]}\n  db: {image: y, profiles: [dev]}\n",
     "compose.yaml:2:32: services.web.depends_on.db: service \"web\" depends on undefined service \"db\": invalid compose project "
     "— \"db\" is disabled by profile dev: enable it with --profile, or set required: false\n"},
    {"cycle", "services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [a]}\n",
     "compose.yaml:2:30: services.a.depends_on.b: dependency cycle detected: a -> b -> a\n"},
    {"duplicate_key", "services:\n  web:\n    image: x\n    image: y\n",
     "compose.yaml:4:5: services.web: mapping key \"image\" already defined at line 3\n"},
    {"tab", "services:\n\tweb:\n\t\timage: x\n",
     "compose.yaml:2:1: not valid YAML: while scanning for the next token (line 2): found character that cannot start any token "
     "— indent with blanks, YAML takes no tabs\n"},
    {"unknown_anchor", "x-a: &base {image: x}\nservices:\n  web: *bas\n",
     "compose.yaml:3:8: services.web: unknown anchor 'bas' referenced — did you mean *base?\n"},
    {"required_variable", "services:\n  web: {image: \"x:${TAG:?say which}\"}\n",
     "compose.yaml:2:16: services.web.image: required variable TAG is missing a value: say which\n"},
    {"bad_template", "services:\n  web: {image: \"x:${}\"}\n",
     "compose.yaml:2:16: services.web.image: invalid interpolation format \"x:${}\" — you may need to escape any $ with another $\n"},
    {"bad_port", "services:\n  web: {image: x, ports: [\"99999:80\"]}\n",
     "compose.yaml:2:27: services.web.ports[0]: Invalid hostPort: 99999 — write [[IP:]HOST:]CONTAINER[/PROTOCOL]\n"},
    {"bad_duration", "services:\n  web: {image: x, stop_grace_period: soon}\n",
     "compose.yaml:2:38: services.web.stop_grace_period: invalid duration \"soon\" — write numbers with units, as 1m30s\n"},
    {"bad_size", "services:\n  web: {image: x, mem_limit: 5 apples}\n",
     "compose.yaml:2:30: services.web.mem_limit: invalid suffix: 'apples' — write bytes with a unit, as 512m or 1.5g\n"},
    {"path_as_volume", "services:\n  web: {image: x, volumes: [\"data/sub:/d\"]}\n",
     "compose.yaml:2:29: services.web.volumes[0]: service \"web\" refers to undefined volume data/sub: invalid compose project "
     "— a path starts with ./ : ./data/sub\n"},
    {"not_a_mapping", "- services\n",
     "compose.yaml:1:1: top-level object must be a mapping, not a list — a Compose file starts with a key, as services:\n"},
    {"letters_exchanged", "services:\n  web: {imgae: x}\n", "compose.yaml:2:9: services.web: unknown property \"imgae\" — did you mean \"image\"?\n"},
    {"name_of_other_tools", "services:\n  web: {image: x, env: {A: b}}\n",
     "compose.yaml:2:19: services.web: unknown property \"env\" — did you mean \"environment\"?\n"},
    {"service_at_the_top", "web:\n  image: x\n", "compose.yaml:1:1: unknown property \"web\" — services stand below services:, indented\n"},
    {"attribute_beside_services", "services:\n  web: {image: x}\n  ports: [\"80\"]\n",
     "compose.yaml:3:10: services.ports: must be a mapping, not a list — \"ports\" is an attribute of a service: indent it below one\n"},
    {"blank_after_colon", "services:\n  web:\n    image:x\n",
     "compose.yaml:3:5: services.web: must be a mapping, not a string — a blank lacks behind the colon: image: x\n"},
    {"only_the_image", "services:\n  web: nginx\n",
     "compose.yaml:2:8: services.web: must be a mapping, not a string — write image: nginx below it\n"},
    {"empty_service", "services:\n  web:\n",
     "compose.yaml:2:7: services.web: must be a mapping, not empty — say what it is below its name, at least image: or build:\n"},
    {"names_with_dashes", "services:\n  web: {image: x}\nvolumes:\n  - data\n",
     "compose.yaml:4:3: volumes: must be a mapping, not a list — leave out the dashes, write the name as a key: data:\n"},
    {"text_for_a_list", "services:\n  web: {image: x, ports: \"80:80\"}\n",
     "compose.yaml:2:26: services.web.ports: must be a list, not a string — write [\"80:80\"]\n"},
    {"number_for_a_boolean", "services:\n  web: {image: x, read_only: 1}\n",
     "compose.yaml:2:30: services.web.read_only: must be a string or true or false, not an integer — write true or false\n"},
    {"number_for_a_duration", "services:\n  web: {image: x, healthcheck: {test: [NONE], interval: 10}}\n",
     "compose.yaml:2:57: services.web.healthcheck.interval: must be a string, not an integer — write it with its unit, as 10s\n"},
    {"mapping_in_a_list", "services:\n  web:\n    image: x\n    environment:\n      - A: 1\n",
     "compose.yaml:5:9: services.web.environment[0]: must be a string, not a mapping — write KEY=VALUE, or make the list a mapping\n"},
    {"no_image", "services:\n  web:\n    ports: [\"80\"]\n",
     "compose.yaml:2:3: services.web: service \"web\" has neither an image nor a build context specified: invalid compose project\n"},
    {"broken_services_are_checked_too", "services:\n  web: {image: x, networks: [nowhere], tty: maybe}\n",
     "compose.yaml:2:29: services.web.networks.nowhere: service \"web\" refers to undefined network nowhere: invalid compose project\n"
     "compose.yaml:2:45: services.web.tty: must be true or false, not \"maybe\"\n"},
    {"negative_scale", "services:\n  web: {image: x, scale: -1}\n", "compose.yaml:2:26: services.web.scale: must be greater than or equal to 0\n"},
    {"env_file", "services:\n  web: {image: x, env_file: no.env}\n",
     "compose.yaml:2:29: services.web.env_file[0]: env file @DIR@/no.env not found: stat @DIR@/no.env: no such file or directory "
     "— create it, or say required: false beside its path\n"},
    {"base_of_another_name", "services:\n  web: {extends: wev}\n  webs: {image: x}\n",
     "compose.yaml:2:18: services.web.extends: cannot extend service \"web\" in compose.yaml: service \"wev\" not found\n"},
    // ---- syntax ----
    {"secret_of_nothing", "services:\n  web: {image: x}\nsecrets:\n  a: {environment: \"\"}\n",
     "compose.yaml:4:3: secrets.a: secret \"a\" must declare either `file` or `environment`: invalid compose project\n"},
    {"first_sign", "services:\n  web:\n    image: @x\n",
     "compose.yaml:3:12: not valid YAML: while scanning for the next token (line 3): found character that cannot start any token "
     "— put the value in quotes: @ cannot be its first sign\n"},
    {"colon_in_a_value", "services:\n  web:\n    command: echo a: b\n",
     "compose.yaml:3:20: not valid YAML: mapping values are not allowed in this context — put the value in quotes: a colon and a blank "
     "inside of it start a mapping\n"},
    {"colon_lacks", "services:\n  web\n    image: x\n",
     "compose.yaml:3:10: not valid YAML: mapping values are not allowed in this context — does line 2 lack a colon at its end?\n"},
    {"indented_below_a_value", "services:\n  web:\n    image: x\n      tty: true\n",
     "compose.yaml:4:10: not valid YAML: mapping values are not allowed in this context — line 3 has a value already, so nothing can be "
     "indented below it\n"},
    {"another_column", "services:\n  web:\n    image: x\n   ports: []\n",
     "compose.yaml:4:4: not valid YAML: while parsing a block mapping (line 2): did not find expected key — it starts in column 4, the "
     "other keys in column 3\n"},
    {"open_quote", "services:\n  web:\n    image: \"x\n    tty: true\n",
     "compose.yaml:3:12: not valid YAML: while scanning a quoted scalar (line 3): found unexpected end of stream — the quote that opens "
     "here is not closed\n"},
    {"open_brace", "services:\n  web: {image: x\n  db: {image: y}\n",
     "compose.yaml:3:5: not valid YAML: while parsing a flow mapping (line 2): did not find expected ',' or '}' — is a comma missing, or "
     "the } of line 2?\n"},
    {"star", "services:\n  web:\n    image: *\n",
     "compose.yaml:3:13: not valid YAML: while scanning an alias (line 3): did not find expected alphabetic or numeric character — put a "
     "value that starts with * or & in quotes\n"},
    {"not_utf8", "services:\n  web:\n    image: gr\xFCn\n", "compose.yaml:3:14: not valid YAML: invalid leading UTF-8 octet — save the file as UTF-8\n"},
    {"nothing", "", "compose.yaml: empty compose file\n"},
};

TEST(Diagnostics, errors) {
    for (const FindingRow& row : kErrors) {
        SCOPED_TRACE(row.name);
        EXPECT_EQ(findings_of(row.yaml), row.findings);
    }
}

const FindingRow kWarnings[] = {
    {"base_60", "services:\n  web: {image: x, ports: [60:60]}\n",
     "compose.yaml:2:27: warning: services.web.ports[0]: unquoted 60:60 is a number in base 60 for YAML 1.1 readers — put it in quotes\n"},
    {"unquoted_on", "services:\n  web:\n    image: x\n    environment:\n      DEBUG: on\n",
     "compose.yaml:5:14: warning: services.web.environment.DEBUG: unquoted on is the text \"on\", not a boolean — put it in quotes to say so\n"},
    {"version", "version: \"3\"\nservices:\n  web: {image: x}\n",
     "compose.yaml:1:1: warning: version: the attribute `version` is obsolete, it will be ignored, please remove it to avoid potential "
     "confusion\n"},
    {"unset_variable_once", "services:\n  web: {image: \"x:$TAG\", hostname: \"$TAG\"}\n",
     "compose.yaml:2:16: warning: The \"TAG\" variable is not set. Defaulting to a blank string. (compose.yaml:2:36)\n"},
    {"healthy_without_check", "services:\n  web: {image: x, depends_on: {db: {condition: service_healthy}}}\n  db: {image: y}\n",
     "compose.yaml:2:36: warning: services.web.depends_on.db: waits for \"db\" to be healthy, which has no healthcheck here: its image "
     "must bring one\n"},
    {"one_port_twice", "services:\n  a: {image: x, ports: [\"80:80\"]}\n  b: {image: x, ports: [\"80:8080\"]}\n",
     "compose.yaml:3:25: warning: services.b.ports[0]: services \"a\" and \"b\" both publish port 80/tcp: only one of them can start\n"},
};

TEST(Diagnostics, warnings) {
    for (const FindingRow& row : kWarnings) {
        SCOPED_TRACE(row.name);
        EXPECT_EQ(findings_of(row.yaml), row.findings);
    }
}

TEST(Diagnostics, the_place_is_where_the_value_was_written) {
    ProjectFiles files({{"compose.yaml", "services:\n  web:\n    extends: {file: base.yaml, service: base}\n"},
                        {"base.yaml", "services:\n  base:\n    image: x\n    ports: [80]\n    stop_grace_period: never\n"}});
    EXPECT_EQ(findings(load(files.options())),
              "base.yaml:5:24: services.web.stop_grace_period: invalid duration \"never\" — write numbers with units, as 1m30s\n");
}

TEST(Diagnostics, an_override_that_adds_a_port) {
    ProjectFiles files({{"compose.yaml", "services:\n  web:\n    image: x\n    ports: [\"80:80\"]\n"},
                        {"compose.override.yaml", "services:\n  web:\n    ports: [\"8080:80\"]\n"}});
    EXPECT_EQ(findings(load(files.options())),
              "compose.override.yaml:3:13: warning: services.web.ports[1]: port 80 is published a second time, on 8080 besides 80: lists of "
              "ports add up over files — use `ports: !override` to replace them (compose.yaml:4:13)\n");
}

TEST(Diagnostics, a_volume_with_the_name_of_a_folder) {
    ProjectFiles files({{"compose.yaml", "services:\n  web: {image: x, volumes: [\"data:/data\", \"./data:/own\", \"other:/other\"]}\nvolumes: {data: , other: }\n"}, {"data/keep", ""}});
    EXPECT_EQ(findings(load(files.options())),
              "compose.yaml:2:29: warning: services.web.volumes[0]: \"data\" is the volume of that name, not the folder beside the file — write "
              "./data for the folder\n");
}

TEST(Diagnostics, one_port_of_a_service_in_two_files_is_said_for_that_service_alone) {
    ProjectFiles files({{"compose.yaml", "services:\n  web: {image: x, ports: [\"80:80\"]}\n  db: {image: x, ports: [\"81:80\"]}\n"},
                        {"compose.override.yaml", "services:\n  web: {ports: !override [\"82:80\"]}\n"}});
    EXPECT_EQ(findings(load(files.options())), "");
}

TEST(Diagnostics, excerpt_and_caret) {
    ProjectFiles files({{"compose.yaml", "services:\n  web:\n    imagee: grün\n"}});
    Loaded loaded = load(files.options());
    ASSERT_FALSE(loaded.diagnostics.empty());
    EXPECT_EQ(render(loaded.diagnostics[0], true),
              "compose.yaml:3:5: services.web: unknown property \"imagee\" — did you mean \"image\"?\n"
              "        imagee: grün\n"
              "        ^");
}

TEST(Diagnostics, json_for_editors) {
    ProjectFiles files({{"compose.yaml", "services:\n  web:\n    imagee: x\n"}});
    ConfigOptions options;
    options.load = files.options();
    options.quiet = true;
    options.format = "json";
    ConfigOutput out = run_config(options);
    EXPECT_EQ(out.status, 1);
    EXPECT_TRUE(out.diagnostics.empty());
    EXPECT_EQ(out.text,
              "{\"severity\":\"error\",\"file\":\"compose.yaml\",\"line\":3,\"column\":5,\"path\":\"services.web\",\"message\":\"unknown property "
              "\\\"imagee\\\"\",\"suggestion\":\"did you mean \\\"image\\\"?\"}\n");
}

TEST(Diagnostics, control_characters_do_not_reach_the_terminal) {
    std::string text = findings_of("services:\n  web: {image: x, \"a\\eb\": 1}\n");
    EXPECT_EQ(text.find('\x1b'), std::string::npos) << text;
}

}  // namespace compose::model::testing

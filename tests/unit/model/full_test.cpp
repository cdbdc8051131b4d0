// Nothing that a file says is lost on the way through the typed model.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/file.h"
#include "model/schema.h"
#include "unit/model/project_files.h"

namespace compose::model::testing {

/// Every scalar of `written` must be somewhere below the same path of `printed`; forms may differ, so only keys are compared.
void expect_keys(const Node& written, const Node* printed, const std::string& path) {
    ASSERT_NE(printed, nullptr) << path << " is lost";
    if (written.is_mapping() && printed->is_mapping()) {
        for (const Node::Member& member : written.members()) expect_keys(member.value, printed->find(member.key), path + "." + member.key);
    } else if (written.is_sequence() && printed->is_sequence()) {
        ASSERT_EQ(written.size(), printed->size()) << path;
        for (size_t at = 0; at < written.size(); ++at) expect_keys(written.items()[at], &printed->items()[at], path + "[]");
    }
}

TEST(Full, every_attribute_comes_out_again) {
    auto text = base::read_file(std::string(TEST_DATA) + "/full.yaml");
    ASSERT_TRUE(text);
    ProjectFiles files({{"compose.yaml", *text}});
    LoadOptions options = files.options();
    options.profiles = {"p"};
    Loaded loaded = load(options);
    ASSERT_TRUE(loaded.ok()) << findings(loaded);
    Node printed = to_tree(loaded.project);
    // The tree that was decoded holds all that was written, in long form.
    for (const char* kind : {"services", "networks", "volumes", "secrets", "configs", "models"}) {
        expect_keys(*loaded.project.tree->find(kind), printed.find(kind), kind);
    }
}

TEST(Full, the_file_has_every_attribute_of_the_schema) {
    auto text = base::read_file(std::string(TEST_DATA) + "/full.yaml");
    ASSERT_TRUE(text);
    for (const std::string& name : service_attributes()) {
        if (name == "extends" || name == "network_mode") continue;  // resolved away; excludes networks
        EXPECT_NE(text->find("\n    " + name + ":"), std::string::npos) << name;
    }
}

}  // namespace compose::model::testing

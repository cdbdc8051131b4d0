#include "cli/format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace compose::cli {
namespace {

namespace json = boost::json;
using ::testing::HasSubstr;

Row sample() {
    return Row{{"Name", "p-a-1"},   {"Service", "a"},         {"State", "running"}, {"ExitCode", 0},
               {"Health", ""},      {"Labels", "k=v,x=y"},    {"List", json::array{"one", "two"}},
               {"Publishers", json::array{json::object{{"URL", "127.0.0.1"}, {"PublishedPort", 8080}}}}};
}

TEST(Template, table) {
    const std::pair<const char*, const char*> cases[] = {
        {"{{.Name}}", "p-a-1"},
        {"{{.Service}}={{.State}}/{{.ExitCode}}", "a=running/0"},
        {"{{ .Name }}\\t{{upper .State}}", "p-a-1\tRUNNING"},
        {"{{json .Name}}", "\"p-a-1\""},
        {"{{.Name | upper | printf \"<%s>\"}}", "<P-A-1>"},
        {"{{printf \"%-8s|\" .Name}}", "p-a-1   |"},
        {"{{if .Health}}{{.Health}}{{else}}none{{end}}", "none"},
        {"{{if eq .State \"exited\"}}gone{{else if eq .State \"running\"}}up{{else}}?{{end}}.", "up."},
        {"{{if and .Name (not .Health)}}yes{{end}}", "yes"},
        {"{{range .Publishers}}{{.URL}}:{{.PublishedPort}} {{end}}", "127.0.0.1:8080 "},
        {"{{range .List}}<{{.}}>{{end}}", "<one><two>"},
        {"{{with .Name}}{{.}}{{end}}", "p-a-1"},
        {"{{len .List}} {{index .List 1}} {{join .List \"+\"}}", "2 two one+two"},
        {"{{index (split .Labels \",\") 0}}", "k=v"},
        {"{{.Label \"x\"}}", "y"},
        {"{{.List}}", "[one two]"},
        {"{{(index .Publishers 0).PublishedPort}} {{len (index .Publishers 0).URL}}", "8080 9"},
        {"a {{- /* gone */ -}} b", "ab"},
        {"no action", "no action"},
    };
    for (auto [text, expected] : cases) {
        auto parsed = Template::parse(text);
        ASSERT_TRUE(parsed) << text << ": " << parsed.error().what;
        auto filled = parsed->fill(sample());
        ASSERT_TRUE(filled) << text << ": " << filled.error().what;
        EXPECT_EQ(*filled, expected) << text;
    }
}

TEST(Template, mistakes) {
    for (const char* text : {"{{.Name", "{{if .Name}}x", "{{end}}", "{{\"open}}"}) EXPECT_FALSE(Template::parse(text)) << text;
    for (auto [text, expected] : {std::pair{"{{.Nope}}", "can't evaluate field Nope (there are Name"}, {"{{shout .Name}}", "function \"shout\" not defined"}}) {
        auto filled = Template::parse(text)->fill(sample());
        ASSERT_FALSE(filled) << text;
        EXPECT_THAT(filled.error().what, HasSubstr(expected));
    }
}

TEST(Render, forms) {
    Listing listing;
    listing.rows = {sample()};
    listing.heading = {"NAME", "STATE"};
    listing.cells = [](const Row& row) { return std::vector<std::string>{text_of(row, "Name"), text_of(row, "State")}; };
    EXPECT_EQ(*render(listing, "table"), "NAME    STATE\np-a-1   running\n");
    EXPECT_EQ(*render(listing, "table {{.Service}}\\t{{.ExitCode}}"), "SERVICE   EXIT CODE\na         0\n");
    EXPECT_EQ(*render(listing, "{{.Name}}"), "p-a-1\n");
    EXPECT_THAT(*render(listing, "json"), HasSubstr("{\"Name\":\"p-a-1\","));
    listing.json_array = true;
    EXPECT_THAT(*render(listing, "json"), testing::StartsWith("[{"));
    listing.rows.clear();
    EXPECT_EQ(*render(listing, "json"), "[]\n");
    EXPECT_FALSE(render(listing, "xml"));
}

}  // namespace
}  // namespace compose::cli

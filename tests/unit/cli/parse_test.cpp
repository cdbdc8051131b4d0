#include "cli/parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace compose::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Command& command(std::string_view name) {
    const Command* found = find_command(name);
    EXPECT_NE(found, nullptr) << name;
    return *found;
}

TEST(ParseGlobals, stops_at_the_command) {
    auto globals = parse_globals({"-f", "a.yaml", "--file=b.yaml", "-p", "shop", "--env-file=", "up", "-d", "--file"});
    ASSERT_TRUE(globals);
    EXPECT_THAT(globals->list("file"), ElementsAre("a.yaml", "b.yaml"));
    EXPECT_EQ(globals->text("project-name"), "shop");
    EXPECT_THAT(globals->list("env-file"), ElementsAre(""));
    EXPECT_THAT(globals->operands, ElementsAre("up", "-d", "--file"));
}

TEST(ParseGlobals, standard_input_is_a_file) {
    auto globals = parse_globals({"-f", "-", "config"});
    ASSERT_TRUE(globals);
    EXPECT_THAT(globals->list("file"), ElementsAre("-"));
    EXPECT_THAT(globals->operands, ElementsAre("config"));
}

TEST(ParseGlobals, unknown_flags_have_a_suggestion) {
    auto globals = parse_globals({"--profil", "x", "up"});
    ASSERT_FALSE(globals);
    EXPECT_THAT(globals.error().what, HasSubstr("unknown flag: --profil; did you mean --profile?"));
    globals = parse_globals({"-Z", "up"});
    ASSERT_FALSE(globals);
    EXPECT_THAT(globals.error().what, HasSubstr("unknown shorthand flag: \"Z\" in -Z"));
}

struct Case {
    const char* name;
    std::vector<std::string> words;
    std::vector<std::string> operands;
    std::vector<std::pair<const char*, const char*>> texts;
};

TEST(ParseCommand, forms) {
    const Case cases[] = {
        {"up", {"-d", "web", "--scale", "a=2", "db", "--scale=b=3", "-t5"}, {"web", "db"}, {{"detach", "true"}, {"scale", "b=3"}, {"timeout", "5"}}},
        {"up", {"--detach=false", "--wait-timeout", "7"}, {}, {{"detach", "false"}, {"wait-timeout", "7"}}},
        {"up", {"--", "-d"}, {"-d"}, {{"detach", ""}}},
        {"logs", {"-fn", "3", "web"}, {"web"}, {{"follow", "true"}, {"tail", "3"}}},
        {"logs", {"--tail", "-1"}, {}, {{"tail", "-1"}}},
        {"exec", {"-T", "a", "printf", "[%s]", "-T", "--index", "a\\b", "--"}, {"a", "printf", "[%s]", "-T", "--index", "a\\b", "--"}, {{"no-tty", "true"}, {"index", ""}}},
        {"exec", {"-e", "A=a b=c", "-uroot", "a", "id"}, {"a", "id"}, {{"env", "A=a b=c"}, {"user", "root"}}},
        {"run", {"--rm", "--entrypoint=", "a", "cmd", "--user="}, {"a", "cmd", "--user="}, {{"rm", "true"}, {"entrypoint", ""}, {"user", ""}}},
        {"run", {"-it", "a", "sh"}, {"a", "sh"}, {{"interactive", "true"}, {"tty", "true"}}},
        {"cp", {"-", "a:/x"}, {"-", "a:/x"}, {}},
        {"config", {"--hash", "*", "-q"}, {}, {{"hash", "*"}, {"quiet", "true"}}},
        {"run", {"-v", "[a]:/b", "a"}, {"a"}, {{"volume", "[a]:/b"}}},
    };
    for (const Case& c : cases) {
        auto arguments = parse_command(command(c.name), c.words);
        ASSERT_TRUE(arguments) << c.name << ": " << arguments.error().what;
        EXPECT_EQ(arguments->operands, c.operands) << c.name;
        for (auto& [flag, text] : c.texts) EXPECT_EQ(arguments->text(flag), text) << c.name << " --" << flag;
    }
}

TEST(ParseCommand, mistakes) {
    const std::pair<std::vector<std::string>, const char*> cases[] = {
        {{"up", "--detatch"}, "unknown flag: --detatch; did you mean --detach?"},
        {{"up", "-Q"}, "unknown shorthand flag: \"Q\" in -Q"},
        {{"up", "web", "--nosuch"}, "unknown flag: --nosuch"},
        {{"up", "-t"}, "flag needs an argument: "},
        {{"up", "-t", "soon"}, "invalid argument \"soon\" for \"--timeout\" flag"},
        {{"exec", "a"}, "'compose exec' requires at least 2 arguments"},
        {{"version", "x"}, "'compose version' accepts no arguments"},
        {{"port", "a"}, "'compose port' requires 2 arguments"},
    };
    for (auto& [words, text] : cases) {
        auto arguments = parse_command(command(words[0]), {words.begin() + 1, words.end()});
        ASSERT_FALSE(arguments) << text;
        EXPECT_THAT(arguments.error().what, HasSubstr(text));
    }
}

TEST(Commands, unknown_ones_have_a_suggestion) {
    EXPECT_THAT(unknown_command("upp").what, HasSubstr("did you mean \"up\"?"));
    EXPECT_EQ(find_command("nosuch"), nullptr);
    EXPECT_EQ(find_command("convert"), find_command("config"));
}

TEST(Commands, flags_are_consistent) {
    for (const Command* c : commands()) {
        std::set<std::string_view> names;
        std::set<char> letters;
        for (const Flag& flag : c->flags) {
            EXPECT_TRUE(names.insert(flag.name).second) << c->name << " --" << flag.name;
            if (flag.letter) EXPECT_TRUE(letters.insert(flag.letter).second) << c->name << " -" << flag.letter;
        }
        EXPECT_TRUE(c->run) << c->name;
        EXPECT_FALSE(c->summary.empty()) << c->name;
    }
}

}  // namespace
}  // namespace compose::cli

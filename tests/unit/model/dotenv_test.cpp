// The grammar of .env, and of templates.
#include <gtest/gtest.h>

#include "model/dotenv.h"
#include "model/interpolate.h"
#include "model/short_forms.h"

namespace compose::model::testing {

std::string parsed(std::string_view text, std::map<std::string, std::string> caller = {}) {
    Variables out;
    auto done = parse_dotenv(text, out, [&](std::string_view name) -> std::optional<std::string> {
        auto found = caller.find(std::string(name));
        return found == caller.end() ? std::nullopt : std::optional(found->second);
    });
    if (!done) return "line " + std::to_string(done.error().line) + ": " + done.error().message;
    std::string text_out;
    for (const auto& [name, value] : out) text_out += "[" + name + "=" + value + "]";
    return text_out;
}

struct DotenvRow {
    const char* text;
    const char* values;
};

TEST(Dotenv, grammar) {
    const DotenvRow rows[] = {
        {"A=1\nB=2", "[A=1][B=2]"},
        {"\xEF\xBB\xBF" "A=1\r\nB=two\r\n", "[A=1][B=two]"},
        {"# c\n\n  A = x y  # c\nB=a#b\nC=#c\n", "[A=x y][B=a#b][C=#c]"},
        {"export A=1\nexport\tB: 2\n", "[A=1][B=2]"},
        {"A='$X \\n it\\'s'\n", "[A=$X \\n it's]"},
        {"A=\"a\\nb\\t\\\"c\\\" \\$X $$Y\"\n", "[A=a\nb\t\"c\" $X $Y]"},
        {"A=\"one\ntwo # kept\"\nB=x\n", "[A=one\ntwo # kept][B=x]"},
        {"A=1\nB=${A}2\nC=${N:-d}\nD=$E\nE=late\n", "[A=1][B=12][C=d][D=][E=late]"},
        {"NAME\nOTHER\nA=1\n", "[A=1][NAME=caller]"},
        {"NAME", "[NAME=caller]"},
        {"A=${NAME}\n", "[A=caller]"},
        {"a.b=1\na-b=2\na[0]=3\n\xC3\xBC=4\n", "[a-b=2][a.b=1][a[0]=3][\xC3\xBC=4]"},
        {"A B=1\n", "line 1: key cannot contain a space"},
        {"X=1\nA!x=1\n", "line 2: unexpected character \"!\" in variable name \"A!x=1\""},
        {"X=1\nA=\"open\n\n", "line 2: unterminated quoted value \"open"},
        {"A=${OPEN\n", "line 1: invalid template: \"${OPEN\""},
        {"A=${X:?why}\n", "line 1: required variable X is missing a value: why"},
    };
    for (const DotenvRow& row : rows) EXPECT_EQ(parsed(row.text, {{"NAME", "caller"}}), row.values) << row.text;
}

TEST(Dotenv, raw_takes_values_as_they_are) {
    Variables out;
    ASSERT_TRUE(parse_raw_env("# c\nA='q' # not a comment\nB=  $X \n", out, {}));
    EXPECT_EQ(out, (Variables{{"A", "'q' # not a comment"}, {"B", "  $X "}}));
}

TEST(Template, operators) {
    auto lookup = [](std::string_view name) -> std::optional<std::string> {
        if (name == "SET") return "val";
        if (name == "EMPTY") return "";
        return std::nullopt;
    };
    const DotenvRow rows[] = {
        {"$SET-${SET}_${EMPTY}", "val-val_"},
        {"${NO:-d} ${EMPTY:-d} ${SET:-d}", "d d val"},
        {"${NO-d} ${EMPTY-d} ${SET-d}", "d  val"},
        {"${NO:+a} ${EMPTY:+a} ${SET:+a}", "  a"},
        {"${NO+a} ${EMPTY+a} ${SET+a}", " a a"},
        {"${NO:-${EMPTY:-${SET}}}", "val"},
        {"${NO:-{\"a\":1}}", "{\"a\":1}"},
        {"$$SET $${SET} $$$SET", "$SET ${SET} $val"},
        {"$1 $- $ 5$", "$1 $- $ 5$"},
        {"${SET?x}${EMPTY?x}", "val"},
        {"${EMPTY:?say}", "!required variable EMPTY is missing a value: say"},
        {"${NO?}", "!required variable NO is missing a value"},
        {"${}", "!${}"},
        {"${A B}", "!${A B}"},
        {"${A", "!${A"},
        {"${A~b}", "!${A~b}"},
        {"${A:-a\nb}", "!${A:-a\nb}"},
    };
    for (const DotenvRow& row : rows) {
        auto done = substitute(row.text, lookup);
        EXPECT_EQ(done ? *done : "!" + done.error().message, row.values) << row.text;
    }
}

TEST(ShortForms, command_lines) {
    auto words = [](std::string_view line) {
        auto split = split_command(line);
        if (!split) return std::string("!");
        std::string out;
        for (const std::string& word : *split) out += "[" + word + "]";
        return out;
    };
    const DotenvRow rows[] = {
        {"a  'b c' \"d \\\" e\" f\\ g", "[a][b c][d \" e][f g]"}, {"'' \"\"", "[][]"}, {"a && b", "[a]"}, {"a|b", "[a]"}, {"a # b", "[a][#][b]"},
        {"'open", "!"},  {"a\\", "!"}, {"(a)", "!"}, {"", ""}, {"sh -c $(date)", "[sh][-c][$(date)]"},
    };
    for (const DotenvRow& row : rows) EXPECT_EQ(words(row.text), row.values) << row.text;
}

TEST(ShortForms, durations_and_sizes) {
    EXPECT_EQ(parse_compose_duration("1h2m3.5s")->count(), 3723500000000);
    EXPECT_EQ(parse_compose_duration("2d")->count(), 172800000000000);
    EXPECT_EQ(parse_compose_duration("100us")->count(), 100000);
    for (const char* bad : {"", "10", "soon", "1x", "1h 2m", ".s", "1..5s", "99999999999999h"}) EXPECT_FALSE(parse_compose_duration(bad)) << bad;
    EXPECT_EQ(*parse_size("1.5GiB"), 1610612736);
    EXPECT_EQ(*parse_size("2 mb"), 2097152);
    EXPECT_EQ(*parse_size("100b"), 100);
    EXPECT_EQ(parse_size("10 apples").error(), "invalid suffix: 'apples'");
    EXPECT_EQ(parse_size("-5m").error(), "invalid size: '-5m'");
    EXPECT_EQ(parse_size("big").error(), "invalid size: 'big'");
    EXPECT_FALSE(parse_size("9999999999p"));
}

}  // namespace compose::model::testing

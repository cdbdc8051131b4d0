#include "store/codec.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "samples.h"

namespace engine::store {
namespace {

// How many members an aggregate has: the longest list of anythings that it can be made of.
struct Anything {
    template <class T> operator T() const;
};
template <class T, class... Args> constexpr size_t member_count() {
    if constexpr (requires { T{Args{}..., Anything{}}; })
        return member_count<T, Args..., Anything>();
    else
        return sizeof...(Args);
}

/// A sample has every field away from its default, so every field must be in its JSON, and come back.
template <class T> void round_trip(const T& sample) {
    std::string text = to_json(sample);
    auto keys = boost::json::parse(text, {}, {.allow_invalid_utf8 = true}).as_object().size();
    EXPECT_EQ(keys, member_count<T>()) << "a field is missing in the codec or in the sample: " << text;
    auto back = from_json<T>(text);
    ASSERT_TRUE(back) << back.error().message();
    EXPECT_EQ(to_json(*back), text);
    if constexpr (std::equality_comparable<T>) EXPECT_EQ(*back, sample);
}

TEST(Codec, EveryFieldOfEveryStructComesBack) {
    round_trip(samples::health_check());
    round_trip(samples::image_config());
    round_trip(samples::image());
    round_trip(samples::mount());
    round_trip(samples::resources());
    round_trip(RestartPolicy{"always", 1});
    round_trip(samples::spec());
    round_trip(samples::state());
    round_trip(samples::endpoint_state());
    round_trip(samples::container());
    round_trip(samples::port());
    round_trip(samples::network_spec());
    round_trip(samples::network());
    round_trip(samples::volume_spec());
    round_trip(samples::volume());
    round_trip(samples::event());
}

TEST(Codec, NestedStructsHaveEveryField) {
    auto spec = boost::json::parse(to_json(samples::spec()), {}, {.allow_invalid_utf8 = true}).as_object();
    EXPECT_EQ(spec["files"].at(0).as_object().size(), member_count<FileMount>());
    EXPECT_EQ(spec["endpoints"].at(0).as_object().size(), member_count<Endpoint>());
    EXPECT_EQ(spec["devices"].at(0).as_object().size(), member_count<Device>());
    EXPECT_EQ(spec["device_requests"].at(0).as_object().size(), member_count<DeviceRequest>());
    EXPECT_EQ(spec["ulimits"].at(0).as_object().size(), member_count<Ulimit>());
    EXPECT_EQ(spec["log"].as_object().size(), member_count<LogConfig>());
    EXPECT_EQ(boost::json::parse(to_json(samples::state())).at("probes").at(0).as_object().size(), member_count<HealthProbe>());
    EXPECT_EQ(boost::json::parse(to_json(samples::image())).at("history").at(0).as_object().size(), member_count<ImageInfo::History>());
    EXPECT_EQ(boost::json::parse(to_json(samples::network_spec())).at("pools").at(0).as_object().size(), member_count<IpamPool>());
}

TEST(Codec, DefaultsAreNotWritten) {
    EXPECT_EQ(to_json(ContainerSpec{}), "{}");
    EXPECT_EQ(to_json(ContainerState{}), "{}");
    EXPECT_EQ(to_json(std::vector<PortMapping>{}), "[]");
}

TEST(Codec, MissingFieldsKeepTheirDefaultAndUnknownOnesAreIgnored) {
    auto spec = from_json<ContainerSpec>(R"({"name":"x","from_the_future":{"a":[1]},"restart":{}})");
    ASSERT_TRUE(spec) << spec.error().message();
    EXPECT_EQ(spec->name, "x");
    EXPECT_EQ(spec->restart.name, "no");
    EXPECT_FALSE(spec->command);
    auto mount = from_json<Mount>("{}");
    ASSERT_TRUE(mount);
    EXPECT_TRUE(mount->create_host_path);
}

TEST(Codec, AnEmptyListIsNotAnAbsentOne) {
    ContainerSpec spec;
    spec.entrypoint = std::vector<std::string>{};
    auto back = spec_from_json(to_json(spec));
    ASSERT_TRUE(back);
    ASSERT_TRUE(back->entrypoint);
    EXPECT_TRUE(back->entrypoint->empty());
    EXPECT_FALSE(back->command);
}

TEST(Codec, WrongTypesAreCorruptAndNameTheField) {
    for (const char* text : {R"({"name":1})", R"({"tty":"yes"})", R"({"env":{}})", R"({"labels":["a"]})", R"({"resources":[]})", R"({"ports":[{"host_port":70000}]})",
                             R"({"mounts":[{"type":"floppy"}]})", R"({"stop_grace":"1s"})", "[", "", "nonsense", "[]"}) {
        auto spec = from_json<ContainerSpec>(text);
        if (std::string_view(text).empty()) {
            EXPECT_TRUE(spec);  // an empty column is a default value
            continue;
        }
        ASSERT_FALSE(spec) << text;
        EXPECT_EQ(spec.error().code, base::Code::corrupt) << text;
    }
    EXPECT_NE(from_json<ContainerSpec>(R"({"tty":"yes"})").error().message().find("\"tty\""), std::string::npos);
}

TEST(Codec, WordsOfStates) {
    EXPECT_STREQ(to_text(ContainerStatus::created), "created");
    EXPECT_STREQ(to_text(ContainerStatus::dead), "dead");
    EXPECT_STREQ(to_text(HealthStatus::starting), "starting");
    EXPECT_NE(to_json(samples::state()).find("\"restarting\""), std::string::npos);
}

}  // namespace
}  // namespace engine::store

// What is done with images that are here: tags, removal, push, archives, import, verify.
#include "unit/image/images_fixture.h"

namespace engine::image {
namespace {

TEST_F(Images, tags_removal_and_prune) {
    serve_usual();
    auto image = pull(name("app:1"));
    ASSERT_TRUE(image);
    ASSERT_TRUE(store_->tag(name("app:1"), "other:2"));
    EXPECT_EQ(store_->find("other:2")->id, image->id);
    EXPECT_FALSE(store_->tag("nosuch", "x"));
    auto ambiguous = store_->remove(image->id, false, {});
    ASSERT_FALSE(ambiguous);
    EXPECT_NE(ambiguous.error().what.find("must be forced"), std::string::npos);
    auto untagged = store_->remove("other:2", false, {});
    ASSERT_TRUE(untagged) << untagged.error().message();
    EXPECT_EQ(untagged->untagged, std::vector<std::string>{"other:2"});
    EXPECT_TRUE(untagged->deleted.empty());
    auto used = store_->remove(name("app:1"), false, [](const std::string&) { return true; });
    ASSERT_FALSE(used);
    EXPECT_EQ(used.error().code, base::Code::conflict);
    auto gone = store_->remove(name("app:1"), false, {});
    ASSERT_TRUE(gone) << gone.error().message();
    EXPECT_EQ(gone->deleted, std::vector<std::string>{image->id});
    nothing_left();
    ASSERT_TRUE(pull(name("app:1")));
    EXPECT_TRUE(store_->prune(false, {})->first.empty()) << "it has a name";
    EXPECT_TRUE(store_->prune(true, [](const std::string&) { return true; })->first.empty()) << "it is used";
    EXPECT_FALSE(store_->prune(true, {})->first.empty());
    nothing_left();
}

TEST_F(Images, a_moved_tag_takes_the_name_with_it) {
    serve_usual();
    auto old_image = pull(name("app:1"));
    registry_.image("app", "1", {gzipped(first_)}, {first_}, "", R"("Cmd":["new"])");
    auto new_image = pull(name("app:1"));
    ASSERT_TRUE(old_image && new_image);
    EXPECT_NE(old_image->id, new_image->id);
    EXPECT_EQ(store_->find(name("app:1"))->id, new_image->id);
    EXPECT_TRUE(store_->find(old_image->id)->references.empty());
    EXPECT_EQ(*store_->resolve_digest(name("app:1")), digest_of(registry_.stored_manifest("app", "1")));
    auto pruned = store_->prune(false, {});
    ASSERT_TRUE(pruned);
    EXPECT_FALSE(store_->find(old_image->id));
    EXPECT_TRUE(store_->verify({})->problems.empty()) << "shared layers stay";
}

TEST_F(Images, push_sends_what_is_missing_and_keeps_the_digest) {
    serve_usual();
    ASSERT_TRUE(pull(name("app:1")));
    FakeRegistry other;
    ASSERT_TRUE(store_->tag(name("app:1"), other.host() + "/copy/app:1"));
    auto pushed = store_->push(other.host() + "/copy/app:1", {});
    ASSERT_TRUE(pushed) << pushed.error().message();
    EXPECT_EQ(other.stored_manifest("copy/app", "1"), registry_.stored_manifest("app", "1"));
    EXPECT_EQ(other.stored_blob(digest_of(gzipped(first_))), gzipped(first_));
    int uploads = other.count("PUT", "/blobs/uploads/");
    EXPECT_EQ(uploads, 3);
    ASSERT_TRUE(store_->push(other.host() + "/copy/app:1", {}));
    EXPECT_EQ(other.count("PUT", "/blobs/uploads/"), uploads) << "what is there is not sent again";
    EXPECT_FALSE(store_->push("nosuch:1", {}));
}

TEST_F(Images, save_and_load_give_the_same_image) {
    serve_usual();
    auto image = pull(name("app:1"));
    ASSERT_TRUE(image);
    std::string archive = temp_->path() + "/saved.tar";
    auto out = std::move(*base::open_at(AT_FDCWD, archive, O_RDWR | O_CREAT, 0600));
    auto saved = store_->save({name("app:1")}, out.get());
    ASSERT_TRUE(saved) << saved.error().message();
    std::string bytes = *base::read_file(archive);
    ASSERT_TRUE(base::write_file(temp_->path() + "/saved.tar.gz", gzipped(bytes)));
    int number = 0;
    for (const std::string& file : {archive, temp_->path() + "/saved.tar.gz"}) {
        auto fresh = ImageStore::open(temp_->path() + "/fresh" + std::to_string(number++));
        ASSERT_TRUE(fresh);
        auto in = std::move(*base::open_at(AT_FDCWD, file, O_RDONLY));
        auto loaded = (*fresh)->load(in.get());
        ASSERT_TRUE(loaded) << loaded.error().message();
        EXPECT_EQ(*loaded, std::vector<std::string>{name("app:1")});
        auto found = (*fresh)->find(name("app:1"));
        ASSERT_TRUE(found);
        EXPECT_EQ(found->id, image->id);
        EXPECT_EQ(found->size, image->size);
    }
}

TEST_F(Images, docker_archives_of_old_are_loaded_and_hostile_ones_refused) {
    std::string config = R"({"architecture":")" + FakeRegistry::this_machine() + R"(","os":"linux","rootfs":{"type":"layers","diff_ids":[")" + digest_of(first_) + R"("]}})";
    std::string list = R"([{"Config":"c.json","RepoTags":["old/name:3"],"Layers":["bb/layer.tar"]}])";
    auto load = [&](const Tar& tar) {
        std::string file = temp_->path() + "/archive.tar";
        EXPECT_TRUE(base::write_file(file, tar.bytes()));
        auto in = std::move(*base::open_at(AT_FDCWD, file, O_RDONLY));
        return store_->load(in.get());
    };
    auto loaded = load(Tar().file("manifest.json", list).file("c.json", config).file("aa/layer.tar", first_).symlink("bb/layer.tar", "../aa/layer.tar"));
    ASSERT_TRUE(loaded) << loaded.error().message();
    EXPECT_EQ(*loaded, std::vector<std::string>{"old/name:3"});
    struct Row {
        const char* name;
        Tar tar;
        const char* reason;
    };
    const Row rows[] = {
        {"no manifest", Tar().file("x", "y"), "neither"},
        {"layer outside", Tar().file("manifest.json", list).file("c.json", R"({"rootfs":{"diff_ids":[")" + digest_of("other") + R"("]}})").symlink("bb/layer.tar", "/etc/hostname"), "lacks"},
        {"config outside", Tar().file("manifest.json", R"([{"Config":"../../../../etc/hostname","Layers":[]}])"), "lacks"},
        {"wrong layer", Tar().file("manifest.json", list).file("c.json", R"({"rootfs":{"diff_ids":[")" + digest_of("other") + R"("]}})").file("bb/layer.tar", second_), "promises"},
        {"dotdot", Tar().file("../x", "y"), "leaves the root"},
        {"device", Tar().device("manifest.json", '3', 1, 5), "device"},
        {"fifo", Tar().device("manifest.json", '6', 0, 0), "not a file"},
        {"wrong json", Tar().file("manifest.json", "{}"), "not a list"},
        {"wrong type", Tar().file("manifest.json", R"([{"Config":1}])"), "Config is not a string"},
    };
    for (const Row& row : rows) {
        auto refused = load(row.tar);
        ASSERT_FALSE(refused) << row.name;
        EXPECT_NE(refused.error().message().find(row.reason), std::string::npos) << row.name << ": " << refused.error().message();
    }
    EXPECT_TRUE(base::list_dir(root() + "/images/tmp")->empty());
}

TEST_F(Images, import_makes_one_layer) {
    std::string file = temp_->path() + "/rootfs.tar";
    ASSERT_TRUE(base::write_file(file, first_));
    auto in = std::move(*base::open_at(AT_FDCWD, file, O_RDONLY));
    CommitOptions options;
    options.reference = "imported:1";
    options.changes = {"CMD [\"/x\"]", "ENV A=b"};
    auto id = store_->import(in.get(), options);
    ASSERT_TRUE(id) << id.error().message();
    auto image = store_->find("imported:1");
    ASSERT_TRUE(image);
    EXPECT_EQ(image->id, *id);
    EXPECT_EQ(image->config.cmd, std::vector<std::string>{"/x"});
    EXPECT_EQ(image->layers, std::vector<std::string>{digest_of(first_)});
    EXPECT_TRUE(store_->verify({})->problems.empty());
}

TEST_F(Images, cve_2026_53489_imports_follow_the_rules_of_layers) {
    for (const auto& [tar, reason] : {std::pair(Tar().file("../x", "y"), "leaves the root"), std::pair(Tar().hardlink("a", "../../etc/hostname"), "leaves the root"),
                                      std::pair(Tar().hardlink("a", "not/there"), "not there")}) {
        std::string file = temp_->path() + "/hostile.tar";
        ASSERT_TRUE(base::write_file(file, tar.bytes()));
        auto in = std::move(*base::open_at(AT_FDCWD, file, O_RDONLY));
        auto refused = store_->import(in.get(), {});
        ASSERT_FALSE(refused) << reason;
        EXPECT_NE(refused.error().message().find(reason), std::string::npos) << refused.error().message();
    }
    nothing_left();
}

TEST_F(Images, a_pull_that_changes_nothing_is_remembered_as_asked) {
    serve_usual();
    auto first = pull(name("app:1"));
    ASSERT_TRUE(first) << first.error().message();
    EXPECT_GT(first->pulled, 0);
    auto again = pull(name("app:1"));
    ASSERT_TRUE(again);
    EXPECT_EQ(again->tagged, first->tagged) << "the name stands for the same image";
    EXPECT_GT(again->pulled, first->pulled) << "pull_policy: daily counts from here";
    ASSERT_TRUE(store_->tag(name("app:1"), "mine:1"));
    EXPECT_EQ(store_->find("mine:1")->pulled, 0);
    EXPECT_EQ(store_->find(name("app:1"))->pulled, again->pulled);
}

TEST_F(Images, a_layer_that_arrives_damaged_is_fetched_once_more) {
    serve_usual();
    int spoiled = 0;
    registry_.spoil = [&](const Request& request, Response& response) {
        if (request.path.find(digest_of(gzipped(second_))) != std::string::npos && spoiled++ == 0) response.body[response.body.size() / 2] ^= 1;
    };
    auto image = pull(name("app:1"));
    ASSERT_TRUE(image) << image.error().message();
    EXPECT_EQ(spoiled, 2);
}

TEST_F(Images, verify_finds_and_mends_damage) {
    serve_usual();
    auto image = pull(name("app:1"));
    ASSERT_TRUE(image);
    std::string folder = (*store_->layer_dirs(image->id))[0];
    ASSERT_TRUE(base::write_file(folder + "/etc/name", "changed"));
    EXPECT_EQ(store_->verify({})->problems.size(), 1u);
    EXPECT_EQ(store_->verify({.references = {}, .repair = true})->problems.size(), 1u);
    EXPECT_EQ(*base::read_file(folder + "/etc/name"), "one");
    EXPECT_TRUE(store_->verify({})->problems.empty());
    std::string blob = root() + "/images/blobs/sha256/" + hex_of(digest_of(gzipped(second_)));
    ASSERT_TRUE(base::write_file(blob, "rot"));
    EXPECT_EQ(store_->verify({})->problems.size(), 1u);
    auto mended = store_->verify({.references = {}, .repair = true});
    ASSERT_TRUE(mended);
    EXPECT_NE(mended->problems[0].find("fetched again"), std::string::npos) << mended->problems[0];
    EXPECT_TRUE(store_->verify({})->problems.empty());
}

TEST_F(Images, cve_2024_25621_the_layers_are_closed_to_other_users) {
    serve_usual();
    ASSERT_TRUE(pull(name("app:1")));
    for (const char* folder : {"/layers", "/images/tmp", "/images/blobs/sha256"}) {
        struct stat status {};
        ASSERT_EQ(::stat((root() + folder).c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 077, 0u) << folder;
    }
}

}  // namespace
}  // namespace engine::image

#include "server/app/data_dir.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "temp_dir.h"

using namespace rockdove::app;
using Catch::Contains;

TEST_CASE("a missing data directory is made for its owner only, a private one is taken as it is", "[app][data_dir]") {
    const TempDir dir;
    CHECK_FALSE(prepare_data_dir(dir.path("data")));
    struct stat status {};
    REQUIRE(::stat(dir.path("data").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0700);
    CHECK_FALSE(prepare_data_dir(dir.path("data")));
}

TEST_CASE("R12 an unusable or unsafe data directory is refused and nothing is made", "[app][data_dir]") {
    const TempDir dir;
    const auto refused = [&](const std::string& name, int code, const std::string& why) {
        const auto failure = prepare_data_dir(dir.path(name));
        REQUIRE(failure);
        CHECK(failure->exit_code == code);
        CHECK_THAT(failure->text, Contains(dir.path(name)) && Contains(why) && !Contains("\n"));
    };
    SECTION("a missing parent") {
        refused("no/data", kExitCannotCreate, "the directory above it does not exist");
        CHECK_FALSE(std::filesystem::exists(dir.path("no")));
    }
    SECTION("a file") { refused((dir.write("file", ""), "file"), kExitCannotCreate, "is not a directory"); }
    SECTION("below a file") {
        dir.write("file", "");
        refused("file/data", kExitCannotCreate, "Not a directory");
    }
    SECTION("a symbolic link") {
        std::filesystem::create_directory(dir.path("real"));
        std::filesystem::create_directory_symlink("real", dir.path("link"));
        refused("link", kExitConfig, "symbolic link");
    }
    SECTION("writable for others") {
        std::filesystem::create_directory(dir.path("open"));
        REQUIRE(::chmod(dir.path("open").c_str(), 0777) == 0);
        refused("open", kExitPermission, "others may write");
        REQUIRE(::chmod(dir.path("open").c_str(), 0770) == 0);
        refused("open", kExitPermission, "others may write");
    }
    SECTION("another owner") {
        if (::geteuid() != 0) return;  // only root can give a directory away
        std::filesystem::create_directory(dir.path("theirs"));
        REQUIRE(::chown(dir.path("theirs").c_str(), 12345, 12345) == 0);
        refused("theirs", kExitPermission, "belongs to user 12345");
    }
    SECTION("not writable") {
        if (::geteuid() == 0) return;  // root may write everywhere
        std::filesystem::create_directory(dir.path("closed"));
        REQUIRE(::chmod(dir.path("closed").c_str(), 0500) == 0);
        refused("closed", kExitPermission, "cannot be written");
    }
}

TEST_CASE("the directory of --dev is gone afterwards", "[app][data_dir]") {
    std::string path;
    {
        const TemporaryDirectory temporary;
        path = temporary.path();
        std::ofstream(path + "/file") << "x";
        CHECK(std::filesystem::is_directory(path));
        CHECK_FALSE(prepare_data_dir(path));
    }
    CHECK_FALSE(std::filesystem::exists(path));
}

# Every library we stand on, each as an imported target; the packages are listed in scripts/packages.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
set(Boost_USE_STATIC_LIBS ON)
find_package(Boost 1.81 REQUIRED COMPONENTS json)

foreach(pair
    curl:libcurl crypto:libcrypto archive:libarchive isal:libisal zstd:libzstd sqlite:sqlite3 yaml:yaml-0.1
    ldns:ldns seccomp:libseccomp cap:libcap fmt:fmt spdlog:spdlog)
    string(REPLACE ":" ";" pair ${pair})
    list(GET pair 0 name)
    list(GET pair 1 module)
    pkg_check_modules(${name} REQUIRED IMPORTED_TARGET ${module})
endforeach()

# static_library(NAME FILE): lib::NAME is the module's static form where the distribution has one, else the shared one. A
# shared library costs each command its loading and relocation, and each of the engine's processes private pages.
function(static_library name file)
    find_library(${name}_static ${file} HINTS ${${name}_LIBDIR})
    add_library(lib_${name} INTERFACE)
    if(${name}_static)
        target_link_libraries(lib_${name} INTERFACE ${${name}_static} Threads::Threads ${CMAKE_DL_LIBS})
        target_include_directories(lib_${name} SYSTEM INTERFACE ${${name}_INCLUDE_DIRS})
    else()
        target_link_libraries(lib_${name} INTERFACE PkgConfig::${name})
    endif()
    add_library(lib::${name} ALIAS lib_${name})
endfunction()
static_library(crypto libcrypto.a)  # of it, the digests alone
static_library(sqlite libsqlite3.a)
static_library(yaml libyaml.a)
static_library(zstd libzstd.a)
static_library(seccomp libseccomp.a)
static_library(cap libcap.a)
# fmt and spdlog are compiled with base (fmt_library.cpp, log.cpp).
add_library(lib_fmt INTERFACE)
target_include_directories(lib_fmt SYSTEM INTERFACE ${fmt_INCLUDE_DIRS} ${spdlog_INCLUDE_DIRS})
target_compile_definitions(lib_fmt INTERFACE SPDLOG_FMT_EXTERNAL)
add_library(lib::fmt ALIAS lib_fmt)
if(COMPOSE_TESTS)
    find_package(GTest)
    if(NOT GTest_FOUND)
        message(STATUS "GoogleTest is not installed: the program is built without its tests (scripts/packages test installs it)")
    endif()
endif()

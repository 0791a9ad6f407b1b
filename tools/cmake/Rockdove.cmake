# Compiler settings, third-party packages, and rockdove_library().

find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(Protobuf REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(RocksDB REQUIRED CONFIG)
find_package(spdlog REQUIRED)
find_package(fmt REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(ISAL REQUIRED IMPORTED_TARGET libisal)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
if(NOT ROCKDOVE_SANITIZE)
    pkg_check_modules(JEMALLOC REQUIRED IMPORTED_TARGET jemalloc)
endif()

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    # Precompiled headers and ccache go together only with these two settings.
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
        CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        add_compile_options(-fpch-preprocess)
    endif()
endif()

add_library(rockdove_flags INTERFACE)
target_include_directories(rockdove_flags INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
target_compile_options(rockdove_flags INTERFACE -Wall -Wextra -Wno-restrict -Wnon-virtual-dtor -Woverloaded-virtual
    -fstack-protector-strong -fstack-clash-protection -fcf-protection)
target_compile_definitions(rockdove_flags INTERFACE
    BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_DISABLE_THREAD_KEYWORD_EXTENSION
    ROCKDOVE_VERSION="${PROJECT_VERSION}" ${ROCKDOVE_DEFINES})
if(ROCKDOVE_WERROR)
    target_compile_options(rockdove_flags INTERFACE -Werror)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # g++ 12 sees these inside optimised std::string code where there is nothing; shown, but no errors.
        target_compile_options(rockdove_flags INTERFACE -Wno-error=array-bounds -Wno-error=stringop-overflow
            -Wno-error=stringop-overread -Wno-error=maybe-uninitialized -Wno-error=free-nonheap-object)
    endif()
endif()
if(ROCKDOVE_SANITIZE)
    target_compile_options(rockdove_flags INTERFACE -fsanitize=${ROCKDOVE_SANITIZE} -fno-omit-frame-pointer
        -fno-sanitize-recover=all)
    target_link_options(rockdove_flags INTERFACE -fsanitize=${ROCKDOVE_SANITIZE})
    if(ROCKDOVE_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        target_compile_options(rockdove_flags INTERFACE -Wno-tsan)  # fences inside Asio
    endif()
else()
    target_compile_definitions(rockdove_flags INTERFACE $<$<CONFIG:Release>:_FORTIFY_SOURCE=2>)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND (CMAKE_BUILD_TYPE STREQUAL "Release" OR ROCKDOVE_SANITIZE))
    # g++ 12, when it optimises, takes the unused alternatives of a moved std::variant for uninitialised.
    target_compile_options(rockdove_flags INTERFACE -Wno-maybe-uninitialized)
endif()
target_compile_definitions(rockdove_flags INTERFACE _GLIBCXX_ASSERTIONS)
target_link_options(rockdove_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
target_link_libraries(rockdove_flags INTERFACE Threads::Threads)

# rockdove_library(NAME [DEPENDS target...] [PCH header...])
# A static library of all *.cc in the current folder and SOURCES_IN folders below it.
function(rockdove_library name)
    cmake_parse_arguments(ARG "" "" "DEPENDS;PCH;SOURCES_IN" ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS *.cc *.h)
    foreach(folder ${ARG_SOURCES_IN})
        file(GLOB more CONFIGURE_DEPENDS ${folder}/*.cc ${folder}/*.h)
        list(APPEND sources ${more})
    endforeach()
    if(NOT sources)
        file(WRITE ${CMAKE_BINARY_DIR}/empty.cc "")
        set(sources ${CMAKE_BINARY_DIR}/empty.cc)
    endif()
    add_library(${name} STATIC ${sources})
    set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX)
    target_link_libraries(${name} PUBLIC rockdove_flags ${ARG_DEPENDS})
    if(ARG_PCH)
        target_precompile_headers(${name} PRIVATE ${ARG_PCH})
    endif()
endfunction()

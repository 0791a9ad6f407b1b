# Installs the client into a stage, then builds and runs main.cc against it, with CMake and with pkg-config.
function(run)
    execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
    if(NOT result EQUAL 0)
        message(FATAL_ERROR "${ARGN}\n${result}\n${output}")
    endif()
endfunction()

file(REMOVE_RECURSE ${WORK_DIR})
set(stage ${WORK_DIR}/stage)
foreach(component client client-dev)
    run(${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${stage} --component ${component})
endforeach()
foreach(file include/rockdove/client.h ${LIBDIR}/librockdove-client.so.0 ${LIBDIR}/librockdove-client.so)
    if(NOT EXISTS ${stage}/${file})
        message(FATAL_ERROR "not installed: ${file}")
    endif()
endforeach()

# Named .in, lest the tests' own list of folders takes it for one.
configure_file(${SOURCE_DIR}/CMakeLists.txt.in ${WORK_DIR}/project/CMakeLists.txt COPYONLY)
configure_file(${SOURCE_DIR}/main.cc.in ${WORK_DIR}/project/main.cc COPYONLY)
run(${CMAKE_COMMAND} -G ${GENERATOR} -S ${WORK_DIR}/project -B ${WORK_DIR}/with-cmake -DCMAKE_PREFIX_PATH=${stage} -DCMAKE_CXX_COMPILER=${CXX})
run(${CMAKE_COMMAND} --build ${WORK_DIR}/with-cmake)
run(${WORK_DIR}/with-cmake/uses_rockdove)

find_program(PKG_CONFIG pkg-config REQUIRED)
set(ENV{PKG_CONFIG_PATH} ${stage}/${LIBDIR}/pkgconfig)
execute_process(COMMAND ${PKG_CONFIG} --define-variable=prefix=${stage} --cflags --libs rockdove-client
    OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(flags UNIX_COMMAND "${flags}")
run(${CXX} ${WORK_DIR}/project/main.cc -o ${WORK_DIR}/with-pkg-config ${flags} -Wl,-rpath,${stage}/${LIBDIR})
run(${WORK_DIR}/with-pkg-config)

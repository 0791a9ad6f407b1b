# rockdove_python_test(): a Python script as a ctest test, with the generated schemas and the shared modules.
include_guard(GLOBAL)
find_program(ROCKDOVE_PYTHON NAMES python3 PATHS /usr/bin NO_DEFAULT_PATH REQUIRED)
# In the cache: the folders that include this file are siblings, and only the first one reads it.
set(ROCKDOVE_PYTHON_PROTOS ${CMAKE_BINARY_DIR}/generated/python CACHE INTERNAL "Generated schemas for Python")

# rockdove_python_test(NAME SCRIPT script [ARGS arg...] [LABEL label] [TIMEOUT seconds] [ALONE])
# Exit code 77 means: cannot be run here, the reason is in the output. ALONE: no other test beside it.
function(rockdove_python_test name)
    cmake_parse_arguments(ARG "ALONE" "SCRIPT;LABEL;TIMEOUT" "ARGS" ${ARGN})
    add_test(NAME ${name} COMMAND ${ROCKDOVE_PYTHON} -B ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_SCRIPT} ${ARG_ARGS})
    set(path ${CMAKE_SOURCE_DIR}/tests/interop:${CMAKE_SOURCE_DIR}/tests/crash)
    rockdove_scale_timeout(ARG_TIMEOUT)
    set_tests_properties(${name} PROPERTIES
        ENVIRONMENT "ROCKDOVE_PYTHON_PROTOS=${ROCKDOVE_PYTHON_PROTOS};PYTHONPATH=${path};ROCKDOVE_SANITIZE=${ROCKDOVE_SANITIZE}"
        LABELS "${ARG_LABEL}" TIMEOUT ${ARG_TIMEOUT} SKIP_RETURN_CODE 77 RUN_SERIAL ${ARG_ALONE})
endfunction()

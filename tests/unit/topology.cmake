add_executable(topology_print topology_print.c)
target_link_libraries(topology_print PRIVATE pw_topology)

foreach(name topology topology_docs topology_errors topology_limits topology_secrets topology_value)
    pawl_test(test_${name} SOURCES test_${name}.c LINK pw_topology)
    target_compile_definitions(test_${name} PRIVATE PAWL_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
endforeach()
pawl_test(test_props SOURCES test_props.c LINK pw_kafka_props pawl::rdkafka)

find_package(Python3 COMPONENTS Interpreter)
if(Python3_FOUND)
    add_test(NAME topology_schema COMMAND Python3::Interpreter
        ${CMAKE_CURRENT_SOURCE_DIR}/check_topology_schema.py $<TARGET_FILE:topology_print>)
    set_tests_properties(topology_schema PROPERTIES LABELS unit TIMEOUT 60)
else()
    message(WARNING "no python3: the JSON Schema of topologies is not checked by a JSON parser of somebody else's")
endif()

# What the fuzzer starts from, and what it once found, on every run of the tests.
add_executable(topology_replay ${CMAKE_SOURCE_DIR}/tests/fuzz/fuzz_topology.c)
target_compile_definitions(topology_replay PRIVATE PAWL_REPLAY)
target_link_libraries(topology_replay PRIVATE pw_topology)
file(GLOB topology_corpus CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/topology/*)
add_test(NAME topology_corpus COMMAND topology_replay ${topology_corpus})
set_tests_properties(topology_corpus PROPERTIES LABELS unit TIMEOUT 60)

pawl_test(test_commands SOURCES test_commands.c LINK pw_cli_commands)
target_compile_definitions(test_commands PRIVATE TEST_DOCS_DIR="${CMAKE_SOURCE_DIR}/docs")

pawl_test(test_cli_log SOURCES test_cli_log.c ${CMAKE_SOURCE_DIR}/runtime/cli/cli.c LINK pw_topology pw_observe)

pawl_test(test_dlq_filter SOURCES test_dlq_filter.c LINK pw_cli_commands)

pawl_test(test_gap SOURCES test_gap.c LINK pw_cli_commands)

# The program itself, as people run it.
pawl_test(test_cli SOURCES test_cli.c LINK pw_base pawl_kit_pg LABELS integration)
pawl_test_uses_plugins(test_cli)
target_compile_definitions(test_cli PRIVATE TEST_PAWL="${CMAKE_BINARY_DIR}/bin/pawl" TEST_VERSION="${PROJECT_VERSION}"
    TEST_GOOD_PLUGINS="${CMAKE_BINARY_DIR}/plugins" TEST_CONF="${CMAKE_SOURCE_DIR}/conf")
add_dependencies(test_cli pawl underwriting billing)

pawl_test(test_explain SOURCES test_explain.c LINK pw_cli_explain)

pawl_test(test_top SOURCES test_top.c LINK pw_cli_top)
if(Python3_FOUND)
    add_test(NAME top_on_a_terminal COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/top_test.py $<TARGET_FILE:pawl>)
    set_tests_properties(top_on_a_terminal PROPERTIES LABELS unit TIMEOUT 120)
endif()

pawl_test(test_stage SOURCES test_stage.c LINK pw_plugin)
pawl_test(test_elf SOURCES test_elf.c LINK pw_plugin)
pawl_test(test_value SOURCES test_value.c LINK pw_plugin)
pawl_test(test_sql SOURCES test_sql.c LINK pw_plugin)
pawl_test(test_load SOURCES test_load.c LINK pw_plugin)
pawl_test(test_options SOURCES test_options.c LINK pw_plugin)
pawl_test_uses_plugins(test_elf)
pawl_test_uses_plugins(test_load)

# docs/plugins/reference.md is made from the headers.
add_test(NAME plugin_reference COMMAND ${CMAKE_COMMAND} -E compare_files ${CMAKE_BINARY_DIR}/plugin-sdk/reference.md
    ${CMAKE_SOURCE_DIR}/docs/plugins/reference.md)
set_tests_properties(plugin_reference PROPERTIES LABELS unit TIMEOUT 30)

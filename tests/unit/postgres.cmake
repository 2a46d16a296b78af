pawl_test(test_sqlstate SOURCES test_sqlstate.c LINK pw_postgres)
pawl_test(test_numeric SOURCES test_numeric.c LINK pw_postgres)
pawl_test(test_cell SOURCES test_cell.c LINK pw_postgres)
pawl_test(test_array SOURCES test_array.c LINK pw_postgres)
target_link_options(test_array PRIVATE -Wl,--wrap=malloc,--wrap=realloc,--wrap=calloc)

# Against a private PostgreSQL; they say so and skip where there is none.
pawl_test(test_array_pg SOURCES test_array_pg.c LINK pw_postgres pawl_kit_pg LABELS integration)
pawl_test(test_migrate SOURCES test_migrate.c LINK pw_postgres pawl_kit_pg LABELS integration)
pawl_test(test_kit_pg SOURCES test_kit_pg.c LINK pw_postgres pawl_kit_pg LABELS integration)
target_compile_definitions(test_migrate PRIVATE TEST_SCHEMA_DIR="${CMAKE_SOURCE_DIR}/runtime/postgres/schema")
pawl_test(test_event_ids SOURCES test_event_ids.c LINK pw_postgres pawl_kit_pg LABELS integration)

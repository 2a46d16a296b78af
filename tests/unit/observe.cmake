pawl_test(test_text SOURCES test_text.c LINK pw_observe)
pawl_test(test_blackbox SOURCES test_blackbox.c LINK pw_observe)
pawl_test(test_log SOURCES test_log.c LINK pw_observe)
pawl_test(test_metrics SOURCES test_metrics.c LINK pw_observe)
target_compile_definitions(test_metrics PRIVATE METRICS_MANUAL="${CMAKE_SOURCE_DIR}/docs/metrics.md")
# Writes docs/metrics.md: metrics_print > docs/metrics.md
add_executable(metrics_print metrics_print.c)
target_link_libraries(metrics_print PRIVATE pw_observe)

pawl_test(test_call SOURCES test_call.c small_plugin.c LINK pw_plugin)
pawl_test(test_waves SOURCES test_waves.c small_plugin.c LINK pw_worker)
pawl_test(test_batch SOURCES test_batch.c small_plugin.c LINK pw_worker)
pawl_test(test_publisher SOURCES test_publisher.c LINK pw_worker)

pawl_test(test_arena SOURCES test_arena.c LINK pw_base)
pawl_test(test_buf SOURCES test_buf.c LINK pw_base)
pawl_test(test_notify SOURCES test_notify.c LINK pw_base)
pawl_test(test_sandbox SOURCES test_sandbox.c LINK pw_base)

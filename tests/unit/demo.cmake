pawl_test(test_meter SOURCES test_meter.c LINK pw_cli_demo)
pawl_test(test_children SOURCES test_children.c LINK pw_cli_demo)

/* no_entry: metadata, but nothing to call. */
__attribute__((used, section(".pawl.meta"))) static const char meta[] =
    "abi=1.0\0id=org.example.test.no_entry\0version=1.0.0\0";

# The bytes of IN as a C array in OUT.
file(READ ${IN} hex HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
string(LENGTH "${hex}" n)
math(EXPR n "${n} / 2")
file(WRITE ${OUT} "#include \"descriptors.h\"\n\nconst unsigned char gw_descriptors[] = { ${bytes} };\nconst size_t gw_descriptors_n = ${n};\n")

# The bytes of IN as a C array NAME, and their number as NAME_n, in OUT; HEADER declares both.
file(READ ${IN} hex HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
string(LENGTH "${hex}" n)
math(EXPR n "${n} / 2")
file(WRITE ${OUT} "#include \"${HEADER}\"\n\nconst unsigned char ${NAME}[] = { ${bytes} };\nconst size_t ${NAME}_n = ${n};\n")

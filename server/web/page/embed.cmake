# cmake -DOUTPUT=FILE -DFOLDER=DIR -DNAMES=a,b -P embed.cmake: PageFiles() of these files.
string(REPLACE "," ";" NAMES "${NAMES}")
set(type_html "text/html; charset=utf-8")
set(type_css "text/css; charset=utf-8")
set(type_js "text/javascript; charset=utf-8")
set(type_svg "image/svg+xml")
set(arrays "")
set(rows "")
set(number 0)
foreach(name IN LISTS NAMES)
  file(READ "${FOLDER}/${name}" hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" bytes "${hex}")
  string(LENGTH "${hex}" digits)
  math(EXPR size "${digits} / 2")
  set(literal "")
  set(at 0)
  string(LENGTH "${bytes}" length)
  while(at LESS length)
    string(SUBSTRING "${bytes}" ${at} 3200 piece)
    string(APPEND literal "\n    \"${piece}\"")
    math(EXPR at "${at} + 3200")
  endwhile()
  string(REGEX REPLACE ".*\\." "" suffix "${name}")
  set(path "/${name}")
  if(name STREQUAL "index.html")
    set(path "/")
  endif()
  string(APPEND arrays "constexpr char kFile${number}[] =${literal};\n")
  string(APPEND rows "    {\"${path}\", \"${type_${suffix}}\", {kFile${number}, ${size}}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE "${OUTPUT}" "#include \"server/web/page/page_files.h\"\n
namespace shadow {\nnamespace {\n
${arrays}
constexpr PageFile kPageFiles[] = {\n${rows}};\n
}  // namespace\n
std::span<const PageFile> PageFiles() { return kPageFiles; }\n
}  // namespace shadow\n")

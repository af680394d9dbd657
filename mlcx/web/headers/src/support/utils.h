// What little else TVM's web runtime asks of texts.
#ifndef TVM_SUPPORT_UTILS_H_
#define TVM_SUPPORT_UTILS_H_

#include <cstring>
#include <string>

namespace tvm {
namespace support {

inline bool StartsWith(const std::string& text, const char* beginning) {
  return text.compare(0, std::strlen(beginning), beginning) == 0;
}

}  // namespace support
}  // namespace tvm

#endif  // TVM_SUPPORT_UTILS_H_

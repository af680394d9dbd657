// Streams of bytes, through which values are read and written in TVM's formats.
#ifndef TVM_SUPPORT_IO_H_
#define TVM_SUPPORT_IO_H_

#include <tvm/ffi/endian.h>

#include <cstddef>

namespace tvm {
namespace support {

// How values of a type are written and read; `enabled` says whether they can be.
template <typename T, typename = void>
struct Serializer {
  static constexpr bool enabled = false;
};

class Stream {
 public:
  virtual ~Stream() = default;

  // Reads up to `size` bytes; returns how many there were.
  virtual size_t Read(void* data, size_t size) = 0;
  // Writes `size` bytes; returns how many were taken.
  virtual size_t Write(const void* data, size_t size) = 0;

  template <typename T>
  void Write(const T& value) {
    static_assert(Serializer<T>::enabled, "values of this type cannot be written");
    Serializer<T>::Write(this, value);
  }

  // Returns false where the stream ends before the value does.
  template <typename T>
  bool Read(T* value) {
    static_assert(Serializer<T>::enabled, "values of this type cannot be read");
    return Serializer<T>::Read(this, value);
  }

  // Writes values one after the other, without their number.
  template <typename T>
  void WriteArray(const T* values, size_t count) {
    for (size_t i = 0; i < count; ++i) Write<T>(values[i]);
  }

  template <typename T>
  bool ReadArray(T* values, size_t count) {
    for (size_t i = 0; i < count; ++i) {
      if (!Read<T>(values + i)) return false;
    }
    return true;
  }
};

}  // namespace support
}  // namespace tvm

#endif  // TVM_SUPPORT_IO_H_

// Streams over bytes in memory.
#ifndef TVM_SUPPORT_BYTES_IO_H_
#define TVM_SUPPORT_BYTES_IO_H_

#include <tvm/ffi/error.h>
#include <tvm/ffi/string.h>
#include <tvm/support/io.h>
#include <tvm/support/serializer.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>

namespace tvm {
namespace support {

// Reads bytes that outlive it.
class BytesInStream : public Stream {
 public:
  explicit BytesInStream(const std::string& bytes) : BytesInStream(bytes.data(), bytes.size()) {}
  explicit BytesInStream(const ffi::Bytes& bytes) : BytesInStream(bytes.data(), bytes.size()) {}
  BytesInStream(const char* data, size_t size) : data_(data), left_(size) {}

  using Stream::Read;
  using Stream::Write;

  size_t Read(void* data, size_t size) final {
    const size_t taken = std::min(size, left_);
    if (taken != 0) std::memcpy(data, data_, taken);
    data_ += taken;
    left_ -= taken;
    return taken;
  }

  size_t Write(const void*, size_t) final {
    TVM_FFI_THROW(InternalError) << "it is for reading";
  }

 private:
  const char* data_;
  size_t left_;
};

// Appends to a string that outlives it.
class BytesOutStream : public Stream {
 public:
  explicit BytesOutStream(std::string* target) : target_(target) {}

  using Stream::Read;
  using Stream::Write;

  size_t Read(void*, size_t) final { TVM_FFI_THROW(InternalError) << "it is for writing"; }

  size_t Write(const void* data, size_t size) final {
    target_->append(static_cast<const char*>(data), size);
    return size;
  }

 private:
  std::string* target_;
};

}  // namespace support
}  // namespace tvm

#endif  // TVM_SUPPORT_BYTES_IO_H_

// Streams that write to another one in base64, and read it, after RFC 4648, section 4.
#ifndef TVM_SUPPORT_BASE64_H_
#define TVM_SUPPORT_BASE64_H_

#include <tvm/ffi/error.h>
#include <tvm/support/io.h>

#include <cstddef>
#include <cstdint>

namespace tvm {
namespace support {

class Base64OutStream : public Stream {
 public:
  explicit Base64OutStream(Stream* target) : target_(target) {}

  using Stream::Read;
  using Stream::Write;

  size_t Read(void*, size_t) final { TVM_FFI_THROW(InternalError) << "it is for writing"; }

  size_t Write(const void* data, size_t size) final {
    const auto* bytes = static_cast<const uint8_t*>(data);
    for (size_t i = 0; i < size; ++i) {
      bits_ = bits_ << 8 | bytes[i];
      if (++held_ == 3) Flush();
    }
    return size;
  }

  // Writes what is left, filled up to a whole group; must be called last.
  void Finish() {
    if (held_ != 0) Flush();
  }

 private:
  void Flush() {
    const char* digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint32_t bits = bits_ << 8 * (3 - held_);
    char group[4];
    for (int i = 0; i < 4; ++i) {
      group[i] = i <= held_ ? digits[bits >> (18 - 6 * i) & 63] : '=';
    }
    target_->Write(static_cast<const void*>(group), sizeof(group));
    bits_ = 0;
    held_ = 0;
  }

  Stream* target_;
  uint32_t bits_ = 0;
  int held_ = 0;  // bytes in `bits_`
};

class Base64InStream : public Stream {
 public:
  explicit Base64InStream(Stream* source) : source_(source) {}

  using Stream::Read;
  using Stream::Write;

  // Must be called before the first reading.
  void InitPosition() { bits_ = held_ = 0; }

  size_t Write(const void*, size_t) final {
    TVM_FFI_THROW(InternalError) << "it is for reading";
  }

  size_t Read(void* data, size_t size) final {
    auto* bytes = static_cast<uint8_t*>(data);
    for (size_t i = 0; i < size; ++i) {
      while (held_ < 8) {
        char digit;
        do {
          if (source_->Read(static_cast<void*>(&digit), 1) == 0 || digit == '=') return i;
        } while (digit == '\n' || digit == '\r');
        bits_ = bits_ << 6 | Value(digit);
        held_ += 6;
      }
      held_ -= 8;
      bytes[i] = static_cast<uint8_t>(bits_ >> held_);
    }
    return size;
  }

 private:
  static uint32_t Value(char digit) {
    if (digit >= 'A' && digit <= 'Z') return digit - 'A';
    if (digit >= 'a' && digit <= 'z') return digit - 'a' + 26;
    if (digit >= '0' && digit <= '9') return digit - '0' + 52;
    if (digit == '+') return 62;
    if (digit == '/') return 63;
    TVM_FFI_THROW(ValueError) << "no digit of base64: '" << digit << "'";
    TVM_FFI_UNREACHABLE();
  }

  Stream* source_;
  uint32_t bits_ = 0;
  int held_ = 0;  // bits that were read and not given
};

}  // namespace support
}  // namespace tvm

#endif  // TVM_SUPPORT_BASE64_H_

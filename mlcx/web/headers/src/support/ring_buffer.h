// A queue of bytes.
#ifndef TVM_SUPPORT_RING_BUFFER_H_
#define TVM_SUPPORT_RING_BUFFER_H_

#include <tvm/ffi/error.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <vector>

namespace tvm {
namespace support {

// What is in it lies in one piece: room at the front is won back when more is needed.
class RingBuffer {
 public:
  size_t bytes_available() const { return end_ - begin_; }

  // Makes room for `size` bytes in all.
  void Reserve(size_t size) {
    if (begin_ + size <= room_.size()) return;
    std::copy(room_.begin() + begin_, room_.begin() + end_, room_.begin());
    end_ -= begin_;
    begin_ = 0;
    if (size > room_.size()) room_.resize(std::max(size, 2 * room_.size()));
  }

  // Takes out `size` bytes, which must be there.
  void Read(void* data, size_t size) {
    TVM_FFI_ICHECK_LE(size, bytes_available());
    if (size != 0) std::memcpy(data, room_.data() + begin_, size);
    begin_ += size;
  }

  void Write(const void* data, size_t size) {
    Reserve(bytes_available() + size);
    if (size != 0) std::memcpy(room_.data() + end_, data, size);
    end_ += size;
  }

  // Offers up to `most` bytes to `send(data, size)`; takes out as many as it returns.
  template <typename Send>
  size_t ReadWithCallback(Send send, size_t most) {
    const size_t sent = send(room_.data() + begin_, std::min(most, bytes_available()));
    TVM_FFI_ICHECK_LE(sent, bytes_available());
    begin_ += sent;
    return sent;
  }

  // Lets `receive(data, size)` put in up to `most` bytes; it returns how many.
  template <typename Receive>
  size_t WriteWithCallback(Receive receive, size_t most) {
    Reserve(bytes_available() + most);
    const size_t received = receive(room_.data() + end_, most);
    TVM_FFI_ICHECK_LE(received, most);
    end_ += received;
    return received;
  }

 private:
  std::vector<char> room_;
  size_t begin_ = 0, end_ = 0;
};

}  // namespace support
}  // namespace tvm

#endif  // TVM_SUPPORT_RING_BUFFER_H_

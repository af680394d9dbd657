// Memory for plain values that all end at once.
#ifndef TVM_SUPPORT_ARENA_H_
#define TVM_SUPPORT_ARENA_H_

#include <cstddef>
#include <memory>
#include <type_traits>
#include <vector>

namespace tvm {
namespace support {

class Arena {
 public:
  // Returns room for `count` values, which are not constructed.
  template <typename T>
  T* allocate_(size_t count) {
    static_assert(std::is_trivially_destructible_v<T>, "no destructor is called");
    static_assert(alignof(T) <= alignof(std::max_align_t), "aligned as new does it");
    blocks_.emplace_back(new char[count * sizeof(T)]);
    return reinterpret_cast<T*>(blocks_.back().get());
  }

  void RecycleAll() { blocks_.clear(); }

 private:
  std::vector<std::unique_ptr<char[]>> blocks_;
};

}  // namespace support
}  // namespace tvm

#endif  // TVM_SUPPORT_ARENA_H_

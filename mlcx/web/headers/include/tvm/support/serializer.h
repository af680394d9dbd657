// The formats of values in streams: numbers are little-endian, and whatever has a length
// begins with it, as 64 bits.
#ifndef TVM_SUPPORT_SERIALIZER_H_
#define TVM_SUPPORT_SERIALIZER_H_

#include <tvm/ffi/container/array.h>
#include <tvm/ffi/container/map.h>
#include <tvm/ffi/dtype.h>
#include <tvm/ffi/string.h>
#include <tvm/support/io.h>

#include <cstdint>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

namespace tvm {
namespace support {

static_assert(TVM_FFI_IO_NO_ENDIAN_SWAP, "values are written as they lie in memory");

// Numbers.
template <typename T>
struct Serializer<T, std::enable_if_t<std::is_arithmetic_v<T>>> {
  static constexpr bool enabled = true;
  static void Write(Stream* stream, const T& value) { stream->Write(&value, sizeof(T)); }
  static bool Read(Stream* stream, T* value) {
    return stream->Read(static_cast<void*>(value), sizeof(T)) == sizeof(T);
  }
};

// Names of numbers: 32 bits.
template <typename T>
struct Serializer<T, std::enable_if_t<std::is_enum_v<T>>> {
  static constexpr bool enabled = true;
  static void Write(Stream* stream, const T& value) {
    stream->Write<int32_t>(static_cast<int32_t>(value));
  }
  static bool Read(Stream* stream, T* value) {
    int32_t number;
    if (!stream->Read<int32_t>(&number)) return false;
    *value = static_cast<T>(number);
    return true;
  }
};

template <>
struct Serializer<DLDataType> {
  static constexpr bool enabled = true;
  static void Write(Stream* stream, const DLDataType& type) {
    stream->Write<uint8_t>(type.code);
    stream->Write<uint8_t>(type.bits);
    stream->Write<uint16_t>(type.lanes);
  }
  static bool Read(Stream* stream, DLDataType* type) {
    return stream->Read<uint8_t>(&type->code) && stream->Read<uint8_t>(&type->bits) &&
           stream->Read<uint16_t>(&type->lanes);
  }
};

template <>
struct Serializer<DLDevice> {
  static constexpr bool enabled = true;
  static void Write(Stream* stream, const DLDevice& device) {
    stream->Write<int32_t>(static_cast<int32_t>(device.device_type));
    stream->Write<int32_t>(device.device_id);
  }
  static bool Read(Stream* stream, DLDevice* device) {
    int32_t type, id;
    if (!stream->Read<int32_t>(&type) || !stream->Read<int32_t>(&id)) return false;
    *device = {static_cast<DLDeviceType>(type), id};
    return true;
  }
};

template <typename First, typename Second>
struct Serializer<std::pair<First, Second>> {
  static constexpr bool enabled = true;
  static void Write(Stream* stream, const std::pair<First, Second>& pair) {
    stream->Write<First>(pair.first);
    stream->Write<Second>(pair.second);
  }
  static bool Read(Stream* stream, std::pair<First, Second>* pair) {
    return stream->Read<First>(&pair->first) && stream->Read<Second>(&pair->second);
  }
};

// Reads values of `Element`, each of which `keep` takes.
template <typename Element, typename Keep>
inline bool ReadElements(Stream* stream, Keep keep) {
  uint64_t count;
  if (!stream->Read<uint64_t>(&count)) return false;
  for (uint64_t i = 0; i < count; ++i) {
    Element element;
    if (!stream->Read<Element>(&element)) return false;
    keep(std::move(element));
  }
  return true;
}

template <typename Element, typename Container>
inline void WriteElements(Stream* stream, const Container& container) {
  stream->Write<uint64_t>(container.size());
  for (const auto& element : container) stream->Write<Element>(element);
}

template <>
struct Serializer<std::string> {
  static constexpr bool enabled = true;
  static void Write(Stream* stream, const std::string& text) {
    stream->Write<uint64_t>(text.size());
    stream->Write(text.data(), text.size());
  }
  static bool Read(Stream* stream, std::string* text) {
    uint64_t size;
    if (!stream->Read<uint64_t>(&size)) return false;
    text->resize(static_cast<size_t>(size));
    return stream->Read(static_cast<void*>(text->data()), text->size()) == text->size();
  }
};

template <>
struct Serializer<ffi::String> {
  static constexpr bool enabled = true;
  static void Write(Stream* stream, const ffi::String& text) {
    stream->Write<uint64_t>(text.size());
    stream->Write(text.data(), text.size());
  }
  static bool Read(Stream* stream, ffi::String* text) {
    std::string read;
    if (!stream->Read<std::string>(&read)) return false;
    *text = ffi::String(std::move(read));
    return true;
  }
};

template <typename T>
struct Serializer<std::vector<T>> {
  static constexpr bool enabled = true;
  static void Write(Stream* stream, const std::vector<T>& values) {
    WriteElements<T>(stream, values);
  }
  static bool Read(Stream* stream, std::vector<T>* values) {
    values->clear();
    return ReadElements<T>(stream, [&](T value) { values->push_back(std::move(value)); });
  }
};

template <typename T>
struct Serializer<ffi::Array<T>> {
  static constexpr bool enabled = true;
  static void Write(Stream* stream, const ffi::Array<T>& values) {
    WriteElements<T>(stream, values);
  }
  static bool Read(Stream* stream, ffi::Array<T>* values) {
    values->clear();
    return ReadElements<T>(stream, [&](T value) { values->push_back(std::move(value)); });
  }
};

template <typename Key, typename Value>
struct Serializer<std::unordered_map<Key, Value>> {
  static constexpr bool enabled = true;
  using Entry = std::pair<Key, Value>;
  static void Write(Stream* stream, const std::unordered_map<Key, Value>& map) {
    WriteElements<Entry>(stream, map);
  }
  static bool Read(Stream* stream, std::unordered_map<Key, Value>* map) {
    map->clear();
    return ReadElements<Entry>(stream, [&](Entry entry) { map->insert(std::move(entry)); });
  }
};

template <typename Key, typename Value>
struct Serializer<ffi::Map<Key, Value>> {
  static constexpr bool enabled = true;
  using Entry = std::pair<Key, Value>;
  static void Write(Stream* stream, const ffi::Map<Key, Value>& map) {
    WriteElements<Entry>(stream, map);
  }
  static bool Read(Stream* stream, ffi::Map<Key, Value>* map) {
    map->clear();
    return ReadElements<Entry>(stream, [&](Entry entry) { map->Set(entry.first, entry.second); });
  }
};

}  // namespace support
}  // namespace tvm

#endif  // TVM_SUPPORT_SERIALIZER_H_

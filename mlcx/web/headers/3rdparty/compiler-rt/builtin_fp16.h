// Conversion between binary floating-point formats of IEEE 754, done on their bits.
#ifndef COMPILER_RT_BUILTIN_FP16_H_
#define COMPILER_RT_BUILTIN_FP16_H_

#include <cstring>

// Returns the bits `source` of a narrow format in a wider one, which holds all its values.
// The formats are given by an integer for their bits and by their bits of significand.
template <typename Source, typename SourceBits, int kSourceSignificand, typename Wide,
          typename WideBits, int kWideSignificand>
inline Wide __extendXfYf2__(Source source) {
  constexpr int kSourceExponent = sizeof(SourceBits) * 8 - 1 - kSourceSignificand;
  constexpr int kWideExponent = sizeof(WideBits) * 8 - 1 - kWideSignificand;
  constexpr int kSourceBias = (1 << (kSourceExponent - 1)) - 1;
  constexpr int kWideBias = (1 << (kWideExponent - 1)) - 1;
  constexpr WideBits kOne = 1;
  static_assert(sizeof(Source) == sizeof(SourceBits) && sizeof(Wide) == sizeof(WideBits),
                "the bits of a format fill it");
  static_assert(kWideExponent > kSourceExponent && kWideSignificand > kSourceSignificand,
                "the second format must be the wider one");

  SourceBits bits;
  std::memcpy(&bits, &source, sizeof(bits));
  const WideBits sign = bits >> (sizeof(SourceBits) * 8 - 1);
  int exponent = (bits >> kSourceSignificand) & ((1 << kSourceExponent) - 1);
  WideBits significand = bits & ((kOne << kSourceSignificand) - 1);

  WideBits wide_exponent = 0;
  if (exponent == (1 << kSourceExponent) - 1) {  // infinite, or no number
    wide_exponent = (kOne << kWideExponent) - 1;
  } else if (exponent != 0 || significand != 0) {
    if (exponent == 0) {  // subnormal: normal in the wider format
      exponent = 1;
      while (!(significand >> kSourceSignificand)) {
        significand <<= 1;
        --exponent;
      }
      significand &= (kOne << kSourceSignificand) - 1;
    }
    wide_exponent = exponent - kSourceBias + kWideBias;
  }
  const WideBits made = (sign << (sizeof(WideBits) * 8 - 1)) |
                        (wide_exponent << kWideSignificand) |
                        (significand << (kWideSignificand - kSourceSignificand));
  Wide result;
  std::memcpy(&result, &made, sizeof(result));
  return result;
}

#endif  // COMPILER_RT_BUILTIN_FP16_H_

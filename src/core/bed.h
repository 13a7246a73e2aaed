#ifndef PARTIALPOOL_CORE_BED_H
#define PARTIALPOOL_CORE_BED_H

// Genotypes in the SNP-major binary format of PLINK 1: three magic bytes, then for each marker two
// bits a sample, four samples a byte, the first sample in the lowest bits.

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cstdint>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

namespace partialpool {

enum class BedError { none, unreadable, not_bed, sample_major, truncated };

class BedFile {
 public:
  BedFile(const std::string& path, std::int64_t samples)
      : file_(path, std::ios::binary), samples_(samples), bytes_((samples + 3) / 4) {
    unsigned char magic[header] = {0, 0, 0};
    if (!file_.is_open()) {
      error_ = BedError::unreadable;
    } else if (!file_.read(reinterpret_cast<char*>(magic), header) || magic[0] != 0x6c ||
               magic[1] != 0x1b || magic[2] > 1) {
      error_ = BedError::not_bed;
    } else if (magic[2] == 0) {
      error_ = BedError::sample_major;
    } else {
      file_.seekg(0, std::ios::end);
      const std::int64_t size = static_cast<std::int64_t>(file_.tellg()) - header;
      markers_ = size / bytes_;
      if (size % bytes_ != 0) error_ = BedError::truncated;
    }
    next_ = -1;
    raw_.resize(static_cast<std::size_t>(bytes_));
    codes_.resize(static_cast<std::size_t>(4 * bytes_));
  }

  BedError error() const { return error_; }
  std::int64_t markers() const { return markers_; }  // whole ones, if truncated
  std::int64_t samples() const { return samples_; }

  // Copies of the first allele (A1) of one marker, NaN where missing, for the samples in `rows`
  // (all of them, in the order of the file, if null). False if the file does not give them.
  bool read(std::int64_t marker, const int* rows, Eigen::Index n, double* out) {
    if (!fetch(marker)) return false;
    unpack();
    // 00 two copies of A1, 01 missing, 10 one copy, 11 none
    static constexpr double missing = std::numeric_limits<double>::quiet_NaN();
    static constexpr double copies[4] = {2.0, missing, 1.0, 0.0};
    if (rows == nullptr) {
      for (Eigen::Index i = 0; i < n; ++i) out[i] = copies[codes_[static_cast<std::size_t>(i)]];
    } else {
      for (Eigen::Index i = 0; i < n; ++i) {
        out[i] = copies[codes_[static_cast<std::size_t>(rows[i])]];
      }
    }
    return true;
  }

 private:
  static constexpr std::int64_t header = 3;

  bool fetch(std::int64_t marker) {
    if (marker < 0 || marker >= markers_) return false;
    if (marker != next_) {
      file_.clear();
      file_.seekg(header + marker * bytes_, std::ios::beg);
    }
    const bool good = static_cast<bool>(file_.read(raw_.data(), bytes_));
    next_ = good ? marker + 1 : -1;
    return good;
  }

  void unpack() {
    using Quartets = std::array<std::array<unsigned char, 4>, 256>;
    static const Quartets quartets = [] {
      Quartets table{};
      for (unsigned byte = 0; byte < 256; ++byte) {
        for (unsigned k = 0; k < 4; ++k) table[byte][k] = (byte >> (2 * k)) & 3U;
      }
      return table;
    }();
    unsigned char* to = codes_.data();
    for (const char byte : raw_) {
      const std::array<unsigned char, 4>& codes = quartets[static_cast<unsigned char>(byte)];
      to = std::copy(codes.begin(), codes.end(), to);
    }
  }

  std::ifstream file_;
  std::int64_t samples_;
  std::int64_t bytes_;
  std::int64_t markers_ = 0;
  std::int64_t next_;  // the marker at which the file stands
  BedError error_ = BedError::none;
  std::vector<char> raw_;
  std::vector<unsigned char> codes_;
};

}  // namespace partialpool

#endif

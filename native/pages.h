// Mapped memory as ArrayBuffers.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>

#include "guard.h"

namespace paravane {

// One run of mapped pages. It ends once: by unmap() of its ArrayBuffer, or when that was collected.
class Mapping {
 public:
  // Maps `count` pages of `descriptor` from byte `offset` on, shared, for reading and writing.
  static std::shared_ptr<Mapping> create(Napi::Env env, std::shared_ptr<Descriptor> descriptor,
                                         off_t offset, size_t count);
  ~Mapping() { end(); }
  Mapping(const Mapping &) = delete;
  Mapping &operator=(const Mapping &) = delete;

  void *base() const { return base_; }
  size_t bytes() const { return bytes_; }
  // What the device must be told after the memory is gone.
  void afterEnd(std::function<void()> release) { release_ = std::move(release); }
  void end();

 private:
  Mapping(std::shared_ptr<Descriptor> descriptor, void *base, size_t bytes)
      : descriptor_(std::move(descriptor)), base_(base), bytes_(bytes) {}

  std::shared_ptr<Descriptor> descriptor_;
  void *base_;
  const size_t bytes_;
  std::function<void()> release_;
};

// Hands the mapping to JavaScript. From here on the ArrayBuffer decides how long it lives.
Napi::ArrayBuffer exposeMapping(Napi::Env env, std::shared_ptr<Mapping> mapping);

}  // namespace paravane

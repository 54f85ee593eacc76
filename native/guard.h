// What every file of the shim needs: guards on arguments, errors of the operating system, and
// file descriptors that are closed once.
#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <optional>

namespace paravane {

constexpr size_t kPageSize = 4096;
constexpr uint32_t kUint32Max = 0xffffffff;
constexpr uint32_t kDomidMax = 0x7fff;

// An integer from `min` to `max`. Anything but a number is a TypeError, any other a RangeError.
uint32_t integerArgument(const Napi::CallbackInfo &info, size_t index, const char *name,
                         uint32_t max, uint32_t min = 0);

// The same, or nothing when the argument is undefined.
std::optional<uint32_t> optionalIntegerArgument(const Napi::CallbackInfo &info, size_t index,
                                                const char *name, uint32_t max);

// A place in a file: an integer that a number of JavaScript holds exactly.
uint64_t offsetArgument(const Napi::CallbackInfo &info, size_t index, const char *name);

bool booleanArgument(const Napi::CallbackInfo &info, size_t index, const char *name);

// A typed array of the given kind and of at least one element, so never a detached one.
template <typename Element>
Napi::TypedArrayOf<Element> typedArrayArgument(const Napi::CallbackInfo &info, size_t index,
                                               const char *name, napi_typedarray_type kind,
                                               size_t lengthMax) {
  if (!info[index].IsTypedArray() || info[index].As<Napi::TypedArray>().TypedArrayType() != kind) {
    throw Napi::TypeError::New(info.Env(), std::string(name) + " must be a typed array of its kind");
  }
  auto array = info[index].As<Napi::TypedArrayOf<Element>>();
  if (array.ElementLength() == 0 || array.ElementLength() > lengthMax) {
    throw Napi::RangeError::New(info.Env(), std::string(name) + " must have from 1 to " +
                                                std::to_string(lengthMax) + " elements");
  }
  return array;
}

// Throws an Error with `code`, `errno` and `syscall`, as Node's own file system calls do.
[[noreturn]] void throwSystemError(Napi::Env env, int error, const char *syscall,
                                   const char *path = nullptr);

// A file descriptor, closed when the last owner lets go: a mapping may outlive its device's handle.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor();
  Descriptor(const Descriptor &) = delete;
  Descriptor &operator=(const Descriptor &) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

// Opens a device for reading and writing, not inherited by child processes.
std::shared_ptr<Descriptor> openDevice(Napi::Env env, const char *path, int extraFlags = 0);

// The descriptor of a device handle; throws TypeError after the handle was closed.
const Descriptor &openDescriptor(Napi::Env env, const std::shared_ptr<Descriptor> &descriptor);

}  // namespace paravane

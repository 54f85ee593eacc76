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

// What a typed array shows of its buffer.
template <typename Element>
class Elements {
 public:
  Elements(void *data, size_t length) : data_(static_cast<Element *>(data)), length_(length) {}
  Element &operator[](size_t index) const { return data_[index]; }
  Element *Data() const { return data_; }
  size_t ElementLength() const { return length_; }
  size_t ByteLength() const { return length_ * sizeof(Element); }

 private:
  Element *const data_;
  const size_t length_;
};

// A typed array of the given kind and of at least one element, so never a detached one. All is asked
// at once: next to a short system call, each question to the engine takes its time.
template <typename Element>
Elements<Element> typedArrayArgument(const Napi::CallbackInfo &info, size_t index, const char *name,
                                     napi_typedarray_type kind, size_t lengthMax) {
  napi_typedarray_type found;
  size_t length = 0;
  void *data = nullptr;
  if (napi_get_typedarray_info(info.Env(), info[index], &found, &length, &data, nullptr, nullptr) !=
          napi_ok ||
      found != kind) {
    throw Napi::TypeError::New(info.Env(), std::string(name) + " must be a typed array of its kind");
  }
  if (length == 0 || length > lengthMax) {
    throw Napi::RangeError::New(info.Env(), std::string(name) + " must have from 1 to " +
                                                std::to_string(lengthMax) + " elements");
  }
  return Elements<Element>(data, length);
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

// A device handle of an object with methods of its own, which may outlive the object.
class SharedDevice {
 public:
  explicit SharedDevice(std::shared_ptr<Descriptor> descriptor)
      : state_(std::make_shared<std::shared_ptr<Descriptor>>(std::move(descriptor))) {}

  // Each throws TypeError after `close`.
  const std::shared_ptr<Descriptor> &descriptor(Napi::Env env) const {
    openDescriptor(env, *state_);
    return *state_;
  }
  int fd(Napi::Env env) const { return openDescriptor(env, *state_).fd(); }

  // For all copies of this. Idempotent.
  void close() { state_->reset(); }

 private:
  std::shared_ptr<std::shared_ptr<Descriptor>> state_;
};

// Gives an object a method that is no property of its class and knows the object's native part without
// a look-up through `this`: for what is called at every signal.
template <typename Method>
void setOwnMethod(Napi::Object object, const char *name, Method method) {
  object.Set(name, Napi::Function::New(object.Env(), method, name));
}

}  // namespace paravane

// One program in the place of another.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "addon.h"
#include "guard.h"

namespace paravane {

namespace {

constexpr size_t kStringsMax = 4096;
constexpr size_t kDescriptorsMax = 1 << 20;

// A C string. One with a NUL in it would mean another to the kernel.
std::string stringOf(Napi::Env env, const Napi::Value &value, const char *name) {
  if (!value.IsString()) throw Napi::TypeError::New(env, std::string(name) + " must be strings");
  const std::string text = value.As<Napi::String>();
  if (text.find('\0') != std::string::npos) {
    throw Napi::RangeError::New(env, std::string(name) + " must hold no NUL");
  }
  return text;
}

std::vector<std::string> stringsArgument(const Napi::CallbackInfo &info, size_t index,
                                         const char *name) {
  Napi::Env env = info.Env();
  if (!info[index].IsArray()) throw Napi::TypeError::New(env, std::string(name) + " must be an array");
  auto array = info[index].As<Napi::Array>();
  if (array.Length() > kStringsMax) {
    throw Napi::RangeError::New(env, std::string(name) + " must have at most " +
                                         std::to_string(kStringsMax) + " elements");
  }
  std::vector<std::string> strings;
  for (uint32_t i = 0; i < array.Length(); i++) {
    strings.push_back(stringOf(env, array.Get(i), name));
  }
  return strings;
}

std::vector<char *> pointersTo(std::vector<std::string> &strings) {
  std::vector<char *> pointers;
  for (auto &text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// What becomes of a descriptor when another program takes over, and back if it does not.
class KeptDescriptor {
 public:
  KeptDescriptor(Napi::Env env, int fd)
      : fd_(fd), descriptorFlags_(fcntl(fd, F_GETFD)), statusFlags_(fcntl(fd, F_GETFL)) {
    if (descriptorFlags_ < 0 || statusFlags_ < 0) throwSystemError(env, errno, "fcntl");
  }

  // Blocking, which is how a program expects it that knows nothing of us.
  void keep() const {
    fcntl(fd_, F_SETFD, descriptorFlags_ & ~FD_CLOEXEC);
    fcntl(fd_, F_SETFL, statusFlags_ & ~O_NONBLOCK);
  }

  void restore() const {
    fcntl(fd_, F_SETFD, descriptorFlags_);
    fcntl(fd_, F_SETFL, statusFlags_);
  }

 private:
  int fd_;
  int descriptorFlags_;
  int statusFlags_;
};

std::vector<KeptDescriptor> descriptorsArgument(const Napi::CallbackInfo &info, size_t index) {
  std::vector<KeptDescriptor> kept;
  Napi::Env env = info.Env();
  if (!info[index].IsTypedArray() ||
      info[index].As<Napi::TypedArray>().TypedArrayType() != napi_int32_array) {
    throw Napi::TypeError::New(env, "descriptors must be an Int32Array");
  }
  auto array = info[index].As<Napi::Int32Array>();
  if (array.ElementLength() > kDescriptorsMax) {
    throw Napi::RangeError::New(env, "descriptors must have at most " +
                                         std::to_string(kDescriptorsMax) + " elements");
  }
  for (size_t i = 0; i < array.ElementLength(); i++) kept.emplace_back(env, array[i]);
  return kept;
}

// execute(path, arguments, environment, descriptors): puts that program into the place of this one.
// It has the same process id, and of all open descriptors those given and the standard ones. Never
// returns; where the operating system refuses all is as it was, and it throws.
void execute(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  const std::string path = stringOf(env, info[0], "path");
  auto arguments = stringsArgument(info, 1, "arguments");
  auto environment = stringsArgument(info, 2, "environment");
  const auto kept = descriptorsArgument(info, 3);
  // Node lets no child inherit these.
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) fcntl(fd, F_SETFD, 0);
  for (const auto &descriptor : kept) descriptor.keep();
  execve(path.c_str(), pointersTo(arguments).data(), pointersTo(environment).data());
  const int error = errno;
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
  for (const auto &descriptor : kept) descriptor.restore();
  throwSystemError(env, error, "execve", path.c_str());
}

}  // namespace

void exportProcess(Napi::Env env, Napi::Object exports) {
  exports.Set("execute", Napi::Function::New(env, execute, "execute"));
}

}  // namespace paravane
